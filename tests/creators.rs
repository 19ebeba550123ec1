//! The creators of resources, read by the built binary from a fake CloudTrail, and the suggestions that use them.

#![cfg(test)]

mod support;

use std::collections::BTreeMap;

use fake_aws::{AccountEstate, Counts, Effect, Estate, Faults, Recipe, Rule};
use jiff::{Timestamp, ToSpan};
use serde_json::json;
use support::{
    fake_estate::{FakeEstate, HOME, MEMBER},
    mcp_stdio::ask,
};
use tagledger_model::Arn;

const ADA: &str = "arn:aws:sts::111122223333:assumed-role/Developer/ada@example.com";
const BOB: &str = "arn:aws:iam::111122223333:user/bob";

const RIGHT: [(&str, &str); 3] =
    [("Owner", "payments@example.com"), ("Environment", "production"), ("Application", "shop")];

fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the built binary asks for ninety days before this moment")]
    Timestamp::now()
}

/// Seventy of everything in two regions of two accounts, one every eight hours: the oldest are older than CloudTrail's memory.
/// Ada's belong to Engineering, Bob's to Marketing, and a third of Ada's have no cost center.
fn company() -> FakeEstate {
    let counts = Counts { clusters: 5, ..Counts::each(70) };
    let account = |id: &str| AccountEstate::new(id).with_region("eu-west-1", counts).with_region("us-east-1", counts);
    let of = |center: &[(&'static str, &'static str)]| Recipe::of(&[center, &RIGHT].concat());
    let mut estate = Estate::new(HOME).with_account(account(HOME)).with_account(account(MEMBER));
    for recipe in [of(&[("CostCenter", "Engineering")]), of(&[("CostCenter", "Marketing")]), of(&[])] {
        estate = estate.with_recipe(recipe);
    }
    estate.creators = [ADA, BOB, ADA].map(str::to_owned).to_vec();
    let hours = 3_600;
    estate.created_from = (now() - (24 * 91 + 4).hours()).as_second();
    estate.created_step = 8 * hours;
    FakeEstate::holding(estate)
}

fn scan(world: &FakeEstate) -> support::binary::Outcome {
    world.scan_with(&["--accounts", MEMBER], &[("TAGLEDGER_CREATORS", "true")])
}

/// Creators by ARN, as the estate has them: of what CloudTrail keeps.
fn truth(world: &FakeEstate) -> BTreeMap<i64, String> {
    let estate = world.fake.estate();
    let mut seen: BTreeMap<(String, String, &str), i64> = BTreeMap::new();
    let mut truth = BTreeMap::new();
    for resource in estate.resources() {
        let index = seen.entry((resource.account, resource.region, resource.resource_type)).or_insert(0);
        let created = estate.created_from + *index * estate.created_step;
        *index += 1;
        if created > (now() - (24 * 90).hours()).as_second() {
            let arn: Arn = resource.arn.parse().expect("an ARN");
            truth.insert(arn.key(), estate.creators[resource.recipe].clone());
        }
    }
    truth
}

fn known(world: &FakeEstate) -> BTreeMap<i64, String> {
    let query = "SELECT w.key || ' ' || p.arn FROM creator w JOIN principal p ON p.id = w.principal_id";
    let rows: Vec<String> = world.ledger().column(query);
    let pair = |row: String| row.split_once(' ').map(|(key, arn)| (key.parse().expect("a key"), arn.to_owned()));
    rows.into_iter().filter_map(pair).collect()
}

/// The creators read from CloudTrail equal those of the estate, with the fewest requests. The next scan requests only
/// the last hour and retains the known creators.
#[test]
fn creators_are_read_once_and_retained() {
    let world = company();
    let answer = scan(&world).exits(0);
    assert!(!answer.stderr.contains("not known"), "{}", answer.stderr);
    let truth = truth(&world);
    assert!(truth.len() < world.fake.estate().total(), "the oldest are older than the trail");
    assert_eq!(known(&world), truth);
    // Of each scope the pages of fifty that its creations take: one for clusters, two for all else.
    let requested = |world: &FakeEstate| world.fake.request_log().count("cloudtrail", "LookupEvents");
    assert_eq!(requested(&world), 4 * (7 * 2 + 1));
    world.asks_only_what_is_served();
    world.fake.clear_request_log();
    scan(&world).exits(0);
    assert_eq!(known(&world), truth);
    assert_eq!(requested(&world), 4 * 8, "only the last hour is asked for again");
}

/// A denied `cloudtrail:LookupEvents` is a warning and not a gap of the snapshot. The next scan reads the missing
/// events from the beginning.
#[test]
fn denied_cloudtrail_is_not_a_snapshot_gap() {
    let world =
        company().failing(Faults::none().with(Rule::new(Effect::Deny).service("cloudtrail").region("eu-west-1")));
    let answer = scan(&world).exits(0);
    assert!(
        answer.stderr.contains("the creators of resources could not be read in 16 of 32 scopes"),
        "{}",
        answer.stderr
    );
    assert!(answer.stderr.contains("cloudtrail:LookupEvents in account"), "{}", answer.stderr);
    let (known, all) = (known(&world).len(), truth(&world).len());
    assert_eq!(known, all / 2);
    world.fake.set_faults(Faults::none());
    scan(&world).exits(0);
    assert_eq!(self::known(&world), truth(&world), "what was refused is asked for again from the beginning");
}

/// A value that all resources of one creator have is suggested for another resource of that creator, with the creator
/// as evidence.
#[test]
fn creator_is_evidence_for_suggestions() {
    let world = company();
    scan(&world).exits(0);
    let truth = truth(&world);
    let resources: Vec<_> = world.fake.estate().resources().filter(|one| one.recipe == 2 && one.taggable).collect();
    for resource_type in ["lambda:function", "ec2:instance", "s3:bucket", "rds:db"] {
        let of = |one: &&fake_aws::ExpectedResource| {
            let key = one.arn.parse::<Arn>().expect("an ARN").key();
            one.resource_type == resource_type && truth.contains_key(&key)
        };
        let resource = resources.iter().find(of).expect("one of Ada's");
        let answer = ask(&world.store(), "suggest_tags", &json!({"resource_arn": resource.arn})).unwrap();
        let suggestion = &answer["suggestions"][0];
        assert_eq!(
            (&suggestion["tag_key"], &suggestion["suggested_value"]),
            (&json!("CostCenter"), &json!("Engineering")),
            "{answer}"
        );
        let evidence = suggestion["evidence"].as_array().unwrap();
        let created = evidence.iter().find(|one| one["source"] == "creator").unwrap_or_else(|| panic!("{answer}"));
        assert_eq!(created["with_value"], created["with_tag"], "Ada's all belong to Engineering: {answer}");
        assert!(suggestion["reasoning"].as_str().unwrap().contains("created by the same principal"), "{answer}");
    }
}
