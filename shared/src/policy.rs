//! The tagging policy: reads it strictly, judges resources by it.
//!
//! Judging is a pure, total function: no I/O, no clock, no failure. The day is an argument.
//!
//! A policy is one JSON object:
//!
//! | field | | |
//! |---|---|---|
//! | `version` | mandatory | the author's name for this edition |
//! | `last_updated` | mandatory | RFC 3339 date-time |
//! | `required_tags` | mandatory | list of tags; what is wrong with them makes a resource non-compliant |
//! | `optional_tags` | default `[]` | list of tags; what is wrong with them is a warning |
//! | `tag_naming_rules` | default: each field's | see [`NamingRules`] |
//! | `exemptions` | default `[]` | see [`Exemption`]; an addition to the first specification |
//!
//! A tag has a `name` and optionally `description`, `allowed_values`, `validation_regex` (matches the whole value),
//! `applies_to` (resource types; empty or absent means every type) and `value_type` (see [`ValueType`]; an addition to
//! the first specification). Anything else in the file is a fault.

use jiff::civil::Date;

use crate::{Arn, ResourceType};

mod canonical;
mod date;
mod fault;
mod judge;
mod lint;
mod pattern;
mod read;
mod rule;
mod spelling;
#[cfg(test)]
mod tests;
mod verdict;

pub use fault::{Fault, PolicyFaults};
pub use rule::{Exemption, NamingRules, TagRule, ValueType};
pub use verdict::{Code, Finding, Severity, State, Subject, UnknownName, Verdict, ViolationType};

/// A policy that was read without a fault.
#[derive(Debug, Clone)]
pub struct Policy {
    version: String,
    last_updated: String,
    /// Required tags, then optional ones.
    rules: Vec<TagRule>,
    required: usize,
    naming: NamingRules,
    exemptions: Vec<Exemption>,
    canonical_json: String,
    digest: String,
}

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// Every fault in the file, in file order. A policy with a fault does not exist.
    pub fn parse(text: &str) -> Result<Self, PolicyFaults> {
        read::policy(text)
    }

    /// The author's name for this edition.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// When the author last changed it: RFC 3339, as written.
    pub fn last_updated(&self) -> &str {
        &self.last_updated
    }

    /// The tags whose faults make a resource non-compliant.
    pub fn required(&self) -> &[TagRule] {
        self.rules.get(..self.required).unwrap_or_default()
    }

    /// The tags whose faults are warnings.
    pub fn optional(&self) -> &[TagRule] {
        self.rules.get(self.required..).unwrap_or_default()
    }

    /// What keys and values may look like.
    pub const fn naming(&self) -> &NamingRules {
        &self.naming
    }

    /// What is not judged, and why.
    pub fn exemptions(&self) -> &[Exemption] {
        &self.exemptions
    }

    /// The exemption that covers a resource on a day, the first where there are several.
    pub fn exemption(&self, arn: &Arn, on: Date) -> Option<&Exemption> {
        self.exemptions.iter().find(|exemption| exemption.covers(arn, on))
    }

    /// All keys that it names, required ones first.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(TagRule::name)
    }

    /// The tags that it names, required ones first.
    pub fn tags(&self) -> &[TagRule] {
        &self.rules
    }

    /// The place among [`Policy::tags`] of the one that a key is, or was probably meant to be.
    pub fn meant(&self, key: &str) -> Option<usize> {
        let exact = self.rules.iter().position(|rule| rule.name() == key);
        let form = spelling::normal_form(key);
        let like = |rule: &TagRule| spelling::likeness(&form, rule.normal_form()) != spelling::Likeness::Other;
        exact.or_else(|| self.rules.iter().position(like))
    }

    /// Whether resources of a type are judged at all: whether some required tag applies to them.
    pub fn applies(&self, resource_type: ResourceType) -> bool {
        self.required().iter().any(|rule| rule.applies(resource_type))
    }

    /// Whether the same tags can be judged otherwise on another day: dates expire, and exemptions do.
    pub fn depends_on_the_day(&self) -> bool {
        self.rules.iter().any(|rule| rule.value_type() == ValueType::ExpirationDate)
            || self.exemptions.iter().any(|exemption| exemption.expires.is_some())
    }

    /// The SHA-256 of [`Self::canonical_json`] in hexadecimal digits.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The policy as compact JSON with sorted keys: one text however the file was laid out.
    pub fn canonical_json(&self) -> &str {
        &self.canonical_json
    }
}
