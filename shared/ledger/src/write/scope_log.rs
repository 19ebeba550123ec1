//! The scopes of the snapshot that is being written, and the accounts, regions and resource types that they refer to.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, params};
use tagledger_model::{Partition, account::Account, inventory::Scope};

use crate::{
    db::{dimensions::Dimensions, sql, statements::prepare},
    error::{ErrorContext, LedgerError, Operation},
    model::{scope_ids::ScopeIds, snapshot::ScopeRow},
    write::transaction::SnapshotTransaction,
};

/// The recorded scopes, in the order in which they were recorded.
pub(crate) struct ScopeLog {
    dimensions: Dimensions,
    account_ids: HashMap<String, i64>,
    recorded: HashSet<ScopeIds>,
    rows: Vec<ScopeRow>,
    /// Whether only some scopes of the estate were scanned. The others are carried over.
    narrowed: bool,
}

impl ScopeLog {
    pub(crate) fn load(db: &Connection) -> Result<Self, LedgerError> {
        let dimensions = Dimensions::load(db)?;
        let account_ids = dimensions.accounts.iter().map(|(id, a)| (a.id.as_str().to_owned(), *id)).collect();
        Ok(Self { dimensions, account_ids, recorded: HashSet::new(), rows: Vec::new(), narrowed: false })
    }

    pub(crate) const fn dimensions(&self) -> &Dimensions {
        &self.dimensions
    }

    pub(crate) fn add_account(
        &mut self,
        snapshot: &SnapshotTransaction<'_>,
        account: &Account,
    ) -> Result<(), LedgerError> {
        let columns = params![account.id.as_str(), account.partition.as_str(), account.name];
        let id = prepare(snapshot.connection(), sql::ADD_ACCOUNT)?
            .query_row(columns, |row| row.get(0))
            .context(Operation::WriteSnapshot)?;
        self.account_ids.insert(account.id.as_str().to_owned(), id);
        self.dimensions.accounts.insert(id, account.clone());
        Ok(())
    }

    /// The row ids of a scope. A region or resource type that the ledger does not have yet gets a row.
    pub(crate) fn intern(
        &mut self,
        snapshot: &SnapshotTransaction<'_>,
        scope: &Scope,
    ) -> Result<ScopeIds, LedgerError> {
        let account = *self.account_ids.get(scope.account.as_str()).ok_or_else(|| unknown_account(scope))?;
        let id = |text, name: &str| {
            prepare(snapshot.connection(), text)?.query_row([name], |row| row.get(0)).context(Operation::WriteSnapshot)
        };
        let ids = ScopeIds {
            account,
            region: id(sql::ADD_REGION, scope.region.as_str())?,
            resource_type: id(sql::ADD_TYPE, scope.resource_type.as_str())?,
        };
        self.dimensions.regions.entry(ids.region).or_insert_with(|| scope.region.clone());
        self.dimensions.types.entry(ids.resource_type).or_insert(scope.resource_type);
        Ok(ids)
    }

    pub(crate) fn partition(&self, ids: ScopeIds, scope: &Scope) -> Result<&Partition, LedgerError> {
        let account = self.dimensions.accounts.get(&ids.account).ok_or_else(|| unknown_account(scope))?;
        Ok(&account.partition)
    }

    /// Marks a scope as recorded. Returns false when it was recorded before.
    pub(crate) fn mark_recorded(&mut self, ids: ScopeIds) -> bool {
        self.recorded.insert(ids)
    }

    pub(crate) fn is_recorded(&self, ids: ScopeIds) -> bool {
        self.recorded.contains(&ids)
    }

    pub(crate) fn mark_narrowed(&mut self) {
        self.narrowed = true;
    }

    pub(crate) const fn is_narrowed(&self) -> bool {
        self.narrowed
    }

    /// Whether no scope has a gap.
    pub(crate) fn is_complete(&self) -> bool {
        self.rows.iter().all(|row| row.gap.is_none())
    }

    /// Writes the row of a scope, and stores it for the summary.
    pub(crate) fn add(
        &mut self,
        snapshot: &SnapshotTransaction<'_>,
        ids: ScopeIds,
        row: ScopeRow,
    ) -> Result<(), LedgerError> {
        let gap = row.gap.as_ref();
        let columns = params![
            snapshot.id,
            ids.account,
            ids.region,
            ids.resource_type,
            row.scanned_in,
            row.listed_all,
            row.resources,
            row.unknown,
            row.stale,
            gap.map(|gap| gap.reason.as_str()),
            gap.map(|gap| gap.operation.as_str()),
            gap.map(|gap| gap.message.as_str())
        ];
        snapshot.run(sql::ADD_SCOPE, columns)?;
        self.rows.push(row);
        Ok(())
    }

    /// Counts one stale resource less in a scope, because the resource was listed in another scope.
    pub(crate) fn decrement_stale(
        &mut self,
        snapshot: &SnapshotTransaction<'_>,
        ids: ScopeIds,
    ) -> Result<(), LedgerError> {
        let scope = self.dimensions.scope(ids)?;
        for row in self.rows.iter_mut().filter(|row| row.scope == scope && row.stale > 0) {
            row.stale -= 1;
        }
        snapshot.run(sql::DECREMENT_STALE, params![snapshot.id, ids.account, ids.region, ids.resource_type])
    }

    pub(crate) fn into_rows(self) -> Vec<ScopeRow> {
        self.rows
    }
}

fn unknown_account(scope: &Scope) -> LedgerError {
    LedgerError::Content { what: "an account", given: scope.account.to_string() }
}
