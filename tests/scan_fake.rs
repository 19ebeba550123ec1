//! A scan of the fake AWS endpoint by the built binary: every resource, finding and count is the expected one.

#![cfg(test)]

mod support;

use fake_aws::{AccountEstate, Counts, Effect, Estate, Faults, OptIn, Rule, Trust};
use support::{
    compare::assert_same,
    fake_estate::{FakeEstate, HOME, MEMBER, all_traps, one_region},
    ledger::Gaps,
};

const EMPTY: Counts = Counts {
    instances: 0,
    volumes: 0,
    clusters: 0,
    services: 0,
    functions: 0,
    db_clusters: 0,
    db_instances: 0,
    buckets: 0,
};

/// More than a page of everything that has pages: 1,000 EC2, 100 RDS and ECS, 50 Lambda, 100 for tags, 10 services.
const PAGES: Counts = Counts {
    instances: 1_040,
    volumes: 1_030,
    clusters: 120,
    services: 250,
    functions: 130,
    db_clusters: 110,
    db_instances: 130,
    buckets: 230,
};

fn company() -> Estate {
    let few = Counts { clusters: 2, ..Counts::each(19) };
    let crowded = Counts { clusters: 1, services: 130, ..Counts::each(3) };
    let home = AccountEstate::new(HOME)
        .with_region("us-east-1", few)
        .with_region_status("ap-east-1", OptIn::OptedIn, few)
        .with_region_status("me-south-1", OptIn::NotOptedIn, few)
        .with_region("sa-east-1", EMPTY);
    let member = AccountEstate::new(MEMBER).with_region("us-east-1", crowded).with_region("eu-west-1", few);
    let closed = AccountEstate::new("777788889999").with_region("us-east-1", few).suspended();
    Estate::new(HOME).with_account(home).with_account(member).with_account(closed).with_traps(all_traps())
}

/// A scan reads every page of every list, has no gaps, and sends only known requests.
#[test]
fn every_page_of_every_list_is_read() {
    let world = FakeEstate::of(one_region(PAGES).with_traps(all_traps()));
    world.scan(&[]).exits(0);
    world.ledger().holds(&world.expected());
    assert_same("gaps", &world.ledger().gaps(), &Gaps::new());
    assert!(world.ledger().newest().complete);
    world.asks_only_what_is_served();
}

/// A scan of an organization covers all accounts in their enabled regions only, and empty pages do not end the list of
/// accounts.
#[test]
fn organization_is_scanned_in_enabled_regions() {
    let world = FakeEstate::of(company());
    let empty_page = Rule::new(Effect::EmptyPageWithToken).operation("ListAccounts").first(2);
    world.fake.set_faults(Faults::none().with(empty_page));
    world.scan(&["--accounts", "organization"]).exits(0);
    world.ledger().holds(&world.expected());
    assert_same("gaps", &world.ledger().gaps(), &Gaps::new());
    assert_eq!(world.fake.fault_hits(), [2], "the organization's list had two empty pages");
    world.asks_only_what_is_served();
}

/// A listed member account is entered with the configured role and external ID.
#[test]
fn member_account_uses_role_and_external_id() {
    let mut estate = company();
    estate.trust = Trust { role_name: Some("Auditor".to_owned()), external_id: Some("ledger-7".to_owned()) };
    let world = FakeEstate::of(estate);
    let roles = ["--accounts", MEMBER, "--role-name", "Auditor", "--external-id", "ledger-7"];
    world.scan(&roles).exits(0);
    world.ledger().holds(&world.expected());
}

/// Without `--accounts`, only the caller's account is scanned, and no role is assumed.
#[test]
fn default_scan_covers_own_account_only() {
    let world = FakeEstate::of(company());
    world.scan(&[]).exits(0);
    world.ledger().holds(&world.expected().without(|record| record.account != HOME));
    assert_eq!(world.fake.request_log().count("sts", "AssumeRole"), 0);
}

/// `--regions` and `--types` limit the scan to the given regions and types.
#[test]
fn region_and_type_filters_limit_scan() {
    let world = FakeEstate::of(company());
    world.scan(&["--regions", "us-east-1", "--types", "s3:bucket,ecs:service"]).exits(0);
    let requested = ["s3:bucket", "ecs:service"];
    let expected = world.expected().without(|record| {
        record.account != HOME || record.region != "us-east-1" || !requested.contains(&record.resource_type.as_str())
    });
    world.ledger().holds(&expected);
}

/// Terminated instances and inactive ECS services and clusters are not recorded. Stopped instances are recorded.
#[test]
fn terminated_and_inactive_resources_are_excluded() {
    let world = FakeEstate::of(one_region(Counts { clusters: 2, ..Counts::each(30) }).with_traps(all_traps()));
    world.scan(&[]).exits(0);
    let records = world.ledger().records();
    let number = |kind: &str| records.values().filter(|record| record.resource_type == kind).count();
    assert_eq!((number("ec2:instance"), number("ecs:service"), number("ecs:cluster")), (30, 30, 2));
}

/// ECS services with the short ARN format cannot be tagged; they have the state `not_applicable` and no violations.
#[test]
fn short_arn_services_are_not_applicable() {
    let counts = Counts { clusters: 2, ..Counts::each(12) };
    let world = FakeEstate::of(one_region(counts).with_traps(fake_aws::Traps { short_arn_every: 2, ..all_traps() }));
    world.scan(&["--types", "ecs:service"]).exits(0);
    let untaggable: Vec<_> = world.ledger().records().into_iter().filter(|(_, record)| record.tags.is_none()).collect();
    assert_eq!(untaggable.len(), 6);
    assert!(untaggable.iter().all(|(_, r)| r.state == "not_applicable" && r.findings.is_empty()), "{untaggable:?}");
}

/// Neptune and DocumentDB resources are listed once, through RDS, and their own APIs are not called.
#[test]
fn neptune_and_documentdb_are_counted_once() {
    let world = FakeEstate::small();
    world.scan(&["--types", "rds:db,rds:cluster"]).exits(0);
    assert_eq!(world.ledger().records().len(), 40);
    let services: Vec<_> = world.fake.request_log().requests.into_iter().map(|request| request.service).collect();
    assert!(!services.iter().any(|service| service == "neptune" || service == "docdb"), "{services:?}");
}

/// Deleted resources that the Resource Groups Tagging API still returns are not recorded.
#[test]
fn stale_tagging_api_entries_are_ignored() {
    let world = FakeEstate::small().failing(Faults::none().with(Rule::new(Effect::Ghosts).operation("GetResources")));
    world.scan(&[]).exits(0);
    assert!(world.fake.fault_hits()[0] > 0);
    world.ledger().holds(&world.expected());
}

/// ARNs in the China and GovCloud regions have the partition of the region.
#[test]
fn arns_use_partition_of_region() {
    for (partition, region) in [("aws-cn", "cn-north-1"), ("aws-us-gov", "us-gov-west-1")] {
        let counts = Counts { clusters: 2, ..Counts::each(19) };
        let account = |id| AccountEstate::new(id).with_region(region, counts);
        let estate = Estate::new(HOME).with_account(account(HOME)).with_account(account(MEMBER));
        let world = FakeEstate::of(estate.with_partition(partition));
        world.scan_with(&["--accounts", MEMBER], &[("AWS_REGION", region)]).exits(0);
        let expected = world.expected();
        let prefix = format!("arn:{partition}:");
        assert!(expected.records.keys().all(|arn| arn.starts_with(&prefix)), "the truth is of the partition");
        world.ledger().holds(&expected);
    }
}

/// The score is the share of compliant resources among those that the policy applies to.
#[test]
fn score_counts_only_evaluated_resources() {
    let world = FakeEstate::small();
    let outcome = world.scan(&[]).exits(0);
    let expected = world.expected().tally();
    // Twenty of each type, tagged in nineteen ways in turn; judged are instances, databases, buckets, functions, services.
    assert_eq!(expected.not_applicable, 20 + 20 + 3);
    assert_eq!(expected.compliant + expected.non_compliant, 5 * 20);
    let score = format!("{:.1} %: {} of 100 evaluated", expected.score().unwrap() * 100.0, expected.compliant);
    assert!(outcome.stdout.contains(&score), "no `{score}` in:\n{}", outcome.stdout);
}

/// A second scan of an unchanged estate has the same fingerprint and writes no change, violation or history row.
#[test]
fn unchanged_estate_writes_no_changes() {
    let world = FakeEstate::small();
    world.scan(&[]).exits(0);
    let (first, violations) = (world.ledger().newest(), world.ledger().count("violation"));
    world.scan(&[]).exits(0);
    let second = world.ledger().newest();
    assert_eq!((second.id, second.fingerprint), (2, first.fingerprint));
    assert_same("changes", &world.ledger().changes(2), &std::collections::BTreeMap::new());
    assert_eq!((world.ledger().count("violation"), world.ledger().count("history")), (violations, 0));
    world.ledger().holds(&world.expected());
}

/// A scan of an account without resources is complete, has all scopes and has no score.
#[test]
fn empty_account_is_complete_without_score() {
    let world = FakeEstate::of(one_region(EMPTY));
    let outcome = world.scan(&[]).exits(0);
    assert!(outcome.stdout.contains("no score"), "{}", outcome.stdout);
    assert_eq!((world.ledger().records().len(), world.ledger().count("scope")), (0, 8));
    assert!(world.ledger().newest().complete);
}
