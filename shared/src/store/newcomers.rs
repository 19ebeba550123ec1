//! Resources that were not known where a night saw them, written many at once.

use std::{mem, sync::Arc};

use jiff::Timestamp;
use rusqlite::params;

use super::{
    Attempt, Night, StoreError,
    intern::{Findings, statement},
    lives::Cause,
    night::FAILED,
    rows::{ScopeIds, local},
    sql,
    version::{Judged, Version},
};
use crate::inventory::{Resource, Scope};

/// How many of a first night are written at once. A key is a hash: the resources of a scope lie all over the file, and to write
/// them one by one is to wait for a page each. Of so many, in the order of their keys, neighbours share a page.
const AT_ONCE: usize = if cfg!(test) { 8 } else { 1 << 16 };

/// A resource that waits to be written.
pub(super) struct Newcomer {
    ids: ScopeIds,
    key: i64,
    local: String,
    created: Option<i64>,
    version: Version,
    findings: Arc<Findings>,
}

impl Night<'_> {
    /// Keeps a resource until it is written.
    pub(super) fn welcome(
        &mut self,
        ids: ScopeIds,
        scope: &Scope,
        key: i64,
        resource: &Resource,
        judged: Judged,
    ) -> Result<(), StoreError> {
        let outsider = || StoreError::Content { what: "an account", given: scope.account.to_string() };
        let partition = &self.dimensions.accounts.get(&ids.account).ok_or_else(outsider)?.partition;
        let local = local(&resource.arn, scope, partition).to_owned();
        let created = resource.created_at.map(Timestamp::as_second);
        let Judged { version, findings, .. } = judged;
        self.newcomers.push(Newcomer { ids, key, local, created, version, findings });
        Ok(())
    }

    /// To be called behind each scope: writes what waits, unless it may wait for more. In the first night it may, for there is
    /// nothing that another scope could know of it.
    pub(super) fn write_enough_newcomers(&mut self) -> Result<(), StoreError> {
        if self.previous == 0 && self.newcomers.len() < AT_ONCE { Ok(()) } else { self.write_newcomers() }
    }

    /// Writes all that waits.
    pub(super) fn write_newcomers(&mut self) -> Result<(), StoreError> {
        let mut newcomers = mem::take(&mut self.newcomers);
        // Stable: what was seen in two scopes lives in the one that was recorded last.
        newcomers.sort_by_key(|newcomer| newcomer.key);
        let mut added = self.add_resources(&newcomers)?.into_iter();
        let seen_before: Vec<_> = newcomers.extract_if(.., |_| added.next() == Some(false)).collect();
        self.add_versions(&newcomers)?;
        for newcomer in &newcomers {
            self.arrive(newcomer.key, false)?;
            self.open_violations(newcomer.ids, newcomer.key, &newcomer.findings.ids)?;
        }
        seen_before.iter().try_for_each(|newcomer| self.write_again(newcomer))
    }

    /// Of each, whether the ledger had never seen it.
    fn add_resources(&self, newcomers: &[Newcomer]) -> Result<Vec<bool>, StoreError> {
        let mut add = statement(&self.sql, sql::ADD_RESOURCE)?;
        let added = |Newcomer { ids, key, local, created, .. }: &Newcomer| {
            let columns = params![key, ids.account, ids.region, ids.resource_type, local, created, self.id];
            add.execute(columns).map(|rows| rows == 1)
        };
        newcomers.iter().map(added).collect::<Result<_, _>>().attempt(FAILED)
    }

    fn add_versions(&self, newcomers: &[Newcomer]) -> Result<(), StoreError> {
        let mut add = statement(&self.sql, sql::ADD_CURRENT)?;
        newcomers.iter().try_for_each(|Newcomer { ids, key, version, .. }| version.write(&mut add, self.id, *ids, *key))
    }

    /// Writes one that the ledger has seen before, perhaps elsewhere, and perhaps this very night.
    fn write_again(&mut self, newcomer: &Newcomer) -> Result<(), StoreError> {
        let Newcomer { ids, key, .. } = *newcomer;
        self.refuse_collision(key, &newcomer.local)?;
        self.run(sql::REPLACE_RESOURCE, params![key, ids.account, ids.region, ids.resource_type, newcomer.created])?;
        if !self.leave_former_place(key, ids)? {
            self.arrive(key, true)?;
        }
        self.put(ids, key, &newcomer.version)?;
        self.compare_violations(ids, key, &newcomer.findings.ids, Cause::Removed)
    }
}
