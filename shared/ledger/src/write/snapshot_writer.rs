//! Writes one snapshot in one transaction: the listings of a scan, carried-over scopes, and the row of the snapshot itself.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    path::PathBuf,
};

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, params};
use rustc_hash::FxBuildHasher;
use tagledger_model::{
    Arn,
    account::{Account, Creation},
    inventory::{Listing, Relationships, Resource, Scope, Tags, Usage},
};

use crate::{
    db::{
        dimensions::Dimensions,
        resource_state::{ChangeKind, ResourceContext},
        sql,
        statements::query_all,
    },
    error::LedgerError,
    model::{
        counts::ComplianceCounts,
        scope_ids::ScopeIds,
        snapshot::{ScopeRow, Snapshot},
    },
    write::{
        carry_over, creators, new_resources,
        snapshot_state::{ListedResource, SnapshotState, apply_observation, check_same_arn},
        transaction::{SnapshotHeader, SnapshotTransaction, describe_program},
        transitions, usage_totals,
    },
};

/// A snapshot that is being written. When it is dropped before [`SnapshotWriter::finish`], nothing is written.
pub struct SnapshotWriter<'w> {
    pub(crate) state: SnapshotState<'w>,
}

/// Summary of one scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeSummary {
    /// The scope as the ledger has it.
    pub row: ScopeRow,
    /// Counts of its resources; stale resources are among the unknown ones.
    pub tally: ComplianceCounts,
}

/// Summary of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotSummary {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Counts of all resources.
    pub tally: ComplianceCounts,
    /// The number of changed resources by kind of change. `schema.sql` has the names of the kinds.
    pub changes: BTreeMap<String, u64>,
    /// Every scope, in the order in which they were recorded.
    pub scopes: Vec<ScopeRow>,
}

/// The scopes that have current resources.
pub(crate) fn list_current_scopes(db: &Connection) -> Result<Vec<Scope>, LedgerError> {
    let dimensions = Dimensions::load(db)?;
    let scopes = query_all(db, sql::CURRENT_SCOPES, |row| ScopeIds::read(row, 0))?;
    scopes.into_iter().map(|ids| dimensions.scope(ids)).collect()
}

impl<'w> SnapshotWriter<'w> {
    pub(crate) fn begin(
        transaction: Transaction<'w>,
        header: SnapshotHeader<'w>,
        path: PathBuf,
    ) -> Result<Self, LedgerError> {
        Ok(Self { state: SnapshotState::begin(transaction, header, path)? })
    }

    /// Adds an account. To be called before its scopes are recorded.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be written.
    pub fn add_account(&mut self, account: &Account) -> Result<(), LedgerError> {
        self.state.scopes.add_account(&self.state.snapshot, account)
    }

    /// Records the listing of one scope. Each scope is recorded at most once.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be written, when the scope's account was not added, or when two ARNs have the same key.
    pub fn record(&mut self, scope: &Scope, listing: &Listing) -> Result<ScopeSummary, LedgerError> {
        let ids = self.state.scopes.intern(&self.state.snapshot, scope)?;
        self.state.scopes.mark_recorded(ids);
        self.state.rollups.usage.begin(ids);
        let mut recorded = self.state.prior.take(ids)?;
        let mut row = ScopeRow {
            scope: scope.clone(),
            scanned_in: self.state.snapshot.id,
            listed_all: listing.gap.is_none(),
            resources: 0,
            unknown: 0,
            stale: 0,
            gap: listing.gap.clone(),
        };
        let mut seen: HashMap<i64, &Arn, FxBuildHasher> =
            HashMap::with_capacity_and_hasher(listing.resources.len(), FxBuildHasher);
        for resource in &listing.resources {
            let key = resource.arn.key();
            match seen.entry(key) {
                // AWS may repeat a resource on the next page when the list shifts during the scan.
                Entry::Occupied(first) => {
                    check_same_arn(key, first.get().as_str(), resource.arn.as_str())?;
                    continue;
                }
                Entry::Vacant(first) => first.insert(&resource.arn),
            };
            row.resources += 1;
            if let Tags::Unknown(gap) = &resource.tags {
                row.unknown += 1;
                row.gap.get_or_insert_with(|| gap.clone());
            }
            let listed = ListedResource { key, resource, context: self.intern_context(resource)? };
            apply_observation(&mut self.state, ids, scope, &listed, recorded.remove(key)?)?;
        }
        transitions::mark_unseen(
            &self.state.snapshot,
            &mut self.state.rollups,
            &mut self.state.changes,
            ids,
            recorded,
            &mut row,
        )?;
        new_resources::flush_if_full(&mut self.state)?;
        self.state.scopes.add(&self.state.snapshot, ids, row.clone())?;
        Ok(ScopeSummary { row, tally: self.state.rollups.counts_of(ids) })
    }

    fn intern_context(&mut self, resource: &Resource) -> Result<ResourceContext, LedgerError> {
        let db = self.state.snapshot.connection();
        let interner = &mut self.state.rollups.interner;
        let usage = match &resource.usage {
            Some(Usage { driver, quantity }) => Some((interner.intern_cost_driver(db, driver)?, *quantity)),
            None => None,
        };
        let Relationships { parent, neighbours } = &resource.links;
        let links = interner.intern_link_set(db, neighbours)?;
        Ok(ResourceContext { usage, links, parent: parent.as_ref().map(Arn::key) })
    }

    /// Carries over every scope of the previous snapshot that was not recorded. To be called after the scopes of a narrowed scan.
    ///
    /// Findings stay the same, or are evaluated again from the stored tags when the policy or the program is another one, or when the
    /// policy depends on the day.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read or written.
    pub fn carry_over_rest(&mut self) -> Result<(), LedgerError> {
        carry_over::carry_over(&mut self.state)
    }

    /// Records the creators of resources of a scope. `until`: the time up to which events were read; none when CloudTrail gave no
    /// answer.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be written, or when the scope's account was not added.
    pub fn record_creators(
        &mut self,
        scope: &Scope,
        creations: &[Creation],
        until: Option<Timestamp>,
    ) -> Result<(), LedgerError> {
        let ids = self.state.scopes.intern(&self.state.snapshot, scope)?;
        creators::record_creators(&self.state.snapshot, &mut self.state.changes, ids, creations, until)
    }

    /// Ends the snapshot and commits it.
    ///
    /// Resources of scopes that were neither recorded nor carried over are no longer current, because nothing is known about them.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be written. The ledger then has nothing of the snapshot.
    pub fn finish(mut self, finished_at: Timestamp, requests: u64) -> Result<SnapshotSummary, LedgerError> {
        new_resources::flush(&mut self.state)?;
        self.end_unrecorded_scopes()?;
        let SnapshotState { snapshot: transaction, rollups, scopes, changes, .. } = self.state;
        creators::prune_creators(&transaction, &changes)?;
        let db = transaction.connection();
        rollups.write(db, transaction.id)?;
        changes.violations.write(db, transaction.id)?;
        let header = transaction.header;
        let snapshot = Snapshot {
            id: transaction.id,
            started_at: header.started_at,
            finished_at: finished_at.max(header.started_at),
            complete: scopes.is_complete(),
            policy_digest: header.policy.digest().to_owned(),
            requests,
            fingerprint: rollups.fingerprint,
            narrowed: scopes.is_narrowed(),
        };
        add_snapshot(&transaction, &snapshot)?;
        transaction.commit()?;
        let tally = rollups.total();
        Ok(SnapshotSummary { snapshot, tally, changes: changes.into_resources(), scopes: scopes.into_rows() })
    }

    fn end_unrecorded_scopes(&mut self) -> Result<(), LedgerError> {
        for ids in self.state.prior.scopes() {
            for key in self.state.prior.take(ids)?.keys() {
                transitions::end(&self.state.snapshot, &mut self.state.changes, ids, key, ChangeKind::LeftScope)?;
            }
            usage_totals::delete(self.state.snapshot.connection(), ids)?;
        }
        Ok(())
    }
}

fn add_snapshot(transaction: &SnapshotTransaction<'_>, snapshot: &Snapshot) -> Result<(), LedgerError> {
    let columns = params![
        snapshot.id,
        snapshot.started_at.as_second(),
        snapshot.finished_at.as_second(),
        if snapshot.complete { "complete" } else { "partial" },
        snapshot.narrowed,
        transaction.policy_id,
        describe_program(&transaction.header),
        snapshot.requests,
        snapshot.fingerprint
    ];
    transaction.run(sql::ADD_SNAPSHOT, columns)
}
