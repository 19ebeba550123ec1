//! Questions that look at every resource, half by half at once.

use std::{ops::RangeInclusive, panic::resume_unwind, thread};

use super::{StoreError, View};

/// Keys of resources. They are hashes: half of them lie in each half.
type Keys = RangeInclusive<i64>;

const LOWER: Keys = 0..=i64::MAX / 2;
const UPPER: Keys = i64::MAX / 2 + 1..=i64::MAX;

impl View<'_> {
    /// Does the same with each half of all resources: at once, where a second connection sees the same night.
    pub(super) fn by_halves<T: Send>(
        &self,
        half: impl Fn(&View<'_>, Keys) -> Result<T, StoreError> + Sync,
    ) -> Result<[T; 2], StoreError> {
        let (newest, reader, half) = (self.newest()?, self.reader, &half);
        thread::scope(|scope| {
            let upper = scope.spawn(move || {
                reader.read(|view| if view.newest()? == newest { half(view, UPPER).map(Some) } else { Ok(None) })
            });
            let lower = half(self, LOWER)?;
            let upper = upper.join().unwrap_or_else(|died| resume_unwind(died))?;
            // A scan has committed a night between the two looks.
            Ok([lower, upper.map_or_else(|| half(self, UPPER), Ok)?])
        })
    }
}
