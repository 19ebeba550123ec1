//! How many requests a scan costs, against the fewest that could do: AWS's rate limits are shared with everything else
//! that runs in an account.

#![cfg(test)]

mod support;

use std::{collections::BTreeMap, fmt::Write as _};

use fake_aws::{AccountEstate, Counts, Estate, OptIn};
use support::world::{HOME, MEMBER, World};

/// A scan may send a twentieth more than the fewest.
const ALLOWED: f64 = 1.05;

/// The fewest requests for an estate, by operation.
///
/// Every page has to be read; a scope without resources takes one request to know it; tags that do not come with the
/// list come a hundred resources at a time; ECS describes ten services at a time.
#[derive(Default)]
struct Bound(BTreeMap<&'static str, usize>);

impl Bound {
    fn add(&mut self, operation: &'static str, requests: usize) {
        *self.0.entry(operation).or_default() += requests;
    }

    fn pages(&mut self, operation: &'static str, items: usize, per_page: usize) {
        self.add(operation, items.div_ceil(per_page).max(1));
    }

    fn region(&mut self, counts: &Counts) {
        self.pages("ec2:DescribeInstances", counts.instances, 1_000);
        self.pages("ec2:DescribeVolumes", counts.volumes, 1_000);
        self.pages("rds:DescribeDBInstances", counts.db_instances, 100);
        self.pages("rds:DescribeDBClusters", counts.db_clusters, 100);
        self.pages("s3:ListBuckets", counts.buckets, 10_000);
        self.add("tagging:GetResources", counts.buckets.div_ceil(100));
        self.pages("lambda:ListFunctions", counts.functions, 50);
        self.add("tagging:GetResources", counts.functions.div_ceil(100));
        self.pages("ecs:ListClusters", counts.clusters, 100);
        self.add("ecs:DescribeClusters", counts.clusters.div_ceil(100));
        // The scope of services begins with the clusters again: each scope is listed by itself.
        self.pages("ecs:ListClusters", counts.clusters, 100);
        for cluster in 0..counts.clusters {
            let services = counts.services / counts.clusters + usize::from(cluster < counts.services % counts.clusters);
            self.pages("ecs:ListServices", services, 100);
            self.add("ecs:DescribeServices", services.div_ceil(10));
        }
    }

    fn of(estate: &Estate) -> Self {
        let mut bound = Self::default();
        bound.add("sts:GetCallerIdentity", 1);
        bound.pages("organizations:ListAccounts", estate.accounts.len(), 20);
        for account in &estate.accounts {
            bound.add("sts:AssumeRole", usize::from(account.id != estate.home));
            bound.add("ec2:DescribeRegions", 1);
            let enabled = account.regions.iter().filter(|region| region.opt_in != OptIn::NotOptedIn);
            enabled.for_each(|region| bound.region(&region.counts));
        }
        bound
    }

    #[track_caller]
    fn admits(&self, counts: &BTreeMap<String, usize>) {
        let (sent, fewest) = (counts.values().sum::<usize>(), self.0.values().sum::<usize>());
        let mut table = format!("{sent} requests, the fewest are {fewest}\n");
        let extra =
            counts.keys().filter(|operation| !self.0.contains_key(operation.as_str())).map(|o| (o.as_str(), &0));
        for (operation, fewest) in self.0.iter().map(|(operation, n)| (*operation, n)).chain(extra) {
            let sent = counts.get(operation).copied().unwrap_or_default();
            let mark = if sent > *fewest { "  <-" } else { "" };
            writeln!(table, "{sent:>6} {fewest:>6}  {operation}{mark}").unwrap();
        }
        #[expect(clippy::cast_precision_loss, reason = "small counts")]
        let ratio = sent as f64 / fewest as f64;
        assert!(ratio <= ALLOWED, "{ratio:.3} of the fewest: {table}");
    }
}

fn scanned(estate: Estate) -> World {
    let world = World::of(estate);
    world.scan(&["--accounts", "organization"]).exits(0);
    world
}

#[test]
fn a_dense_account_costs_little_more_than_its_pages() {
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
    Bound::of(world.fake.estate()).admits(&world.fake.ledger().counts());
}

#[test]
fn an_empty_scope_costs_one_request() {
    let regions = ["ap-south-1", "eu-central-1", "eu-west-1", "sa-east-1", "us-east-1", "us-west-2"];
    let none = Counts::each(0);
    let account = |id| regions.iter().fold(AccountEstate::new(id), |account, region| account.with_region(region, none));
    let home = account(HOME).with_region_status("me-south-1", OptIn::NotOptedIn, none);
    let world = scanned(Estate::new(HOME).with_account(home).with_account(account(MEMBER)));
    let counts = world.fake.ledger().counts();
    Bound::of(world.fake.estate()).admits(&counts);
    assert_eq!(
        counts.values().sum::<usize>(),
        2 * 6 * 8 + 1 + 1 + 1 + 2,
        "scopes, caller, organization, role, regions"
    );
}

#[test]
fn a_hundred_functions_cost_two_pages_and_one_request_for_their_tags() {
    let counts = Counts { functions: 1_000, ..Counts::each(0) };
    let world = scanned(Estate::new(HOME).with_account(AccountEstate::new(HOME).with_region("us-east-1", counts)));
    Bound::of(world.fake.estate()).admits(&world.fake.ledger().counts());
}

#[test]
fn the_ledger_says_how_many_requests_were_sent() {
    let account = |id| AccountEstate::new(id).with_region("us-east-1", Counts::each(20));
    let world = scanned(Estate::new(HOME).with_account(account(HOME)).with_account(account(MEMBER)));
    assert_eq!(world.ledger().newest().requests, world.fake.ledger().len() as u64);
}

#[test]
fn regions_that_are_not_asked_for_are_left_alone() {
    let account =
        AccountEstate::new(HOME).with_region("us-east-1", Counts::each(4)).with_region("eu-west-1", Counts::each(4));
    let world = World::of(Estate::new(HOME).with_account(account));
    world.scan(&["--regions", "eu-west-1"]).exits(0);
    let elsewhere: Vec<_> = world.fake.ledger().requests.into_iter().filter(|r| r.region != "eu-west-1").collect();
    let operations: Vec<&str> = elsewhere.iter().map(|request| request.operation.as_str()).collect();
    assert_eq!(
        operations,
        ["GetCallerIdentity", "DescribeRegions"],
        "only who is calling, and which regions there are"
    );
}
