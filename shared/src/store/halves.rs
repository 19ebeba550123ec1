//! Questions that look at every resource, or at all that changed, half by half at once.

use std::{ops::RangeInclusive, panic::resume_unwind, thread};

use super::{Attempt, Snapshot, StoreError, View, intern::statement, sql};

/// Keys of resources. They are hashes: half of them lie in each half.
pub(super) type Keys = RangeInclusive<i64>;

pub(super) const ALL: Keys = 0..=i64::MAX;
const LOWER: Keys = 0..=i64::MAX / 2;
const UPPER: Keys = i64::MAX / 2 + 1..=i64::MAX;

/// What tells one state of the ledger from another: a night brings another newest snapshot, and thinning leaves fewer nights.
type State = (Option<Snapshot>, i64);

impl View<'_> {
    /// Does the same with each half of all resources of the newest snapshot, at once. Of an earlier one it takes all in one: what
    /// has ended since does not lie by halves, and would be walked through by both.
    pub(super) fn by_halves<T: Send>(
        &self,
        snapshot: &Snapshot,
        half: impl Fn(&View<'_>, Keys) -> Result<T, StoreError> + Sync,
    ) -> Result<Vec<T>, StoreError> {
        if self.newest()?.as_ref() != Some(snapshot) {
            return Ok(vec![half(self, ALL)?]);
        }
        self.in_halves(half)
    }

    /// Does the same with each half of all keys, the lower one first: at once, where there is a thread for it and a second
    /// connection sees the ledger in the same state. For what spends more on each resource than on walking through versions.
    pub(super) fn in_halves<T: Send>(
        &self,
        half: impl Fn(&View<'_>, Keys) -> Result<T, StoreError> + Sync,
    ) -> Result<Vec<T>, StoreError> {
        let (state, reader, half) = (self.state()?, self.reader, &half);
        thread::scope(|scope| {
            let elsewhere = thread::Builder::new().spawn_scoped(scope, move || {
                reader.read(|view| if view.state()? == state { half(view, UPPER).map(Some) } else { Ok(None) })
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
