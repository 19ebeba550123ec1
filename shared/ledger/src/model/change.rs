//! Changes between two snapshots.

use std::sync::Arc;

use tagledger_cost::Amount;
use tagledger_model::inventory::Scope;
use tagledger_policy::State;

use crate::model::scope_ids::ScopeIds;

/// A resource in one night.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceVersion {
    /// Its state.
    pub state: State,
    pub(crate) tag_set: Option<i64>,
    pub(crate) name: Option<Arc<str>>,
}

/// A resource that was not the same in both nights; there in one of them at least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceChange {
    /// Its key in the ledger.
    pub key: i64,
    /// Where it is, or was.
    pub scope: Arc<Scope>,
    pub(crate) ids: ScopeIds,
    /// In the earlier night.
    pub before: Option<ResourceVersion>,
    /// In the later one.
    pub after: Option<ResourceVersion>,
    /// What it costs a month by the newest snapshot; none when that is not known or was not asked for.
    pub cost: Option<Amount>,
}

impl ResourceVersion {
    /// Local id of its tags but for the name.
    pub(crate) fn tag_set(&self) -> Option<i64> {
        self.tag_set
    }

    /// Its Name tag.
    pub(crate) fn name(&self) -> Option<&Arc<str>> {
        self.name.as_ref()
    }

    /// Whether another night knew the same tags.
    pub(crate) fn same_tags(&self, other: &Self) -> bool {
        self.tag_set == other.tag_set && self.name == other.name
    }
}

/// A tag value of one ledger, ordered by when the ledger first recorded it. `query::tag_changes::resolve_value` returns its text; of the
/// thousands of values that change between two snapshots, few are reported.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagValue(pub(crate) Value);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Value {
    /// Of the tag with this local id.
    Tag(i64),
    Name(Arc<str>),
}

/// A key whose value differs between two nights.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagChange {
    /// The key, to the letter.
    pub key: Arc<str>,
    /// Its value in the earlier night; none: it was not there.
    pub before: Option<TagValue>,
    /// Its value in the later one; none: it is there no more.
    pub after: Option<TagValue>,
}
