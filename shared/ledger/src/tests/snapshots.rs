//! Snapshots: states, changes, violations and rollups.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tagledger_model::inventory::{GapReason, Resource, Scope, Tags};
use tagledger_policy::{Policy, State};

use crate::{
    db::values,
    query::compliance,
    read::filter::Filter,
    tests::{
        COMPLIANT, INVALID_VALUE, MISSPELLED_KEY, POLICY, TestLedger, UNTAGGED, account, bucket, complete, gap,
        incomplete, instance, instances, representative, scope, tagged,
    },
    write::{snapshot_writer::SnapshotSummary, transaction::SnapshotHeader, writer::LedgerWriter},
};

fn changes(of: &SnapshotSummary) -> Vec<(&str, u64)> {
    of.changes.iter().map(|(kind, resources)| (kind.as_str(), *resources)).collect()
}

/// The five compliance states are counted separately. The score is the share of compliant resources among the compliant
/// and non-compliant ones; unknown and exempt resources do not change it.
#[test]
fn score_counts_only_evaluated_resources() {
    let mut ledger = TestLedger::new();
    let unread = bucket("b", Tags::Unknown(gap(GapReason::Throttled)));
    let summary = ledger.record_snapshot(&[
        (
            instances(),
            complete(vec![
                instance("1", COMPLIANT),
                instance("2", INVALID_VALUE),
                instance("3", UNTAGGED),
                instance("4", MISSPELLED_KEY),
            ]),
        ),
        (scope("eu-west-1", "s3:bucket"), complete(vec![bucket("legacy-1", tagged(UNTAGGED)), unread])),
        (scope("eu-west-1", "ecs:service"), complete(vec![])),
    ]);
    let tally = summary.tally;
    let states = [tally.compliant, tally.non_compliant, tally.not_applicable, tally.unknown, tally.exempt];
    assert_eq!(states, [1, 3, 0, 1, 1]);
    assert_eq!(tally.score(), Some(0.25));
    assert_eq!((tally.untagged, tally.missing_required), (1, 1));
    assert!(!summary.snapshot.complete, "a bucket's tags could not be read");
}

/// A snapshot without resources is complete and has no compliance score.
#[test]
fn empty_estate_has_no_score() {
    let summary = TestLedger::new().record_snapshot(&[(instances(), complete(vec![]))]);
    assert_eq!((summary.tally.total(), summary.tally.score()), (0, None));
    assert!(summary.snapshot.complete);
}

/// A snapshot whose only listing was denied is incomplete and has no compliance score.
#[test]
fn denied_listing_has_no_score() {
    let summary = TestLedger::new().record_snapshot(&[(instances(), incomplete(vec![]))]);
    assert_eq!(summary.tally.score(), None);
    assert!(!summary.snapshot.complete);
}

/// A snapshot without changes writes no history row and has the fingerprint of the previous snapshot, whatever the
/// order of the listing. A changed tag changes the fingerprint.
#[test]
fn unchanged_snapshot_adds_no_history_and_keeps_fingerprint() {
    let mut ledger = TestLedger::new();
    let listing = [(instances(), complete(vec![instance("1", COMPLIANT), instance("2", INVALID_VALUE)]))];
    let first = ledger.record_snapshot(&listing);
    let mut reversed = listing.clone();
    reversed[0].1.resources.reverse();
    let second = ledger.record_snapshot(&reversed);
    assert_eq!(changes(&second), []);
    assert_eq!(first.snapshot.fingerprint, second.snapshot.fingerprint);
    assert_eq!(ledger.number("SELECT count(*) FROM history"), 0);
    assert_eq!(ledger.number("SELECT max(since) FROM current"), 1);
    let third =
        ledger.record_snapshot(&[(instances(), complete(vec![instance("1", COMPLIANT), instance("2", COMPLIANT)]))]);
    assert_ne!(third.snapshot.fingerprint, second.snapshot.fingerprint);
}

/// A resource that a complete listing no longer contains is recorded as `removed`, and its violations are closed with
/// the same cause. When it is listed again, the change is `returned`.
#[test]
fn resource_absent_from_complete_listing_is_removed() {
    let mut ledger = TestLedger::new();
    ledger.record_snapshot(&[(instances(), complete(vec![instance("1", COMPLIANT), instance("2", UNTAGGED)]))]);
    let summary = ledger.record_snapshot(&[(instances(), complete(vec![instance("1", COMPLIANT)]))]);
    assert_eq!(changes(&summary), [("removed", 1)]);
    assert_eq!(summary.tally.total(), 1);
    let removed = "SELECT count(*) FROM violation WHERE closed = 2 AND closed_by = 'removed' AND last_seen = 1";
    assert_eq!(ledger.number(removed), 2);
    let back =
        ledger.record_snapshot(&[(instances(), complete(vec![instance("1", COMPLIANT), instance("2", UNTAGGED)]))]);
    assert_eq!(changes(&back), [("returned", 1)]);
}

/// A resource that an incomplete listing does not contain keeps its tags and open violations and has the state unknown;
/// the change is `lost`. A repeated gap is no change, and the next complete listing records `regained`.
#[test]
fn resource_absent_from_incomplete_listing_is_unknown() {
    let mut ledger = TestLedger::new();
    let all = || vec![instance("1", COMPLIANT), instance("2", UNTAGGED), instance("3", INVALID_VALUE)];
    ledger.record_snapshot(&[(instances(), complete(all()))]);
    let summary = ledger.record_snapshot(&[(instances(), incomplete(vec![instance("1", COMPLIANT)]))]);
    assert_eq!(changes(&summary), [("lost", 2)]);
    assert_eq!((summary.tally.compliant, summary.tally.unknown, summary.tally.errors), (1, 2, 0));
    assert_eq!((summary.scopes[0].resources, summary.scopes[0].stale), (1, 2));
    assert_eq!(ledger.number("SELECT count(*) FROM violation WHERE closed IS NOT NULL"), 0);
    assert_eq!(ledger.number("SELECT count(*) FROM current WHERE state = 3 AND tag_set_id IS NOT NULL"), 2);

    let again = ledger.record_snapshot(&[(instances(), incomplete(vec![instance("1", COMPLIANT)]))]);
    assert_eq!(changes(&again), [], "the same gap is not a change");

    let healed = ledger.record_snapshot(&[(instances(), complete(all()))]);
    assert_eq!(changes(&healed), [("regained", 2)]);
    assert_eq!(ledger.number("SELECT count(*) FROM violation WHERE opened > 1 OR closed IS NOT NULL"), 0);
    assert_eq!(ledger.number("SELECT count(*) FROM violation WHERE last_seen IS NOT NULL"), 0);
}

/// When a resource is found removed after an incomplete listing, its violations record the last snapshot that listed
/// the resource, not the one with the gap.
#[test]
fn removal_after_gap_keeps_last_seen_before_gap() {
    let mut ledger = TestLedger::new();
    ledger.record_snapshot(&[(instances(), complete(vec![instance("2", UNTAGGED)]))]);
    ledger.record_snapshot(&[(instances(), incomplete(vec![]))]);
    ledger.record_snapshot(&[(instances(), complete(vec![]))]);
    assert_eq!(ledger.number("SELECT count(*) FROM violation WHERE last_seen = 1 AND closed = 3"), 2);
}

/// A violation that a new tag value corrects is closed as `fixed`. A violation that a new policy no longer contains is
/// closed as `policy`.
#[test]
fn violation_is_closed_by_tag_fix_or_policy_change() {
    let mut ledger = TestLedger::new();
    let listing = [(instances(), complete(vec![instance("1", INVALID_VALUE), instance("2", INVALID_VALUE)]))];
    ledger.record_snapshot(&listing);
    ledger.record_snapshot(&[(instances(), complete(vec![instance("1", COMPLIANT), instance("2", INVALID_VALUE)]))]);
    assert_eq!(ledger.number("SELECT count(*) FROM violation WHERE closed = 2 AND closed_by = 'fixed'"), 1);
    ledger.policy = Policy::parse(&POLICY.replace("\"staging\"", "\"staging\", \"Production\"")).unwrap();
    let evaluated = ledger
        .record_snapshot(&[(instances(), complete(vec![instance("1", COMPLIANT), instance("2", INVALID_VALUE)]))]);
    assert_eq!(changes(&evaluated), [("verdict", 1)]);
    assert_eq!(ledger.number("SELECT count(*) FROM violation WHERE closed = 3 AND closed_by = 'policy'"), 1);
}

/// When a full scan no longer includes a scope, its resources leave the totals with the change `left_scope` instead of
/// `removed`.
#[test]
fn scope_no_longer_scanned_is_not_removed() {
    let mut ledger = TestLedger::new();
    let elsewhere = scope("us-east-1", "ec2:instance");
    let there =
        Resource { arn: "arn:aws:ec2:us-east-1:111122223333:instance/i-9".parse().unwrap(), ..instance("9", UNTAGGED) };
    ledger.record_snapshot(&[
        (instances(), complete(vec![instance("1", COMPLIANT)])),
        (elsewhere, complete(vec![there])),
    ]);
    let narrowed = ledger.record_snapshot(&[(instances(), complete(vec![instance("1", COMPLIANT)]))]);
    assert_eq!(changes(&narrowed), [("left_scope", 1)]);
    assert_eq!(narrowed.tally.total(), 1);
}

/// A resource that one AWS listing contains twice counts once in the compliance counts and in its scope.
#[test]
fn resource_listed_twice_is_counted_once() {
    let twice = complete(vec![instance("1", COMPLIANT), instance("1", COMPLIANT)]);
    let summary = TestLedger::new().record_snapshot(&[(instances(), twice)]);
    assert_eq!((summary.tally.total(), summary.scopes[0].resources), (1, 1));
}

/// Dropping a snapshot writer before `finish` leaves every byte of the ledger file as it was. The next snapshot takes
/// the next identifier without a hole.
#[test]
fn dropped_snapshot_leaves_file_unchanged() {
    let mut ledger = representative();
    let before = std::fs::read(ledger.path()).unwrap();
    let policy = ledger.policy.clone();
    let mut writer = LedgerWriter::open(&ledger.path()).unwrap();
    let header =
        SnapshotHeader { started_at: Timestamp::constant(1_800_000_000, 0), policy: &policy, app_version: "test" };
    let mut recorded = writer.begin_snapshot(header).unwrap();
    recorded.add_account(&account()).unwrap();
    recorded.record(&instances(), &complete(vec![instance("new", UNTAGGED)])).unwrap();
    drop(recorded);
    drop(writer);
    assert_eq!(std::fs::read(ledger.path()).unwrap(), before);
    assert_eq!(ledger.record_snapshot(&[]).snapshot.id, 3);
}

/// For every snapshot, the rollups of each scope equal a recount of the rows in `current` and `history`.
#[test]
fn rollups_equal_recount_from_facts() {
    let ledger = representative();
    let sql = ledger.sql();
    for id in [1, 2] {
        let view = format!(
            "SELECT account_id, region_id, type_id, state, errors, untagged FROM current WHERE since <= {id} UNION ALL
             SELECT account_id, region_id, type_id, state, errors, untagged FROM history WHERE since <= {id} AND until > {id}"
        );
        let recount = format!(
            "SELECT account_id, region_id, type_id, sum(state = 0), sum(state = 1), sum(state = 2), sum(state = 3),
             sum(state = 4), sum(errors), sum(untagged) FROM ({view}) GROUP BY 1, 2, 3"
        );
        let rollup = format!(
            "SELECT account_id, region_id, type_id, compliant, non_compliant, not_applicable, unknown, exempt, errors,
             untagged FROM rollup_cell WHERE snapshot_id = {id} ORDER BY 1, 2, 3"
        );
        let read = |query: &str| -> Vec<Vec<i64>> {
            let mut statement = sql.prepare(query).unwrap();
            let rows = statement.query_map([], |row| (0..10).map(|n| row.get(n)).collect()).unwrap();
            rows.map(Result::unwrap).collect()
        };
        assert_eq!(read(&recount), read(&rollup));
    }
}

/// The reader returns the policy digest, the compliance counts of each scope, the gaps and the completeness of each
/// listing as the writer recorded them.
#[test]
fn written_snapshot_is_read_back() {
    let ledger = representative();
    let (snapshots, cells, scopes) = ledger
        .reader()
        .read(|view| {
            let newest = view.newest()?.unwrap();
            let first = view.snapshot(1)?.unwrap();
            let cells: BTreeMap<_, _> =
                compliance::count_by_scope(view, &newest, &Filter::default())?.iter().cloned().collect();
            Ok(((first, newest.clone()), cells, compliance::list_scopes(view, &newest)?))
        })
        .unwrap();
    assert_eq!((snapshots.0.id, snapshots.1.id), (1, 2));
    assert_eq!(snapshots.1.policy_digest, ledger.policy.digest());
    assert_eq!(cells[&instances()].compliant, 3);
    assert_eq!(cells[&scope("eu-west-1", "s3:bucket")].exempt, 1);
    let gaps: Vec<_> = scopes.iter().filter_map(|row| row.gap.clone()).collect();
    assert_eq!(gaps, [gap(GapReason::Throttled)]);
    assert!(scopes.iter().all(|row| row.listed_all));
}

/// A resource whose tags could not be read in any earlier snapshot is recorded as `regained` and is evaluated as soon
/// as its tags are read.
#[test]
fn tags_read_after_a_failure_are_regained() {
    let mut ledger = TestLedger::new();
    let buckets = scope("eu-west-1", "s3:bucket");
    ledger.record_snapshot(&[(buckets.clone(), complete(vec![bucket("b", Tags::Unknown(gap(GapReason::Failed)))]))]);
    let read = ledger.record_snapshot(&[(buckets, complete(vec![bucket("b", tagged(UNTAGGED))]))]);
    assert_eq!(changes(&read), [("regained", 1)]);
    assert_eq!(read.tally.non_compliant, 1);
}

/// A resource that cannot carry tags has the state not applicable and does not count as untagged.
#[test]
fn untaggable_resource_is_not_applicable() {
    let mut ledger = TestLedger::new();
    let summary =
        ledger.record_snapshot(&[(scope("eu-west-1", "s3:bucket"), complete(vec![bucket("b", Tags::Untaggable)]))]);
    assert_eq!((summary.tally.not_applicable, summary.tally.untagged), (1, 0));
    assert_eq!(values::parse_state(2).unwrap(), State::NotApplicable);
}

fn in_region(region: &str) -> Scope {
    scope(region, "s3:bucket")
}

/// A bucket that disappears from one region and appears in another remains one resource with the change `moved`. The
/// order in which the two regions are recorded does not matter.
#[test]
fn bucket_recreated_in_other_region_is_moved() {
    for old_first in [true, false] {
        let mut ledger = TestLedger::new();
        let (old, new) = (in_region("eu-west-1"), in_region("us-east-1"));
        ledger.record_snapshot(&[
            (old.clone(), complete(vec![bucket("b", tagged(UNTAGGED))])),
            (new.clone(), complete(vec![])),
        ]);
        let mut moved = vec![(old, complete(vec![])), (new.clone(), complete(vec![bucket("b", tagged(UNTAGGED))]))];
        if !old_first {
            moved.reverse();
        }
        let summary = ledger.record_snapshot(&moved);
        assert_eq!(changes(&summary), [("moved", 1)]);
        assert_eq!(summary.tally.total(), 1);
        assert_eq!(ledger.number("SELECT count(*) FROM history WHERE since = 1 AND until = 2"), 1);
        assert_eq!(ledger.number("SELECT count(*) FROM violation WHERE closed IS NULL"), 1);
        let cells = ledger
            .reader()
            .read(|view| compliance::count_by_scope(view, &view.newest()?.unwrap(), &Filter::default()))
            .unwrap();
        assert_eq!(cells.iter().map(|(scope, tally)| (scope, tally.total())).collect::<Vec<_>>(), [(&new, 1)]);
    }
}

/// A bucket that moves while its former region cannot be listed is counted once in that snapshot and at most once in
/// the next, and leaves no stale resource in either scope.
#[test]
fn bucket_moved_during_listing_gap_is_counted_once() {
    for gap_snapshots in [0, 1] {
        for old_first in [true, false] {
            let mut ledger = TestLedger::new();
            let (old, new) = (in_region("eu-west-1"), in_region("us-east-1"));
            ledger.record_snapshot(&[
                (old.clone(), complete(vec![bucket("b", tagged(UNTAGGED))])),
                (new.clone(), complete(vec![])),
            ]);
            for _ in 0..gap_snapshots {
                ledger.record_snapshot(&[(old.clone(), incomplete(vec![])), (new.clone(), complete(vec![]))]);
            }
            let mut moved = vec![(old, incomplete(vec![])), (new, complete(vec![bucket("b", tagged(UNTAGGED))]))];
            if !old_first {
                moved.reverse();
            }
            let summary = ledger.record_snapshot(&moved);
            assert_eq!((changes(&summary), summary.tally.total()), (vec![("moved", 1)], 1));
            assert!(summary.scopes.iter().all(|row| row.stale == 0), "{:?}", summary.scopes);
            let healed = ledger
                .record_snapshot(&[(moved[0].0.clone(), complete(vec![])), (moved[1].0.clone(), moved[1].1.clone())]);
            assert!(healed.tally.total() <= 1);
            let written = "SELECT sum(compliant + non_compliant + unknown) FROM rollup_cell WHERE snapshot_id = ";
            assert_eq!(ledger.number(&format!("{written}{}", summary.snapshot.id)), 1);
        }
    }
}

/// A violation stays open through a snapshot that does not include the scope of its resource. When the resource
/// returns, the same violation continues without a second row.
#[test]
fn violation_stays_open_while_scope_is_not_scanned() {
    let mut ledger = TestLedger::new();
    let all = || [(instances(), complete(vec![instance("1", UNTAGGED)])), (in_region("us-east-1"), complete(vec![]))];
    ledger.record_snapshot(&all());
    ledger.record_snapshot(&[(in_region("us-east-1"), complete(vec![]))]);
    assert_eq!(ledger.number("SELECT count(*) FROM violation WHERE closed IS NULL AND last_seen = 1"), 2);
    assert_eq!(changes(&ledger.record_snapshot(&all())), [("returned", 1)]);
    assert_eq!(
        ledger.number("SELECT count(*) FROM violation WHERE opened = 1 AND closed IS NULL AND last_seen IS NULL"),
        2
    );
    assert_eq!(ledger.number("SELECT count(*) FROM violation"), 2);
}

/// A resource that was removed and created again under the same ARN has the creation time of the new resource.
#[test]
fn recreated_resource_has_new_creation_time() {
    let mut ledger = TestLedger::new();
    ledger.record_snapshot(&[(instances(), complete(vec![instance("1", UNTAGGED)]))]);
    ledger.record_snapshot(&[(instances(), complete(vec![]))]);
    let created_at = Some(Timestamp::constant(1_760_000_000, 0));
    ledger.record_snapshot(&[(instances(), complete(vec![Resource { created_at, ..instance("1", UNTAGGED) }]))]);
    assert_eq!(ledger.number("SELECT created_at FROM resource"), 1_760_000_000);
}
