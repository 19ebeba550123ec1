//! A resource with the same tags is evaluated again only if the result can differ.

use tagledger_policy::Policy;

use crate::{
    tests::{
        COMPLIANT, INVALID_VALUE, MISSPELLED_KEY, POLICY, TestLedger, UNTAGGED, complete, incomplete, instance,
        instances,
    },
    write::snapshot_writer::SnapshotSummary,
};

/// Overwrites the verdict of the only resource, so that a reused evaluation differs from a new one.
fn falsify_evaluation(ledger: &TestLedger) {
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
    let listing = [(instances(), complete(vec![instance("1", INVALID_VALUE)]))];
    let other_tags = [(instances(), complete(vec![instance("1", UNTAGGED)]))];
    let renamed = [(instances(), complete(vec![instance("1", &[INVALID_VALUE, &[("Name", "web-2")]].concat())]))];
    let other = Policy::parse(&POLICY.replace("frozen", "frozen since May")).unwrap();
    let date_dependent = POLICY.replace("\"frozen\"", "\"frozen\", \"expires\": \"2030-01-01\"");
    let date_dependent = Policy::parse(&date_dependent).unwrap();
    let stored = TestLedger::new();
    let cases = [
        (stored, &listing, None, "test", 0),
        (TestLedger::new(), &other_tags, None, "test", 1),
        (TestLedger::new(), &renamed, None, "test", 1),
        (TestLedger::new(), &listing, Some(other), "test", 1),
        (TestLedger::new(), &listing, None, "another", 1),
        (TestLedger { policy: date_dependent, ..TestLedger::new() }, &listing, None, "test", 1),
    ];
    for (number, (mut ledger, second, policy, app_version, expected)) in cases.into_iter().enumerate() {
        assert_eq!(non_compliant(&ledger.record_snapshot(&listing)), 1);
        falsify_evaluation(&ledger);
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
    ledger.record_snapshot(&[(instances(), complete(vec![instance("1", INVALID_VALUE)]))]);
    falsify_evaluation(&ledger);
    assert_eq!(non_compliant(&ledger.record_narrowed(&[])), 0);
    ledger.app_version = "another";
    assert_eq!(non_compliant(&ledger.record_narrowed(&[])), 1);
}

/// After a varied sequence of earlier snapshots, some with gaps, a complete listing gives the same fingerprint and
/// compliance counts as in an empty ledger.
#[test]
fn later_snapshot_equals_first_snapshot_of_same_listing() {
    let tags = [
        COMPLIANT,
        INVALID_VALUE,
        MISSPELLED_KEY,
        UNTAGGED,
        &[("Owner", "a@b.example"), ("Name", "a")],
        &[("Name", "b")],
    ];
    let mut ledger = TestLedger::new();
    for recorded in 0..15_usize {
        if recorded % 5 == 3 {
            ledger.record_snapshot(&[(instances(), incomplete(vec![]))]);
            continue;
        }
        let listed = (0..20_usize).filter(|number| (number + recorded) % 7 > 0);
        let listed = listed.map(|number| instance(&number.to_string(), tags[(number * 5 + recorded / 2) % 6]));
        let listing = [(instances(), complete(listed.collect()))];
        let (later, first) = (ledger.record_snapshot(&listing), TestLedger::new().record_snapshot(&listing));
        assert_eq!((later.snapshot.fingerprint, later.tally), (first.snapshot.fingerprint, first.tally), "{recorded}");
    }
}
