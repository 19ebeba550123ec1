//! Totals and violation flow by snapshot.

use jiff::civil::Date;
use tagledger_cost::TaggableSpend;
use tagledger_policy::Code;

use crate::model::counts::ComplianceCounts;

/// Why a violation was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The tags changed.
    Fixed,
    /// The resource was removed.
    Removed,
    /// The tags are the same, and another policy or program evaluated them.
    Policy,
}

impl Cause {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Removed => "removed",
            Self::Policy => "policy",
        }
    }
}

/// The totals of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotTotals {
    /// The counts of its resources.
    pub tally: ComplianceCounts,
    /// The number of scopes in the scan.
    pub scopes: u64,
    /// The number of scopes that the scan read completely.
    pub complete_scopes: u64,
    /// A hash of the set of completely read scopes. Snapshots with the same hash can be compared.
    pub coverage: i64,
}

/// Selects violations by finding code and tag. Without either, all violations of severity error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlowFilter {
    /// Only violations with this finding code.
    pub code: Option<Code>,
    /// Only violations of this tag key.
    pub tag: Option<String>,
}

/// The violations that opened and closed in one snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ViolationFlow {
    /// Opened violations.
    pub opened: u64,
    /// Opened violations that had been open and closed before.
    pub reopened: u64,
    /// Closed because the tags were fixed.
    pub fixed: u64,
    /// Closed because the resource was removed.
    pub removed: u64,
    /// Closed because the policy or the program changed; the tags are the same.
    pub dropped: u64,
    /// Fixed violations: pairs of the number of days that they were open, and how many were open for that long. Recorded only for all
    /// errors together.
    pub fixed_days: Vec<(i64, u64)>,
}

/// The taggable spend of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DaySpend {
    /// The day, UTC.
    pub day: Date,
    /// The taggable spend, and the part of it that cannot be attributed.
    pub spend: TaggableSpend,
}
