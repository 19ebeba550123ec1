//! Scans by the built binary while AWS fails. What was read is right, the rest is a gap with its reason, and no
//! resource is wrongly untagged, new or removed.

#![cfg(test)]

mod support;

use std::collections::BTreeMap;

use fake_aws::{AccountEstate, Counts, Effect, Estate, Faults, Rule};
use support::{
    compare::assert_same,
    fake_estate::{FakeEstate, HOME, MEMBER, one_region},
    ledger::{Gaps, Record},
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
fn all_types_of_region(account: &str, region: &str, gap: impl Fn(&str) -> String) -> Gaps {
    FIRST_CALLS.iter().map(|(kind, call)| (format!("{account} {region} {kind}"), gap(call))).collect()
}

fn two_regions() -> FakeEstate {
    let counts = Counts { clusters: 2, ..Counts::each(19) };
    let account = |id| AccountEstate::new(id).with_region("eu-west-1", counts).with_region("us-east-1", counts);
    FakeEstate::of(Estate::new(HOME).with_account(account(HOME)).with_account(account(MEMBER)))
}

/// What a night of faults comes to.
struct ExpectedSnapshot<'t> {
    arguments: &'t [&'t str],
    faults: Faults,
    reason: &'t str,
    gaps: Gaps,
}

impl ExpectedSnapshot<'_> {
    /// A good scan, one with the faults, and a good one again: in the second, just what `lost` names is unknown, and the
    /// third is as the first.
    #[track_caller]
    fn passes(self, world: &FakeEstate, lost: impl Fn(&str, &Record) -> bool) {
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

/// A denied service is a gap with the reason `denied`, and its resources stay known with the state `unknown`.
#[test]
fn denied_service_is_a_gap_and_keeps_resources() {
    let snapshot = ExpectedSnapshot {
        arguments: &[],
        faults: faults([Rule::new(Effect::Deny).service("rds")]),
        reason: "denied",
        gaps: gaps([
            ("111122223333 us-east-1 rds:cluster", "denied rds:DescribeDBClusters"),
            ("111122223333 us-east-1 rds:db", "denied rds:DescribeDBInstances"),
        ]),
    };
    snapshot.passes(&FakeEstate::small(), |_, record| record.resource_type.starts_with("rds:"));
}

/// A region that a service control policy denies is a gap with the reason `denied_by_scp`.
#[test]
fn scp_denied_region_has_own_reason() {
    let snapshot = ExpectedSnapshot {
        arguments: &["--accounts", MEMBER],
        faults: faults([Rule::new(Effect::DenyByScp).region("eu-west-1").account(MEMBER)]),
        reason: "denied_by_scp",
        gaps: all_types_of_region(MEMBER, "eu-west-1", |call| format!("denied_by_scp {call}")),
    };
    snapshot.passes(&two_regions(), |_, record| record.account == MEMBER && record.region == "eu-west-1");
}

/// A list that fails because the region is not enabled is a gap with the reason `not_enabled`.
#[test]
fn disabled_region_has_own_reason() {
    let off = Rule::new(Effect::NotEnabled).service("ec2").operation("DescribeVolumes");
    let snapshot = ExpectedSnapshot {
        arguments: &[],
        faults: faults([off]),
        reason: "not_enabled",
        gaps: gaps([("111122223333 us-east-1 ec2:volume", "not_enabled ec2:DescribeVolumes")]),
    };
    snapshot.passes(&FakeEstate::small(), |_, record| record.resource_type == "ec2:volume");
}

/// A list that is throttled on every attempt is a gap with the reason `throttled`.
#[test]
fn persistent_throttling_is_a_gap() {
    let snapshot = ExpectedSnapshot {
        arguments: &[],
        faults: faults([Rule::new(Effect::Throttle).service("lambda")]),
        reason: "throttled",
        gaps: gaps([("111122223333 us-east-1 lambda:function", "throttled lambda:ListFunctions")]),
    };
    snapshot.passes(&FakeEstate::small(), |_, record| record.resource_type == "lambda:function");
}

/// The resources on the pages before an interruption are recorded, and only the rest is unknown.
#[test]
fn interrupted_list_keeps_read_pages() {
    let world = FakeEstate::of(one_region(Counts { instances: 1_030, ..Counts::each(0) }));
    let snapshot = ExpectedSnapshot {
        arguments: &[],
        faults: faults([Rule::new(Effect::Cut).operation("DescribeInstances").resource("NextToken=")]),
        reason: "failed",
        gaps: gaps([("111122223333 us-east-1 ec2:instance", "failed ec2:DescribeInstances")]),
    };
    // Of a thousand on the first page, the last index is 999; an id ends in ten hexadecimal digits of the index.
    let index = |arn: &str| i64::from_str_radix(arn.get(arn.len() - 10..).unwrap(), 16).unwrap();
    snapshot.passes(&world, |arn, _| index(arn) >= 1_000);
}

/// A list that returns the same page token again ends as a gap, and its resources are recorded.
#[test]
fn repeated_page_token_is_a_gap() {
    let world = FakeEstate::of(one_region(Counts { db_instances: 130, ..Counts::each(0) }));
    let snapshot = ExpectedSnapshot {
        arguments: &[],
        faults: faults([Rule::new(Effect::RepeatedToken).operation("DescribeDBInstances").resource("Marker=")]),
        reason: "failed",
        gaps: gaps([("111122223333 us-east-1 rds:db", "failed rds:DescribeDBInstances")]),
    };
    world.scan(&[]).exits(0);
    world.fake.set_faults(snapshot.faults);
    world.scan_with(&[], &TWO_ATTEMPTS).exits(3);
    // The second page came, only its token was wrong, so that nothing is lost but the certainty.
    world.ledger().holds(&world.expected());
    assert_same("gaps", &world.ledger().gaps(), &snapshot.gaps);
}

/// Credentials that expire during a scan make every scope a gap, and all resources stay known.
#[test]
fn expired_credentials_midway_are_gaps() {
    let expired = |service| Rule::new(Effect::ExpiredToken).service(service);
    let calls = ["DescribeInstances", "DescribeVolumes"].map(|call| expired("ec2").operation(call));
    let snapshot = ExpectedSnapshot {
        arguments: &[],
        faults: faults(["ecs", "lambda", "rds", "s3"].map(expired).into_iter().chain(calls)),
        reason: "denied",
        gaps: all_types_of_region(HOME, "us-east-1", |call| format!("denied {call}")),
    };
    snapshot.passes(&FakeEstate::small(), |_, _| true);
}

/// An account whose role cannot be assumed is a gap in each scope, and the other accounts are scanned.
#[test]
fn unassumable_role_is_a_gap_of_its_account() {
    let mut expected = all_types_of_region(MEMBER, "eu-west-1", |_| "denied sts:AssumeRole".to_owned());
    expected.extend(all_types_of_region(MEMBER, "us-east-1", |_| "denied sts:AssumeRole".to_owned()));
    let snapshot = ExpectedSnapshot {
        arguments: &["--accounts", "organization"],
        faults: faults([Rule::new(Effect::Deny).operation("AssumeRole")]),
        reason: "denied",
        gaps: expected,
    };
    snapshot.passes(&two_regions(), |_, record| record.account == MEMBER);
}

/// If the accounts of the organization cannot be listed, the known member accounts are gaps and their resources stay
/// known.
#[test]
fn unlistable_organization_keeps_members() {
    let mut expected = all_types_of_region(MEMBER, "eu-west-1", |_| "denied organizations:ListAccounts".to_owned());
    expected.extend(all_types_of_region(MEMBER, "us-east-1", |_| "denied organizations:ListAccounts".to_owned()));
    let snapshot = ExpectedSnapshot {
        arguments: &["--accounts", "organization"],
        faults: faults([Rule::new(Effect::Deny).operation("ListAccounts")]),
        reason: "denied",
        gaps: expected,
    };
    snapshot.passes(&two_regions(), |_, record| record.account == MEMBER);
}

/// A bucket whose tags cannot be read is unknown, and all other buckets are evaluated.
#[test]
fn unreadable_bucket_tags_affect_one_bucket() {
    let bucket = "us-east-1-111122223333-0000001";
    let denied = Rule::new(Effect::Deny).operation("GetResources");
    let broken = Rule::new(Effect::ServerError).operation("GetBucketTagging").resource(bucket);
    let snapshot = ExpectedSnapshot {
        arguments: &[],
        faults: faults([denied, broken]),
        reason: "failed",
        gaps: gaps([("111122223333 us-east-1 s3:bucket", "failed s3:GetBucketTagging")]),
    };
    snapshot.passes(&FakeEstate::small(), |arn, _| arn.ends_with(bucket));
}

/// Resources whose tags are denied are unknown and do not have missing tags.
#[test]
fn denied_tags_are_unknown_not_missing() {
    let denied = ["GetResources", "GetBucketTagging", "ListTags"];
    let snapshot = ExpectedSnapshot {
        arguments: &[],
        faults: faults(denied.map(|call| Rule::new(Effect::Deny).operation(call))),
        reason: "denied",
        gaps: gaps([
            ("111122223333 us-east-1 lambda:function", "denied lambda:ListTags"),
            ("111122223333 us-east-1 s3:bucket", "denied s3:GetBucketTagging"),
        ]),
    };
    snapshot.passes(&FakeEstate::small(), |_, record| {
        ["lambda:function", "s3:bucket"].contains(&record.resource_type.as_str())
    });
}

/// If `tag:GetResources` is denied, the tags are read one resource at a time, and the snapshot is complete.
#[test]
fn denied_bulk_tags_are_read_one_by_one() {
    let world = FakeEstate::small().failing(faults([Rule::new(Effect::Deny).operation("GetResources")]));
    world.scan(&[]).exits(0);
    world.ledger().holds(&world.expected());
    assert_eq!(world.fake.request_log().count("s3", "GetBucketTagging"), 20);
    assert_eq!(world.fake.request_log().count("lambda", "ListTags"), 20);
}

/// If ECS services and clusters cannot be described, their tags are read by ARN, and the snapshot is complete.
#[test]
fn denied_describe_reads_ecs_tags_by_arn() {
    let world = FakeEstate::small();
    world.scan(&[]).exits(0);
    let denied = ["DescribeServices", "DescribeClusters"];
    world.fake.set_faults(faults(denied.map(|call| Rule::new(Effect::Deny).operation(call))));
    world.scan(&[]).exits(0);
    world.ledger().holds(&world.expected());
}

/// If every third request is throttled, the requests are retried, and the snapshot has no gaps.
#[test]
fn intermittent_throttling_is_retried() {
    let world = FakeEstate::small().failing(faults([Rule::new(Effect::Throttle).every(3)]));
    // One call at a time: the next attempt after a third call is never a third call again.
    world.scan(&["--concurrency", "1"]).exits(0);
    assert!(world.fake.fault_hits()[0] > 5, "{:?}", world.fake.fault_hits());
    world.ledger().holds(&world.expected());
    assert_same("gaps", &world.ledger().gaps(), &Gaps::new());
}

/// A page that fails or breaks off once is requested again, and the snapshot is complete.
#[test]
fn interrupted_page_is_requested_again() {
    for effect in [Effect::Cut, Effect::ServerError] {
        let world = FakeEstate::of(one_region(Counts { volumes: 1_030, ..Counts::each(3) }));
        world
            .fake
            .set_faults(faults([Rule::new(effect.clone()).operation("DescribeVolumes").resource("NextToken=").nth(1)]));
        let outcome = world.scan(&[]);
        assert_eq!(world.fake.fault_hits(), [1]);
        assert_eq!(outcome.code, Some(0), "{effect:?}: {}", outcome.stdout);
        world.ledger().holds(&world.expected());
    }
}

/// A list whose response document is truncated is never recorded as complete, for any of seven list operations.
#[test]
fn truncated_list_is_never_complete() {
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
        let world = FakeEstate::small().failing(faults([Rule::new(Effect::TruncatedXml).operation(operation)]));
        world.scan_with(&["--types", kind], &TWO_ATTEMPTS);
        world.ledger().newest().complete
    });
    assert_eq!(believed.collect::<Vec<_>>(), [], "lists of which half was taken for the whole");
}

/// No bucket is evaluated with a truncated set of tags.
#[test]
fn truncated_bucket_tags_are_not_evaluated() {
    let denied = Rule::new(Effect::Deny).operation("GetResources");
    let half = Rule::new(Effect::TruncatedXml).operation("GetBucketTagging");
    let world = FakeEstate::small().failing(faults([denied, half]));
    world.scan_with(&["--types", "s3:bucket"], &TWO_ATTEMPTS);
    let truth = world.expected().records;
    let records = world.ledger().records();
    let invalid = records.into_iter().filter(|(arn, record)| record.state != "unknown" && *record != truth[arn]);
    assert_eq!(invalid.map(|(arn, _)| arn).collect::<Vec<_>>(), Vec::<String>::new(), "judged by half their tags");
}

/// If the response of `tag:GetResources` is truncated, the tags are read one resource at a time, and the snapshot is
/// complete.
#[test]
fn truncated_bulk_tags_are_read_one_by_one() {
    let world = FakeEstate::small().failing(faults([Rule::new(Effect::TruncatedXml).operation("GetResources")]));
    world.scan_with(&[], &TWO_ATTEMPTS).exits(0);
    world.ledger().holds(&world.expected());
}

/// A scan that may read nothing exits with code 3, has a gap in every scope, no resource, no violation and no score.
#[test]
fn fully_denied_scan_has_no_score() {
    let denied = |service| Rule::new(Effect::Deny).service(service);
    let calls = ["DescribeInstances", "DescribeVolumes"].map(|call| denied("ec2").operation(call));
    let world =
        FakeEstate::small().failing(faults(["ecs", "lambda", "rds", "s3"].map(denied).into_iter().chain(calls)));
    let outcome = world.scan(&[]).exits(3);
    assert!(outcome.stdout.contains("no score"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("Not read: 8 of 8 scopes"), "{}", outcome.stdout);
    let ledger = world.ledger();
    assert_eq!((ledger.records().len(), ledger.count("violation")), (0, 0));
    assert_same("gaps", &ledger.gaps(), &all_types_of_region(HOME, "us-east-1", |call| format!("denied {call}")));
}

/// Resources of a scope that the first scan could not read are new in the second snapshot, and nothing else changes.
#[test]
fn recovered_gap_adds_only_new_resources() {
    let world = FakeEstate::small().failing(faults([Rule::new(Effect::Deny).service("rds")]));
    world.scan(&[]).exits(3);
    world.ledger().holds(&world.expected().without(|record| record.resource_type.starts_with("rds:")));
    let open = world.ledger().count("violation");
    world.fake.set_faults(Faults::none());
    world.scan(&[]).exits(0);
    world.ledger().holds(&world.expected());
    assert_same("changes", &world.ledger().changes(2), &BTreeMap::from([("new".to_owned(), 40)]));
    assert_eq!(world.ledger().count("violation WHERE opened = 1 AND closed IS NULL"), open);
}

/// If regions cannot be listed, a scan fails and names the setting. A scan with named regions is complete.
#[test]
fn unlistable_regions_require_named_regions() {
    let world = FakeEstate::small().failing(faults([Rule::new(Effect::Deny).operation("DescribeRegions")]));
    world.scan(&[]).complains(&["ec2:DescribeRegions", "TAGLEDGER_REGIONS"]);
    world.scan(&["--regions", "us-east-1"]).exits(0);
    world.ledger().holds(&world.expected());
}

/// A scan whose credentials have expired before its first list adds no snapshot and changes nothing.
#[test]
fn failed_start_adds_no_snapshot() {
    let world = FakeEstate::small();
    world.scan(&[]).exits(0);
    world.fake.set_faults(faults([Rule::new(Effect::ExpiredToken).operation("GetCallerIdentity")]));
    world.scan(&[]).complains(&["expired"]);
    assert_eq!(world.ledger().newest().id, 1);
    world.ledger().holds(&world.expected());
}
