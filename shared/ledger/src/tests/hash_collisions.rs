//! Values with the same hash, and stored values that no version writes.

use jiff::Timestamp;
use rusqlite::Connection;

use crate::{
    error::LedgerError,
    query::compliance,
    read::filter::Filter,
    tests::{COMPLIANT, INVALID_VALUE, MISSPELLED_KEY, TestLedger, complete, instance, instances},
    write::{transaction::SnapshotHeader, writer::LedgerWriter},
};

/// A ledger with one snapshot of three instances, in which `change` then replaces stored values.
fn changed_ledger(change: &str) -> TestLedger {
    let mut ledger = TestLedger::new();
    ledger.record_snapshot(&[(
        instances(),
        complete(vec![instance("1", COMPLIANT), instance("2", INVALID_VALUE), instance("3", MISSPELLED_KEY)]),
    )]);
    let db = Connection::open(ledger.path()).unwrap();
    db.pragma_update(None, "ignore_check_constraints", true).unwrap();
    db.execute_batch(change).unwrap();
    ledger
}

/// Records the same instances again, evaluated by another version of the program.
fn record_again(ledger: &TestLedger) -> Result<(), LedgerError> {
    let mut writer = LedgerWriter::open(&ledger.path()).unwrap();
    let started_at = Timestamp::constant(1_800_000_000, 0);
    let mut snapshot =
        writer.begin_snapshot(SnapshotHeader { started_at, policy: &ledger.policy, app_version: "another" })?;
    let listing = complete(vec![instance("1", COMPLIANT), instance("2", INVALID_VALUE), instance("3", MISSPELLED_KEY)]);
    snapshot.record(&instances(), &listing)?;
    snapshot.finish(started_at, 1).map(drop)
}

/// A scan fails and records nothing when a tag set, a finding set or an ARN has the hash of a stored value that differs
/// from it. Without such a collision the same scan succeeds.
#[test]
fn collision_with_stored_value_fails_scan() {
    let collisions = [
        ("UPDATE tag_set SET tags = (SELECT tags FROM tag_set ORDER BY id LIMIT 1)", "tag sets"),
        ("UPDATE finding_set SET rules = x'01'", "finding sets"),
        ("UPDATE resource SET local = 'instance/i-other'", "resources"),
    ];
    for (change, expected) in collisions {
        let ledger = changed_ledger(change);
        let error = record_again(&ledger).unwrap_err();
        assert!(matches!(error, LedgerError::HashCollision { what, .. } if what == expected), "{expected}: {error}");
        assert_eq!(ledger.number("SELECT count(*) FROM snapshot"), 1, "{expected}");
    }
    record_again(&changed_ledger("")).unwrap();
}

/// A resource that a list contains twice is recorded once.
#[test]
fn repeated_resource_in_listing_is_recorded_once() {
    let mut ledger = TestLedger::new();
    let summary =
        ledger.record_snapshot(&[(instances(), complete(vec![instance("1", COMPLIANT), instance("1", COMPLIANT)]))]);
    assert_eq!((summary.tally.total(), summary.scopes[0].resources), (1, 1));
}

/// A stored state or count that no version writes is an error of the query, not another value.
#[test]
fn invalid_stored_values_are_errors() {
    let ledger = changed_ledger("UPDATE rollup_cell SET compliant = -1");
    let counts = ledger
        .reader()
        .read(|session| compliance::count_by_scope(session, &session.newest()?.unwrap(), &Filter::default()));
    assert!(matches!(counts, Err(LedgerError::Query { .. })));
    let ledger = changed_ledger("UPDATE current SET state = 9");
    assert!(matches!(record_again(&ledger), Err(LedgerError::Query { .. })));
}
