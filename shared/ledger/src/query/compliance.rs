//! Counts of a snapshot by scope and by rule, and pages of its resources.

use std::{collections::BTreeMap, sync::Arc};

use rusqlite::{Row, params};
use tagledger_model::inventory::Scope;

use crate::{
    db::{
        columns::read_counts,
        dimensions::read_scope,
        interned::read_rule,
        sql,
        statements::{prepare, query_rows},
        varint::decode_varints,
    },
    error::{ErrorContext, LedgerError, Operation},
    model::{
        counts::ComplianceCounts,
        page::PageStart,
        resource_row::{OrderByMissingTags, OrderBySeverity, ResourcePage},
        scope_ids::ScopeIds,
        snapshot::{Rule, ScopeRow, Snapshot},
    },
    query::resource_pages::ResourcePages,
    read::{
        filter::Filter,
        memo::{CacheValue, SCOPE_BYTES, bytes_of},
        session::ReadSession,
    },
};

/// All scopes of a snapshot.
///
/// # Errors
///
/// When the ledger cannot be read. The same applies to all functions below.
pub fn list_scopes(session: &ReadSession<'_>, snapshot: &Snapshot) -> Result<Arc<[ScopeRow]>, LedgerError> {
    let cached = session.memo(snapshot).get_or_load(|| load_scopes(session, snapshot).map(ScopeRows))?;
    Ok(Arc::clone(&cached.0))
}

/// Counts by scope, of the scopes that the filter admits.
pub fn count_by_scope(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    filter: &Filter,
) -> Result<Arc<[(Scope, ComplianceCounts)]>, LedgerError> {
    let cached = session.memo(snapshot).get_or_load(|| load_counts(session, snapshot).map(ScopeCounts))?;
    if *filter == Filter::default() {
        return Ok(Arc::clone(&cached.0));
    }
    Ok(cached.0.iter().filter(|(scope, _)| filter.admits(scope)).cloned().collect())
}

/// The number of resources with each kind of finding.
pub fn count_by_rule(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    filter: &Filter,
) -> Result<BTreeMap<Rule, u64>, LedgerError> {
    let counts = if filter.regions.is_empty() && filter.accounts.is_empty() {
        let [types, _, _] = filter.parameters(session.dimensions());
        query_rows(session.db(), sql::RULE_COUNTS, params![snapshot.id, types], |row| Ok((row.get(0)?, row.get(1)?)))?
    } else {
        count_by_rule_id(session, snapshot, filter)?
    };
    let resolved = counts.into_iter().map(|(id, n): (i64, i64)| Ok((read_rule(session.db(), id)?, n.unsigned_abs())));
    resolved.collect()
}

fn count_by_rule_id(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    filter: &Filter,
) -> Result<Vec<(i64, i64)>, LedgerError> {
    let cached = session.memo(snapshot).get_or_load(|| load_finding_counts(session, snapshot))?;
    let mut counts = BTreeMap::new();
    for (scope, rule, resources) in &cached.0 {
        if filter.admits(scope) {
            *counts.entry(*rule).or_default() += resources;
        }
    }
    Ok(counts.into_iter().collect())
}

/// A page of resources with findings, those with the most errors first.
pub fn list_by_severity(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    filter: &Filter,
    order: OrderBySeverity,
    start: PageStart,
    limit: usize,
) -> Result<ResourcePage, LedgerError> {
    ResourcePages::open(session, snapshot)?.list_by_severity(filter, order, start, limit)
}

/// A page of resources with missing tags: those without any user tag first, then those with the most missing required tags.
pub fn list_missing_tags(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    filter: &Filter,
    order: OrderByMissingTags,
    start: PageStart,
    limit: usize,
) -> Result<ResourcePage, LedgerError> {
    ResourcePages::open(session, snapshot)?.list_missing_tags(filter, order, start, limit)
}

/// Loads the scopes and the counts of a snapshot into the cache.
pub(crate) fn preload(session: &ReadSession<'_>, snapshot: &Snapshot) -> Result<(), LedgerError> {
    list_scopes(session, snapshot)?;
    count_by_scope(session, snapshot, &Filter::default())?;
    session.memo(snapshot).get_or_load(|| load_finding_counts(session, snapshot)).map(drop)
}

/// Reads the scopes of a snapshot without the cache.
pub(crate) fn load_scopes(session: &ReadSession<'_>, snapshot: &Snapshot) -> Result<Arc<[ScopeRow]>, LedgerError> {
    let found = query_rows(session.db(), sql::SCOPES, [snapshot.id], read_scope)?;
    found.into_iter().map(|columns| session.dimensions().scope_row(columns)).collect()
}

/// Reads the counts of a snapshot by scope without the cache.
pub(crate) fn load_counts(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
) -> Result<Arc<[(Scope, ComplianceCounts)]>, LedgerError> {
    let columns = |row: &Row<'_>| Ok((ScopeIds::read(row, 0)?, read_counts(row)?));
    let found = query_rows(session.db(), sql::CELLS, [snapshot.id], columns)?;
    found.into_iter().map(|(ids, counts)| Ok((session.dimensions().scope(ids)?, counts))).collect()
}

fn load_finding_counts(session: &ReadSession<'_>, snapshot: &Snapshot) -> Result<FindingCounts, LedgerError> {
    let columns = |row: &Row<'_>| Ok((ScopeIds::read(row, 0)?, row.get(3)?, row.get(4)?));
    let sets: Vec<(ScopeIds, i64, i64)> = query_rows(session.db(), sql::FINDING_SET_COUNTS, [snapshot.id], columns)?;
    let mut counts = Vec::new();
    for (ids, set, resources) in sets {
        let scope = session.dimensions().scope(ids)?;
        let blob: Vec<u8> = prepare(session.db(), sql::FINDING_SET_RULES)?
            .query_row([set], |row| row.get(0))
            .context(Operation::ReadFindings)?;
        counts.extend(decode_varints(&blob).into_iter().map(|rule| (scope.clone(), rule, resources)));
    }
    Ok(FindingCounts(counts))
}

struct ScopeRows(Arc<[ScopeRow]>);

impl CacheValue for ScopeRows {
    fn weight(&self) -> usize {
        /// The operation and message of a gap.
        const GAP_BYTES: usize = 256;
        let gaps = self.0.iter().filter(|row| row.gap.is_some()).count();
        (bytes_of::<ScopeRow>(1) + SCOPE_BYTES) * self.0.len() + GAP_BYTES * gaps
    }
}

struct ScopeCounts(Arc<[(Scope, ComplianceCounts)]>);

impl CacheValue for ScopeCounts {
    fn weight(&self) -> usize {
        (bytes_of::<ComplianceCounts>(1) + SCOPE_BYTES) * self.0.len()
    }
}

/// The number of resources by scope and row id of the rule.
struct FindingCounts(Vec<(Scope, i64, i64)>);

impl CacheValue for FindingCounts {
    fn weight(&self) -> usize {
        (bytes_of::<(i64, i64)>(1) + SCOPE_BYTES) * self.0.len()
    }
}
