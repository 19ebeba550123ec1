//! Snapshots of narrowed scans.

use tagledger_model::inventory::{GapReason, Scope, Tags};
use tagledger_policy::Policy;

use crate::{
    model::{
        counts::ComplianceCounts,
        snapshot::{Rule, ScopeRow, Snapshot},
    },
    query::compliance,
    read::filter::Filter,
    tests::{
        COMPLIANT, INVALID_VALUE, POLICY, TestLedger, UNTAGGED, bucket, complete, gap, instance, instances, scope,
        tagged,
    },
    write::snapshot_writer::SnapshotSummary,
};

fn buckets() -> Scope {
    scope("eu-west-1", "s3:bucket")
}

/// A ledger with instances 1 (compliant) and 2 (invalid value), bucket b (untagged) and a bucket whose tags could not be read.
fn ledger_with_snapshot() -> (TestLedger, SnapshotSummary) {
    let mut ledger = TestLedger::new();
    let unread = bucket("u", Tags::Unknown(gap(GapReason::Throttled)));
    let first = ledger.record_snapshot(&[
        (instances(), complete(vec![instance("1", COMPLIANT), instance("2", INVALID_VALUE)])),
        (buckets(), complete(vec![bucket("b", tagged(UNTAGGED)), unread])),
    ]);
    (ledger, first)
}

fn read_estate(ledger: &TestLedger) -> (Snapshot, ComplianceCounts, Vec<ScopeRow>, Vec<(Rule, u64)>) {
    let read = ledger.reader().read(|view| {
        let newest = view.newest()?.unwrap();
        let mut tally = ComplianceCounts::default();
        compliance::count_by_scope(view, &newest, &Filter::default())?.iter().for_each(|(_, cell)| tally += *cell);
        let (scopes, rules) = (
            compliance::list_scopes(view, &newest)?.to_vec(),
            compliance::count_by_rule(view, &newest, &Filter::default())?,
        );
        Ok((newest, tally, scopes, rules.into_iter().collect()))
    });
    read.unwrap()
}

/// A narrowed scan that finds no change gives the compliance counts, rule counts and fingerprint of the previous
/// snapshot. Its scopes refer to the snapshot that read them.
#[test]
fn narrowed_scan_without_changes_keeps_totals() {
    let (mut ledger, first) = ledger_with_snapshot();
    let before = read_estate(&ledger);
    let second = ledger
        .record_narrowed(&[(instances(), complete(vec![instance("1", COMPLIANT), instance("2", INVALID_VALUE)]))]);
    let after = read_estate(&ledger);
    assert_eq!((second.tally, second.snapshot.fingerprint), (first.tally, first.snapshot.fingerprint));
    assert_eq!((after.1, after.3), (before.1, before.3));
    assert_eq!(second.changes.len(), 0);
    assert!(second.snapshot.narrowed && !first.snapshot.narrowed);
    assert!(!second.snapshot.complete, "the tags of a bucket are not known");
    let scanned_in: Vec<_> = after.2.iter().map(|row| (row.scope.resource_type.as_str(), row.scanned_in)).collect();
    assert_eq!(scanned_in, [("ec2:instance", 2), ("s3:bucket", 1)]);
}

/// A narrowed scan records new and removed resources in the scopes that it lists and leaves the compliance counts of
/// all other scopes as they were.
#[test]
fn narrowed_scan_changes_only_its_scopes() {
    let (mut ledger, _) = ledger_with_snapshot();
    let second = ledger.record_narrowed(&[(instances(), complete(vec![instance("3", COMPLIANT)]))]);
    assert_eq!(second.changes, [("new".to_owned(), 1), ("removed".to_owned(), 2)].into());
    let expected =
        ComplianceCounts { compliant: 1, non_compliant: 1, unknown: 1, untagged: 1, ..ComplianceCounts::default() };
    let tally = second.tally;
    assert_eq!(ComplianceCounts { errors: 0, flagged: 0, ..tally }, expected);
}

/// A scope that several narrowed scans carry over keeps the identifier of the snapshot that read it.
#[test]
fn scope_carried_over_repeatedly_keeps_scanned_in() {
    let (mut ledger, _) = ledger_with_snapshot();
    for _ in 0..3 {
        ledger.record_narrowed(&[(instances(), complete(vec![instance("1", COMPLIANT)]))]);
    }
    let scanned_in: Vec<_> = read_estate(&ledger).2.iter().map(|row| row.scanned_in).collect();
    assert_eq!(scanned_in, [4, 1]);
}

/// Resources in carried-over scopes are evaluated by the policy of the new snapshot. The fingerprint equals that of a
/// full scan with the same resources.
#[test]
fn carried_over_scope_is_evaluated_by_new_policy() {
    let (mut ledger, first) = ledger_with_snapshot();
    ledger.policy = Policy::parse(&POLICY.replace("\"staging\"", "\"staging\", \"Production\"")).unwrap();
    let second = ledger.record_narrowed(&[(buckets(), complete(vec![bucket("b", tagged(UNTAGGED))]))]);
    assert_eq!((first.tally.compliant, second.tally.compliant), (1, 2));
    assert_eq!(second.changes, [("removed".to_owned(), 1), ("verdict".to_owned(), 1)].into());
    let scanned = ledger.record_snapshot(&[
        (instances(), complete(vec![instance("1", COMPLIANT), instance("2", INVALID_VALUE)])),
        (buckets(), complete(vec![bucket("b", tagged(UNTAGGED))])),
    ]);
    assert_eq!(scanned.snapshot.fingerprint, second.snapshot.fingerprint);
}

/// The first scan of a ledger can be narrowed. The ledger then has no full snapshot.
#[test]
fn first_scan_can_be_narrowed() {
    let mut ledger = TestLedger::new();
    let summary = ledger.record_narrowed(&[(instances(), complete(vec![instance("1", COMPLIANT)]))]);
    assert_eq!((summary.tally.total(), summary.snapshot.narrowed), (1, true));
    assert_eq!(ledger.reader().read(|view| view.newest_full()).unwrap(), None, "the complete estate was not scanned");
}

/// Resources in carried-over scopes are evaluated for the date of the new snapshot, so that a tag with an expiration
/// date becomes invalid without another listing.
#[test]
fn carried_over_scope_is_evaluated_on_new_date() {
    let (mut ledger, _) = ledger_with_snapshot();
    let expiring = POLICY.replace(
        r#"{ "name": "Owner","#,
        r#"{ "name": "Until", "value_type": "expiration_date" }, { "name": "Owner","#,
    );
    ledger.policy = Policy::parse(&expiring).unwrap();
    // The first snapshot is of 2026-01-02.
    let tags = &[("Owner", "a@b.example"), ("Environment", "production"), ("Until", "2026-01-03")];
    let good = (instances(), complete(vec![instance("1", tags)]));
    let dated = tagged(&[("Owner", "a@b.example"), ("Until", "2026-01-04")]);
    ledger.record_snapshot(&[good.clone(), (buckets(), complete(vec![bucket("b", dated.clone())]))]);
    let before = read_estate(&ledger).1;
    assert_eq!((before.compliant, before.non_compliant), (2, 0));
    let after = ledger.record_narrowed(&[(buckets(), complete(vec![bucket("b", dated)]))]).tally;
    assert_eq!(
        (after.compliant, after.non_compliant),
        (1, 1),
        "the date of the instance has passed since it was listed"
    );
}
