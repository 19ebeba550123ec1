//! The cache of a reader: typed values computed from a snapshot, with one budget in bytes.
//!
//! The cache does not know which types it holds. A module that wants a value cached implements [`CacheValue`] for its type and
//! reads it through [`SnapshotMemo`].

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tagledger_model::inventory::Scope;

use crate::{error::LedgerError, model::snapshot::Snapshot};

/// Bytes that all cached values of a reader may take together. The values of the newest snapshot of 1,000,000 resources take
/// about 50 MiB.
const BUDGET: usize = 72 << 20;

/// A value that a reader can cache.
pub(crate) trait CacheValue: Send + Sync + 'static {
    /// The approximate size in bytes, with everything that the value owns.
    fn weight(&self) -> usize;
}

/// The bytes of `len` elements of a type, without what the elements own.
pub(crate) const fn bytes_of<T>(len: usize) -> usize {
    len.saturating_mul(size_of::<T>())
}

/// The approximate size of a scope: three values, two of them with a text on the heap.
pub(crate) const SCOPE_BYTES: usize = bytes_of::<Scope>(1) + 32;

/// Identifies a snapshot across ledger files. Another file with the same snapshot ids can replace a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SnapshotKey {
    id: i64,
    fingerprint: i64,
    finished_at: i64,
}

impl SnapshotKey {
    pub(crate) fn new(snapshot: &Snapshot) -> Self {
        let Snapshot { id, fingerprint, finished_at, .. } = snapshot;
        Self { id: *id, fingerprint: *fingerprint, finished_at: finished_at.as_second() }
    }
}

/// How much a reader has cached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheUsage {
    /// Approximate bytes of all values.
    pub bytes: usize,
    /// Number of values.
    pub entries: usize,
}

#[derive(Debug)]
struct Slot {
    value: Arc<dyn Any + Send + Sync>,
    weight: usize,
}

/// All cached values of a reader, by type and snapshot. The lock is held during a lookup or an insertion, but not while a value is
/// computed. Two sessions can therefore compute the same value at the same time; the later value replaces the earlier one.
#[derive(Debug)]
pub(crate) struct Memo {
    slots: Mutex<HashMap<(TypeId, SnapshotKey), Slot>>,
    budget: usize,
}

impl Default for Memo {
    fn default() -> Self {
        Self::with_budget(BUDGET)
    }
}

impl Memo {
    pub(crate) fn with_budget(budget: usize) -> Self {
        Self { slots: Mutex::default(), budget }
    }

    /// The values of one snapshot, given the newest one of the ledger.
    pub(crate) fn for_snapshot(&self, snapshot: &Snapshot, newest: Option<&Snapshot>) -> SnapshotMemo<'_> {
        SnapshotMemo { memo: self, key: SnapshotKey::new(snapshot), newest: newest.map(SnapshotKey::new) }
    }

    /// Drops all values, because they may have been read from a damaged or replaced file.
    pub(crate) fn clear(&self) {
        self.slots().clear();
    }

    pub(crate) fn usage(&self) -> CacheUsage {
        let slots = self.slots();
        CacheUsage { bytes: slots.values().map(|slot| slot.weight).sum(), entries: slots.len() }
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<(TypeId, SnapshotKey), Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores a value if the budget allows it. To make room, values of snapshots other than the newest are evicted, the largest first.
    /// Values of the newest snapshot are never evicted.
    fn insert(&self, key: (TypeId, SnapshotKey), slot: Slot, newest: Option<SnapshotKey>) {
        let mut slots = self.slots();
        slots.remove(&key);
        let of_newest = |(_, snapshot): &(TypeId, SnapshotKey)| Some(*snapshot) == newest;
        let fixed: usize = slots.iter().filter(|(key, _)| of_newest(key)).map(|(_, slot)| slot.weight).sum();
        if fixed.saturating_add(slot.weight) > self.budget {
            return;
        }
        let mut total: usize = slots.values().map(|slot| slot.weight).sum();
        while total.saturating_add(slot.weight) > self.budget {
            let others = slots.iter().filter(|(key, _)| !of_newest(key));
            let Some(largest) = others.max_by_key(|(_, slot)| slot.weight).map(|(key, _)| *key) else { return };
            total -= slots.remove(&largest).map_or(0, |slot| slot.weight);
        }
        slots.insert(key, slot);
    }
}

/// The cached values of one snapshot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SnapshotMemo<'m> {
    memo: &'m Memo,
    key: SnapshotKey,
    newest: Option<SnapshotKey>,
}

impl SnapshotMemo<'_> {
    /// The value of this type, if it is cached.
    pub(crate) fn get<T: CacheValue>(self) -> Option<Arc<T>> {
        let value = Arc::clone(&self.memo.slots().get(&(TypeId::of::<T>(), self.key))?.value);
        value.downcast().ok()
    }

    /// Caches a value in place of an earlier one of its type.
    pub(crate) fn put<T: CacheValue>(self, value: T) -> Arc<T> {
        let (weight, value) = (value.weight(), Arc::new(value));
        let slot = Slot { value: Arc::<T>::clone(&value), weight };
        self.memo.insert((TypeId::of::<T>(), self.key), slot, self.newest);
        value
    }

    /// The value of this type; computed and cached when it is not cached yet.
    ///
    /// # Errors
    ///
    /// When it cannot be computed.
    pub(crate) fn get_or_load<T: CacheValue>(
        self,
        load: impl FnOnce() -> Result<T, LedgerError>,
    ) -> Result<Arc<T>, LedgerError> {
        match self.get() {
            Some(value) => Ok(value),
            None => Ok(self.put(load()?)),
        }
    }

    /// The same for a large value, of which at most one is cached. The value of another snapshot is dropped before this one is computed,
    /// so that both are never in memory at the same time.
    ///
    /// # Errors
    ///
    /// When it cannot be computed.
    pub(crate) fn replace_or_load<T: CacheValue>(
        self,
        load: impl FnOnce() -> Result<T, LedgerError>,
    ) -> Result<Arc<T>, LedgerError> {
        self.memo.slots().retain(|(of, key), _| *of != TypeId::of::<T>() || *key == self.key);
        self.get_or_load(load)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    struct Small(usize);

    struct Large(usize);

    impl CacheValue for Small {
        fn weight(&self) -> usize {
            self.0
        }
    }

    impl CacheValue for Large {
        fn weight(&self) -> usize {
            self.0
        }
    }

    fn snapshot(id: i64, fingerprint: i64) -> Snapshot {
        Snapshot {
            id,
            started_at: Timestamp::UNIX_EPOCH,
            finished_at: Timestamp::UNIX_EPOCH,
            complete: true,
            policy_digest: String::new(),
            requests: 0,
            fingerprint,
            narrowed: false,
        }
    }

    /// A value is loaded once for a snapshot. A snapshot with the same id and another fingerprint does not get it.
    #[test]
    fn value_is_loaded_once_per_snapshot() {
        let memo = Memo::default();
        let of = |fingerprint| memo.for_snapshot(&snapshot(1, fingerprint), None).get_or_load(|| Ok(Small(1))).unwrap();
        assert!(Arc::ptr_eq(&of(1), &of(1)));
        assert!(!Arc::ptr_eq(&of(1), &of(2)));
        assert_eq!(memo.usage(), CacheUsage { bytes: 2, entries: 2 });
        memo.clear();
        assert_eq!(memo.usage(), CacheUsage::default());
    }

    /// The cache never exceeds its budget. Values of past snapshots are evicted, the largest first, and values of the newest
    /// snapshot are never evicted for others.
    #[test]
    fn eviction_keeps_newest_snapshot_and_budget() {
        let (memo, past, newest) = (Memo::with_budget(100), snapshot(1, 1), snapshot(2, 2));
        let [past, now] = [&past, &newest].map(|snapshot| memo.for_snapshot(snapshot, Some(&newest)));
        past.put(Small(10));
        past.put(Large(50));
        now.put(Large(60));
        assert_eq!((past.get::<Small>().is_some(), past.get::<Large>().is_some()), (true, false));
        past.put(Large(41));
        assert!(past.get::<Large>().is_none() && now.get::<Large>().is_some(), "there is no room beside the newest");
        now.put(Small(40));
        assert!(past.get::<Small>().is_none());
        assert_eq!(memo.usage(), CacheUsage { bytes: 100, entries: 2 });
        now.put(Small(1));
        assert_eq!(memo.usage().bytes, 61, "a value replaces the earlier one of its type");
    }

    /// A value of which one is cached replaces the one of another snapshot before it is loaded.
    #[test]
    fn single_value_replaces_that_of_other_snapshot() {
        let memo = Memo::default();
        let [first, second] = [1, 2].map(|id| memo.for_snapshot(&snapshot(id, id), None));
        first.put(Large(1));
        let loaded = second.replace_or_load(|| Ok(Large(memo.usage().entries)));
        assert_eq!(loaded.unwrap().0, 0);
        assert!(first.get::<Large>().is_none());
    }
}
