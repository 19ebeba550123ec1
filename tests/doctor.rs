//! The findings of `tagledger doctor`.

#![cfg(test)]

mod support;

use std::process::Command;

use fake_aws::{Effect, Faults, Rule};
use support::{
    binary::{Outcome, run, sample_policy, scan_command},
    fake_estate::{FakeEstate, HOME, MEMBER},
};

/// The environment of a scan, another command.
fn doctor(world: &FakeEstate, arguments: &[&str]) -> Outcome {
    let scan = scan_command(world.folder.path(), &world.fake.endpoint(), &world.store(), &sample_policy());
    let mut command = Command::new(scan.get_program());
    command.env_clear().current_dir(world.folder.path()).arg("doctor").args(arguments);
    command.args(["--store".as_ref(), world.store().as_os_str(), "--policy".as_ref(), sample_policy().as_os_str()]);
    for (name, value) in scan.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    run(&mut command)
}

fn line<'t>(outcome: &'t Outcome, text: &str) -> &'t str {
    outcome.stdout.lines().find(|line| line.contains(text)).unwrap_or_else(|| panic!("no {text} in {}", outcome.stdout))
}

/// In a working setup, every line of `doctor` is ok, and each permission is tried with one request.
#[test]
fn healthy_setup_reports_ok_on_every_line() {
    let world = FakeEstate::small();
    world.scan(&[]).exits(0);
    world.fake.clear_request_log();
    let found = doctor(&world, &["--costs"]).exits(0);
    assert!(found.stdout.lines().all(|line| line.starts_with("ok  ")), "{}", found.stdout);
    assert!(line(&found, "clock").contains("equal to the clock of AWS"));
    assert!(line(&found, "ledger").contains("snapshot 1 of 0 h ago"));
    assert!(line(&found, "permissions").contains(&format!("17 granted in account {HOME}")), "{}", found.stdout);
    world.asks_only_what_is_served();
    // One request a permission, and who is calling.
    assert_eq!(world.fake.request_log().len(), 18, "{:?}", world.fake.request_log().counts());
}

/// A missing optional permission is reported with the feature that it disables, and `doctor` succeeds. An account that
/// cannot be entered fails, and Cost Explorer is not called unless requested.
#[test]
fn missing_permissions_name_disabled_features() {
    let deny = |operation: &str| Rule::new(Effect::Deny).operation(operation);
    let faults = ["GetResources", "LookupEvents", "DescribeVolumes"].map(deny).into_iter();
    let world = FakeEstate::small().failing(faults.fold(Faults::none(), Faults::with));
    let found = doctor(&world, &[]).exits(0);
    for (action, disables) in [
        ("tag:GetResources", "tags are read one resource at a time"),
        ("cloudtrail:LookupEvents", "suggestions do not use creators"),
        ("ec2:DescribeVolumes", "a gap in every answer"),
    ] {
        let line = line(&found, action);
        assert!(line.starts_with("--") && line.contains(disables), "{line}");
    }
    assert!(line(&found, "has no snapshot yet").starts_with("--"));
    assert!(line(&found, "costs").contains("not tested"));
    assert_eq!(world.fake.request_log().count("ce", "GetCostAndUsage"), 0);

    let closed = doctor(&world, &["--accounts", "999999999999"]).exits(1);
    assert!(line(&closed, "!!").contains("999999999999"), "{}", closed.stdout);
    let entered = doctor(&world, &["--accounts", MEMBER]);
    assert!(entered.stdout.contains(MEMBER), "{}", entered.stdout);
}

/// An unreachable AWS endpoint, a missing policy and an unreachable Redis are each reported, and the remaining checks
/// still run.
#[test]
fn failed_check_does_not_stop_the_others() {
    let world = FakeEstate::small();
    let mut command = support::binary::tagledger(world.folder.path());
    command.args(["doctor", "--policy", "nowhere.json", "--redis-url", "redis://127.0.0.1:1/"]);
    command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9").env("AWS_MAX_ATTEMPTS", "1").env("AWS_REGION", "us-east-1");
    let found = run(command.env("AWS_ACCESS_KEY_ID", "x").env("AWS_SECRET_ACCESS_KEY", "x")).exits(1);
    assert!(line(&found, "policy").starts_with("!!") && line(&found, "nowhere.json").contains("cannot be read"));
    assert!(line(&found, "redis").starts_with("--") && line(&found, "redis").contains("does not respond"));
    assert!(line(&found, "aws").starts_with("!!"), "{}", found.stdout);
    assert!(line(&found, "space").contains("GiB free"));
    assert!(line(&found, "keys").contains("only requests from this machine are accepted"));
}
