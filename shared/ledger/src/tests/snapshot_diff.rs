//! Diffs of two snapshots, with a cold and with a loaded cache.

use tagledger_model::inventory::{Listing, Resource, Scope, TagSet, Usage};

use crate::{
    error::LedgerError,
    model::change::{ResourceChange, TagValue},
    query::{
        compliance, coverage,
        snapshot_diff::{self, SnapshotDiff},
        tag_changes,
    },
    read::{
        filter::Filter,
        session::{LedgerReader, ReadSession},
    },
    tests::{
        COMPLIANT, INVALID_VALUE, MISSPELLED_KEY, TestLedger, UNTAGGED, bucket, complete, incomplete, instance,
        instances,
        resource_costs::{bill_collection, pool, shared},
        scope, tagged,
    },
    warmup,
    write::writer::LedgerWriter,
};

/// Snapshots of 40 instances: in each some are retagged or renamed, some are removed and some are new. The first bill lists no
/// resources and has cost pools of machines of two sizes.
fn changing_ledger(snapshot_count: usize) -> TestLedger {
    let mut test_ledger = TestLedger::new();
    let pools = vec![pool("ec2:instance", "m0.large", "900", 9_000), pool("ec2:instance", "m1.large", "500", 7_200)];
    test_ledger.record_with(&estate(0), |snapshot| {
        snapshot.record_bill(&bill_collection(shared(pools), &[("Compute", "1400")]))
    });
    (1..snapshot_count).for_each(|snapshot| drop(test_ledger.record_snapshot(&estate(snapshot))));
    test_ledger
}

fn estate(snapshot: usize) -> [(Scope, Listing); 1] {
    let tags = |n: usize| [COMPLIANT, INVALID_VALUE, UNTAGGED, MISSPELLED_KEY][(n * 7 + (snapshot + n) / 5) % 4];
    let found = (0..40).filter(|n| !(n + snapshot / 3).is_multiple_of(6)).map(|n| {
        let name = format!("host-{n}-{}", (snapshot + n) / 7);
        let unnamed = tags(n).iter().copied().filter(|(key, _)| *key != "Name");
        let tags: Vec<(&str, &str)> = unnamed.chain([("Name", name.as_str())]).collect();
        let usage =
            Some(Usage { driver: format!("m{}.large", n % 3), quantity: u32::from(!(n + snapshot).is_multiple_of(4)) });
        Resource { usage, ..instance(&format!("{:x}", n + snapshot / 10), &tags) }
    });
    [(instances(), complete(found.collect()))]
}

/// A key with its values, as text.
type Tags = (String, Option<String>, Option<String>);

/// The differences between two snapshots.
type Differences = Vec<(ResourceChange, Vec<Tags>)>;

/// All differences, with costs of the resources that are in both snapshots.
fn diff_between(view: &ReadSession<'_>, earlier: i64, later: i64) -> Result<Differences, LedgerError> {
    let [earlier, later] = [earlier, later].map(|id| view.snapshot(id).unwrap().unwrap());
    let (all, both) = (
        resolve(view, &snapshot_diff::compare_all(view, &earlier, &later)?)?,
        snapshot_diff::compare(view, &earlier, &later)?,
    );
    let mut both = resolve(view, &both)?.into_iter().peekable();
    let differences = all.into_iter().map(|one| match both.next_if(|(of, _)| of.key == one.0.key) {
        Some(with_costs) => {
            assert_eq!((ResourceChange { cost: None, ..with_costs.0.clone() }, &with_costs.1), (one.0.clone(), &one.1));
            with_costs
        }
        None => {
            assert!(one.0.before.is_none() || one.0.after.is_none(), "{one:?}");
            one
        }
    });
    let differences = differences.collect();
    assert!(both.next().is_none());
    Ok(differences)
}

fn resolve(view: &ReadSession<'_>, found: &SnapshotDiff) -> Result<Differences, LedgerError> {
    let text = |of: &Option<TagValue>| {
        of.as_ref().map(|value| Ok(tag_changes::resolve_value(view, value)?.to_string())).transpose()
    };
    let differences = found.changed.iter().enumerate().map(|(position, one)| {
        let tags = found.tag_changes.changes_of(position);
        let tags = tags.map(|change| Ok((change.key.to_string(), text(&change.before)?, text(&change.after)?)));
        let mut tags = tags.collect::<Result<Vec<Tags>, LedgerError>>()?;
        tags.sort();
        Ok((one.clone(), tags))
    });
    differences.collect()
}

/// The tag changes by comparison of all tags of each resource.
fn compare_tags(view: &ReadSession<'_>, differences: &Differences) -> Vec<Vec<Tags>> {
    let of = |(one, _): &(ResourceChange, Vec<Tags>)| {
        let (Some(before), Some(after)) = (&one.before, &one.after) else { return Vec::new() };
        let [before, after] = [before, after].map(|side| snapshot_diff::load_tags(view, side).unwrap());
        let keys: std::collections::BTreeSet<&str> = before.iter().chain(after.iter()).map(|(key, _)| key).collect();
        let value = |tags: &TagSet, key: &str| tags.get(key).map(str::to_owned);
        let changed = keys.into_iter().filter(|key| before.get(key) != after.get(key));
        changed.map(|key| (key.to_owned(), value(&before, key), value(&after, key))).collect()
    };
    differences.iter().map(of).collect()
}

fn warm_up(reader: &LedgerReader) {
    reader
        .read(|view| {
            let newest = view.newest()?.unwrap();
            warmup::run(view, &newest)
        })
        .unwrap();
}

/// Asserts that a reader with a loaded cache returns the same diff of each two snapshots as one without. Returns the number of tag
/// changes, of renames, and of resources with costs.
fn assert_same_diffs(test_ledger: &TestLedger, warm: &LedgerReader, ledger: &[i64]) -> [usize; 3] {
    let cold = test_ledger.reader();
    let mut counts = [0; 3];
    for (index, later) in ledger.iter().enumerate() {
        for earlier in ledger.iter().take(index) {
            let differences = cold.read(|view| diff_between(view, *earlier, *later)).unwrap();
            assert_eq!(
                warm.read(|view| diff_between(view, *earlier, *later)).unwrap(),
                differences,
                "{earlier} to {later}"
            );
            let counted = cold.read(|view| Ok(compare_tags(view, &differences))).unwrap();
            assert_eq!(
                differences.iter().map(|(_, tags)| tags.clone()).collect::<Vec<_>>(),
                counted,
                "{earlier} to {later}"
            );
            assert!(differences.is_sorted_by_key(|(one, _)| one.key));
            let changes = differences.iter().flat_map(|(_, tags)| tags);
            counts[0] += changes.clone().count();
            counts[1] += changes.filter(|(key, ..)| key == "Name").count();
            counts[2] += differences.iter().filter(|(one, _)| one.cost.is_some()).count();
        }
    }
    counts
}

/// For every pair of snapshots, the diff and its tag changes equal a direct comparison of the tags, with a cold and
/// with a loaded cache. This also holds after another snapshot, after another bill and after pruning.
#[test]
fn diff_is_the_same_with_and_without_cache() {
    let mut ledger = changing_ledger(14);
    let reader = ledger.reader();
    warm_up(&reader);
    let [changes, names, with_costs] = assert_same_diffs(&ledger, &reader, &(1..=14).collect::<Vec<_>>());
    assert!(
        changes > 1_000 && names > 200 && with_costs > 500,
        "{changes} changes, {names} of names, {with_costs} costs"
    );

    // Another snapshot, by whose bill the same machines cost half: the cached values belong to the previous newest snapshot.
    let pools = vec![pool("ec2:instance", "m0.large", "450", 9_000)];
    ledger.record_with(&estate(14), |recorded| {
        recorded.record_bill(&bill_collection(shared(pools), &[("Compute", "450")]))
    });
    let all: Vec<i64> = (1..=15).collect();
    let [.., fewer_costs] = assert_same_diffs(&ledger, &reader, &all);
    assert!(fewer_costs < with_costs && fewer_costs > 200, "{fewer_costs} costs");
    warm_up(&reader);
    assert_same_diffs(&ledger, &reader, &all);

    let mut writer = LedgerWriter::open(&ledger.path()).unwrap();
    writer.prune(&"3d,3w".parse().unwrap(), jiff::civil::date(2026, 1, 16)).unwrap();
    let stored: Vec<i64> =
        all.into_iter().filter(|id| reader.read(|view| view.snapshot(*id)).unwrap().is_some()).collect();
    assert!((4..=8).contains(&stored.len()), "{stored:?}");
    assert_same_diffs(&ledger, &reader, &stored);
}

/// The number of changes between two snapshots includes retagged, new and removed resources. It is capped at the given
/// limit.
#[test]
fn change_count_includes_new_and_removed_resources() {
    let mut ledger = TestLedger::new();
    let recorded = |ledger: &mut TestLedger, found: &[(&str, &[(&str, &str)])]| {
        let found = found.iter().map(|(id, tags)| instance(id, tags)).collect();
        ledger.record_snapshot(&[(instances(), complete(found))])
    };
    recorded(&mut ledger, &[("1", COMPLIANT), ("2", COMPLIANT), ("3", COMPLIANT)]);
    // One is retagged, one is removed, and two are new.
    recorded(&mut ledger, &[("1", COMPLIANT), ("2", UNTAGGED), ("4", COMPLIANT), ("5", COMPLIANT)]);
    let counted = |max| {
        let of = |view: &ReadSession<'_>| {
            snapshot_diff::count_changes(view, &view.snapshot(1)?.unwrap(), &view.snapshot(2)?.unwrap(), max)
        };
        ledger.reader().read(of).unwrap()
    };
    assert_eq!([counted(100), counted(3)], [4, 3]);
}

/// The number of scopes and the list of incomplete scopes of a snapshot are the same with a cold and with a loaded
/// cache, for every filter. In a snapshot of a narrowed scan, the carried-over scopes are listed as well.
#[test]
fn coverage_is_the_same_with_and_without_cache() {
    let mut ledger = TestLedger::new();
    let [here, there] = ["eu-west-1", "eu-north-1"].map(|region| scope(region, "s3:bucket"));
    let bucket = |name: &str| bucket(name, tagged(COMPLIANT));
    let all = [
        (instances(), complete(vec![instance("1", COMPLIANT)])),
        (here.clone(), complete(vec![bucket("a")])),
        (there.clone(), incomplete(vec![bucket("b")])),
    ];
    ledger.record_snapshot(&all);
    // Only the buckets of one region are scanned again: the rest is carried over.
    ledger.record_narrowed(&[(here, incomplete(vec![]))]);
    ledger.record_snapshot(&all);
    let regions = |region: &str| Filter { regions: vec![region.parse().unwrap()], ..Filter::default() };
    let types = |kind: &str| Filter { types: vec![kind.parse().unwrap()], ..Filter::default() };
    let filters =
        [Filter::default(), regions("eu-west-1"), regions("eu-north-1"), regions("us-east-1"), types("s3:bucket")];
    let mut coverages = Vec::new();
    for id in 1..=3 {
        for filter in &filters {
            let [cold, warm] = [false, true].map(|preloaded| {
                let requested = |view: &ReadSession<'_>| {
                    let snapshot = view.snapshot(id)?.unwrap();
                    if preloaded {
                        compliance::preload(view, &snapshot)?;
                    }
                    coverage::summarize(view, &snapshot, filter)
                };
                ledger.reader().read(requested).unwrap()
            });
            assert_eq!(cold, warm, "snapshot {id}, {filter:?}");
            coverages.push((warm.scopes, warm.incomplete.len()));
        }
    }
    let first = [(3, 1), (2, 0), (1, 1), (0, 0), (2, 1)];
    let narrowed = [(3, 3), (2, 2), (1, 1), (0, 0), (2, 2)];
    assert_eq!(coverages, [first, narrowed, first].concat());
}

/// A read session that is open while both snapshots of a diff are pruned still returns the diff that it returned
/// before. A later session does not find the snapshots.
#[test]
fn diff_ignores_snapshots_pruned_during_session() {
    let ledger = changing_ledger(30);
    let reader = ledger.reader();
    let before = reader.read(|view| diff_between(view, 10, 12)).unwrap();
    assert!(before.len() > 10);
    let during = reader
        .read(|view| {
            // The session does not see the pruning, after which neither snapshot is retained.
            assert_eq!(view.newest()?.unwrap().id, 30);
            let mut writer = LedgerWriter::open(&ledger.path())?;
            writer.prune(&"3d".parse().unwrap(), jiff::civil::date(2026, 1, 31))?;
            diff_between(view, 10, 12)
        })
        .unwrap();
    assert_eq!(during, before);
    assert!(!reader.read(|view| Ok(view.snapshot(10)?.is_some() || view.snapshot(12)?.is_some())).unwrap());
}
