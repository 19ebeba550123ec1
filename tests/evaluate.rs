//! `tagledger evaluate` on a scanned ledger, by the built binary.

#![cfg(test)]

mod support;

use serde_json::Value;
use support::{
    binary::{run, tagledger, temp_folder},
    fake_estate::FakeEstate,
};

/// `evaluate suggestions` reports every required tag, with the same number of cases as text and as JSON.
#[test]
fn text_and_json_have_same_figures() {
    let world = FakeEstate::small();
    world.scan(&[]).exits(0);
    let examined = |json: bool| {
        let mut command = tagledger(world.folder.path());
        command.args(["evaluate", "suggestions", "--store"]).arg(world.store());
        run(command.args(json.then_some("--json"))).exits(0).stdout
    };
    let found: Value = serde_json::from_str(&examined(true)).unwrap();
    let keys: Vec<&str> =
        found["tags"].as_array().unwrap().iter().map(|tag| tag["tag_key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["CostCenter", "Owner", "Environment", "Application"]);
    let text = examined(false);
    for tag in found["tags"].as_array().unwrap() {
        let (key, cases) = (tag["tag_key"].as_str().unwrap(), &tag["whole_groups_hidden"]["cases"]);
        let line = text.lines().find(|line| line.trim_start().starts_with(key)).unwrap();
        assert_eq!(line.split_whitespace().nth(1).unwrap(), cases.to_string(), "{line}");
    }
}

/// `evaluate suggestions` on a missing ledger fails and names the file and `tagledger scan`.
#[test]
fn missing_ledger_is_an_error() {
    let folder = temp_folder();
    let mut command = tagledger(folder.path());
    command.args(["evaluate", "suggestions", "--store", "nowhere.sqlite"]);
    run(&mut command).complains(&["nowhere.sqlite", "tagledger scan"]);
}
