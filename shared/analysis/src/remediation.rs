//! Tag changes as scripts that a person can run. TagLedger runs none of them.
//!
//! Keys and values are foreign text. Each format quotes them by its own rules, and no comment contains them.

pub mod aws_cli;
pub mod custodian;
pub mod plan;
pub mod terraform;

use tagledger_model::{AccountId, Arn, Region, ResourceType};

/// One tag value for resources of one type in one account and region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagChange {
    /// The type of the resources.
    pub resource_type: ResourceType,
    /// Their account.
    pub account: AccountId,
    /// Their region.
    pub region: Region,
    /// The key of the tag.
    pub key: String,
    /// The value to write.
    pub value: String,
    /// The resources.
    pub arns: Vec<Arn>,
}

/// Quotes a text as a JSON string, which is also a YAML string. Control characters and line separators are escaped.
fn quote_json(text: &str) -> String {
    let json = serde_json::Value::String(text.to_owned()).to_string();
    json.replace('\u{7f}', "\\u007f")
        .replace('\u{85}', "\\u0085")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

#[cfg(test)]
pub(crate) fn hostile_change(resource_type: &str, arn: &str) -> TagChange {
    TagChange {
        resource_type: resource_type.parse().unwrap(),
        account: "123456789012".parse().unwrap(),
        region: "eu-west-1".parse().unwrap(),
        key: "--Owner's \"key\"".to_owned(),
        value: "-a'b\"c\\\n$(touch /tmp/x)`id`${HOME} %{if} #, é".to_owned(),
        arns: vec![arn.parse().unwrap()],
    }
}
