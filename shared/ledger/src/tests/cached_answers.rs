//! Answers with a loaded cache, compared with answers from the file.

use tagledger_model::inventory::{GapReason, Resource, Tags};
use tagledger_policy::Policy;

use crate::{
    model::compliance_totals::ComplianceTotals,
    query::{policy_simulation, remediation, snapshot_diff},
    read::{
        filter::Filter,
        session::{LedgerReader, ReadSession},
    },
    tests::{
        COMPLIANT, INVALID_VALUE, MISSPELLED_KEY, POLICY, TestLedger, UNTAGGED, bucket, complete, gap, instance,
        instances,
        resource_costs::{EC2, bill_collection, costs, machine, pool, shared, usd},
        resource_pages, scope, tagged,
    },
    warmup,
    write::writer::LedgerWriter,
};

fn warm_up(reader: &LedgerReader) {
    let result = reader.read(|view| {
        let newest = view.newest()?.unwrap();
        warmup::run(view, &newest)
    });
    result.unwrap();
}

/// The test policy without its exemptions.
fn policy_without_exemptions() -> String {
    POLICY.split("\"exemptions\"").next().unwrap().trim_end().trim_end_matches(',').to_owned() + "}"
}

/// The policy simulation and the remediation backlog of the newest snapshot are the same with a cold and with a loaded
/// cache, for several draft policies and filters. This includes costs too large for the compact column and estates too
/// large to be cached in full.
#[test]
fn simulation_and_backlog_are_the_same_with_cache() {
    let tags = |n: usize| [COMPLIANT, INVALID_VALUE, MISSPELLED_KEY, UNTAGGED][n % 4];
    let policy = policy_without_exemptions();
    let drafts = [
        policy.replace("\"staging\"", "\"Production\""),
        policy.replace("\"production\"", "\"live\""),
        policy.replace("[\"ec2:instance\", \"s3:bucket\"]", "[\"s3:bucket\"]"),
        policy.replace("\"Environment\"", "\"Name\"").replace("\"production\", ", "\"web-1\", "),
        policy.replace("\"required_tags\"", "\"tag_naming_rules\": {\"case_sensitivity\": false}, \"required_tags\""),
        POLICY.replace("legacy-*", "b-*"),
    ];
    let mut high_costs = 0;
    // The index has at most 24 entries.
    for (instances_now, has_charges) in [(17, false), (17, true), (30, false)] {
        let mut ledger = TestLedger::new();
        // The cost of one machine does not fit into an entry.
        let mut resource_costs = shared(vec![pool("ec2:instance", "m5.large", "30000", 9_000)]);
        if has_charges {
            resource_costs = costs(resource_costs.days);
            let charges = resource_costs.charges.as_mut().unwrap();
            let charged = |(id, amount): (&str, &str)| (EC2.to_owned(), id.to_owned(), usd(amount));
            charges.services = vec![(EC2.to_owned(), usd("9000"))];
            charges.resources = [("i-4", "6000"), ("i-8", "30"), ("i-12", "-40")].map(charged).to_vec();
        }
        let machines =
            (0..instances_now).map(|n| machine(&n.to_string(), tags(n), if n == 4 { 9 } else { 1 })).collect();
        let unread = bucket("u", Tags::Unknown(gap(GapReason::Throttled)));
        let buckets = (0..5).map(|n| bucket(&format!("b-{n}"), tagged(tags(n)))).chain([unread]).collect();
        let untaggable = (scope("eu-north-1", "s3:bucket"), complete(vec![bucket("c", Tags::Untaggable)]));
        let found =
            [(instances(), complete(machines)), (scope("eu-west-1", "s3:bucket"), complete(buckets)), untaggable];
        ledger
            .record_with(&found, |snapshot| snapshot.record_bill(&bill_collection(resource_costs, &[(EC2, "30000")])));
        let (warm_reader, cold_reader) = (ledger.reader(), ledger.reader());
        warm_up(&warm_reader);
        let buckets = Filter { types: vec!["s3:bucket".parse().unwrap()], ..Filter::default() };
        for filter in [Filter::default(), buckets] {
            let backlog =
                |view: &ReadSession<'_>| remediation::find_backlog(view, &view.newest()?.unwrap(), &filter, usize::MAX);
            let expected = cold_reader.read(backlog).unwrap();
            assert!(!expected.tiers.is_empty());
            assert_eq!(warm_reader.read(backlog).unwrap(), expected, "of {instances_now}, {filter:?}");
            for (number, draft) in drafts.iter().enumerate() {
                let draft = Policy::parse(draft).unwrap();
                let simulated = |view: &ReadSession<'_>| {
                    let evaluated = policy_simulation::simulate(view, &view.newest()?.unwrap(), &filter, &draft, 3)?;
                    Ok((evaluated.scopes, evaluated.reasons, evaluated.failing, evaluated.unknown))
                };
                let expected = cold_reader.read(simulated).unwrap();
                assert!(!expected.0.is_empty());
                assert_eq!(expected.3, 1, "the tags of one resource could not be read");
                let costs = expected.2.iter().filter_map(|row| row.cost);
                high_costs += costs.filter(|cost| cost.monthly > usd("4295")).count();
                assert_eq!(
                    warm_reader.read(simulated).unwrap(),
                    expected,
                    "draft {number} of {instances_now}, {filter:?}"
                );
            }
        }
    }
    assert!(high_costs >= 3, "one of each estate, not {high_costs}");
}

/// A policy simulation of a snapshot that is no longer the newest evaluates all of its resources and reports no costs,
/// even with a cache that was loaded while it was the newest.
#[test]
fn simulation_of_past_snapshot_has_no_costs() {
    let mut ledger = TestLedger::new();
    let estate = |tags: &'static [(&str, &str)], there: std::ops::Range<usize>| {
        [(instances(), complete(there.map(|n| machine(&n.to_string(), tags, 1)).collect()))]
    };
    // No cost fits into an entry.
    let high_costs = bill_collection(shared(vec![pool("ec2:instance", "m5.large", "40000", 720)]), &[(EC2, "40000")]);
    ledger.record_with(&estate(COMPLIANT, 0..4), |recorded| recorded.record_bill(&high_costs));
    let reader = ledger.reader();
    warm_up(&reader);
    let draft = Policy::parse(&policy_without_exemptions().replace("production", "live")).unwrap();
    let answer = |view: &ReadSession<'_>| {
        let evaluated =
            policy_simulation::simulate(view, &view.snapshot(1)?.unwrap(), &Filter::default(), &draft, 100)?;
        Ok((
            evaluated.scopes,
            evaluated.reasons,
            evaluated.failing.iter().map(|row| row.arn.clone()).collect::<Vec<_>>(),
        ))
    };
    let newest = reader.read(answer).unwrap();
    assert_eq!((newest.0[0].1.newly_failing, newest.0[0].1.newly_failing_with_cost), (4, 4));
    ledger.record_snapshot(&estate(INVALID_VALUE, 1..4));
    let then = reader.read(answer).unwrap();
    assert_eq!((then.0[0].1.newly_failing, then.0[0].1.newly_failing_with_cost), (4, 0));
    assert_eq!(then, ledger.reader().read(answer).unwrap());
}

/// The cache of a reader can refer to a tag value that pruning has deleted from the file. A policy simulation of the
/// newest snapshot does not read that value and succeeds.
#[test]
fn simulation_does_not_read_tags_pruned_from_file() {
    let mut ledger = TestLedger::new();
    let tags: &[(&str, &str)] = &[("Owner", "gone@b.example"), ("Environment", "staging")];
    ledger.record_snapshot(&[(instances(), complete(vec![instance("1", tags)]))]);
    (1..15).for_each(|_| drop(ledger.record_snapshot(&[(instances(), complete(vec![instance("1", COMPLIANT)]))])));
    let reader = ledger.reader();
    warm_up(&reader);
    let value_count = "SELECT count(*) FROM tag WHERE value = 'gone@b.example'";
    assert_eq!(ledger.number(value_count), 1);
    LedgerWriter::open(&ledger.path()).unwrap().prune(&"3d".parse().unwrap(), jiff::civil::date(2026, 1, 16)).unwrap();
    assert_eq!(ledger.number(value_count), 0);
    let draft = Policy::parse(&policy_without_exemptions()).unwrap();
    let answer = |view: &ReadSession<'_>| {
        Ok(policy_simulation::simulate(view, &view.newest()?.unwrap(), &Filter::default(), &draft, 100)?.scopes)
    };
    let scopes = reader.read(answer).unwrap();
    assert_eq!((scopes.len(), scopes[0].1.draft.compliant), (1, 1));
}

/// The diff of two snapshots reports a bucket in the region that it has in the later snapshot, with a cold and with a
/// loaded cache.
#[test]
fn diff_reports_moved_bucket_in_later_region() {
    let mut test_ledger = TestLedger::new();
    let regions = ["eu-west-1", "us-east-1"].map(|region| scope(region, "s3:bucket"));
    let recorded = |test_ledger: &mut TestLedger, here: Vec<Resource>, there: Vec<Resource>| {
        test_ledger.record_snapshot(&[(regions[0].clone(), complete(here)), (regions[1].clone(), complete(there))]);
    };
    let gone = bucket("gone", tagged(COMPLIANT));
    let bucket = |tags| vec![bucket("b", tagged(tags))];
    recorded(&mut test_ledger, [bucket(UNTAGGED), vec![gone.clone()]].concat(), vec![]);
    recorded(&mut test_ledger, [bucket(INVALID_VALUE), vec![gone]].concat(), vec![]);
    recorded(&mut test_ledger, vec![], bucket(COMPLIANT));
    recorded(&mut test_ledger, vec![], bucket(INVALID_VALUE));
    let (warm_reader, cold_reader) = (test_ledger.reader(), test_ledger.reader());
    warm_up(&warm_reader);
    // Between snapshots 2 and 4 only its region differs.
    for (earlier, later, at) in [(1, 2, 0), (1, 3, 1), (2, 3, 1), (1, 4, 1), (3, 4, 1)] {
        for reader in [&warm_reader, &cold_reader] {
            let scopes = reader.read(|view| {
                let ledger = [earlier, later].map(|id| view.snapshot(id).unwrap().unwrap());
                let found = snapshot_diff::compare(view, &ledger[0], &ledger[1])?;
                Ok(found.changed.iter().map(|one| (*one.scope).clone()).collect::<Vec<_>>())
            });
            assert_eq!(scopes.unwrap(), [regions[at].clone()], "{earlier} to {later}");
        }
    }
}

/// With a filter, the remediation backlog contains only resources that the filter admits, and its totals agree with a
/// policy simulation. The backlogs of all parts sum to the backlog of the complete estate.
#[test]
fn backlog_of_filtered_parts_sums_to_total() {
    let mut ledger = TestLedger::new();
    for recorded in 0..3 {
        resource_pages::record_varied(&mut ledger, recorded);
    }
    let parts =
        ["ec2:instance", "s3:bucket"].map(|kind| Filter { types: vec![kind.parse().unwrap()], ..Filter::default() });
    for id in [2, 3] {
        let requested = |view: &ReadSession<'_>| {
            let recorded = view.snapshot(id)?.unwrap();
            let all = remediation::find_backlog(view, &recorded, &Filter::default(), usize::MAX)?;
            let (mut totals, mut tiers) = (ComplianceTotals::default(), std::collections::BTreeMap::new());
            for filter in &parts {
                let part = remediation::find_backlog(view, &recorded, filter, usize::MAX)?;
                let evaluated = policy_simulation::simulate(view, &recorded, filter, &ledger.policy, 0)?;
                assert_eq!(evaluated.scopes.iter().map(|(_, sums)| sums.now).collect::<Vec<_>>(), [part.totals]);
                for (tier, keys) in part.tiers.iter().zip(part.keys()) {
                    let rows = remediation::list_resources(view, &recorded, keys)?;
                    assert_eq!((rows.len() as u64, keys.len() as u64), (tier.resources, tier.resources));
                    assert!(rows.iter().all(|row| filter.admits(&row.scope)));
                    *tiers.entry((tier.changes, tier.cost)).or_insert(0) += tier.resources;
                }
                totals += part.totals;
            }
            assert_eq!(totals, all.totals);
            assert!(all.tiers.len() > 1);
            assert_eq!(
                tiers.into_values().collect::<Vec<_>>(),
                all.tiers.iter().map(|tier| tier.resources).collect::<Vec<_>>()
            );
            Ok(())
        };
        ledger.reader().read(requested).unwrap();
    }
}
