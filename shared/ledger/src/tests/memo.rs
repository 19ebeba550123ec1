//! The cache of a reader over several snapshots.

use crate::{
    error::{ErrorContext, Operation},
    index::{ranked_by_scope, tag_sets},
    read::memo::CacheUsage,
    tests::{COMPLIANT, UNTAGGED, complete, instance, instances, representative},
    warmup,
};

/// A failed read clears the cache, because the values may come from a damaged or replaced file.
#[test]
fn failed_read_clears_cache() {
    let ledger = representative();
    let reader = ledger.reader();
    reader.read(|session| warmup::run(session, &session.newest()?.unwrap())).unwrap();
    let usage = reader.cache_usage();
    assert!(usage.entries > 15 && usage.bytes > 10_000, "{usage:?}");
    let failed = reader.read(|session| {
        session.db().query_row("SELECT nothing", [], |row| row.get::<_, i64>(0)).context(Operation::ReadCounts)
    });
    assert!(failed.is_err());
    assert_eq!(reader.cache_usage(), CacheUsage::default());
}

/// A second warmup of a snapshot adds nothing to the cache. The warmup of the next snapshot replaces the large values of the one
/// before, which are not cached for both at the same time.
#[test]
fn warmup_of_next_snapshot_replaces_large_values() {
    let mut ledger = representative();
    let reader = ledger.reader();
    let warm = || {
        reader
            .read(|session| {
                let newest = session.newest()?.unwrap();
                warmup::run(session, &newest)?;
                Ok(newest)
            })
            .unwrap()
    };
    let first = warm();
    let usage = reader.cache_usage();
    assert_eq!((warm(), reader.cache_usage()), (first.clone(), usage));
    ledger.record_snapshot(&[(instances(), complete(vec![instance("1", COMPLIANT), instance("2", UNTAGGED)]))]);
    let is_cached = |snapshot| {
        reader.read(|session| {
            Ok((ranked_by_scope::cached(session, snapshot).is_some(), tag_sets::cached(session)?.is_some()))
        })
    };
    assert_eq!(is_cached(&first).unwrap(), (true, false), "of the previous newest snapshot");
    let second = warm();
    assert_eq!((is_cached(&first).unwrap(), is_cached(&second).unwrap()), ((false, true), (true, true)));
}
