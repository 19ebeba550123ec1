//! A resource with the same tags is evaluated again only if the result can differ.

use tagledger_policy::Policy;

use crate::{
    tests::{BARE, GOOD, OWNERLESS, POLICY, SHORT, TestLedger, broken, complete, instance, instances},
    write::snapshot_writer::SnapshotSummary,
};

/// The verdict of the one resource there is, as if a judge had erred.
fn err(ledger: &TestLedger) {
    let changed = ledger.sql().execute("UPDATE current SET state = 0, errors = 0, finding_set_id = NULL", []).unwrap();
    assert_eq!(changed, 1);
}

fn non_compliant(snapshot: &SnapshotSummary) -> u64 {
    snapshot.tally.non_compliant
}

/// The evaluation of a resource is reused while its tags, the policy and the program version are the same. It is
/// repeated in every snapshot when the policy contains an expiry date.
#[test]
fn reused_until_policy_or_program_changes() {
    let listing = [(instances(), complete(vec![instance("1", SHORT)]))];
    let retagged = [(instances(), complete(vec![instance("1", BARE)]))];
    let renamed = [(instances(), complete(vec![instance("1", &[SHORT, &[("Name", "web-2")]].concat())]))];
    let other = Policy::parse(&POLICY.replace("frozen", "frozen since May")).unwrap();
    let of_the_day = POLICY.replace("\"frozen\"", "\"frozen\", \"expires\": \"2030-01-01\"");
    let of_the_day = Policy::parse(&of_the_day).unwrap();
    let stored = TestLedger::new();
    let cases = [
        (stored, &listing, None, "test", 0),
        (TestLedger::new(), &retagged, None, "test", 1),
        (TestLedger::new(), &renamed, None, "test", 1),
        (TestLedger::new(), &listing, Some(other), "test", 1),
        (TestLedger::new(), &listing, None, "mended", 1),
        (TestLedger { policy: of_the_day, ..TestLedger::new() }, &listing, None, "test", 1),
    ];
    for (number, (mut ledger, second, policy, app_version, expected)) in cases.into_iter().enumerate() {
        assert_eq!(non_compliant(&ledger.record_snapshot(&listing)), 1);
        err(&ledger);
        ledger.app_version = app_version;
        ledger.policy = policy.unwrap_or(ledger.policy);
        assert_eq!(non_compliant(&ledger.record_snapshot(second)), expected, "case {number}");
    }
}

/// A narrowed scan reuses the evaluations of the scopes that it carries over. A new program version evaluates them
/// again.
#[test]
fn carried_over_scope_is_reevaluated_by_new_program() {
    let mut ledger = TestLedger::new();
    ledger.record_snapshot(&[(instances(), complete(vec![instance("1", SHORT)]))]);
    err(&ledger);
    assert_eq!(non_compliant(&ledger.narrowed(&[])), 0);
    ledger.app_version = "mended";
    assert_eq!(non_compliant(&ledger.narrowed(&[])), 1);
}

/// After a varied sequence of earlier snapshots, some with gaps, a complete listing gives the same fingerprint and
/// compliance counts as in an empty ledger.
#[test]
fn later_snapshot_equals_first_snapshot_of_same_listing() {
    let tags = [GOOD, SHORT, OWNERLESS, BARE, &[("Owner", "a@b.example"), ("Name", "a")], &[("Name", "b")]];
    let mut ledger = TestLedger::new();
    for recorded in 0..15_usize {
        if recorded % 5 == 3 {
            ledger.record_snapshot(&[(instances(), broken(vec![]))]);
            continue;
        }
        let seen = (0..20_usize).filter(|number| (number + recorded) % 7 > 0);
        let seen = seen.map(|number| instance(&number.to_string(), tags[(number * 5 + recorded / 2) % 6]));
        let listing = [(instances(), complete(seen.collect()))];
        let (later, first) = (ledger.record_snapshot(&listing), TestLedger::new().record_snapshot(&listing));
        assert_eq!((later.snapshot.fingerprint, later.tally), (first.snapshot.fingerprint, first.tally), "{recorded}");
    }
}
