//! A scan by the built binary against moto server, which others wrote: what it lists is what the ledger holds.

#![cfg(test)]

mod support;

use fake_aws::{AccountEstate, Counts, Estate, FakeAws, Faults};
use support::{
    binary::{run, sample_policy, scan_command, temp_folder},
    compare::assert_same,
    ledger::{Gaps, Ledger},
    moto::{MOTO_HOME, Moto, expected, script},
    recipes::{tagged, ways_of_moto},
    world::MEMBER,
};

const REGIONS: [&str; 3] = ["ap-southeast-2", "eu-west-1", "us-east-1"];

/// Two accounts in three regions, with nothing that moto cannot hold.
fn estate(counts: Counts) -> Estate {
    let account =
        |id| REGIONS.iter().fold(AccountEstate::new(id), |account, region| account.with_region(region, counts));
    let mut estate = Estate::new(MOTO_HOME).with_account(account(MOTO_HOME)).with_account(account(MEMBER));
    estate.traps = Estate::contract().traps;
    tagged(estate, &ways_of_moto())
}

#[test]
fn every_resource_that_moto_lists_is_recorded_and_judged_rightly() {
    let counts = Counts {
        instances: 110,
        volumes: 60,
        clusters: 4,
        services: 25,
        functions: 55,
        db_clusters: 12,
        db_instances: 25,
        buckets: 45,
    };
    let (estate, moto, folder) = (estate(counts), Moto::start(), temp_folder());
    let listing = moto.seed(&estate);
    assert_eq!(listing.len(), estate.total(), "moto holds the estate");
    let store = folder.path().join("ledger.sqlite");
    let mut command = scan_command(folder.path(), &moto.endpoint, &store, &sample_policy());
    run(command.args(["--accounts", MEMBER, "--regions", &REGIONS.join(",")])).exits(0);
    let ledger = Ledger::at(&store);
    ledger.holds(&expected(&estate, &ways_of_moto(), &listing, &ledger.records()));
    assert_same("gaps", &ledger.gaps(), &Gaps::new());
}

#[test]
fn the_fake_answers_as_moto_does() {
    let estate = estate(Counts { clusters: 2, ..Counts::each(15) });
    let moto = Moto::start();
    moto.seed(&estate);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let fake = runtime.block_on(FakeAws::start(estate.clone(), Faults::none())).unwrap();
    script("contract.py", &[&fake.endpoint(), &moto.endpoint], &estate).exits(0);
}
