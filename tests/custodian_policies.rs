//! Cloud Custodian accepts the policies that `plan_fixes` generates.

#![cfg(test)]

mod support;

use std::process::Command;

use support::binary::{repository, temp_folder};
use tagledger_analysis::remediation::{TagChange, custodian::write_policies};
use tagledger_model::ResourceType;

fn change(resource_type: ResourceType, arn: &str) -> TagChange {
    TagChange {
        resource_type,
        account: "123456789012".parse().unwrap(),
        region: "eu-west-1".parse().unwrap(),
        key: "Cost Center".to_owned(),
        value: "-it's \"R&D\": {a} #1\n'${x}' é".to_owned(),
        arns: vec![arn.parse().unwrap()],
    }
}

/// `custodian validate` accepts the generated policies for every resource type, and rejects an unknown action.
#[test]
fn generated_policies_pass_custodian_validate() {
    let arn = |kind: &ResourceType| {
        let shape = &kind.spec().arn;
        shape.write_arn("aws", "eu-west-1", "123456789012", &vec!["orders1"; shape.placeholders()])
    };
    let changes: Vec<TagChange> = ResourceType::ALL.iter().map(|kind| change(*kind, &arn(kind))).collect();
    let folder = temp_folder();
    let file = folder.path().join("policies.yml");
    std::fs::write(&file, write_policies(&changes)).unwrap();
    let custodian = repository(".venv/custodian/bin/custodian");
    assert!(custodian.exists(), "there is no {}: run `tests/run`, which installs it", custodian.display());
    let validate = |file: &std::path::Path| {
        let mut command = Command::new(&custodian);
        command.arg("validate").arg(file).env("HOME", folder.path()).env("AWS_DEFAULT_REGION", "eu-west-1");
        command.output().unwrap()
    };
    let taken = validate(&file);
    assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
    // It does look: an unknown action is refused.
    std::fs::write(&file, write_policies(&changes).replace("type: tag", "type: no-such-action")).unwrap();
    assert!(!validate(&file).status.success());
}
