//! A valid policy.

use jiff::civil::Date;
use tagledger_model::{Arn, ResourceType};

use crate::{
    rule::{Exemption, NamingRules, TagRule, ValueType},
    similarity,
};

/// A policy that was parsed without errors.
#[derive(Debug, Clone)]
pub struct Policy {
    pub(crate) version: String,
    pub(crate) last_updated: String,
    /// Required tags, then optional ones.
    pub(crate) rules: Vec<TagRule>,
    /// The number of required tags.
    pub(crate) required: usize,
    pub(crate) naming: NamingRules,
    pub(crate) exemptions: Vec<Exemption>,
    pub(crate) canonical_json: String,
    pub(crate) digest: String,
}

impl Policy {
    /// The author's name for this edition.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// When the author last changed the policy: RFC 3339, as written.
    pub fn last_updated(&self) -> &str {
        &self.last_updated
    }

    /// The tags whose violations make a resource non-compliant.
    pub fn required(&self) -> &[TagRule] {
        self.rules.get(..self.required).unwrap_or_default()
    }

    /// The tags whose violations are warnings.
    pub fn optional(&self) -> &[TagRule] {
        self.rules.get(self.required..).unwrap_or_default()
    }

    /// The rules for the form of keys and values.
    pub const fn naming(&self) -> &NamingRules {
        &self.naming
    }

    /// The resources that are not evaluated, with the reasons.
    pub fn exemptions(&self) -> &[Exemption] {
        &self.exemptions
    }

    /// The first exemption that covers a resource on a date.
    pub fn exemption(&self, arn: &Arn, on: Date) -> Option<&Exemption> {
        self.exemptions.iter().find(|exemption| exemption.covers(arn, on))
    }

    /// The keys of all tags, required ones first.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(TagRule::name)
    }

    /// All tags, required ones first.
    pub fn tags(&self) -> &[TagRule] {
        &self.rules
    }

    /// The index in [`crate::policy::Policy::tags`] of the tag whose key this is, or of which it is probably a variant.
    pub fn find_intended_tag(&self, key: &str) -> Option<usize> {
        let exact = self.rules.iter().position(|rule| rule.name() == key);
        let form = similarity::normal_form(key);
        let is_similar =
            |rule: &TagRule| similarity::compare_keys(&form, rule.normal_form()) != similarity::Similarity::Other;
        exact.or_else(|| self.rules.iter().position(is_similar))
    }

    /// Whether resources of a type are evaluated: whether a required tag applies to them.
    pub fn applies_to(&self, resource_type: ResourceType) -> bool {
        self.required().iter().any(|rule| rule.applies_to(resource_type))
    }

    /// Whether the same tags can give another evaluation on another date, because dates or exemptions expire.
    pub fn depends_on_date(&self) -> bool {
        self.rules.iter().any(|rule| rule.value_type() == ValueType::ExpirationDate)
            || self.exemptions.iter().any(|exemption| exemption.expires.is_some())
    }

    /// The SHA-256 of [`Self::canonical_json`] in hexadecimal digits.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The policy as compact JSON with sorted keys. It does not depend on the layout of the file.
    pub fn canonical_json(&self) -> &str {
        &self.canonical_json
    }
}
