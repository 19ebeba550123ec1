//! The canonical JSON of a policy and its digest, which do not depend on the layout of the file.
//!
//! Fields are in alphabetical order. A field that is absent, and an addition to the first specification that has its
//! default value, are left out, so that the digests of existing policies stay the same when the format grows.

use jiff::civil::Date;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tagledger_model::ResourceType;

use crate::{
    policy::Policy,
    rule::{Exemption, TagRule, ValueType},
};

#[derive(Serialize)]
struct PolicyForm<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exemptions: Vec<ExemptionForm<'a>>,
    last_updated: &'a str,
    optional_tags: Vec<TagForm<'a>>,
    required_tags: Vec<TagForm<'a>>,
    tag_naming_rules: NamingForm,
    version: &'a str,
}

#[derive(Serialize)]
struct ExemptionForm<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a str>,
    reason: &'a str,
    resource_arn: &'a str,
}

#[derive(Serialize)]
struct TagForm<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_values: Option<&'a [String]>,
    #[serde(skip_serializing_if = "<[ResourceType]>::is_empty")]
    applies_to: &'a [ResourceType],
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    validation_regex: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_type: Option<&'static str>,
}

#[derive(Serialize)]
struct NamingForm {
    allow_special_characters: bool,
    case_sensitivity: bool,
    max_key_length: usize,
    max_value_length: usize,
}

/// The canonical JSON of a policy.
///
/// # Errors
/// None in practice: the form has only string keys and plain values.
pub(crate) fn canonical_json(policy: &Policy) -> serde_json::Result<String> {
    serde_json::to_string(&PolicyForm {
        exemptions: policy.exemptions.iter().map(exemption_form).collect(),
        last_updated: &policy.last_updated,
        optional_tags: policy.optional().iter().map(tag_form).collect(),
        required_tags: policy.required().iter().map(tag_form).collect(),
        tag_naming_rules: NamingForm {
            allow_special_characters: policy.naming.allow_special_characters,
            case_sensitivity: policy.naming.case_sensitivity,
            max_key_length: policy.naming.max_key_length,
            max_value_length: policy.naming.max_value_length,
        },
        version: &policy.version,
    })
}

/// The SHA-256 of a text in lower-case hexadecimal digits.
pub(crate) fn sha256_hex(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn tag_form(rule: &TagRule) -> TagForm<'_> {
    TagForm {
        allowed_values: rule.allowed_values(),
        applies_to: rule.resource_types(),
        description: rule.description(),
        name: rule.name(),
        validation_regex: rule.validation_regex(),
        value_type: Some(rule.value_type()).filter(|kind| *kind != ValueType::Text).map(ValueType::as_str),
    }
}

fn exemption_form(exemption: &Exemption) -> ExemptionForm<'_> {
    ExemptionForm {
        expires: exemption.expires,
        owner: exemption.owner.as_deref(),
        reason: &exemption.reason,
        resource_arn: &exemption.resource_arn,
    }
}
