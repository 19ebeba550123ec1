//! A scan by the built binary while AWS fails: what was seen is right, the rest is a gap with its reason, and nothing
//! is untagged, new or removed that is not.

#![cfg(test)]

mod support;

use std::collections::BTreeMap;

use fake_aws::{AccountEstate, Counts, Effect, Estate, Faults, Rule};
use support::{
    compare::assert_same,
    ledger::{Gaps, Record},
    world::{HOME, MEMBER, World, one_region},
};

/// Few enough attempts that a call that always fails does not hold the tests up.
const TWO_ATTEMPTS: [(&str, &str); 1] = [("AWS_MAX_ATTEMPTS", "2")];

/// The call that opens the list of each type, in the order of the types.
const FIRST_CALLS: [(&str, &str); 8] = [
    ("ec2:instance", "ec2:DescribeInstances"),
    ("ec2:volume", "ec2:DescribeVolumes"),
    ("ecs:cluster", "ecs:ListClusters"),
    ("ecs:service", "ecs:ListClusters"),
    ("lambda:function", "lambda:ListFunctions"),
    ("rds:cluster", "rds:DescribeDBClusters"),
    ("rds:db", "rds:DescribeDBInstances"),
    ("s3:bucket", "s3:ListAllMyBuckets"),
];

fn faults(rules: impl IntoIterator<Item = Rule>) -> Faults {
    rules.into_iter().fold(Faults::none(), Faults::with)
}

fn gaps<'g>(places: impl IntoIterator<Item = (&'g str, &'g str)>) -> Gaps {
    places.into_iter().map(|(place, gap)| (place.to_owned(), gap.to_owned())).collect()
}

/// A gap in every scope of an account's region.
fn whole_region(account: &str, region: &str, gap: impl Fn(&str) -> String) -> Gaps {
    FIRST_CALLS.iter().map(|(kind, call)| (format!("{account} {region} {kind}"), gap(call))).collect()
}

fn two_regions() -> World {
    let counts = Counts { clusters: 2, ..Counts::each(19) };
    let account = |id| AccountEstate::new(id).with_region("eu-west-1", counts).with_region("us-east-1", counts);
    World::of(Estate::new(HOME).with_account(account(HOME)).with_account(account(MEMBER)))
}

/// What a night of faults comes to.
struct Night<'t> {
    arguments: &'t [&'t str],
    faults: Faults,
    reason: &'t str,
    gaps: Gaps,
}

impl Night<'_> {
    /// A good scan, one with the faults, and a good one again: in the second, just what `lost` names is unknown, and the
    /// third is as the first.
    #[track_caller]
    fn passes(self, world: &World, lost: impl Fn(&str, &Record) -> bool) {
        let ledger = world.ledger();
        world.scan(self.arguments).exits(0);
        ledger.holds(&world.expected());
        let (first, violations) = (ledger.newest(), ledger.count("violation"));

        world.fake.set_faults(self.faults);
        world.scan_with(self.arguments, &TWO_ATTEMPTS).exits(3);
        let expected = world.expected().unknown(self.reason, &lost);
        let number = expected.records.values().filter(|record| record.state == "unknown").count();
        let number = i64::try_from(number).unwrap();
        ledger.holds(&expected);
        assert_same("gaps", &ledger.gaps(), &self.gaps);
        assert!(!ledger.newest().complete);
        assert_same("changes by the faults", &ledger.changes(2), &BTreeMap::from([("lost".to_owned(), number)]));
        assert_eq!(ledger.column::<i64>("SELECT sum(unknown + stale) FROM scope WHERE snapshot_id = 2"), [number]);
        assert_eq!((ledger.count("violation"), ledger.count("violation WHERE closed IS NOT NULL")), (violations, 0));

        world.fake.set_faults(Faults::none());
        world.scan(self.arguments).exits(0);
        ledger.holds(&world.expected());
        assert_same("changes after them", &ledger.changes(3), &BTreeMap::from([("regained".to_owned(), number)]));
        assert_eq!(ledger.count("violation"), violations, "violations that never went away are not opened again");
        assert_eq!(ledger.count("violation WHERE closed IS NOT NULL OR last_seen IS NOT NULL"), 0);
        assert_eq!(ledger.newest().fingerprint, first.fingerprint);
    }
}

#[test]
fn a_denied_service_is_a_gap_and_its_resources_stay_known() {
    let night = Night {
        arguments: &[],
        faults: faults([Rule::new(Effect::Deny).service("rds")]),
        reason: "denied",
        gaps: gaps([
            ("111122223333 us-east-1 rds:cluster", "denied rds:DescribeDBClusters"),
            ("111122223333 us-east-1 rds:db", "denied rds:DescribeDBInstances"),
        ]),
    };
    night.passes(&World::small(), |_, record| record.resource_type.starts_with("rds:"));
}

#[test]
fn a_region_that_an_scp_denies_is_a_gap_of_its_own_kind() {
    let night = Night {
        arguments: &["--accounts", MEMBER],
        faults: faults([Rule::new(Effect::DenyByScp).region("eu-west-1").account(MEMBER)]),
        reason: "denied_by_scp",
        gaps: whole_region(MEMBER, "eu-west-1", |call| format!("denied_by_scp {call}")),
    };
    night.passes(&two_regions(), |_, record| record.account == MEMBER && record.region == "eu-west-1");
}

#[test]
fn a_region_that_is_not_enabled_any_more_is_a_gap_of_its_own_kind() {
    let off = Rule::new(Effect::NotEnabled).service("ec2").operation("DescribeVolumes");
    let night = Night {
        arguments: &[],
        faults: faults([off]),
        reason: "not_enabled",
        gaps: gaps([("111122223333 us-east-1 ec2:volume", "not_enabled ec2:DescribeVolumes")]),
    };
    night.passes(&World::small(), |_, record| record.resource_type == "ec2:volume");
}

#[test]
fn what_is_throttled_to_the_end_is_a_gap() {
    let night = Night {
        arguments: &[],
        faults: faults([Rule::new(Effect::Throttle).service("lambda")]),
        reason: "throttled",
        gaps: gaps([("111122223333 us-east-1 lambda:function", "throttled lambda:ListFunctions")]),
    };
    night.passes(&World::small(), |_, record| record.resource_type == "lambda:function");
}

#[test]
fn a_list_that_breaks_off_keeps_what_was_seen() {
    let world = World::of(one_region(Counts { instances: 1_030, ..Counts::each(0) }));
    let night = Night {
        arguments: &[],
        faults: faults([Rule::new(Effect::Cut).operation("DescribeInstances").resource("NextToken=")]),
        reason: "failed",
        gaps: gaps([("111122223333 us-east-1 ec2:instance", "failed ec2:DescribeInstances")]),
    };
    // Of a thousand on the first page, the last index is 999; an id ends in ten hexadecimal digits of the index.
    let index = |arn: &str| i64::from_str_radix(arn.get(arn.len() - 10..).unwrap(), 16).unwrap();
    night.passes(&world, |arn, _| index(arn) >= 1_000);
}

#[test]
fn a_list_whose_token_comes_again_ends_as_a_gap() {
    let world = World::of(one_region(Counts { db_instances: 130, ..Counts::each(0) }));
    let night = Night {
        arguments: &[],
        faults: faults([Rule::new(Effect::RepeatedToken).operation("DescribeDBInstances").resource("Marker=")]),
        reason: "failed",
        gaps: gaps([("111122223333 us-east-1 rds:db", "failed rds:DescribeDBInstances")]),
    };
    world.scan(&[]).exits(0);
    world.fake.set_faults(night.faults);
    world.scan_with(&[], &TWO_ATTEMPTS).exits(3);
    // The second page came, only its token was wrong, so that nothing is lost but the certainty.
    world.ledger().holds(&world.expected());
    assert_same("gaps", &world.ledger().gaps(), &night.gaps);
}

#[test]
fn credentials_that_expire_during_a_scan_are_gaps_without_a_score() {
    let expired = |service| Rule::new(Effect::ExpiredToken).service(service);
    let calls = ["DescribeInstances", "DescribeVolumes"].map(|call| expired("ec2").operation(call));
    let night = Night {
        arguments: &[],
        faults: faults(["ecs", "lambda", "rds", "s3"].map(expired).into_iter().chain(calls)),
        reason: "denied",
        gaps: whole_region(HOME, "us-east-1", |call| format!("denied {call}")),
    };
    night.passes(&World::small(), |_, _| true);
}

#[test]
fn an_account_whose_role_cannot_be_assumed_is_a_gap_and_the_others_are_scanned() {
    let mut expected = whole_region(MEMBER, "eu-west-1", |_| "denied sts:AssumeRole".to_owned());
    expected.extend(whole_region(MEMBER, "us-east-1", |_| "denied sts:AssumeRole".to_owned()));
    let night = Night {
        arguments: &["--accounts", "organization"],
        faults: faults([Rule::new(Effect::Deny).operation("AssumeRole")]),
        reason: "denied",
        gaps: expected,
    };
    night.passes(&two_regions(), |_, record| record.account == MEMBER);
}

#[test]
fn members_of_an_organization_that_cannot_be_listed_stay_known() {
    let mut expected = whole_region(MEMBER, "eu-west-1", |_| "denied organizations:ListAccounts".to_owned());
    expected.extend(whole_region(MEMBER, "us-east-1", |_| "denied organizations:ListAccounts".to_owned()));
    let night = Night {
        arguments: &["--accounts", "organization"],
        faults: faults([Rule::new(Effect::Deny).operation("ListAccounts")]),
        reason: "denied",
        gaps: expected,
    };
    night.passes(&two_regions(), |_, record| record.account == MEMBER);
}

#[test]
fn one_bucket_whose_tags_cannot_be_read_is_unknown_and_all_others_are_judged() {
    let bucket = "us-east-1-111122223333-0000001";
    let denied = Rule::new(Effect::Deny).operation("GetResources");
    let broken = Rule::new(Effect::ServerError).operation("GetBucketTagging").resource(bucket);
    let night = Night {
        arguments: &[],
        faults: faults([denied, broken]),
        reason: "failed",
        gaps: gaps([("111122223333 us-east-1 s3:bucket", "failed s3:GetBucketTagging")]),
    };
    night.passes(&World::small(), |arn, _| arn.ends_with(bucket));
}

#[test]
fn tags_that_may_not_be_read_are_unknown_and_not_missing() {
    let denied = ["GetResources", "GetBucketTagging", "ListTags"];
    let night = Night {
        arguments: &[],
        faults: faults(denied.map(|call| Rule::new(Effect::Deny).operation(call))),
        reason: "denied",
        gaps: gaps([
            ("111122223333 us-east-1 lambda:function", "denied lambda:ListTags"),
            ("111122223333 us-east-1 s3:bucket", "denied s3:GetBucketTagging"),
        ]),
    };
    night
        .passes(&World::small(), |_, record| ["lambda:function", "s3:bucket"].contains(&record.resource_type.as_str()));
}

#[test]
fn where_tags_may_not_be_read_together_they_are_read_one_by_one() {
    let world = World::small().failing(faults([Rule::new(Effect::Deny).operation("GetResources")]));
    world.scan(&[]).exits(0);
    world.ledger().holds(&world.expected());
    assert_eq!(world.fake.ledger().count("s3", "GetBucketTagging"), 20);
    assert_eq!(world.fake.ledger().count("lambda", "ListTags"), 20);
}

#[test]
fn where_services_may_not_be_described_their_tags_are_read_by_name() {
    let world = World::small();
    world.scan(&[]).exits(0);
    let denied = ["DescribeServices", "DescribeClusters"];
    world.fake.set_faults(faults(denied.map(|call| Rule::new(Effect::Deny).operation(call))));
    world.scan(&[]).exits(0);
    world.ledger().holds(&world.expected());
}

#[test]
fn a_throttle_of_every_third_call_is_waited_out() {
    let world = World::small().failing(faults([Rule::new(Effect::Throttle).every(3)]));
    // One call at a time: the next attempt after a third call is never a third call again.
    world.scan(&["--concurrency", "1"]).exits(0);
    assert!(world.fake.fault_hits()[0] > 5, "{:?}", world.fake.fault_hits());
    world.ledger().holds(&world.expected());
    assert_same("gaps", &world.ledger().gaps(), &Gaps::new());
}

#[test]
fn a_page_that_breaks_off_once_is_asked_for_again() {
    for effect in [Effect::Cut, Effect::ServerError] {
        let world = World::of(one_region(Counts { volumes: 1_030, ..Counts::each(3) }));
        world
            .fake
            .set_faults(faults([Rule::new(effect.clone()).operation("DescribeVolumes").resource("NextToken=").nth(1)]));
        let outcome = world.scan(&[]);
        assert_eq!(world.fake.fault_hits(), [1]);
        assert_eq!(outcome.code, Some(0), "{effect:?}: {}", outcome.stdout);
        world.ledger().holds(&world.expected());
    }
}

#[test]
fn a_document_that_ends_early_is_never_taken_for_a_whole_one() {
    let lists = [
        ("DescribeInstances", "ec2:instance"),
        ("DescribeVolumes", "ec2:volume"),
        ("DescribeDBClusters", "rds:cluster"),
        ("DescribeDBInstances", "rds:db"),
        ("ListFunctions", "lambda:function"),
        ("ListBuckets", "s3:bucket"),
        ("ListClusters", "ecs:cluster"),
    ];
    let believed = lists.into_iter().filter(|(operation, kind)| {
        let world = World::small().failing(faults([Rule::new(Effect::TruncatedXml).operation(operation)]));
        world.scan_with(&["--types", kind], &TWO_ATTEMPTS);
        world.ledger().newest().complete
    });
    assert_eq!(believed.collect::<Vec<_>>(), [], "lists of which half was taken for the whole");
}

#[test]
fn half_a_document_with_tags_is_not_taken_for_all_tags() {
    let denied = Rule::new(Effect::Deny).operation("GetResources");
    let half = Rule::new(Effect::TruncatedXml).operation("GetBucketTagging");
    let world = World::small().failing(faults([denied, half]));
    world.scan_with(&["--types", "s3:bucket"], &TWO_ATTEMPTS);
    let truth = world.expected().records;
    let records = world.ledger().records();
    let wrong = records.into_iter().filter(|(arn, record)| record.state != "unknown" && *record != truth[arn]);
    assert_eq!(wrong.map(|(arn, _)| arn).collect::<Vec<_>>(), Vec::<String>::new(), "judged by half their tags");
}

#[test]
fn tags_that_come_in_half_a_document_are_read_again_one_by_one() {
    let world = World::small().failing(faults([Rule::new(Effect::TruncatedXml).operation("GetResources")]));
    world.scan_with(&[], &TWO_ATTEMPTS).exits(0);
    world.ledger().holds(&world.expected());
}

#[test]
fn a_scan_that_may_read_nothing_has_no_score() {
    let denied = |service| Rule::new(Effect::Deny).service(service);
    let calls = ["DescribeInstances", "DescribeVolumes"].map(|call| denied("ec2").operation(call));
    let world = World::small().failing(faults(["ecs", "lambda", "rds", "s3"].map(denied).into_iter().chain(calls)));
    let outcome = world.scan(&[]).exits(3);
    assert!(outcome.stdout.contains("no score"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("Not seen: 8 of 8 scopes"), "{}", outcome.stdout);
    let ledger = world.ledger();
    assert_eq!((ledger.records().len(), ledger.count("violation")), (0, 0));
    assert_same("gaps", &ledger.gaps(), &whole_region(HOME, "us-east-1", |call| format!("denied {call}")));
}

#[test]
fn what_a_first_scan_could_not_see_is_new_in_the_next_and_nothing_else_changes() {
    let world = World::small().failing(faults([Rule::new(Effect::Deny).service("rds")]));
    world.scan(&[]).exits(3);
    world.ledger().holds(&world.expected().without(|record| record.resource_type.starts_with("rds:")));
    let open = world.ledger().count("violation");
    world.fake.set_faults(Faults::none());
    world.scan(&[]).exits(0);
    world.ledger().holds(&world.expected());
    assert_same("changes", &world.ledger().changes(2), &BTreeMap::from([("new".to_owned(), 40)]));
    assert_eq!(world.ledger().count("violation WHERE opened = 1 AND closed IS NULL"), open);
}

#[test]
fn without_the_right_to_list_regions_only_named_ones_can_be_scanned() {
    let world = World::small().failing(faults([Rule::new(Effect::Deny).operation("DescribeRegions")]));
    world.scan(&[]).complains(&["ec2:DescribeRegions", "TAGLEDGER_REGIONS"]);
    world.scan(&["--regions", "us-east-1"]).exits(0);
    world.ledger().holds(&world.expected());
}

#[test]
fn a_scan_without_answers_in_time_leaves_no_half_snapshot() {
    let world = World::small();
    world.scan(&[]).exits(0);
    world.fake.set_faults(faults([Rule::new(Effect::ExpiredToken).operation("GetCallerIdentity")]));
    world.scan(&[]).complains(&["expired"]);
    assert_eq!(world.ledger().newest().id, 1);
    world.ledger().holds(&world.expected());
}
