//! What resources take of things that are billed in one sum for many: counted by scope while a night is recorded.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, params};

use super::{
    Attempt, Night, StoreError,
    intern::statement,
    night::FAILED,
    rows::{ScopeIds, int},
    sql,
    version::{Aside, Attributable, UsageIds},
};

/// Of what in which scope, and whether a bill can attribute those that take it.
type Place = (ScopeIds, i64, Attributable);

/// What the resources of the scopes that were looked at take. What was known of others stays.
#[derive(Default)]
pub(super) struct UsageTally {
    scopes: BTreeSet<ScopeIds>,
    /// How much, and by how many resources.
    sums: BTreeMap<Place, (i64, u64)>,
}

impl UsageTally {
    /// A scope is looked at: what was known of it goes.
    pub(super) fn begin(&mut self, ids: ScopeIds) {
        self.scopes.insert(ids);
    }

    pub(super) fn count(&mut self, ids: ScopeIds, usage: Option<UsageIds>, attributable: Attributable) {
        let Some((driver, quantity)) = usage else { return };
        let (sum, resources) = self.sums.entry((ids, driver, attributable)).or_default();
        *sum = sum.saturating_add(i64::from(quantity));
        *resources += 1;
    }

    pub(super) fn write(&self, db: &Connection) -> Result<(), StoreError> {
        for ids in &self.scopes {
            forget(db, *ids)?;
        }
        let mut add = statement(db, sql::ADD_USAGE)?;
        for ((ids, driver, attributable), (quantity, resources)) in &self.sums {
            let ScopeIds { account, region, resource_type } = ids;
            let columns =
                params![account, region, resource_type, driver, *attributable as i64, quantity, int(*resources)];
            add.execute(columns).attempt(FAILED)?;
        }
        Ok(())
    }
}

/// Forgets what the resources of a scope take.
pub(super) fn forget(db: &Connection, ids: ScopeIds) -> Result<(), StoreError> {
    let columns = params![ids.account, ids.region, ids.resource_type];
    statement(db, sql::DROP_USAGE)?.execute(columns).attempt(FAILED).map(drop)
}

impl Night<'_> {
    /// Notes what a resource takes and stands in now, where its tags are the same.
    pub(super) fn put_aside(&self, key: i64, aside: Aside) -> Result<(), StoreError> {
        let Aside { usage, links, parent } = aside;
        let usage = (usage.map(|(driver, _)| driver), usage.map(|(_, quantity)| quantity));
        self.run(sql::PUT_ASIDE, params![key, usage.0, usage.1, links, parent])
    }
}
