//! A snippet for Terraform.
//!
//! Instances, volumes and what runs on ECS have resources of their own for single tags. All others are tagged where they are
//! defined: for them a map of what to merge into their `tags`.

use std::{collections::BTreeMap, fmt::Write as _};

use super::TagChange;
use crate::ResourceType;

/// The snippet.
pub fn snippet(changes: &[TagChange]) -> String {
    let mut text = String::new();
    for (number, change) in changes.iter().enumerate() {
        if let Some((resource, argument)) = single(change.resource_type) {
            // Writing to a string cannot fail.
            writeln!(text, "resource \"{resource}\" \"tagledger_{}\" {{", number + 1).ok();
            let ids: Vec<String> = change.arns.iter().map(|arn| in_hcl(target(change.resource_type, arn))).collect();
            writeln!(text, "  for_each = toset([{}])", ids.join(", ")).ok();
            writeln!(text, "  {argument} = each.value").ok();
            writeln!(text, "  key = {}", in_hcl(&change.key)).ok();
            writeln!(text, "  value = {}\n}}\n", in_hcl(&change.value)).ok();
        }
    }
    let mut merged: BTreeMap<&str, Vec<&TagChange>> = BTreeMap::new();
    for change in changes.iter().filter(|change| single(change.resource_type).is_none()) {
        change.arns.iter().for_each(|arn| merged.entry(arn.as_str()).or_default().push(change));
    }
    if !merged.is_empty() {
        text.push_str(
            "# Merge into the tags of each, where it is defined: tags = merge(local.tagledger_tags[ARN], { ... })\n",
        );
        text.push_str("locals {\n  tagledger_tags = {\n");
        for (arn, changes) in merged {
            let pairs: Vec<String> =
                changes.iter().map(|change| format!("{} = {}", in_hcl(&change.key), in_hcl(&change.value))).collect();
            writeln!(text, "    {} = {{ {} }}", in_hcl(arn), pairs.join(", ")).ok();
        }
        text.push_str("  }\n}\n");
    }
    text
}

/// The Terraform resource for one tag of such a thing, and what names the thing in it.
const fn single(resource_type: ResourceType) -> Option<(&'static str, &'static str)> {
    match resource_type {
        ResourceType::Ec2Instance | ResourceType::Ec2Volume => Some(("aws_ec2_tag", "resource_id")),
        ResourceType::EcsCluster | ResourceType::EcsService => Some(("aws_ecs_tag", "resource_arn")),
        ResourceType::LambdaFunction | ResourceType::RdsCluster | ResourceType::RdsDb | ResourceType::S3Bucket => None,
    }
}

fn target(resource_type: ResourceType, arn: &crate::Arn) -> &str {
    match resource_type {
        ResourceType::Ec2Instance | ResourceType::Ec2Volume => arn.resource_id(),
        _ => arn.as_str(),
    }
}

/// A string of HCL: `${` and `%{` begin templates unless doubled.
fn in_hcl(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                write!(out, "\\u{:04x}", u32::from(c)).ok();
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out.replace("${", "$${").replace("%{", "%%{")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixes::nasty;

    #[test]
    fn an_instance_is_tagged_by_a_resource_and_a_database_where_it_is_defined() {
        let instance = nasty("ec2:instance", "arn:aws:ec2:eu-west-1:123456789012:instance/i-1");
        let database = nasty("rds:db", "arn:aws:rds:eu-west-1:123456789012:db:orders");
        let text = snippet(&[instance, database]);
        let value = r#""-a'b\"c\\\n$(touch /tmp/x)`id`$${HOME} %%{if} #, é""#;
        assert!(text.contains("resource \"aws_ec2_tag\" \"tagledger_1\""), "{text}");
        assert!(text.contains("for_each = toset([\"i-1\"])"), "{text}");
        assert_eq!(text.matches(value).count(), 2, "{text}");
        assert!(
            text.contains(r#""arn:aws:rds:eu-west-1:123456789012:db:orders" = { "--Owner's \"key\"" = "#),
            "{text}"
        );
    }
}
