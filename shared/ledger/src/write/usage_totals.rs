//! Usage of the resources by scope. A bill has one amount for each usage type; the usage divides it among the resources.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, params};

use crate::{
    db::{
        resource_state::{ResourceContext, UsageIds},
        sql,
        statements::prepare,
    },
    error::{ErrorContext, LedgerError, Operation},
    model::{attributable::Attributable, scope_ids::ScopeIds},
    write::transaction::SnapshotTransaction,
};

/// A scope, a cost driver by row id, and whether a bill can attribute the resources.
type UsageKey = (ScopeIds, i64, Attributable);

/// Usage of the scopes that are evaluated in this snapshot. The rows of other scopes stay as they are.
#[derive(Default)]
pub(crate) struct UsageTotals {
    scopes: BTreeSet<ScopeIds>,
    /// The sum of the quantities, and the number of resources.
    sums: BTreeMap<UsageKey, (i64, u64)>,
}

impl UsageTotals {
    /// Begins a scope: [`UsageTotals::write`] replaces its rows.
    pub(crate) fn begin(&mut self, ids: ScopeIds) {
        self.scopes.insert(ids);
    }

    pub(crate) fn count(
        &mut self,
        ids: ScopeIds,
        usage: Option<UsageIds>,
        attributable: Attributable,
    ) -> Result<(), LedgerError> {
        let Some((driver, quantity)) = usage else { return Ok(()) };
        let (sum, resources) = self.sums.entry((ids, driver, attributable)).or_default();
        let total = sum.checked_add(i64::from(quantity));
        *sum = total.ok_or(LedgerError::CountOutOfRange { what: "the usage of a scope" })?;
        *resources += 1;
        Ok(())
    }

    pub(crate) fn write(&self, db: &Connection) -> Result<(), LedgerError> {
        for ids in &self.scopes {
            delete(db, *ids)?;
        }
        let mut add = prepare(db, sql::ADD_USAGE)?;
        for ((ids, driver, attributable), (quantity, resources)) in &self.sums {
            let ScopeIds { account, region, resource_type } = ids;
            let columns = params![account, region, resource_type, driver, *attributable as i64, quantity, resources];
            add.execute(columns).context(Operation::WriteSnapshot)?;
        }
        Ok(())
    }
}

/// Deletes the usage of a scope.
pub(crate) fn delete(db: &Connection, ids: ScopeIds) -> Result<(), LedgerError> {
    let columns = params![ids.account, ids.region, ids.resource_type];
    prepare(db, sql::DROP_USAGE)?.execute(columns).context(Operation::WriteSnapshot).map(drop)
}

/// Updates usage and relationships of a resource whose tags and evaluation are unchanged.
pub(crate) fn update_context(
    snapshot: &SnapshotTransaction<'_>,
    key: i64,
    context: ResourceContext,
) -> Result<(), LedgerError> {
    let ResourceContext { usage, links, parent } = context;
    let (driver, quantity) = usage.unzip();
    snapshot.run(sql::UPDATE_CONTEXT, params![key, driver, quantity, links, parent])
}
