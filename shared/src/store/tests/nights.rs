use std::collections::BTreeMap;

use super::*;
use crate::policy::State;

fn changes(of: &NightSummary) -> Vec<(&str, u64)> {
    of.changes.iter().map(|(kind, resources)| (kind.as_str(), *resources)).collect()
}

#[test]
fn the_five_states_are_told_apart_and_only_judged_resources_make_the_score() {
    let mut book = Book::new();
    let unread = bucket("b", Tags::Unknown(gap(GapReason::Throttled)));
    let summary = book.night(&[
        (
            instances(),
            whole(vec![instance("1", GOOD), instance("2", SHORT), instance("3", BARE), instance("4", OWNERLESS)]),
        ),
        (scope("eu-west-1", "s3:bucket"), whole(vec![bucket("legacy-1", tagged(BARE)), unread])),
        (scope("eu-west-1", "ecs:service"), whole(vec![])),
    ]);
    let tally = summary.tally;
    let states = [tally.compliant, tally.non_compliant, tally.not_applicable, tally.unknown, tally.exempt];
    assert_eq!(states, [1, 3, 0, 1, 1]);
    assert_eq!(tally.score(), Some(0.25));
    assert_eq!((tally.untagged, tally.lacking), (1, 1));
    assert!(!summary.snapshot.complete, "a bucket's tags could not be read");
}

#[test]
fn an_empty_estate_has_no_score() {
    let summary = Book::new().night(&[(instances(), whole(vec![]))]);
    assert_eq!((summary.tally.total(), summary.tally.score()), (0, None));
    assert!(summary.snapshot.complete);
}

#[test]
fn a_denied_list_of_everything_has_no_score_either() {
    let summary = Book::new().night(&[(instances(), broken(vec![]))]);
    assert_eq!(summary.tally.score(), None);
    assert!(!summary.snapshot.complete);
}

#[test]
fn a_night_without_change_writes_no_version_and_has_the_same_fingerprint() {
    let mut book = Book::new();
    let listing = [(instances(), whole(vec![instance("1", GOOD), instance("2", SHORT)]))];
    let first = book.night(&listing);
    let mut reversed = listing.clone();
    reversed[0].1.resources.reverse();
    let second = book.night(&reversed);
    assert_eq!(changes(&second), []);
    assert_eq!(first.snapshot.fingerprint, second.snapshot.fingerprint);
    assert_eq!(book.number("SELECT count(*) FROM history"), 0);
    assert_eq!(book.number("SELECT max(since) FROM current"), 1);
    let third = book.night(&[(instances(), whole(vec![instance("1", GOOD), instance("2", GOOD)]))]);
    assert_ne!(third.snapshot.fingerprint, second.snapshot.fingerprint);
}

#[test]
fn what_a_whole_list_no_longer_has_is_removed_and_its_violations_with_it() {
    let mut book = Book::new();
    book.night(&[(instances(), whole(vec![instance("1", GOOD), instance("2", BARE)]))]);
    let summary = book.night(&[(instances(), whole(vec![instance("1", GOOD)]))]);
    assert_eq!(changes(&summary), [("removed", 1)]);
    assert_eq!(summary.tally.total(), 1);
    let removed = "SELECT count(*) FROM violation WHERE closed = 2 AND closed_by = 'removed' AND last_seen = 1";
    assert_eq!(book.number(removed), 2);
    let back = book.night(&[(instances(), whole(vec![instance("1", GOOD), instance("2", BARE)]))]);
    assert_eq!(changes(&back), [("returned", 1)]);
}

#[test]
fn what_a_broken_list_does_not_have_stays_known_and_is_not_judged() {
    let mut book = Book::new();
    let all = || vec![instance("1", GOOD), instance("2", BARE), instance("3", SHORT)];
    book.night(&[(instances(), whole(all()))]);
    let summary = book.night(&[(instances(), broken(vec![instance("1", GOOD)]))]);
    assert_eq!(changes(&summary), [("lost", 2)]);
    assert_eq!((summary.tally.compliant, summary.tally.unknown, summary.tally.errors), (1, 2, 0));
    assert_eq!((summary.scopes[0].resources, summary.scopes[0].stale), (1, 2));
    assert_eq!(book.number("SELECT count(*) FROM violation WHERE closed IS NOT NULL"), 0);
    assert_eq!(book.number("SELECT count(*) FROM current WHERE state = 3 AND tag_set_id IS NOT NULL"), 2);

    let again = book.night(&[(instances(), broken(vec![instance("1", GOOD)]))]);
    assert_eq!(changes(&again), [], "a gap that stays is no change");

    let healed = book.night(&[(instances(), whole(all()))]);
    assert_eq!(changes(&healed), [("regained", 2)]);
    assert_eq!(book.number("SELECT count(*) FROM violation WHERE opened > 1 OR closed IS NOT NULL"), 0);
    assert_eq!(book.number("SELECT count(*) FROM violation WHERE last_seen IS NOT NULL"), 0);
}

#[test]
fn what_is_found_missing_after_a_gap_was_last_seen_before_it() {
    let mut book = Book::new();
    book.night(&[(instances(), whole(vec![instance("2", BARE)]))]);
    book.night(&[(instances(), broken(vec![]))]);
    book.night(&[(instances(), whole(vec![]))]);
    assert_eq!(book.number("SELECT count(*) FROM violation WHERE last_seen = 1 AND closed = 3"), 2);
}

#[test]
fn a_violation_is_fixed_by_a_tag_and_withdrawn_by_a_policy() {
    let mut book = Book::new();
    let listing = [(instances(), whole(vec![instance("1", SHORT), instance("2", SHORT)]))];
    book.night(&listing);
    book.night(&[(instances(), whole(vec![instance("1", GOOD), instance("2", SHORT)]))]);
    assert_eq!(book.number("SELECT count(*) FROM violation WHERE closed = 2 AND closed_by = 'fixed'"), 1);
    book.policy = Policy::parse(&POLICY.replace("\"staging\"", "\"staging\", \"Production\"")).unwrap();
    let judged = book.night(&[(instances(), whole(vec![instance("1", GOOD), instance("2", SHORT)]))]);
    assert_eq!(changes(&judged), [("verdict", 1)]);
    assert_eq!(book.number("SELECT count(*) FROM violation WHERE closed = 3 AND closed_by = 'policy'"), 1);
}

#[test]
fn a_scope_that_nobody_asks_for_any_more_leaves_without_being_called_removed() {
    let mut book = Book::new();
    let elsewhere = scope("us-east-1", "ec2:instance");
    let there =
        Resource { arn: "arn:aws:ec2:us-east-1:111122223333:instance/i-9".parse().unwrap(), ..instance("9", BARE) };
    book.night(&[(instances(), whole(vec![instance("1", GOOD)])), (elsewhere, whole(vec![there]))]);
    let narrowed = book.night(&[(instances(), whole(vec![instance("1", GOOD)]))]);
    assert_eq!(changes(&narrowed), [("left_scope", 1)]);
    assert_eq!(narrowed.tally.total(), 1);
}

#[test]
fn a_resource_that_aws_lists_twice_counts_once() {
    let twice = whole(vec![instance("1", GOOD), instance("1", GOOD)]);
    let summary = Book::new().night(&[(instances(), twice)]);
    assert_eq!((summary.tally.total(), summary.scopes[0].resources), (1, 1));
}

#[test]
fn a_night_that_is_dropped_leaves_no_trace() {
    let mut book = representative();
    let before = std::fs::read(book.path()).unwrap();
    let policy = book.policy.clone();
    let mut writer = Writer::open(&book.path()).unwrap();
    let header =
        NightHeader { started_at: Timestamp::constant(1_800_000_000, 0), policy: &policy, app_version: "test" };
    let mut night = writer.begin(header).unwrap();
    night.account(&account()).unwrap();
    night.record(&instances(), &whole(vec![instance("new", BARE)])).unwrap();
    drop(night);
    drop(writer);
    assert_eq!(std::fs::read(book.path()).unwrap(), before);
    assert_eq!(book.night(&[]).snapshot.id, 3);
}

#[test]
fn the_rollups_of_every_night_equal_a_recount_from_the_facts() {
    let book = representative();
    let sql = book.sql();
    for id in [1, 2] {
        let view = format!(
            "SELECT account_id, region_id, type_id, state, errors, lacking FROM current WHERE since <= {id} UNION ALL
             SELECT account_id, region_id, type_id, state, errors, lacking FROM history WHERE since <= {id} AND until > {id}"
        );
        let recount = format!(
            "SELECT account_id, region_id, type_id, sum(state = 0), sum(state = 1), sum(state = 2), sum(state = 3),
             sum(state = 4), sum(errors), sum(lacking >= 1000) FROM ({view}) GROUP BY 1, 2, 3"
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

#[test]
fn a_snapshot_is_read_as_it_was_written() {
    let book = representative();
    let (snapshots, cells, scopes) = book
        .reader()
        .read(|view| {
            let newest = view.newest()?.unwrap();
            let first = view.snapshot(1)?.unwrap();
            let cells: BTreeMap<_, _> = view.cells(&newest, &Filter::default())?.iter().cloned().collect();
            Ok(((first, newest.clone()), cells, view.scopes(&newest)?))
        })
        .unwrap();
    assert_eq!((snapshots.0.id, snapshots.1.id), (1, 2));
    assert_eq!(snapshots.1.policy_digest, book.policy.digest());
    assert_eq!(cells[&instances()].compliant, 3);
    assert_eq!(cells[&scope("eu-west-1", "s3:bucket")].exempt, 1);
    let gaps: Vec<_> = scopes.iter().filter_map(|row| row.gap.clone()).collect();
    assert_eq!(gaps, [gap(GapReason::Throttled)]);
    assert!(scopes.iter().all(|row| row.listed_all));
}

#[test]
fn a_resource_whose_tags_were_never_read_is_regained_when_they_are() {
    let mut book = Book::new();
    let buckets = scope("eu-west-1", "s3:bucket");
    book.night(&[(buckets.clone(), whole(vec![bucket("b", Tags::Unknown(gap(GapReason::Failed)))]))]);
    let read = book.night(&[(buckets, whole(vec![bucket("b", tagged(BARE))]))]);
    assert_eq!(changes(&read), [("regained", 1)]);
    assert_eq!(read.tally.non_compliant, 1);
}

#[test]
fn what_cannot_carry_tags_is_not_applicable_and_not_untagged() {
    let mut book = Book::new();
    let summary = book.night(&[(scope("eu-west-1", "s3:bucket"), whole(vec![bucket("b", Tags::Untaggable)]))]);
    assert_eq!((summary.tally.not_applicable, summary.tally.untagged), (1, 0));
    assert_eq!(super::super::rows::state(2), State::NotApplicable);
}

fn in_region(region: &str) -> Scope {
    scope(region, "s3:bucket")
}

#[test]
fn a_bucket_made_anew_in_another_region_is_one_bucket_whichever_region_is_recorded_first() {
    for old_first in [true, false] {
        let mut book = Book::new();
        let (old, new) = (in_region("eu-west-1"), in_region("us-east-1"));
        book.night(&[(old.clone(), whole(vec![bucket("b", tagged(BARE))])), (new.clone(), whole(vec![]))]);
        let mut moved = vec![(old, whole(vec![])), (new.clone(), whole(vec![bucket("b", tagged(BARE))]))];
        if !old_first {
            moved.reverse();
        }
        let summary = book.night(&moved);
        assert_eq!(changes(&summary), [("moved", 1)]);
        assert_eq!(summary.tally.total(), 1);
        assert_eq!(book.number("SELECT count(*) FROM history WHERE since = 1 AND until = 2"), 1);
        assert_eq!(book.number("SELECT count(*) FROM violation WHERE closed IS NULL"), 1);
        let cells = book.reader().read(|view| view.cells(&view.newest()?.unwrap(), &Filter::default())).unwrap();
        assert_eq!(cells.iter().map(|(scope, tally)| (scope, tally.total())).collect::<Vec<_>>(), [(&new, 1)]);
    }
}

#[test]
fn a_bucket_that_moved_while_its_old_region_could_not_be_listed_is_counted_once() {
    for nights_of_gap in [0, 1] {
        for old_first in [true, false] {
            let mut book = Book::new();
            let (old, new) = (in_region("eu-west-1"), in_region("us-east-1"));
            book.night(&[(old.clone(), whole(vec![bucket("b", tagged(BARE))])), (new.clone(), whole(vec![]))]);
            for _ in 0..nights_of_gap {
                book.night(&[(old.clone(), broken(vec![])), (new.clone(), whole(vec![]))]);
            }
            let mut moved = vec![(old, broken(vec![])), (new, whole(vec![bucket("b", tagged(BARE))]))];
            if !old_first {
                moved.reverse();
            }
            let summary = book.night(&moved);
            assert_eq!((changes(&summary), summary.tally.total()), (vec![("moved", 1)], 1));
            assert!(summary.scopes.iter().all(|row| row.stale == 0), "{:?}", summary.scopes);
            let healed = book.night(&[(moved[0].0.clone(), whole(vec![])), (moved[1].0.clone(), moved[1].1.clone())]);
            assert!(healed.tally.total() <= 1);
            let written = "SELECT sum(compliant + non_compliant + unknown) FROM rollup_cell WHERE snapshot_id = ";
            assert_eq!(book.number(&format!("{written}{}", summary.snapshot.id)), 1);
        }
    }
}

#[test]
fn a_violation_outlives_a_night_that_did_not_ask_for_its_resource() {
    let mut book = Book::new();
    let all = || [(instances(), whole(vec![instance("1", BARE)])), (in_region("us-east-1"), whole(vec![]))];
    book.night(&all());
    book.night(&[(in_region("us-east-1"), whole(vec![]))]);
    assert_eq!(book.number("SELECT count(*) FROM violation WHERE closed IS NULL AND last_seen = 1"), 2);
    assert_eq!(changes(&book.night(&all())), [("returned", 1)]);
    assert_eq!(
        book.number("SELECT count(*) FROM violation WHERE opened = 1 AND closed IS NULL AND last_seen IS NULL"),
        2
    );
    assert_eq!(book.number("SELECT count(*) FROM violation"), 2);
}

#[test]
fn a_resource_made_anew_has_the_date_of_its_new_making() {
    let mut book = Book::new();
    book.night(&[(instances(), whole(vec![instance("1", BARE)]))]);
    book.night(&[(instances(), whole(vec![]))]);
    let created_at = Some(Timestamp::constant(1_760_000_000, 0));
    book.night(&[(instances(), whole(vec![Resource { created_at, ..instance("1", BARE) }]))]);
    assert_eq!(book.number("SELECT created_at FROM resource"), 1_760_000_000);
}
