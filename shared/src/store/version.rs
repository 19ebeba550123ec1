//! What is known of a resource from one night to the next.

use crate::{
    inventory::GapReason,
    policy::{Severity, State},
};

/// What the ledger says of a resource in one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) tag_set: Option<i64>,
    pub(super) name: Option<String>,
    pub(super) state: State,
    pub(super) reason: Option<GapReason>,
    pub(super) finding_set: Option<i64>,
    pub(super) errors: i64,
    pub(super) lacking: i64,
}

/// A version with what is counted of it.
pub(super) struct Judged {
    pub(super) version: Version,
    pub(super) rules: Vec<i64>,
    pub(super) severities: Vec<Severity>,
    pub(super) finding_hash: i64,
}

impl Version {
    pub(super) fn unknown(reason: GapReason, known: Option<&Self>) -> Self {
        Self {
            tag_set: known.and_then(|v| v.tag_set),
            name: known.and_then(|v| v.name.clone()),
            state: State::Unknown,
            reason: Some(reason),
            finding_set: None,
            errors: 0,
            lacking: 0,
        }
    }

    pub(super) fn same_tags(&self, other: &Self) -> bool {
        self.tag_set == other.tag_set && self.name == other.name
    }
}

impl Judged {
    pub(super) fn unjudged(version: Version) -> Self {
        Self { version, rules: Vec::new(), severities: Vec::new(), finding_hash: 0 }
    }
}

/// The kind of a change as `schema.sql` names it.
pub(super) fn kind_of_change(known: &Version, new: &Version) -> &'static str {
    match (known.state, new.state) {
        (_, State::Unknown) => "lost",
        (State::Unknown, _) if known.tag_set.is_none() || known.same_tags(new) => "regained",
        _ if known.same_tags(new) => "verdict",
        _ => "tags",
    }
}
