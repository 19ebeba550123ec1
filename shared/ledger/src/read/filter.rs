//! Filters by resource type, region and account.

use tagledger_model::{AccountId, Region, ResourceType, inventory::Scope};

use crate::db::dimensions::Dimensions;

/// Restricts a question to some scopes; an empty list admits all.
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

    /// The row ids of the one type, region and account, each none for all; none when a list has several elements.
    pub(crate) fn single(&self, dimensions: &Dimensions) -> Option<[Option<i64>; 3]> {
        let single = |ids: Vec<i64>, len: usize| match (len, ids.as_slice()) {
            (0, _) => Some(None),
            // A value that the ledger has never recorded has no id and no resources.
            (1, []) => Some(Some(-1)),
            (1, [id]) => Some(Some(*id)),
            _ => None,
        };
        Some([
            single(Dimensions::ids_of(&dimensions.types, &self.types), self.types.len())?,
            single(Dimensions::ids_of(&dimensions.regions, &self.regions), self.regions.len())?,
            single(dimensions.account_ids(&self.accounts), self.accounts.len())?,
        ])
    }

    /// The filter as three parameters of a statement: JSON arrays of row ids, or null for all.
    pub(crate) fn parameters(&self, dimensions: &Dimensions) -> [Option<String>; 3] {
        let types = (!self.types.is_empty()).then(|| Dimensions::ids_of(&dimensions.types, &self.types));
        let regions = (!self.regions.is_empty()).then(|| Dimensions::ids_of(&dimensions.regions, &self.regions));
        let accounts = (!self.accounts.is_empty()).then(|| dimensions.account_ids(&self.accounts));
        [types, regions, accounts].map(|ids| ids.map(|ids| format!("{ids:?}")))
    }
}
