//! Scan coverage: which scopes a scan read, and which of them completely.

use std::collections::HashSet;

use rustc_hash::FxBuildHasher;

use crate::{
    db::{sql, statements::query_rows},
    error::LedgerError,
    model::{
        change::ResourceChange,
        scope_ids::ScopeIds,
        snapshot::{ScopeRow, Snapshot},
    },
    query::compliance,
    read::{filter::Filter, session::ReadSession},
};

/// The coverage of a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanCoverage {
    /// The number of scopes in the scan.
    pub scopes: u64,
    /// Scopes that the scan did not read completely, or that were carried over from an earlier scan.
    pub incomplete: Vec<ScopeRow>,
}

/// The scopes that a scan read completely.
#[derive(Debug)]
pub(crate) struct CompleteScopes(HashSet<ScopeIds, FxBuildHasher>);

impl CompleteScopes {
    /// Whether the scope of a resource is one of them.
    pub(crate) fn contains_resource(&self, change: &ResourceChange) -> bool {
        self.0.contains(&change.ids)
    }
}

/// The coverage of the scopes that the filter admits.
///
/// # Errors
///
/// When the ledger cannot be read.
pub fn summarize(session: &ReadSession<'_>, snapshot: &Snapshot, filter: &Filter) -> Result<ScanCoverage, LedgerError> {
    let all = compliance::list_scopes(session, snapshot)?;
    let (mut scopes, mut incomplete) = (0, Vec::new());
    for row in all.iter().filter(|row| filter.admits(&row.scope)) {
        scopes += 1;
        if row.gap.is_some() || row.scanned_in != snapshot.id {
            incomplete.push(row.clone());
        }
    }
    Ok(ScanCoverage { scopes, incomplete })
}

/// The scopes that the scan of a snapshot read completely.
pub(crate) fn list_complete_scopes(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
) -> Result<CompleteScopes, LedgerError> {
    let ids = query_rows(session.db(), sql::COMPLETE_SCOPES, [snapshot.id], |row| ScopeIds::read(row, 0))?;
    Ok(CompleteScopes(ids.into_iter().collect()))
}
