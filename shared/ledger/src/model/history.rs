//! Totals and violation flow by snapshot.

use jiff::civil::Date;
use tagledger_cost::TaggableSpend;
use tagledger_policy::Code;

use crate::model::counts::ComplianceCounts;

/// What ended a violation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Other tags.
    Fixed,
    /// Its resource has gone.
    Removed,
    /// The same tags, judged otherwise.
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

/// What a night said as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotTotals {
    /// Counts of its resources.
    pub tally: ComplianceCounts,
    /// Scopes that were asked for.
    pub scopes: u64,
    /// Of these, read whole.
    pub whole: u64,
    /// Names the set of scopes that were read whole: nights with equal names can be compared.
    pub coverage: i64,
}

/// What of violations is meant: of a kind of finding, about a tag; without either, all of severity error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlowFilter {
    /// Of this kind.
    pub code: Option<Code>,
    /// About this tag.
    pub tag: Option<String>,
}

/// What happened to violations in one night.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ViolationFlow {
    /// Began.
    pub opened: u64,
    /// Of these, such as had been there before.
    pub reopened: u64,
    /// Ended, for the tags are right now.
    pub fixed: u64,
    /// Ended with their resources.
    pub removed: u64,
    /// Ended, for the same tags are judged otherwise.
    pub dropped: u64,
    /// Of those fixed, how many had been open for how many days. Known of all errors together only.
    pub fixed_days: Vec<(i64, u64)>,
}

/// What was spent on a day, of what must carry tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DaySpend {
    /// Which.
    pub day: Date,
    /// How much, and how much of it cannot be attributed.
    pub spend: TaggableSpend,
}
