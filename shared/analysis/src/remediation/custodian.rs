//! Tag changes as a policy file for Cloud Custodian.

use std::fmt::Write as _;

use tagledger_model::resource_types::spec::CustodianSpec;

use crate::remediation::{TagChange, quote_json};

/// Writes one policy for each change. Run each policy in the account and region that its comment names.
pub fn write_policies(changes: &[TagChange]) -> String {
    let mut text = String::from("policies:\n");
    for (number, change) in changes.iter().enumerate() {
        let CustodianSpec { resource, attribute, identifier } = change.resource_type.spec().custodian;
        // Writing to a string cannot fail.
        writeln!(text, "  # account {}, {}", change.account, change.region).ok();
        writeln!(text, "  - name: tagledger-{}-{}", change.resource_type.as_str().replace(':', "-"), number + 1).ok();
        writeln!(text, "    resource: {resource}").ok();
        writeln!(text, "    filters:\n      - type: value\n        key: {attribute}\n        op: in\n        value:")
            .ok();
        for arn in &change.arns {
            writeln!(text, "          - {}", quote_json(identifier.select(arn))).ok();
        }
        writeln!(text, "    actions:\n      - type: tag").ok();
        writeln!(text, "        key: {}\n        value: {}", quote_json(&change.key), quote_json(&change.value)).ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remediation::hostile_change;

    /// A tag value with quotes, line breaks and shell syntax is written as one quoted YAML scalar, and the bucket is
    /// named without its ARN.
    #[test]
    fn value_is_one_quoted_yaml_scalar() {
        let text = write_policies(&[hostile_change("s3:bucket", "arn:aws:s3:::logs")]);
        let value = text.lines().find_map(|line| line.trim().strip_prefix("value: \"")).unwrap();
        assert!(value.ends_with("é\"") && value.contains(r"\n$(touch /tmp/x)"), "{value}");
        assert!(text.contains("          - \"logs\""), "{text}");
    }
}
