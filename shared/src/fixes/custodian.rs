//! A policy file for Cloud Custodian.

use std::fmt::Write as _;

use super::{TagChange, quoted};
use crate::{Arn, ResourceType};

/// One policy for each change. To be run for each account and region that its comments name.
pub fn policies(changes: &[TagChange]) -> String {
    let mut text = String::from("policies:\n");
    for (number, change) in changes.iter().enumerate() {
        let (resource, attribute) = named(change.resource_type);
        // Writing to a string cannot fail.
        writeln!(text, "  # account {}, {}", change.account, change.region).ok();
        writeln!(text, "  - name: tagledger-{}-{}", change.resource_type.as_str().replace(':', "-"), number + 1).ok();
        writeln!(text, "    resource: {resource}").ok();
        writeln!(text, "    filters:\n      - type: value\n        key: {attribute}\n        op: in\n        value:")
            .ok();
        for arn in &change.arns {
            writeln!(text, "          - {}", quoted(id(change.resource_type, arn))).ok();
        }
        writeln!(text, "    actions:\n      - type: tag").ok();
        writeln!(text, "        key: {}\n        value: {}", quoted(&change.key), quoted(&change.value)).ok();
    }
    text
}

/// Custodian's name of a type, and the attribute that names a resource of it.
const fn named(resource_type: ResourceType) -> (&'static str, &'static str) {
    match resource_type {
        ResourceType::Ec2Instance => ("aws.ec2", "InstanceId"),
        ResourceType::Ec2Volume => ("aws.ebs", "VolumeId"),
        ResourceType::EcsCluster => ("aws.ecs", "clusterArn"),
        ResourceType::EcsService => ("aws.ecs-service", "serviceArn"),
        ResourceType::LambdaFunction => ("aws.lambda", "FunctionName"),
        ResourceType::RdsCluster => ("aws.rds-cluster", "DBClusterIdentifier"),
        ResourceType::RdsDb => ("aws.rds", "DBInstanceIdentifier"),
        ResourceType::S3Bucket => ("aws.s3", "Name"),
    }
}

fn id(resource_type: ResourceType, arn: &Arn) -> &str {
    match resource_type {
        ResourceType::EcsCluster | ResourceType::EcsService => arn.as_str(),
        _ => arn.resource_id(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixes::nasty;

    #[test]
    fn a_value_is_one_scalar_whatever_is_in_it() {
        let text = policies(&[nasty("s3:bucket", "arn:aws:s3:::logs")]);
        let value = text.lines().find_map(|line| line.trim().strip_prefix("value: \"")).unwrap();
        assert!(value.ends_with("é\"") && value.contains(r"\n$(touch /tmp/x)"), "{value}");
        assert!(text.contains("          - \"logs\""), "{text}");
    }
}
