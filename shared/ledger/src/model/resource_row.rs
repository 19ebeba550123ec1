//! One resource in a list, and the orders of lists.

use jiff::Timestamp;
use tagledger_model::{
    Arn,
    inventory::{GapReason, Scope, TagSet},
};
use tagledger_policy::State;

use crate::model::{page::PageStart, resource_cost::ResourceCost, snapshot::Rule};

/// An order of resources, and which of them are meant.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    Worst(OrderBySeverity),
    /// Those that AWS says were created in that second or before it; none for all.
    Lacking(Option<i64>),
}

/// Resources with findings, those with most errors first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderBySeverity {
    /// Those with errors.
    pub errors: bool,
    /// Those with warnings.
    pub warnings: bool,
}

/// Resources without user tags, then those that lack most required ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OrderByMissingTags {
    /// Only those that AWS says were created at that time or before it.
    pub created_until: Option<Timestamp>,
}

/// Some resources in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourcePage {
    /// At most as many as were asked for.
    pub rows: Vec<ResourceRow>,
    /// Where the next page begins; none on the last one.
    pub next: Option<PageStart>,
}

/// One resource as of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceRow {
    /// Its place in the order: a page may be cut behind it.
    pub place: PageStart,
    /// Its ARN.
    pub arn: Arn,
    /// Its type, account and region.
    pub scope: Scope,
    /// Its state.
    pub state: State,
    /// Why it is unknown, when it is.
    pub unknown: Option<GapReason>,
    /// Its tags as last known.
    pub tags: TagSet,
    /// When it was made, as AWS says.
    pub created_at: Option<Timestamp>,
    /// The first snapshot that saw it.
    pub first_seen: Timestamp,
    /// What it costs a month; none when that is not known.
    pub cost: Option<ResourceCost>,
    /// Its open violations, each with the time of the snapshot that first saw it; not read for pages of
    /// resources that lack tags, which nobody asks for them.
    pub violations: Vec<(Rule, Timestamp)>,
}
