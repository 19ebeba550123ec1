//! The insertion of the resources of a first snapshot in batches. A batch has eight resources in tests.

use tagledger_model::inventory::{Listing, Scope};

use crate::{
    query::compliance,
    read::filter::Filter,
    tests::{
        COMPLIANT, INVALID_VALUE, MISSPELLED_KEY, TestLedger, UNTAGGED, bucket, complete, instance, instances, scope,
        tagged,
    },
};

fn in_region(region: &str) -> Scope {
    scope(region, "s3:bucket")
}

/// Buckets without tags.
fn untagged_buckets(count: usize, name: &str) -> Listing {
    complete((0..count).map(|number| bucket(&format!("{name}-{number}"), tagged(UNTAGGED))).collect())
}

/// A bucket that two regions list in the first snapshot is stored once, in the region recorded last. This holds whether
/// the first listing is still buffered or already written.
#[test]
fn bucket_listed_in_two_regions_is_one_resource() {
    // Both listings are in one batch, or the first one is written before the second one is recorded, alone or with other resources.
    for between in [0, 5, 8, 20] {
        let mut ledger = TestLedger::new();
        let (earlier, later) = (in_region("us-east-1"), in_region("eu-west-1"));
        let summary = ledger.record_snapshot(&[
            (earlier.clone(), untagged_buckets(1, "b")),
            (in_region("us-west-2"), untagged_buckets(between, "other")),
            (later.clone(), untagged_buckets(1, "b")),
        ]);
        assert_eq!(summary.tally.total(), between as u64 + 1);
        assert_eq!(ledger.number("SELECT count(*) FROM current"), between as i64 + 1);
        assert_eq!(ledger.number("SELECT count(*) FROM violation"), between as i64 + 1);
        let cells = ledger
            .reader()
            .read(|view| compliance::count_by_scope(view, &view.newest()?.unwrap(), &Filter::default()))
            .unwrap();
        let of = |wanted: &Scope| cells.iter().find(|(scope, _)| scope == wanted).map(|(_, tally)| tally.total());
        assert_eq!((of(&earlier), of(&later)), (None, Some(1)), "{between} between");
        assert_eq!(ledger.reader().verify(true, |_| {}).unwrap().faults, Vec::<String>::new());
    }
}

/// The fingerprint, compliance counts, changes and violations of a first snapshot do not depend on the order in which
/// its scopes are recorded.
#[test]
fn first_snapshot_is_independent_of_scope_order() {
    let mut scopes = vec![
        (in_region("us-east-1"), untagged_buckets(13, "east")),
        (in_region("us-west-2"), untagged_buckets(2, "west")),
        (
            instances(),
            complete(vec![instance("1", COMPLIANT), instance("2", INVALID_VALUE), instance("3", MISSPELLED_KEY)]),
        ),
        (in_region("eu-west-1"), untagged_buckets(6, "north")),
    ];
    let record = |scopes: &[(Scope, Listing)]| {
        let mut ledger = TestLedger::new();
        let summary = ledger.record_snapshot(scopes);
        let violations = ledger.number("SELECT sum(key % 1000003) FROM violation");
        (summary.snapshot.fingerprint, summary.tally, summary.changes, violations)
    };
    let expected = record(&scopes);
    for _ in 1..scopes.len() {
        scopes.rotate_left(1);
        assert_eq!(record(&scopes), expected);
    }
}
