//! The tagging policy: parses policy files strictly and evaluates resources against them.
//!
//! An evaluation is a pure function that always succeeds. It does no I/O and reads no clock; the date is an argument.
//!
//! A policy is one JSON object:
//!
//! | field | | |
//! |---|---|---|
//! | `version` | mandatory | the author's name for this edition |
//! | `last_updated` | mandatory | RFC 3339 date-time |
//! | `required_tags` | mandatory | list of tags; a violation makes a resource non-compliant |
//! | `optional_tags` | default `[]` | list of tags; a violation is a warning |
//! | `tag_naming_rules` | default: that of each field | see [`NamingRules`] |
//! | `exemptions` | default `[]` | see [`Exemption`]; an addition to the first specification |
//!
//! A tag has a `name` and optionally `description`, `allowed_values`, `validation_regex` (matches the entire value),
//! `applies_to` (resource types; empty or absent means every type) and `value_type` (see [`ValueType`]; an addition to
//! the first specification). Any other field is an error.

/// Digest of the code that evaluates resources, 16 hexadecimal digits. Two programs with the same digest give the same
/// evaluation.
pub const PROGRAM_DIGEST: &str = env!("TAGLEDGER_POLICY_PROGRAM");

mod canonical;
mod date;
mod error;
mod evaluation;
mod lint;
mod parse;
mod pattern;
mod policy;
mod results;
mod rule;
mod similarity;
#[cfg(test)]
mod tests;

pub use crate::{
    error::{PolicyError, PolicyErrors},
    policy::Policy,
    results::{Code, Evaluation, Finding, Severity, State, Subject, UnknownName, ViolationType},
    rule::{Exemption, NamingRules, TagRule, ValueType},
};
