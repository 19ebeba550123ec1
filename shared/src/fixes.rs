//! Tag changes as text that a person can run: nothing of it is run by TagLedger.
//!
//! Every value is somebody else's text: each format quotes it in its own way, and none of it stands in a comment.

pub mod aws_cli;
pub mod custodian;
pub mod plan;
pub mod terraform;

use crate::{AccountId, Arn, Region, ResourceType};

/// One value for one tag of some resources in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagChange {
    /// The type of the resources.
    pub resource_type: ResourceType,
    /// Their account.
    pub account: AccountId,
    /// Their region.
    pub region: Region,
    /// The tag's key.
    pub key: String,
    /// The value to write.
    pub value: String,
    /// The resources.
    pub arns: Vec<Arn>,
}

/// A text as a JSON string, which is also one of YAML; control characters and what breaks lines are escaped.
fn quoted(text: &str) -> String {
    let json = serde_json::Value::String(text.to_owned()).to_string();
    json.replace('\u{7f}', "\\u007f")
        .replace('\u{85}', "\\u0085")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

#[cfg(test)]
pub(crate) fn nasty(resource_type: &str, arn: &str) -> TagChange {
    TagChange {
        resource_type: resource_type.parse().unwrap(),
        account: "123456789012".parse().unwrap(),
        region: "eu-west-1".parse().unwrap(),
        key: "--Owner's \"key\"".to_owned(),
        value: "-a'b\"c\\\n$(touch /tmp/x)`id`${HOME} %{if} #, é".to_owned(),
        arns: vec![arn.parse().unwrap()],
    }
}
