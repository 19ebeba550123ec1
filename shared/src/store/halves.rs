//! Questions that look at every resource, half by half at once.

use std::{ops::RangeInclusive, panic::resume_unwind, thread};

use super::{Snapshot, StoreError, View};

/// Keys of resources. They are hashes: half of them lie in each half.
type Keys = RangeInclusive<i64>;

const ALL: Keys = 0..=i64::MAX;
const LOWER: Keys = 0..=i64::MAX / 2;
const UPPER: Keys = i64::MAX / 2 + 1..=i64::MAX;

impl View<'_> {
    /// Does the same with each half of all resources of the newest snapshot: at once, where there is a thread for it and a second
    /// connection sees the same night. Of an earlier one it takes all in one: what has ended since does not lie by halves, and may be
    /// thinned out between two looks.
    pub(super) fn by_halves<T: Send>(
        &self,
        snapshot: &Snapshot,
        half: impl Fn(&View<'_>, Keys) -> Result<T, StoreError> + Sync,
    ) -> Result<Vec<T>, StoreError> {
        let (newest, reader, half) = (self.newest()?, self.reader, &half);
        if newest.as_ref() != Some(snapshot) {
            return Ok(vec![half(self, ALL)?]);
        }
        thread::scope(|scope| {
            let elsewhere = thread::Builder::new().spawn_scoped(scope, move || {
                reader.read(|view| if view.newest()? == newest { half(view, UPPER).map(Some) } else { Ok(None) })
            });
            let lower = half(self, LOWER)?;
            let upper = match elsewhere {
                Ok(upper) => upper.join().unwrap_or_else(|died| resume_unwind(died))?,
                Err(_) => None,
            };
            // Where there is none, a scan has committed a night between the two looks.
            Ok(vec![lower, upper.map_or_else(|| half(self, UPPER), Ok)?])
        })
    }
}
