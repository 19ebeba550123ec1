//! Tag changes as Terraform configuration.
//!
//! Some services have a Terraform resource for a single tag. The tags of all other resources are in the resource's own `tags`
//! argument: for them the text contains a map to merge into that argument.

use std::{collections::BTreeMap, fmt::Write as _};

use tagledger_model::resource_types::spec::TerraformTags;

use crate::remediation::TagChange;

/// Writes a Terraform configuration with all changes.
pub fn write_configuration(changes: &[TagChange]) -> String {
    let mut text = String::new();
    let mut merged: BTreeMap<&str, Vec<&TagChange>> = BTreeMap::new();
    for (number, change) in changes.iter().enumerate() {
        match change.resource_type.spec().terraform.tags {
            TerraformTags::Resource { resource, argument, identifier } => {
                // Writing to a string cannot fail.
                writeln!(text, "resource \"{resource}\" \"tagledger_{}\" {{", number + 1).ok();
                let ids: Vec<String> = change.arns.iter().map(|arn| quote_hcl(identifier.select(arn))).collect();
                writeln!(text, "  for_each = toset([{}])", ids.join(", ")).ok();
                writeln!(text, "  {argument} = each.value").ok();
                writeln!(text, "  key = {}", quote_hcl(&change.key)).ok();
                writeln!(text, "  value = {}\n}}\n", quote_hcl(&change.value)).ok();
            }
            TerraformTags::Argument => {
                change.arns.iter().for_each(|arn| merged.entry(arn.as_str()).or_default().push(change));
            }
        }
    }
    if !merged.is_empty() {
        write_merged_tags(&mut text, merged);
    }
    text
}

/// Writes a map from ARN to the tags to merge.
fn write_merged_tags(text: &mut String, merged: BTreeMap<&str, Vec<&TagChange>>) {
    text.push_str(
        "# Merge into the tags of each, where it is defined: tags = merge(local.tagledger_tags[ARN], { ... })\n",
    );
    text.push_str("locals {\n  tagledger_tags = {\n");
    for (arn, changes) in merged {
        let pairs: Vec<String> =
            changes.iter().map(|change| format!("{} = {}", quote_hcl(&change.key), quote_hcl(&change.value))).collect();
        writeln!(text, "    {} = {{ {} }}", quote_hcl(arn), pairs.join(", ")).ok();
    }
    text.push_str("  }\n}\n");
}

/// Quotes a text as an HCL string. `${` and `%{` begin templates unless their first character is doubled.
fn quote_hcl(text: &str) -> String {
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
    use crate::remediation::hostile_change;

    /// EC2 resources are tagged by `aws_ec2_tag` blocks, and other resources get a map of tags by ARN to copy into
    /// their definition. Values are escaped for HCL in both.
    #[test]
    fn terraform_tags_ec2_by_resource_others_in_map() {
        let instance = hostile_change("ec2:instance", "arn:aws:ec2:eu-west-1:123456789012:instance/i-1");
        let database = hostile_change("rds:db", "arn:aws:rds:eu-west-1:123456789012:db:orders");
        let text = write_configuration(&[instance, database]);
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
