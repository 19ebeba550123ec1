//! Differences between two snapshots: for each resource its version in the one and in the other.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use rusqlite::{OptionalExtension, Row, params};
use rustc_hash::FxBuildHasher;
use tagledger_cost::Amount;
use tagledger_model::{
    Arn,
    inventory::{Scope, TagSet},
};

use crate::{
    cost::resource_cost::{self, ResourceCostModel},
    db::{
        dimensions::Dimensions,
        id_map::HashIdMap,
        interned::read_tags,
        resource_state::read_usage,
        sql,
        statements::{prepare, query_rows},
        values::parse_state,
    },
    error::{ErrorContext, LedgerError, Operation},
    index::tag_sets,
    model::{
        change::{ResourceChange, ResourceVersion},
        scope_ids::ScopeIds,
        snapshot::Snapshot,
    },
    query::tag_changes::TagChanges,
    read::{
        partition::{self, ALL_KEYS, KeyRange},
        session::ReadSession,
    },
};

/// The largest number of snapshots from one to the other for which only a small part of the estate has changed.
const NEAR_SNAPSHOTS: i64 = 30;

/// A version of a resource.
struct Version {
    key: i64,
    ids: ScopeIds,
    content: ResourceVersion,
}

/// Reads a version from seven columns.
fn read_version(row: &Row<'_>) -> rusqlite::Result<Version> {
    let content = ResourceVersion { tag_set: row.get(1)?, name: row.get(2)?, state: parse_state(row.get(3)?)? };
    Ok(Version { key: row.get(0)?, ids: ScopeIds::read(row, 4)?, content })
}

/// The differences between two snapshots.
#[derive(Debug, Default)]
pub struct SnapshotDiff {
    /// Changed resources in the order of their keys.
    pub changed: Vec<ResourceChange>,
    /// The tag changes of each of them.
    pub tag_changes: TagChanges,
}

/// Which changed resources to read.
#[derive(Clone, Copy)]
enum DiffRequest<'w> {
    /// All, without costs.
    All,
    /// Those that exist in both snapshots, with costs.
    InBoth(&'w ResourceCostModel),
}

/// The current version of a resource.
struct CurrentVersion {
    since: i64,
    version: Version,
    /// The monthly cost; none when costs are not requested.
    cost: Option<Amount>,
}

/// The resources that exist in both snapshots and differ, with costs.
///
/// # Errors
///
/// When the ledger cannot be read. The same applies to all functions below.
pub fn compare(session: &ReadSession<'_>, earlier: &Snapshot, later: &Snapshot) -> Result<SnapshotDiff, LedgerError> {
    let Some(newest) = session.newest()? else { return Ok(SnapshotDiff::default()) };
    let costs = resource_cost::load_model(session, &newest)?;
    load(session, earlier, later, DiffRequest::InBoth(&costs))
}

/// All resources that differ between two snapshots, including new and removed ones, without costs.
pub(crate) fn compare_all(
    session: &ReadSession<'_>,
    earlier: &Snapshot,
    later: &Snapshot,
) -> Result<SnapshotDiff, LedgerError> {
    load(session, earlier, later, DiffRequest::All)
}

fn load(
    session: &ReadSession<'_>,
    earlier: &Snapshot,
    later: &Snapshot,
    request: DiffRequest<'_>,
) -> Result<SnapshotDiff, LedgerError> {
    let tag_sets = tag_sets::cached(session)?;
    let parts = partition::par_partitions(session, |session, part| {
        let comparison = Comparison::new(session, earlier, later, request);
        let changed = comparison.list_changes(part.keys())?;
        let tag_changes = TagChanges::load(session.db(), tag_sets.as_deref(), &changed)?;
        Ok((changed, tag_changes))
    })?;
    let (changed, tag_changes): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    Ok(SnapshotDiff { changed: changed.into_iter().flatten().collect(), tag_changes: TagChanges::join(tag_changes) })
}

/// All resources that differ between two snapshots, without costs and tag changes.
pub(crate) fn list_changes(
    session: &ReadSession<'_>,
    earlier: &Snapshot,
    later: &Snapshot,
) -> Result<Vec<ResourceChange>, LedgerError> {
    Comparison::new(session, earlier, later, DiffRequest::All).list_changes(ALL_KEYS)
}

/// The number of versions that ended and of resources that were added between two snapshots, counted up to `max`.
pub(crate) fn count_changes(
    session: &ReadSession<'_>,
    earlier: &Snapshot,
    later: &Snapshot,
    max: i64,
) -> Result<i64, LedgerError> {
    let mut count = prepare(session.db(), sql::COUNT_CHANGES_UP_TO)?;
    count.query_row(params![earlier.id, later.id, max], |row| row.get(0)).context(Operation::CompareSnapshots)
}

/// The tags of a version.
pub(crate) fn load_tags(session: &ReadSession<'_>, version: &ResourceVersion) -> Result<TagSet, LedgerError> {
    read_tags(session.db(), version.tag_set, version.name.as_deref().map(str::to_owned))
}

/// The ARN of a changed resource.
pub fn resolve_arn(session: &ReadSession<'_>, change: &ResourceChange) -> Result<Arn, LedgerError> {
    let local: String = prepare(session.db(), sql::LOCAL_OF_RESOURCE)?
        .query_row([change.key], |row| row.get(0))
        .context(Operation::ReadResources)?;
    session.dimensions().arn(&local, &change.scope, change.ids)
}

/// A comparison of two snapshots.
struct Comparison<'c> {
    session: &'c ReadSession<'c>,
    earlier: &'c Snapshot,
    later: &'c Snapshot,
    request: DiffRequest<'c>,
    scopes: Scopes<'c>,
}

impl<'c> Comparison<'c> {
    fn new(session: &'c ReadSession<'c>, earlier: &'c Snapshot, later: &'c Snapshot, request: DiffRequest<'c>) -> Self {
        let scopes = Scopes { dimensions: session.dimensions(), scopes: HashMap::default() };
        Self { session, earlier, later, request, scopes }
    }

    fn list_changes(mut self, keys: KeyRange) -> Result<Vec<ResourceChange>, LedgerError> {
        let parameters = params![self.earlier.id, self.later.id, keys.start(), keys.end()];
        let (began, has_all) = self.began_statement()?;
        let began = query_rows(self.session.db(), began, parameters, read_version)?;
        let mut began: HashIdMap<Version> = began.into_iter().map(|version| (version.key, version)).collect();
        let mut changed = Vec::new();
        for ended in query_rows(self.session.db(), sql::STATES_ENDED_BETWEEN, parameters, read_version)? {
            let new = began.remove(&ended.key);
            let needs_current = match (self.request, &new) {
                // The current version has the cost.
                (DiffRequest::InBoth(_), Some(new)) => new.content != ended.content,
                (DiffRequest::All, Some(_)) => false,
                (_, None) => !has_all,
            };
            let current = if needs_current { self.find_current(ended.key)? } else { None };
            changed.extend(self.compare(ended, new, current)?);
        }
        if matches!(self.request, DiffRequest::All) {
            for Version { key, ids, content } in began.into_values() {
                let scope = self.scopes.get(ids)?;
                changed.push(ResourceChange { key, scope, ids, before: None, after: Some(content), cost: None });
            }
        }
        changed.sort_unstable_by_key(|one| one.key);
        Ok(changed)
    }

    /// The statement that reads the versions that began, and whether it reads all of them. If it does not, a current version is found by
    /// the key of the version that it replaced.
    fn began_statement(&self) -> Result<(&'static str, bool), LedgerError> {
        let pruned: i64 = prepare(self.session.db(), sql::COUNT_PRUNED_BETWEEN)?
            .query_row([self.earlier.id, self.later.id], |row| row.get(0))
            .context(Operation::CompareSnapshots)?;
        // Over a larger distance most of the estate has changed, and lookups by key would take longer than a scan.
        let near = pruned == 0 && self.later.id - self.earlier.id <= NEAR_SNAPSHOTS;
        Ok(if near { (sql::ARRIVED_OR_SUPERSEDED_BETWEEN, false) } else { (sql::STATES_BEGUN_BETWEEN, true) })
    }

    /// The change of a resource: `ended` is its earlier version, `began` or `current` its later one. None when both are equal.
    fn compare(
        &mut self,
        ended: Version,
        began: Option<Version>,
        current: Option<CurrentVersion>,
    ) -> Result<Option<ResourceChange>, LedgerError> {
        let in_both = matches!(self.request, DiffRequest::InBoth(_));
        let cost = current.as_ref().and_then(|current| current.cost);
        let since = self.earlier.id + 1..=self.later.id;
        let current = current.filter(|current| since.contains(&current.since)).map(|current| current.version);
        let (ids, after) = match began.or(current) {
            Some(Version { ids, content, .. }) => (ids, Some(content)),
            None => (ended.ids, None),
        };
        // A resource that changed and has the earlier version again is not a change.
        if after.as_ref() == Some(&ended.content) || after.is_none() && in_both {
            return Ok(None);
        }
        let scope = self.scopes.get(ids)?;
        Ok(Some(ResourceChange { key: ended.key, scope, ids, before: Some(ended.content), after, cost }))
    }

    fn find_current(&self, key: i64) -> Result<Option<CurrentVersion>, LedgerError> {
        let columns = |row: &Row<'_>| {
            let version = read_version(row)?;
            let usage = read_usage(row, 8)?;
            let charged = row.get(10)?;
            let cost = match self.request {
                DiffRequest::InBoth(costs) => costs.cost_of(version.ids, usage, charged).map(|cost| cost.monthly),
                DiffRequest::All => None,
            };
            Ok(CurrentVersion { since: row.get(7)?, version, cost })
        };
        let found = prepare(self.session.db(), sql::CURRENT_STATE_WITH_COST)?.query_row([key], columns).optional();
        found.context(Operation::CompareSnapshots)
    }
}

/// Scopes by their row ids. All changes in a scope share one value.
struct Scopes<'s> {
    dimensions: &'s Dimensions,
    scopes: HashMap<ScopeIds, Arc<Scope>, FxBuildHasher>,
}

impl Scopes<'_> {
    fn get(&mut self, ids: ScopeIds) -> Result<Arc<Scope>, LedgerError> {
        match self.scopes.entry(ids) {
            Entry::Occupied(entry) => Ok(Arc::clone(entry.get())),
            Entry::Vacant(entry) => Ok(Arc::clone(entry.insert(Arc::new(self.dimensions.scope(ids)?)))),
        }
    }
}
