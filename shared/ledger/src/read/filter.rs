//! Filters by resource type, region and account.

use tagledger_model::{AccountId, Region, ResourceType, inventory::Scope};

use crate::db::dimensions::Dimensions;

/// Restricts a query to some scopes. An empty list admits all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Resource types.
    pub types: Vec<ResourceType>,
    /// Regions.
    pub regions: Vec<Region>,
    /// Accounts.
    pub accounts: Vec<AccountId>,
}

impl Filter {
    /// Whether the filter admits a scope.
    pub fn admits(&self, scope: &Scope) -> bool {
        (self.types.is_empty() || self.types.contains(&scope.resource_type))
            && (self.regions.is_empty() || self.regions.contains(&scope.region))
            && (self.accounts.is_empty() || self.accounts.contains(&scope.account))
    }

    /// The row ids of the types, regions and accounts; each list is none when it admits all.
    pub(crate) fn ids(&self, dimensions: &Dimensions) -> [Option<Vec<i64>>; 3] {
        [
            (!self.types.is_empty()).then(|| Dimensions::ids_of(&dimensions.types, &self.types)),
            (!self.regions.is_empty()).then(|| Dimensions::ids_of(&dimensions.regions, &self.regions)),
            (!self.accounts.is_empty()).then(|| dimensions.account_ids(&self.accounts)),
        ]
    }

    /// The filter as three parameters of a statement: JSON arrays of row ids, or null for all.
    pub(crate) fn parameters(&self, dimensions: &Dimensions) -> [Option<String>; 3] {
        self.ids(dimensions).map(|ids| ids.map(|ids| format!("{ids:?}")))
    }
}
