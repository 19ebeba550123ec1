//! Invalid input to the command line: one clear error on standard error and the right exit code, never a panic.

#![cfg(test)]

mod support;

use std::{fs, path::Path, thread, time::Duration};

use fake_aws::{Counts, Effect, Faults, Rule};
use support::{
    binary::{Outcome, run, sample_policy, tagledger, temp_folder},
    fake_estate::{FakeEstate, MEMBER, one_region},
};

/// `tagledger scan` without credentials or an endpoint, in its own folder.
fn bare_scan(folder: &Path) -> std::process::Command {
    let mut command = tagledger(folder);
    command.args(["scan", "--policy"]).arg(sample_policy());
    command
}

/// A usage error is clap's: exit code 2, and no panic.
#[track_caller]
fn refused(outcome: Outcome, parts: &[&str]) {
    let outcome = outcome.exits(2);
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
    for part in parts {
        assert!(outcome.stderr.contains(part), "`{part}` is missing in:\n{}", outcome.stderr);
    }
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A scan without AWS credentials fails and names the variables to set and the demo.
#[test]
fn missing_credentials_name_the_settings() {
    let folder = temp_folder();
    let outcome = run(&mut bare_scan(folder.path()));
    outcome.complains(&["no AWS credentials were found", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "tagledger demo"]);
}

/// Expired AWS credentials are reported as expired, with the advice to renew them.
#[test]
fn expired_credentials_are_reported() {
    let world = FakeEstate::small().failing(Faults::none().with(Rule::new(Effect::ExpiredToken)));
    world.scan(&[]).complains(&["credentials have expired", "renew"]);
}

/// An unknown region is refused with the nearest valid name or, without a near one, with an example.
#[test]
fn unknown_region_is_refused_with_nearest() {
    let world = FakeEstate::small();
    world.scan(&["--regions", "us-esat-1"]).complains(&["`us-esat-1`", "did you mean `us-east-1`?"]);
    refused(world.scan(&["--regions", "mars"]), &["`mars` is not an AWS region such as `eu-west-1`"]);
}

/// An unknown resource type is refused with the nearest valid one.
#[test]
fn unknown_resource_type_is_refused_with_nearest() {
    let world = FakeEstate::small();
    refused(world.scan(&["--types", "rds:db-instance"]), &["`rds:db-instance`", "did you mean `rds:db`?"]);
}

/// An account ID that does not have 12 digits is refused.
#[test]
fn account_id_of_eleven_digits_is_refused() {
    let world = FakeEstate::small();
    refused(world.scan(&["--accounts", "11112222333"]), &["`11112222333` is not a 12-digit AWS account id"]);
}

/// `--accounts` accepts either `organization` or account IDs, not both.
#[test]
fn organization_with_account_ids_is_refused() {
    let world = FakeEstate::small();
    let outcome = world.scan(&["--accounts", &format!("organization,{MEMBER}")]);
    outcome.complains(&["--accounts", "`organization`", "not both"]);
}

/// A policy file that does not exist is named in the error of `scan` and of `policy check`.
#[test]
fn missing_policy_file_is_named() {
    let folder = temp_folder();
    let outcome = run(tagledger(folder.path()).args(["scan", "--policy", "nowhere/policy.json"]));
    outcome.complains(&["nowhere/policy.json", "cannot be read", "No such file"]);
    run(tagledger(folder.path()).args(["policy", "check", "nowhere.json"])).complains(&["nowhere.json"]);
}

/// Each line with a fault says which.
const FAULTY: &str = r#"{
  "version": "1.0",
  "last_updated": "yesterday",
  "required_tags": [
    { "name": "aws:Owner" },
    { "name": "CostCenter", "validation_regex": "(" },
    { "name": "Stage", "applies_to": ["rds:db-instance"] },
    { "name": "Team", "allowed_values": ["a1"], "validation_regex": "^[a-z]+$" },
    { "name": "Look", "validation_regex": "(?=a)b" },
    { "name": "Look" },
    { "name": "Kind", "colour": "red" }
  ],
  "optional_tags": [ { "name": 7 } ],
  "tag_naming_rules": { "max_key_length": 1000 }
}"#;

const FAULTY_LINES: [usize; 10] = [3, 5, 6, 7, 8, 9, 10, 11, 13, 14];

/// `scan` and `policy check` list all ten errors of a policy with their lines, and the scan creates no ledger.
#[test]
fn all_policy_errors_are_listed_with_lines() {
    let folder = temp_folder();
    let path = write(folder.path(), "policy.json", FAULTY);
    let store = folder.path().join("ledger.sqlite");
    let scan = run(tagledger(folder.path()).args(["scan", "--policy", &path, "--store"]).arg(&store));
    let check = run(tagledger(folder.path()).args(["policy", "check", &path]));
    for outcome in [scan, check] {
        let outcome = outcome.complains(&["policy.json", "`aws:Owner`", "did you mean `rds:db`?", "look-around"]);
        let line = |text: &str| text.strip_prefix("line ")?.split(',').next()?.parse().ok();
        let lines: Vec<usize> = outcome.stderr.lines().filter_map(line).collect();
        assert_eq!(lines, FAULTY_LINES, "{}", outcome.stderr);
    }
    assert!(!store.exists(), "a scan that cannot judge leaves no ledger");
}

/// A policy that is not valid JSON is refused with the position of the error, and one that is not UTF-8 is refused as
/// such.
#[test]
fn non_json_policy_is_refused_with_position() {
    let folder = temp_folder();
    for (text, place) in
        [("", "line 1"), ("{\n  \"version\": \"1\",\n", "line "), ("[1]", "line 1"), ("\u{0}", "line 1")]
    {
        let path = write(folder.path(), "policy.json", text);
        run(tagledger(folder.path()).args(["policy", "check", &path])).complains(&["policy.json", place]);
    }
    let path = write(folder.path(), "policy.json", [0xff, 0xfe, 0x00]);
    run(tagledger(folder.path()).args(["policy", "check", &path])).complains(&["policy.json", "UTF-8"]);
}

/// `policy check` accepts the sample policy and counts its tags.
#[test]
fn sample_policy_is_valid() {
    let folder = temp_folder();
    let outcome = run(tagledger(folder.path()).args(["policy", "check"]).arg(sample_policy())).exits(0);
    assert!(outcome.stdout.contains("4 required tags, 2 optional tags"), "{}", outcome.stdout);
}

/// A store path that is a folder or lies in a missing folder is refused before any AWS request.
#[test]
fn store_in_missing_folder_is_refused() {
    let world = FakeEstate::small();
    let folder = world.folder.path().to_str().unwrap();
    world.scan_into(folder.as_ref(), &[], &[]).complains(&[folder, "it is a folder"]);
    let missing = format!("{folder}/nowhere/ledger.sqlite");
    world.scan_into(missing.as_ref(), &[], &[]).complains(&[&missing, "check that its folder exists"]);
    assert_eq!(world.fake.request_log().len(), 0, "what cannot be recorded is not asked for");
}

/// A file that is not a ledger, or a database of another program, is refused and not changed.
#[test]
fn foreign_file_is_refused_unchanged() {
    let world = FakeEstate::small();
    let text = "not a database, but over a hundred bytes long so that SQLite has something to look at. ".repeat(3);
    let path = write(world.folder.path(), "notes.txt", &text);
    world.scan_into(path.as_ref(), &[], &[]).complains(&[&path, "it is not a ledger"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), text);

    let path = world.folder.path().join("other.sqlite");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    let before = fs::read(&path).unwrap();
    world.scan_into(&path, &[], &[]).complains(&["other.sqlite", "the database of another program"]);
    assert_eq!(fs::read(&path).unwrap(), before);
}

/// A ledger with a later schema version is refused before any AWS request, and no snapshot is added.
#[test]
fn newer_schema_version_is_refused() {
    let world = FakeEstate::small();
    world.scan(&[]).exits(0);
    rusqlite::Connection::open(world.store()).unwrap().pragma_update(None, "user_version", 99).unwrap();
    world.fake.clear_request_log();
    world.scan(&[]).complains(&["schema version 99", "upgrade tagledger"]);
    assert_eq!((world.ledger().count("snapshot"), world.fake.request_log().len()), (1, 0));
}

/// A scan is refused while another process writes the ledger, and it lists no resource. It succeeds after the lock is
/// released.
#[test]
fn locked_ledger_refuses_scan_before_listing() {
    let world = FakeEstate::small();
    world.scan(&[]).exits(0);
    let writer = rusqlite::Connection::open(world.store()).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    world.fake.clear_request_log();
    world.scan(&[]).complains(&["another scan is writing", "ledger.sqlite", "wait for it to end"]);
    let requested = world.fake.request_log().counts();
    assert!(requested.keys().all(|operation| operation == "sts:GetCallerIdentity"), "nothing is listed: {requested:?}");
    writer.execute_batch("ROLLBACK").unwrap();
    world.scan(&[]).exits(0);
}

/// Of two concurrent scans of one ledger, the second is refused without waiting, and the first records a complete
/// snapshot.
#[test]
fn concurrent_scan_is_refused_first_completes() {
    let slow = Rule::new(Effect::Slow(Duration::from_secs(3))).operation("DescribeInstances");
    let world = FakeEstate::small().failing(Faults::none().with(slow));
    thread::scope(|scope| {
        let first = scope.spawn(|| world.scan(&[]));
        while world.fake.request_log().count("ec2", "DescribeRegions") == 0 {
            assert!(!first.is_finished(), "the first scan has ended before it listed regions");
            thread::sleep(Duration::from_millis(20));
        }
        world.scan(&[]).complains(&["another scan is writing"]);
        assert!(!first.is_finished(), "the second scan waited for the first");
        first.join().unwrap().exits(0);
    });
    assert_eq!(world.ledger().newest().id, 1);
    world.ledger().holds(&world.expected());
}

/// A truncated ledger file is refused as damaged, and the error refers to the backup.
#[test]
fn truncated_ledger_is_refused_as_damaged() {
    let world = FakeEstate::of(one_region(Counts::each(60)));
    world.scan(&[]).exits(0);
    let file = fs::OpenOptions::new().write(true).open(world.store()).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    world.scan(&[]).complains(&["ledger.sqlite", "is damaged", "backup"]);
}

/// An AWS endpoint that refuses connections is named in the error.
#[test]
fn unreachable_endpoint_is_named() {
    let folder = temp_folder();
    let mut command = bare_scan(folder.path());
    command.env("AWS_ACCESS_KEY_ID", "AKIAFAKEFAKEFAKEFAKE").env("AWS_SECRET_ACCESS_KEY", "fake");
    command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:1").env("AWS_MAX_ATTEMPTS", "1").env("AWS_REGION", "us-east-1");
    run(&mut command).complains(&["AWS cannot be reached", "http://127.0.0.1:1", "refused"]);
}

/// An unknown `TAGLEDGER_*` variable is refused by its name before any AWS request.
#[test]
fn unknown_setting_is_refused() {
    let world = FakeEstate::small();
    let outcome = world.scan_with(&[], &[("TAGLEDGER_REGION", "us-east-1"), ("TAGLEDGER_STROE", "x")]);
    outcome.complains(&["TAGLEDGER_REGION, TAGLEDGER_STROE", "unknown settings"]);
    assert_eq!(world.fake.request_log().len(), 0);
}

/// A setting out of its range or of the wrong type is refused with the flag and the valid range.
#[test]
fn out_of_range_setting_is_refused() {
    let folder = temp_folder();
    let scan = |variable: (&str, &str)| run(bare_scan(folder.path()).envs([variable]));
    refused(scan(("TAGLEDGER_RATE_PERCENT", "0")), &["--rate-percent", "1..=100"]);
    refused(scan(("TAGLEDGER_CONCURRENCY", "many")), &["--concurrency", "many"]);
}

/// A scan of an account without resources succeeds without a warning and prints that there is no score.
#[test]
fn account_without_resources_succeeds() {
    let world = FakeEstate::of(one_region(Counts::each(0)));
    let outcome = world.scan(&[]).exits(0);
    assert!(outcome.stdout.contains("no score: no resource could be evaluated"), "{}", outcome.stdout);
    assert_eq!(outcome.stderr.lines().filter(|line| line.starts_with("tagledger: ")).count(), 0);
}

/// The program without a command prints its usage with the list of commands and fails.
#[test]
fn no_command_prints_usage() {
    let folder = temp_folder();
    refused(run(&mut tagledger(folder.path())), &["Usage: tagledger", "demo", "scan", "server", "policy"]);
}
