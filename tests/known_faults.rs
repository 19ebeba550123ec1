//! Faults of the earlier tool, reproduced on a known estate, each with the right answer.

#![cfg(test)]

mod support;

use std::{collections::BTreeMap, fs, time::Instant};

use fake_aws::{AccountEstate, Counts, Effect, Estate, Faults, Recipe, Rule};
use serde_json::{Value, json};
use support::{
    binary::{Outcome, run, sample_policy, scan_command},
    compare::assert_same,
    fake_estate::{FakeEstate, HOME, one_region},
};

/// The regions of an account that has opted into all of them.
const REGIONS: [&str; 24] = [
    "af-south-1",
    "ap-east-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ca-central-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "me-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

fn none() -> Counts {
    Counts::each(0)
}

fn in_every_region(counts: impl Fn(&str) -> Counts) -> Estate {
    let account = AccountEstate::new(HOME);
    Estate::new(HOME).with_account(REGIONS.iter().fold(account, |a, region| a.with_region(region, counts(region))))
}

/// Resources, compliant ones, violations.
fn totals(world: &FakeEstate) -> (usize, usize, usize) {
    let records = world.ledger().records();
    let compliant = records.values().filter(|record| record.state == "compliant").count();
    let errors = records.values().flat_map(|r| &r.findings).filter(|finding| finding.starts_with("error")).count();
    (records.len(), compliant, errors)
}

fn expected_totals(world: &FakeEstate) -> (usize, usize, usize) {
    let tally = world.expected().tally();
    let [all, compliant, errors] = [tally.total(), tally.compliant, tally.errors].map(|n| usize::try_from(n).unwrap());
    (all, compliant, errors)
}

/// The sample policy with a change.
fn policy(world: &FakeEstate, name: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut policy: Value = serde_json::from_str(&fs::read_to_string(sample_policy()).unwrap()).unwrap();
    change(&mut policy);
    let path = world.folder.path().join(name);
    fs::write(&path, policy.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

fn scan_with_policy(world: &FakeEstate, policy: &str) -> Outcome {
    run(&mut scan_command(world.folder.path(), &world.fake.endpoint(), &world.store(), policy.as_ref()))
}

/// A world whose only recipe is the one given.
fn all_tagged(counts: Counts, tags: &[(&str, &str)]) -> FakeEstate {
    FakeEstate::holding(one_region(counts).with_recipe(Recipe::of(tags)))
}

/// A scan counts all 400 database instances of a region.
#[test]
fn all_400_databases_are_counted() {
    let world = FakeEstate::of(one_region(Counts { db_instances: 400, ..none() }));
    world.scan(&["--types", "rds:db"]).exits(0);
    assert_eq!(totals(&world), expected_totals(&world));
    assert_eq!(totals(&world).0, 400);
}

/// A scan counts all 900 functions of a region, although a page contains 50.
#[test]
fn all_900_functions_are_counted() {
    let world = FakeEstate::of(one_region(Counts { functions: 900, ..none() }));
    world.scan(&["--types", "lambda:function"]).exits(0);
    assert_eq!(totals(&world), expected_totals(&world));
    assert_eq!(totals(&world).0, 900);
}

/// A scan counts all 280 ECS services, although one request describes 10.
#[test]
fn all_280_services_are_counted() {
    let world = FakeEstate::of(one_region(Counts { clusters: 20, services: 280, ..none() }));
    world.scan(&["--types", "ecs:service"]).exits(0);
    world.ledger().holds(&world.expected().without(|record| record.resource_type == "ecs:cluster"));
    assert_eq!(totals(&world).0, 280);
}

/// Resources of the same name in several regions are separate resources.
#[test]
fn equal_names_in_regions_are_separate_resources() {
    let counts = Counts { clusters: 2, services: 25, functions: 25, db_instances: 25, ..none() };
    let world = FakeEstate::of(in_every_region(|region| if region.starts_with("us-") { counts } else { none() }));
    world.scan(&[]).exits(0);
    world.ledger().holds(&world.expected());
    assert_eq!(totals(&world).0, 4 * 77);
}

/// A bucket is counted once, however many regions are scanned.
#[test]
fn bucket_is_counted_once_across_regions() {
    let world = FakeEstate::of(in_every_region(|region| match region {
        "us-east-1" => Counts { buckets: 49, ..none() },
        "eu-west-1" => Counts { buckets: 21, ..none() },
        _ => none(),
    }));
    world.scan(&["--types", "s3:bucket"]).exits(0);
    assert_eq!(totals(&world), expected_totals(&world));
    assert_eq!(totals(&world).0, 70);
}

/// A scan of two of 24 regions sends requests to those two regions only.
#[test]
fn scan_of_two_regions_queries_only_those() {
    let world = FakeEstate::of(in_every_region(|_| Counts { buckets: 2, instances: 2, ..none() }));
    world.scan(&["--regions", "us-east-1,eu-west-1"]).exits(0);
    let mut requested: Vec<String> =
        world.fake.request_log().requests.into_iter().map(|request| request.region).collect();
    requested.sort();
    requested.dedup();
    assert_eq!(requested, ["eu-west-1", "us-east-1"]);
    world.ledger().holds(&world.expected().without(|record| !requested.contains(&record.region)));
}

/// If every list is denied, the snapshot has no score, no resources and a gap for each scope.
#[test]
fn denied_lists_give_no_score() {
    let denied = ["DescribeDBInstances", "ListClusters"].map(|call| Rule::new(Effect::Deny).operation(call));
    let world = FakeEstate::small().failing(denied.into_iter().fold(Faults::none(), Faults::with));
    let outcome = world.scan(&["--types", "rds:db,ecs:service"]).exits(3);
    assert!(outcome.stdout.contains("no score"), "{}", outcome.stdout);
    let ledger = world.ledger();
    assert_eq!((ledger.records().len(), ledger.gaps().len(), ledger.newest().complete), (0, 2, false));
}

/// Buckets whose tags are denied have the state `unknown` and no violations.
#[test]
fn denied_bucket_tags_are_unknown() {
    let denied = ["GetResources", "GetBucketTagging"].map(|call| Rule::new(Effect::Deny).operation(call));
    let world = FakeEstate::of(one_region(Counts { buckets: 70, ..none() }));
    world.fake.set_faults(denied.into_iter().fold(Faults::none(), Faults::with));
    world.scan(&["--types", "s3:bucket"]).exits(3);
    let records = world.ledger().records();
    assert!(records.values().all(|record| record.state == "unknown" && record.reason.as_deref() == Some("denied")));
    assert_eq!((records.len(), world.ledger().count("violation")), (70, 0));
}

/// If S3 fails, it is a gap with its operation, and all other resources are recorded correctly.
#[test]
fn failing_s3_is_a_gap_and_rest_is_complete() {
    let world = FakeEstate::small().failing(Faults::none().with(Rule::new(Effect::ServerError).service("s3")));
    world.scan_with(&[], &[("AWS_MAX_ATTEMPTS", "2")]).exits(3);
    world.ledger().holds(&world.expected().without(|record| record.resource_type == "s3:bucket"));
    let gaps: Vec<_> = world.ledger().gaps().into_values().collect();
    assert_eq!(gaps, ["failed s3:ListAllMyBuckets"]);
}

/// A scan finds every resource that has no tags, in all types.
#[test]
fn never_tagged_resources_are_found() {
    let world = FakeEstate::small();
    world.scan(&[]).exits(0);
    let bare = |tags: &Option<Vec<_>>| tags.as_ref().is_some_and(Vec::is_empty);
    let found = world.ledger().records().into_values().filter(|record| bare(&record.tags)).count();
    let truth = world.fake.estate().resources().filter(|resource| resource.tags.is_empty()).count();
    assert_eq!(found, truth);
    assert!(truth >= 2 * 7, "two ways of twenty leave resources bare");
}

/// Three scans on one day give three snapshots with the totals of one estate each.
#[test]
fn repeated_scans_do_not_multiply_counts() {
    let world = FakeEstate::small();
    for _ in 0..3 {
        world.scan(&[]).exits(0);
    }
    world.ledger().holds(&world.expected());
    let totals: Vec<i64> = world.ledger().column(
        "SELECT sum(compliant + non_compliant + not_applicable + unknown + exempt) FROM rollup_cell GROUP BY snapshot_id",
    );
    assert_eq!(totals, [143, 143, 143]);
}

/// Buckets have the type `s3:bucket` that policies name, and their violations are recorded.
#[test]
fn bucket_type_matches_policies() {
    let world = FakeEstate::of(one_region(Counts { buckets: 38, ..none() }));
    world.scan(&[]).exits(0);
    world.ledger().holds(&world.expected());
    assert!(world.ledger().records().values().all(|record| record.resource_type == "s3:bucket"));
    assert!(totals(&world).2 > 0, "their violations are seen");
}

/// Another policy evaluates the unchanged estate again: only verdicts change, and violations are closed by the policy.
/// The first policy restores the first counts.
#[test]
fn policy_change_reevaluates_same_estate() {
    let world = FakeEstate::small();
    world.scan(&[]).exits(0);
    let before = totals(&world);
    // Nothing is required of anything but buckets any more, and of those only an owner.
    let lax = policy(&world, "lax.json", |policy| {
        policy["version"] = json!("2.0");
        policy["required_tags"] = json!([{"name": "Owner", "applies_to": ["s3:bucket"]}]);
        policy["optional_tags"] = json!([]);
    });
    scan_with_policy(&world, &lax).exits(0);
    let records = world.ledger().records();
    let evaluated = records.values().filter(|record| ["compliant", "non_compliant"].contains(&record.state.as_str()));
    assert_eq!(evaluated.count(), 20);
    let kinds: Vec<String> = world.ledger().changes(2).into_keys().collect();
    assert_eq!(kinds, ["verdict"], "no tag has changed");
    let closed: Vec<String> = world.ledger().column("SELECT DISTINCT closed_by FROM violation WHERE closed = 2");
    assert_eq!(closed, ["policy"], "nobody has fixed anything");
    scan_with_policy(&world, sample_policy().to_str().unwrap()).exits(0);
    assert_eq!(totals(&world), before);
    world.ledger().holds(&world.expected());
}

/// The case sensitivity of tag keys follows the setting of the policy.
#[test]
fn policy_case_sensitivity_is_respected() {
    let world = all_tagged(
        Counts { instances: 10, ..none() },
        &[("costcenter", "Sales"), ("OWNER", "a@b.example"), ("environment", "testing"), ("Application", "shop")],
    );
    world.scan(&[]).exits(0);
    assert_eq!(totals(&world), (10, 10, 0));
    let strict = policy(&world, "strict.json", |policy| policy["tag_naming_rules"]["case_sensitivity"] = json!(true));
    scan_with_policy(&world, &strict).exits(0);
    assert_eq!(totals(&world), (10, 0, 30));
}

/// A validation pattern must match the entire value, not a part of it.
#[test]
fn pattern_must_match_entire_value() {
    let world = all_tagged(Counts { buckets: 5, ..none() }, &[("Code", "CC-1234junk")]);
    let loose = policy(&world, "loose.json", |policy| {
        policy["required_tags"] = json!([{"name": "Code", "validation_regex": r"CC-\d{4}"}]);
    });
    scan_with_policy(&world, &loose).exits(0);
    let findings: Vec<_> = world.ledger().records().into_values().map(|record| record.findings).collect();
    assert_eq!(findings, vec![vec!["error REGEX Code".to_owned()]; 5]);
}

/// A pattern with nested quantifiers on a value of 256 characters is evaluated without exponential backtracking.
#[test]
fn nested_quantifiers_take_linear_time() {
    let value = format!("{}!", "a".repeat(255));
    let world = all_tagged(Counts { clusters: 13, ..none() }, &[("Team", &value)]);
    let hostile = policy(&world, "hostile.json", |policy| {
        policy["required_tags"] = json!([{"name": "Team", "validation_regex": "^([a-z]+)+$"}]);
    });
    let started = Instant::now();
    scan_with_policy(&world, &hostile).exits(0);
    // A backtracking engine tries 2 to the power of 255 ways.
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
    assert_same("findings", &world.ledger().changes(1), &BTreeMap::from([("new".to_owned(), 13)]));
    assert_eq!(totals(&world).2, 13);
}

/// A policy that names an unknown resource type is refused with the path and the nearest type, before any AWS request.
#[test]
fn unknown_type_in_policy_is_refused() {
    let world = FakeEstate::small();
    let invalid = policy(&world, "wrong.json", |policy| {
        policy["required_tags"][0]["applies_to"] = json!(["rds:db-instance"]);
    });
    scan_with_policy(&world, &invalid).complains(&["required_tags[0].applies_to[0]", "did you mean `rds:db`?"]);
    assert_eq!(world.fake.request_log().len(), 0);
}

/// Two policies with the same version have different digests, and a snapshot returns the policy that evaluated it.
#[test]
fn policies_are_distinguished_by_digest() {
    let world = FakeEstate::small();
    world.scan(&[]).exits(0);
    let first = world.ledger().newest().policy_digest;
    let other = policy(&world, "other.json", |policy| policy["required_tags"][1]["validation_regex"] = json!(".+"));
    scan_with_policy(&world, &other).exits(0);
    let second = world.ledger().newest();
    assert_ne!(second.policy_digest, first);
    let judged_by = world.ledger().ask(|view, snapshot| view.policy(snapshot));
    assert_eq!(judged_by.required()[1].validation_regex(), Some(".+"));
}
