//! Changes between two snapshots.

use std::sync::Arc;

use tagledger_cost::Amount;
use tagledger_model::inventory::Scope;
use tagledger_policy::State;

use crate::model::scope_ids::ScopeIds;

/// A resource as of one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceVersion {
    /// Its state.
    pub state: State,
    pub(crate) tag_set: Option<i64>,
    pub(crate) name: Option<Arc<str>>,
}

/// A resource that differs between two snapshots. At least one of them has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceChange {
    /// Its key in the ledger.
    pub key: i64,
    /// Its scope; of a removed resource its last scope.
    pub scope: Arc<Scope>,
    pub(crate) ids: ScopeIds,
    /// The resource in the earlier snapshot; none when that does not have it.
    pub before: Option<ResourceVersion>,
    /// The resource in the later snapshot; none when that does not have it.
    pub after: Option<ResourceVersion>,
    /// Its monthly cost in the newest snapshot; none when the cost is not known or was not requested.
    pub cost: Option<Amount>,
}

impl ResourceVersion {
    /// The row id of its tag set, which does not contain the Name tag.
    pub(crate) fn tag_set(&self) -> Option<i64> {
        self.tag_set
    }

    /// Its Name tag.
    pub(crate) fn name(&self) -> Option<&Arc<str>> {
        self.name.as_ref()
    }

    /// Whether both have the same tags.
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
    /// The value of the tag with this row id.
    Tag(i64),
    Name(Arc<str>),
}

/// A tag key whose value differs between two snapshots.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagChange {
    /// The key, exactly as AWS returns it.
    pub key: Arc<str>,
    /// The value in the earlier snapshot; none when the tag was absent.
    pub before: Option<TagValue>,
    /// The value in the later snapshot; none when the tag was removed.
    pub after: Option<TagValue>,
}
