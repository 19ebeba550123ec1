//! The IAM policies of `deploy/iam` allow the actions that the built binary calls, and no others.

#![cfg(test)]

mod support;

use std::collections::BTreeSet;

use fake_aws::{AccountEstate, Counts, Effect, Estate, Faults, Request, Rule};
use serde_json::{Value, json};
use support::{
    binary::repository,
    fake_estate::{FakeEstate, HOME, MEMBER},
    mcp_stdio::ask_live,
};

/// What a policy allows.
fn allowed(policy: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(repository("deploy/iam").join(format!("{policy}.json"))).unwrap();
    let policy: Value = serde_json::from_str(&text).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let actions = |statement: &Value| {
        assert_eq!(statement["Effect"], "Allow");
        let actions = statement["Action"].as_array().unwrap().clone();
        actions.into_iter().map(|action| action.as_str().unwrap().to_owned())
    };
    let all: Vec<String> = statements.iter().flat_map(actions).collect();
    let set: BTreeSet<String> = all.iter().cloned().collect();
    assert_eq!(set.len(), all.len(), "an action stands twice");
    set
}

/// The action that IAM asks for, by the service authorization reference; none where it asks for none.
fn action(request: &Request) -> Option<String> {
    let (service, operation) = (request.service.as_str(), request.operation.as_str());
    match (service, operation) {
        ("sts", "GetCallerIdentity") => None,
        ("s3", "ListBuckets") => Some("s3:ListAllMyBuckets".to_owned()),
        ("tagging", _) => Some(format!("tag:{operation}")),
        _ => Some(format!("{service}:{operation}")),
    }
}

fn requested_actions(world: &FakeEstate, of: impl Fn(&Request) -> bool) -> BTreeSet<String> {
    world.fake.request_log().requests.iter().filter(|request| of(request)).filter_map(action).collect()
}

fn company() -> FakeEstate {
    let account = |id: &str| AccountEstate::new(id).with_region("us-east-1", Counts { clusters: 2, ..Counts::each(6) });
    let mut estate = Estate::new(HOME).with_account(account(HOME)).with_account(account(MEMBER));
    estate.creators = vec!["arn:aws:iam::111122223333:user/bob".to_owned()];
    FakeEstate::holding(estate)
}

const EVERYTHING: [(&str, &str); 2] = [("TAGLEDGER_CREATORS", "true"), ("TAGLEDGER_COST_REQUEST_BUDGET", "200")];

/// A scan of everything, as it is and where tags cannot be read in bulk.
fn scanned(accounts: &[&str]) -> FakeEstate {
    let world = company();
    world.scan_with(accounts, &EVERYTHING).exits(0);
    world.fake.set_faults(Faults::none().with(Rule::new(Effect::Deny).service("tagging")));
    world.scan_with(accounts, &EVERYTHING).exits(0);
    world.asks_only_what_is_served();
    world
}

/// A scan of an organization calls exactly the actions that the IAM policies of the scanner and of the member account
/// allow.
#[test]
fn organization_scan_uses_exactly_its_policies() {
    let world = scanned(&["--accounts", "organization"]);
    assert_eq!(requested_actions(&world, |request| request.account == HOME), allowed("organization-scanner"));
    assert_eq!(requested_actions(&world, |request| request.account == MEMBER), allowed("member-account"));
}

/// A scan of one account calls exactly the actions that its IAM policy allows.
#[test]
fn single_account_scan_uses_exactly_its_policy() {
    assert_eq!(requested_actions(&scanned(&[]), |_| true), allowed("single-account"));
}

/// The bill is requested only in the payer account, with exactly the actions that the IAM policy of the payer allows.
#[test]
fn payer_bill_uses_exactly_its_policy() {
    let world = scanned(&["--accounts", MEMBER, "--payer-account", MEMBER]);
    assert_eq!(
        requested_actions(&world, |request| request.service == "ce" && request.account == MEMBER),
        allowed("payer-account")
    );
    assert_eq!(
        requested_actions(&world, |request| request.service == "ce" && request.account == HOME),
        BTreeSet::new()
    );
}

/// The lookups of the server call exactly the actions that its IAM policy allows.
#[test]
fn server_uses_exactly_its_policy() {
    let world = scanned(&["--accounts", MEMBER]);
    world.fake.clear_request_log();
    let arns: Vec<String> = world
        .fake
        .estate()
        .resources()
        .map(|one| one.arn)
        .chain([
            // One that no scan has seen: somebody must look whose it is.
            "arn:aws:s3:::a-bucket-of-nobody".to_owned(),
        ])
        .collect();
    for some in arns.chunks(100) {
        let asked = json!({"resource_arns": some});
        ask_live(&world.store(), &world.fake.endpoint(), &[], "validate_resource_tags", &asked).unwrap();
    }
    for arn in &arns[..4] {
        let asked = json!({"resource_arn": arn});
        ask_live(&world.store(), &world.fake.endpoint(), &[], "suggest_tags", &asked).unwrap();
    }
    world.asks_only_what_is_served();
    assert_eq!(requested_actions(&world, |_| true), allowed("server"));
}
