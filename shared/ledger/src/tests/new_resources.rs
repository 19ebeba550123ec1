//! Resources of a first snapshot, which are inserted in batches: of eight in these tests.

use tagledger_model::inventory::{Listing, Scope};

use crate::{
    query::compliance,
    read::filter::Filter,
    tests::{BARE, GOOD, OWNERLESS, SHORT, TestLedger, bucket, complete, instance, instances, scope, tagged},
};

fn in_region(region: &str) -> Scope {
    scope(region, "s3:bucket")
}

/// So many buckets without tags.
fn bare(count: usize, name: &str) -> Listing {
    complete((0..count).map(|number| bucket(&format!("{name}-{number}"), tagged(BARE))).collect())
}

/// A bucket that two regions list in the first snapshot is stored once, in the region recorded last. This holds whether
/// the first listing is still buffered or already written.
#[test]
fn bucket_listed_in_two_regions_is_one_resource() {
    // Both wait together, or the first is written before the second is seen, alone or with others that wait.
    for between in [0, 5, 8, 20] {
        let mut ledger = TestLedger::new();
        let (former, latter) = (in_region("us-east-1"), in_region("eu-west-1"));
        let summary = ledger.record_snapshot(&[
            (former.clone(), bare(1, "b")),
            (in_region("us-west-2"), bare(between, "other")),
            (latter.clone(), bare(1, "b")),
        ]);
        assert_eq!(summary.tally.total(), between as u64 + 1);
        assert_eq!(ledger.number("SELECT count(*) FROM current"), between as i64 + 1);
        assert_eq!(ledger.number("SELECT count(*) FROM violation"), between as i64 + 1);
        let cells = ledger
            .reader()
            .read(|view| compliance::count_by_scope(view, &view.newest()?.unwrap(), &Filter::default()))
            .unwrap();
        let of = |wanted: &Scope| cells.iter().find(|(scope, _)| scope == wanted).map(|(_, tally)| tally.total());
        assert_eq!((of(&former), of(&latter)), (None, Some(1)), "{between} between");
        assert_eq!(ledger.reader().verify(true, |_| {}).unwrap().faults, Vec::<String>::new());
    }
}

/// The fingerprint, compliance counts, changes and violations of a first snapshot do not depend on the order in which
/// its scopes are recorded.
#[test]
fn first_snapshot_is_independent_of_scope_order() {
    let mut scopes = vec![
        (in_region("us-east-1"), bare(13, "east")),
        (in_region("us-west-2"), bare(2, "west")),
        (instances(), complete(vec![instance("1", GOOD), instance("2", SHORT), instance("3", OWNERLESS)])),
        (in_region("eu-west-1"), bare(6, "north")),
    ];
    let says = |scopes: &[(Scope, Listing)]| {
        let mut ledger = TestLedger::new();
        let summary = ledger.record_snapshot(scopes);
        let violations = ledger.number("SELECT sum(key % 1000003) FROM violation");
        (summary.snapshot.fingerprint, summary.tally, summary.changes, violations)
    };
    let reported = says(&scopes);
    for _ in 1..scopes.len() {
        scopes.rotate_left(1);
        assert_eq!(says(&scopes), reported);
    }
}
