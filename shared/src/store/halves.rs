//! Questions that look at every resource, or at all that changed, half by half at once.

use std::{ops::RangeInclusive, panic::resume_unwind, thread};

use super::{Attempt, Snapshot, StoreError, View, intern::statement, sql};

/// Keys of resources. They are hashes: half of them lie in each half.
pub(super) type Keys = RangeInclusive<i64>;

pub(super) const ALL: Keys = 0..=i64::MAX;

/// A half of all resources as of a night: of those as they are still, by their keys; of what has ended since, by the nights that
/// ended it, for the ledger has that night by night.
#[derive(Debug, Clone, Copy)]
pub(super) struct Half {
    lowest: i64,
    highest: i64,
    /// Of the nights' numbers: 0 for even ones, 1 for odd ones.
    parity: i64,
}

const LOWER: Half = Half { lowest: 0, highest: i64::MAX / 2, parity: 0 };
const UPPER: Half = Half { lowest: i64::MAX / 2 + 1, highest: i64::MAX, parity: 1 };

impl Half {
    /// For what puts versions of one resource together: all of them are in one half.
    pub(super) fn keys(self) -> Keys {
        self.lowest..=self.highest
    }

    /// For the statements that take a half of a snapshot.
    pub(super) fn of(self, snapshot: &Snapshot) -> [i64; 4] {
        [snapshot.id, self.lowest, self.highest, self.parity]
    }
}

/// What tells one state of the ledger from another: a night brings another newest snapshot, and thinning leaves fewer nights.
type State = (Option<Snapshot>, i64);

impl View<'_> {
    /// Does the same with each half, the lower one first: at once, where there is a thread for it and a second connection sees the
    /// ledger in the same state.
    pub(super) fn in_halves<T: Send>(
        &self,
        half: impl Fn(&View<'_>, Half) -> Result<T, StoreError> + Sync,
    ) -> Result<Vec<T>, StoreError> {
        let (state, reader, asked, half) = (self.state()?, self.reader, self.asked, &half);
        thread::scope(|scope| {
            let elsewhere = thread::Builder::new().spawn_scoped(scope, move || {
                reader
                    .read_for(asked, |view| if view.state()? == state { half(view, UPPER).map(Some) } else { Ok(None) })
            });
            let lower = half(self, LOWER)?;
            let upper = match elsewhere {
                Ok(upper) => upper.join().unwrap_or_else(|died| resume_unwind(died))?,
                Err(_) => None,
            };
            // Where there is none, a night was committed or thinned out between the two looks.
            Ok(vec![lower, upper.map_or_else(|| half(self, UPPER), Ok)?])
        })
    }

    fn state(&self) -> Result<State, StoreError> {
        let kept = statement(self.db(), sql::COUNT_KEPT)?.query_row([], |row| row.get(0)).attempt("count nights")?;
        Ok((self.newest()?, kept))
    }
}
