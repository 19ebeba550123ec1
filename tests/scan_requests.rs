//! The number of requests of a scan, compared with the smallest possible number. Everything that runs in an account
//! shares the rate limits of AWS.

#![cfg(test)]

mod support;

use fake_aws::{AccountEstate, Counts, Estate, OptIn};
use support::{
    fake_estate::{FakeEstate, HOME, MEMBER},
    request_bound::RequestBound,
};

fn scanned(estate: Estate) -> FakeEstate {
    let world = FakeEstate::of(estate);
    world.scan(&["--accounts", "organization"]).exits(0);
    world
}

/// A scan of a large account sends at most five percent more requests than the minimum.
#[test]
fn dense_account_needs_near_minimal_requests() {
    let counts = Counts {
        instances: 2_500,
        volumes: 2_100,
        clusters: 12,
        services: 240,
        functions: 960,
        db_clusters: 130,
        db_instances: 210,
        buckets: 640,
    };
    let world = scanned(Estate::new(HOME).with_account(AccountEstate::new(HOME).with_region("us-east-1", counts)));
    RequestBound::of(world.fake.estate()).admits(&world.fake.request_log().counts());
}

/// A scope without resources takes one request, and a region that is not enabled takes none.
#[test]
fn empty_scope_needs_one_request() {
    let regions = ["ap-south-1", "eu-central-1", "eu-west-1", "sa-east-1", "us-east-1", "us-west-2"];
    let none = Counts::each(0);
    let account = |id| regions.iter().fold(AccountEstate::new(id), |account, region| account.with_region(region, none));
    let home = account(HOME).with_region_status("me-south-1", OptIn::NotOptedIn, none);
    let world = scanned(Estate::new(HOME).with_account(home).with_account(account(MEMBER)));
    let counts = world.fake.request_log().counts();
    RequestBound::of(world.fake.estate()).admits(&counts);
    assert_eq!(
        counts.values().sum::<usize>(),
        2 * 6 * 8 + 1 + 1 + 1 + 2,
        "scopes, caller, organization, role, regions"
    );
}

/// The tags of 1,000 functions are read in batches, with at most five percent more requests than the minimum.
#[test]
fn function_tags_are_read_in_batches() {
    let counts = Counts { functions: 1_000, ..Counts::each(0) };
    let world = scanned(Estate::new(HOME).with_account(AccountEstate::new(HOME).with_region("us-east-1", counts)));
    RequestBound::of(world.fake.estate()).admits(&world.fake.request_log().counts());
}

/// The number of requests in the snapshot equals the number that AWS received.
#[test]
fn snapshot_records_number_of_requests() {
    let account = |id| AccountEstate::new(id).with_region("us-east-1", Counts::each(20));
    let world = scanned(Estate::new(HOME).with_account(account(HOME)).with_account(account(MEMBER)));
    assert_eq!(world.ledger().newest().requests, world.fake.request_log().len() as u64);
}

/// Regions outside `--regions` get no list request. Only the caller's identity and the list of regions are requested
/// elsewhere.
#[test]
fn unselected_regions_get_no_list_requests() {
    let account =
        AccountEstate::new(HOME).with_region("us-east-1", Counts::each(4)).with_region("eu-west-1", Counts::each(4));
    let world = FakeEstate::of(Estate::new(HOME).with_account(account));
    world.scan(&["--regions", "eu-west-1"]).exits(0);
    let elsewhere: Vec<_> = world.fake.request_log().requests.into_iter().filter(|r| r.region != "eu-west-1").collect();
    let operations: Vec<&str> = elsewhere.iter().map(|request| request.operation.as_str()).collect();
    assert_eq!(
        operations,
        ["GetCallerIdentity", "DescribeRegions"],
        "only who is calling, and which regions there are"
    );
}
