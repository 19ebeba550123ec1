//! Causes of a change in compliance between two snapshots.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tagledger_analysis::shapley::Counts;

/// Why resources have another verdict than in an earlier snapshot, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The resources are new.
    New,
    /// The resources were removed.
    Removed,
    /// Tags were added, and nothing else.
    TagsAdded,
    /// Tags were removed, or their values changed.
    TagsOtherwise,
    /// The policy changed, or a date in it passed.
    Policy,
    /// Other scopes were scanned or could be read.
    Coverage,
}

impl Cause {
    /// All causes in the order of reports.
    pub const ALL: [Self; 6] =
        [Self::New, Self::Removed, Self::TagsAdded, Self::TagsOtherwise, Self::Policy, Self::Coverage];
}

/// The contribution of a cause to a change of the counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CauseContribution {
    /// Resources that it added, removed, or gave another verdict.
    pub resources: u64,
    /// The change in compliant and non-compliant resources.
    pub counts: Counts,
}

/// The contribution of each cause that has one.
pub type CauseContributions = BTreeMap<Cause, CauseContribution>;
