//! Maps by row id.

use std::collections::{HashMap, HashSet};

use rustc_hash::FxBuildHasher;

/// A map by row id.
pub(crate) type HashIdMap<T> = HashMap<i64, T, FxBuildHasher>;

/// A set of row ids.
pub(crate) type HashIdSet = HashSet<i64, FxBuildHasher>;

/// Numbers by row id. Row ids have few gaps, so a vector takes a tenth of the memory of a hash map.
#[derive(Default)]
pub(crate) struct IdMap(Vec<u32>);

impl IdMap {
    /// Marks an id without a number.
    const ABSENT: u32 = u32::MAX;

    pub(crate) fn get(&self, id: i64) -> Option<u32> {
        let entry = usize::try_from(id).ok().and_then(|at| self.0.get(at)).copied();
        entry.filter(|number| *number != Self::ABSENT)
    }

    pub(crate) fn set(&mut self, id: i64, number: u32) {
        let Ok(at) = usize::try_from(id) else { return };
        if self.0.len() <= at {
            self.0.resize(at + 1, Self::ABSENT);
        }
        if let Some(entry) = self.0.get_mut(at) {
            *entry = number;
        }
    }
}
