//! One resource in a list, and the orders of lists.

use jiff::Timestamp;
use tagledger_model::{
    Arn,
    inventory::{GapReason, Scope, TagSet},
};
use tagledger_policy::State;

use crate::model::{page::PageStart, resource_cost::ResourceCost, snapshot::Rule};

/// The order of a list, and which resources it contains.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    BySeverity(OrderBySeverity),
    /// With a limit, only resources that were created at that second or earlier.
    ByMissingTags(Option<i64>),
}

/// Resources with findings, those with the most errors first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderBySeverity {
    /// Whether to list resources with errors.
    pub errors: bool,
    /// Whether to list resources with warnings.
    pub warnings: bool,
}

/// Resources without user tags, then those with the most missing required tags.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OrderByMissingTags {
    /// Only resources that were created at this time or earlier.
    pub created_until: Option<Timestamp>,
}

/// A page of a list of resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourcePage {
    /// The resources, at most the requested number.
    pub rows: Vec<ResourceRow>,
    /// The start of the next page; none on the last page.
    pub next: Option<PageStart>,
}

/// A resource as of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceRow {
    /// Its position in the list. The next page can begin after it.
    pub position: PageStart,
    /// Its ARN.
    pub arn: Arn,
    /// Its type, account and region.
    pub scope: Scope,
    /// Its state.
    pub state: State,
    /// Why its tags could not be read; none for all states but `unknown`.
    pub unknown: Option<GapReason>,
    /// Its tags when they were last read.
    pub tags: TagSet,
    /// When it was created; none when AWS does not return the time.
    pub created_at: Option<Timestamp>,
    /// When the first scan that listed it began.
    pub first_seen: Timestamp,
    /// Its monthly cost; none when it is not known.
    pub cost: Option<ResourceCost>,
    /// Its open violations, each with the start time of the scan that opened it. Empty on pages of resources with missing tags, which do
    /// not report violations.
    pub violations: Vec<(Rule, Timestamp)>,
}
