//! What is written for Cloud Custodian is what Cloud Custodian takes.

#![cfg(test)]

mod support;

use std::process::Command;

use shared::{
    ResourceType,
    fixes::{TagChange, custodian::policies},
};
use support::binary::{repository, temp_folder};

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

#[test]
fn custodian_takes_the_policy_for_every_type() {
    let home = "eu-west-1:123456789012";
    let arns = [
        format!("arn:aws:ec2:{home}:instance/i-0abc"),
        format!("arn:aws:ec2:{home}:volume/vol-0abc"),
        format!("arn:aws:ecs:{home}:cluster/web"),
        format!("arn:aws:ecs:{home}:service/web/checkout"),
        format!("arn:aws:lambda:{home}:function:pay"),
        format!("arn:aws:rds:{home}:cluster:orders"),
        format!("arn:aws:rds:{home}:db:orders"),
        "arn:aws:s3:::logs".to_owned(),
    ];
    assert_eq!(arns.len(), ResourceType::ALL.len());
    let changes: Vec<TagChange> = ResourceType::ALL.iter().zip(&arns).map(|(kind, arn)| change(*kind, arn)).collect();
    let folder = temp_folder();
    let file = folder.path().join("policies.yml");
    std::fs::write(&file, policies(&changes)).unwrap();
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
    std::fs::write(&file, policies(&changes).replace("type: tag", "type: no-such-action")).unwrap();
    assert!(!validate(&file).status.success());
}
