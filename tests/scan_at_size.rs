//! Scans of a large organization by the built binary: 50 accounts in 4 regions each.

#![cfg(test)]

mod support;

use fake_aws::{AccountEstate, Counts, Effect, Estate, Faults, Rule};
use support::fake_estate::{FakeEstate, HOME};

const REGIONS: [&str; 4] = ["eu-central-1", "eu-west-1", "us-east-1", "us-west-2"];

/// Unlike most estates, few resources of each type in very many scopes.
fn enterprise() -> FakeEstate {
    let counts = Counts { instances: 9, volumes: 9, ..Counts::each(2) };
    let account =
        |id: &str| REGIONS.iter().fold(AccountEstate::new(id), |account, region| account.with_region(region, counts));
    let members = (1..50).map(|n| account(&format!("{:012}", 500_000_000_000_u64 + n)));
    let estate = members.fold(Estate::new(HOME).with_account(account(HOME)), Estate::with_account);
    FakeEstate::of(estate)
}

const ORGANIZATION: [&str; 2] = ["--accounts", "organization"];

/// At the published rates of AWS, a scan of 50 accounts in 4 regions is never throttled.
#[test]
fn published_rates_cause_no_throttling() {
    let world = enterprise().at_published_rates();
    world.scan(&ORGANIZATION).exits(0);
    world.ledger().holds(&world.expected());
    let throttled: Vec<_> = world.fake.request_log().faulted().cloned().collect();
    assert_eq!(throttled, []);
}

/// If every third request is throttled and every tenth fails, a scan of 50 accounts with 64 concurrent requests is
/// still complete.
#[test]
fn throttling_and_failures_lose_no_page() {
    let faults =
        Faults::none().with(Rule::new(Effect::Throttle).every(3)).with(Rule::new(Effect::ServerError).every(10));
    let world = enterprise().failing(faults);
    world.scan(&[&ORGANIZATION[..], &["--concurrency", "64"]].concat()).exits(0);
    world.ledger().holds(&world.expected());
}
