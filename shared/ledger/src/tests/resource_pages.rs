//! Pages of resources, with totals, filters and indexes.

use jiff::{Timestamp, ToSpan};
use tagledger_model::inventory::{Listing, Resource, Scope, TagSet};
use tagledger_policy::Severity;

use crate::{
    index::missing_tags_by_cost::AgeAndCostFilter,
    model::{
        page::PageStart,
        resource_row::{OrderByMissingTags, OrderBySeverity, ResourcePage, ResourceRow},
        snapshot::Snapshot,
    },
    query::{compliance, missing_tags, policy_simulation, remediation, resource_by_arn, tag_groups},
    read::{filter::Filter, session::ReadSession},
    tests::{
        COMPLIANT, INVALID_VALUE, MISSPELLED_KEY, TestLedger, UNTAGGED, account, bucket, complete, instance, instances,
        scope, tagged,
    },
    warmup,
};

const ALL: OrderBySeverity = OrderBySeverity { errors: true, warnings: true };

fn ids(page: &ResourcePage) -> Vec<&str> {
    page.rows.iter().map(|row| row.arn.resource_id()).collect()
}

fn estate() -> Vec<(Scope, Listing)> {
    let resources = (0..25)
        .map(|n| instance(&n.to_string(), [UNTAGGED, INVALID_VALUE, COMPLIANT, MISSPELLED_KEY, UNTAGGED][n % 5]))
        .collect();
    vec![(instances(), complete(resources))]
}

/// Reads all pages of a snapshot, or of the newest one when no id is given.
fn all_pages(
    ledger: &TestLedger,
    id: Option<i64>,
    limit: usize,
    list: impl Fn(&ReadSession<'_>, &Snapshot, PageStart, usize) -> ResourcePage,
) -> Vec<ResourceRow> {
    let (mut rows, mut start) = (Vec::new(), Some(PageStart::FIRST));
    while let Some(at) = start {
        let page = ledger
            .reader()
            .read(|view| {
                let snapshot = if let Some(id) = id { view.snapshot(id)? } else { view.newest()? };
                Ok(list(view, &snapshot.unwrap(), at, limit))
            })
            .unwrap();
        assert!(page.rows.len() <= limit);
        rows.extend(page.rows);
        start = page.next;
    }
    rows
}

fn list_by_severity(view: &ReadSession<'_>, snapshot: &Snapshot, at: PageStart, limit: usize) -> ResourcePage {
    compliance::list_by_severity(view, snapshot, &Filter::default(), ALL, at, limit).unwrap()
}

/// Pages of any size list every resource with findings exactly once, ordered by decreasing number of errors.
#[test]
fn any_page_size_lists_each_resource_once_worst_first() {
    let mut ledger = TestLedger::new();
    ledger.record_snapshot(&estate());
    let by_hundred = all_pages(&ledger, None, 100, list_by_severity);
    assert_eq!(by_hundred.len(), 20, "25 resources, of which 5 are compliant");
    assert_eq!(all_pages(&ledger, None, 3, list_by_severity), by_hundred);
    let errors: Vec<usize> = by_hundred.iter().map(errors).collect();
    assert!(errors.is_sorted_by(|a, b| a >= b), "{errors:?}");
    assert_eq!(errors.iter().sum::<usize>(), 5 * 2 + 5 + 5 + 5 * 2);
}

fn errors(row: &ResourceRow) -> usize {
    row.violations.iter().filter(|(rule, _)| rule.severity == Severity::Error).count()
}

/// The pages of a past snapshot do not change when a later snapshot adds, removes or retags resources.
#[test]
fn page_of_past_snapshot_ignores_later_changes() {
    let mut ledger = TestLedger::new();
    ledger.record_snapshot(&estate());
    let then = all_pages(&ledger, None, 4, list_by_severity);
    let mut later = estate();
    later[0].1.resources.truncate(12);
    later[0].1.resources.push(instance("new", UNTAGGED));
    later[0].1.resources[0].tags = tagged(COMPLIANT);
    ledger.record_snapshot(&later);
    assert_eq!(all_pages(&ledger, Some(1), 4, list_by_severity), then);
    assert_ne!(all_pages(&ledger, None, 4, list_by_severity), then);
}

/// A row contains the tags exactly as they were read, with empty values and Unicode, the creation time, and for each
/// violation the time of the snapshot that first recorded it.
#[test]
fn row_has_exact_tags_and_first_seen_time() {
    let mut ledger = TestLedger::new();
    let tags = [("Owner", "tbd"), ("Environment", "production"), ("Name", "w 1"), ("k", ""), ("ключ", "значение")];
    ledger.record_snapshot(&[(instances(), complete(vec![instance("1", &tags)]))]);
    let first_start = ledger.reader().read(|view| view.newest()).unwrap().unwrap().started_at;
    ledger.record_snapshot(&[(instances(), complete(vec![instance("1", &tags)]))]);
    let rows = all_pages(&ledger, None, 10, list_by_severity);
    assert_eq!(rows[0].tags, tags.into_iter().collect::<TagSet>());
    let seen: Vec<_> =
        rows[0].violations.iter().map(|(rule, at)| (rule.code.as_str(), rule.tag.as_str(), *at)).collect();
    assert_eq!(seen, [("PLACEHOLDER", "Owner", first_start)]);
    assert_eq!(rows[0].created_at, Some(Timestamp::constant(1_700_000_000, 0)));
}

/// Resources without any tags are listed before those that have only some of the required tags. The totals count the
/// two groups separately.
#[test]
fn untagged_resources_precede_missing_tags() {
    let mut ledger = TestLedger::new();
    ledger.record_snapshot(&estate());
    let list_missing_tags = |view: &ReadSession<'_>, snapshot: &Snapshot, at, limit| {
        compliance::list_missing_tags(view, snapshot, &Filter::default(), OrderByMissingTags::default(), at, limit)
            .unwrap()
    };
    let rows = all_pages(&ledger, None, 4, list_missing_tags);
    let untagged: Vec<bool> = rows.iter().map(|row| row.tags.iter().len() == 0).collect();
    assert_eq!(untagged, [vec![true; 10], vec![false; 5]].concat());
    let sums = ledger.reader().read(|view| {
        missing_tags::sum_totals(view, &view.newest()?.unwrap(), &Filter::default(), AgeAndCostFilter::default())
    });
    let sums = sums.unwrap();
    assert_eq!((sums.untagged, sums.missing_required, sums.with_cost), (10, 5, 0));
}

/// For every age limit, the totals of resources with missing tags equal the listed rows. Resources without a creation
/// time are counted separately.
#[test]
fn age_filter_counts_match_listed_pages() {
    let created = |n: i64| (n % 4 > 0).then(|| Timestamp::from_second(1_700_000_000 + 86_400 * (n % 7)).unwrap());
    let of_age = |n: i64| Resource {
        created_at: created(n),
        ..instance(&format!("{n:x}"), [UNTAGGED, MISSPELLED_KEY, COMPLIANT][usize::try_from(n % 3).unwrap()])
    };
    let mut ledger = TestLedger::new();
    ledger.record_snapshot(&[(instances(), complete((0..90).map(of_age).collect()))]);
    ledger.record_snapshot(&[(instances(), complete((5..95).map(of_age).collect()))]);
    for snapshot in [1, 2] {
        for day in -1..8 {
            let what = OrderByMissingTags {
                created_until: Some(Timestamp::from_second(1_700_000_000 + 86_400 * day).unwrap()),
            };
            let requested = ledger.reader().read(|view| {
                let snapshot = view.snapshot(snapshot)?.unwrap();
                let rows =
                    compliance::list_missing_tags(view, &snapshot, &Filter::default(), what, PageStart::FIRST, 100)?
                        .rows;
                let what =
                    AgeAndCostFilter { created_until: what.created_until.map(Timestamp::as_second), min_cost: None };
                let sums = missing_tags::sum_totals(view, &snapshot, &Filter::default(), what)?;
                Ok((rows, (sums.untagged, sums.missing_required)))
            });
            let (rows, counts) = requested.unwrap();
            let untagged = rows.iter().filter(|row| row.tags.user().next().is_none()).count();
            assert_eq!((untagged as u64, (rows.len() - untagged) as u64), counts, "snapshot {snapshot}, day {day}");
        }
        let without_creation_time = ledger
            .reader()
            .read(|view| {
                missing_tags::sum_totals(
                    view,
                    &view.snapshot(snapshot)?.unwrap(),
                    &Filter::default(),
                    AgeAndCostFilter::default(),
                )
            })
            .unwrap()
            .without_creation_time;
        let first = if snapshot == 1 { 0 } else { 5 };
        let expected = (first..first + 90).filter(|n| n % 4 == 0 && n % 3 != 2).count();
        assert_eq!(without_creation_time, expected as u64);
    }
}

/// A filter for a region that the ledger has never recorded returns an empty page and no error.
#[test]
fn filter_for_unknown_region_finds_nothing() {
    let mut ledger = TestLedger::new();
    ledger.record_snapshot(&estate());
    let unknown_region = Filter { regions: vec!["us-east-1".parse().unwrap()], ..Filter::default() };
    let page = ledger.reader().read(|view| {
        compliance::list_by_severity(view, &view.newest()?.unwrap(), &unknown_region, ALL, PageStart::FIRST, 10)
    });
    assert_eq!(ids(&page.unwrap()), Vec::<&str>::new());
}

/// The number of findings of each rule is the same from the rollups, without a filter, and from the facts, with a
/// filter that admits everything.
#[test]
fn finding_counts_match_between_rollups_and_facts() {
    let mut ledger = TestLedger::new();
    ledger.record_snapshot(&estate());
    let here = Filter { regions: vec!["eu-west-1".parse().unwrap()], ..Filter::default() };
    let both = ledger.reader().read(|view| {
        let newest = view.newest()?.unwrap();
        Ok((
            compliance::count_by_rule(view, &newest, &Filter::default())?,
            compliance::count_by_rule(view, &newest, &here)?,
        ))
    });
    let (rollups, facts) = both.unwrap();
    assert_eq!(rollups, facts);
    assert_eq!(rollups.values().sum::<u64>(), 5 * 2 + 5 + 5 * 2 + 5 * 2);
}

/// The rows of all pages of several queries on a snapshot, two resources on each page.
fn list_pages(view: &ReadSession<'_>, snapshot: &Snapshot) -> Vec<ResourceRow> {
    let everywhere = Filter::default();
    let buckets = Filter { types: vec!["s3:bucket".parse().unwrap()], ..Filter::default() };
    let mut rows_of_all = Vec::new();
    let mut all = |page: &dyn Fn(PageStart) -> ResourcePage| {
        let mut start = Some(PageStart::FIRST);
        while let Some(at) = start {
            let ResourcePage { rows, next } = page(at);
            rows_of_all.extend(rows);
            start = next;
        }
    };
    let one_scope = Filter {
        types: vec!["ec2:instance".parse().unwrap()],
        regions: vec!["eu-west-1".parse().unwrap()],
        accounts: vec![account().id],
    };
    for filter in [&everywhere, &buckets, &one_scope] {
        for (errors, warnings) in [(true, true), (true, false), (false, true)] {
            all(&|at| {
                compliance::list_by_severity(view, snapshot, filter, OrderBySeverity { errors, warnings }, at, 2)
                    .unwrap()
            });
        }
        for created_until in [None, Some(Timestamp::constant(1_700_000_000, 0)), Some(Timestamp::UNIX_EPOCH)] {
            all(&|at| {
                compliance::list_missing_tags(view, snapshot, filter, OrderByMissingTags { created_until }, at, 2)
                    .unwrap()
            });
        }
    }
    rows_of_all
}

/// Writes a snapshot in which some resources are new, some are removed and some are retagged.
pub(crate) fn record_varied(ledger: &mut TestLedger, recorded: usize) {
    let tags = [COMPLIANT, INVALID_VALUE, MISSPELLED_KEY, UNTAGGED];
    let kind = |number: usize| tags[(number * 3 + recorded * (number % 3)) % 4];
    let exists = |number: &usize| !(number + recorded).is_multiple_of(9);
    let instances_now = (0..12).filter(exists).map(|number| instance(&number.to_string(), kind(number))).collect();
    let buckets_now = (0..5).filter(exists).map(|number| bucket(&number.to_string(), tagged(kind(number)))).collect();
    ledger.record_snapshot(&[
        (instances(), complete(instances_now)),
        (scope("eu-west-1", "s3:bucket"), complete(buckets_now)),
    ]);
}

/// The recommendations, the remediation backlog and the policy simulation of a past snapshot are the same as when it
/// was the newest.
#[test]
fn backlog_of_past_snapshot_is_unchanged() {
    let (mut ledger, everywhere) = (TestLedger::new(), Filter::default());
    let mut first_answers = Vec::new();
    for recorded in 0..6 {
        record_varied(&mut ledger, recorded);
        // A reader with an empty cache.
        let reader = ledger.reader();
        let answers = |view: &ReadSession<'_>, snapshot: &Snapshot| {
            let simulated = policy_simulation::simulate(view, snapshot, &everywhere, &ledger.policy, 0)?;
            Ok((
                tag_groups::find_recommendations(view, snapshot)?,
                remediation::find_backlog(view, snapshot, &everywhere, usize::MAX)?,
                simulated.scopes,
            ))
        };
        for (snapshot, expected) in &first_answers {
            assert_eq!(reader.read(|view| answers(view, snapshot)).unwrap(), *expected, "snapshot {}", snapshot.id);
        }
        let newest = reader.newest().unwrap().unwrap();
        let now = reader.read(|view| answers(view, &newest)).unwrap();
        assert!(now.0.recommendations.len() > 3 && now.1.tiers.len() > 1 && !now.2.is_empty(), "{now:?}");
        first_answers.push((newest, now));
    }
}

/// The pages of a past snapshot are the same as when it was the newest, with a cold and with a loaded cache, for all
/// filters and orders.
#[test]
fn past_pages_match_with_and_without_cache() {
    let mut ledger = TestLedger::new();
    // One reader preloads its cache for each snapshot, the other does not.
    let (warm, cold) = (ledger.reader(), ledger.reader());
    let mut first_answers: Vec<(Snapshot, Vec<ResourceRow>)> = Vec::new();
    for recorded in 0..6 {
        record_varied(&mut ledger, recorded);
        for reader in [&warm, &cold] {
            reader
                .read(|view| {
                    let newest = view.newest()?.unwrap();
                    for (snapshot, expected) in &first_answers {
                        assert_eq!(list_pages(view, snapshot), *expected, "snapshot {} of {}", snapshot.id, newest.id);
                    }
                    Ok(())
                })
                .unwrap();
        }
        warm.read(|view| warmup::run(view, &view.newest()?.unwrap())).unwrap();
        let now =
            cold.read(|view| view.newest().map(|newest| (newest.clone().unwrap(), list_pages(view, &newest.unwrap()))));
        first_answers.push(now.unwrap());
        for (snapshot, expected) in &first_answers {
            // Twice: the second time from the cache.
            for _ in 0..2 {
                let again = warm.read(|view| Ok(list_pages(view, snapshot))).unwrap();
                assert_eq!(again, *expected, "snapshot {} from the cache", snapshot.id);
            }
        }
    }
    assert!(
        first_answers.iter().all(|(_, rows)| rows.len() >= 20),
        "the queries have rows: {:?}",
        first_answers.iter().map(|(_, rows)| rows.len()).collect::<Vec<_>>()
    );
}

/// A lookup by ARN returns the current violations of the resource, each with the time of the snapshot in which it
/// began.
#[test]
fn resource_by_arn_has_violation_start_times() {
    let mut ledger = TestLedger::new();
    ledger.record_snapshot(&[(instances(), complete(vec![instance("1", INVALID_VALUE)]))]);
    ledger.record_snapshot(&[(instances(), complete(vec![instance("1", UNTAGGED)]))]);
    let find = |view: &ReadSession<'_>| {
        resource_by_arn::find_resources(view, &view.newest()?.unwrap(), &[instance("1", UNTAGGED).arn])
    };
    let rows = ledger.reader().read(find).unwrap();
    let found: Vec<_> =
        rows[0].violations.iter().map(|(rule, at)| (rule.tag.as_str(), rule.code.as_str(), *at)).collect();
    let recorded = |number: i64| Timestamp::constant(1_767_225_600, 0) + (24 * number).hours();
    assert_eq!(found, [("Owner", "MISSING", recorded(2)), ("Environment", "MISSING", recorded(2))]);
}
