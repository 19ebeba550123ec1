//! Differences between two snapshots: for each resource its version in the one and in the other.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use rusqlite::{Row, params};
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
        interned::tags,
        sql,
        statements::{rows, statement},
        values::state,
    },
    error::{ErrorContext, LedgerError, Operation},
    index::{
        current_state::{self, CurrentStateIndex},
        tag_sets,
    },
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

/// The largest distance of two snapshots, in snapshots, between which only a small part of the estate has changed.
const NEAR_SNAPSHOTS: i64 = 30;

/// A version of a resource.
struct Version {
    key: i64,
    ids: ScopeIds,
    content: ResourceVersion,
}

/// A version from seven columns.
fn version(row: &Row<'_>) -> rusqlite::Result<Version> {
    let content = ResourceVersion { tag_set: row.get(1)?, name: row.get(2)?, state: state(row.get(3)?)? };
    Ok(Version { key: row.get(0)?, ids: ScopeIds::read(row, 4)?, content })
}

/// The value of `history.ended_by` for a version that ended because its resource was removed.
const REMOVED: i64 = 5;

/// The differences between two snapshots.
#[derive(Debug, Default)]
pub struct SnapshotDiff {
    /// Changed resources in the order of their keys.
    pub changed: Vec<ResourceChange>,
    /// The tag changes of each of them.
    pub retagged: TagChanges,
}

/// Which changed resources to read.
#[derive(Clone, Copy)]
enum DiffRequest<'w> {
    /// All, without costs.
    All,
    /// Those that exist in both snapshots, with costs.
    InBoth(&'w ResourceCostModel),
}

/// A resource of the newest snapshot.
struct CurrentVersion {
    since: i64,
    ids: ScopeIds,
    content: ResourceVersion,
    cost: Option<Amount>,
}

/// The resources that exist in both snapshots and differ, with costs.
///
/// # Errors
///
/// When the ledger cannot be read; so for all functions below.
pub fn compare(session: &ReadSession<'_>, earlier: &Snapshot, later: &Snapshot) -> Result<SnapshotDiff, LedgerError> {
    let Some(newest) = session.newest()? else { return Ok(SnapshotDiff::default()) };
    let costs = resource_cost::load_model(session, &newest)?;
    load(session, earlier, later, DiffRequest::InBoth(&costs))
}

/// All resources that differ between two snapshots, also new and removed ones; without costs.
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
    let (current, tag_sets) = (current_index(session)?, tag_sets::cached(session)?);
    let parts = partition::par_partitions(session, |session, part| {
        let comparison = Comparison::new(session, earlier, later, request, current.as_deref());
        let changed = comparison.list_changes(part.keys())?;
        let retagged = TagChanges::load(session.db(), tag_sets.as_deref(), &changed)?;
        Ok((changed, retagged))
    })?;
    let (changed, retagged): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    Ok(SnapshotDiff { changed: changed.into_iter().flatten().collect(), retagged: TagChanges::join(retagged) })
}

/// All resources that differ between two snapshots, without costs and tag changes.
pub(crate) fn list_changes(
    session: &ReadSession<'_>,
    earlier: &Snapshot,
    later: &Snapshot,
) -> Result<Vec<ResourceChange>, LedgerError> {
    let current = current_index(session)?;
    Comparison::new(session, earlier, later, DiffRequest::All, current.as_deref()).list_changes(ALL_KEYS)
}

fn current_index(session: &ReadSession<'_>) -> Result<Option<Arc<CurrentStateIndex>>, LedgerError> {
    Ok(session.newest()?.and_then(|newest| current_state::cached(session, &newest)))
}

/// The number of versions that ended and of resources that were added between two snapshots, counted up to `max`.
pub(crate) fn count_changes(
    session: &ReadSession<'_>,
    earlier: &Snapshot,
    later: &Snapshot,
    max: i64,
) -> Result<i64, LedgerError> {
    let mut count = statement(session.db(), sql::CHANGES_UP_TO)?;
    count.query_row(params![earlier.id, later.id, max], |row| row.get(0)).context(Operation::CompareSnapshots)
}

/// The tags of a version.
pub(crate) fn load_tags(session: &ReadSession<'_>, version: &ResourceVersion) -> Result<TagSet, LedgerError> {
    tags(session.db(), version.tag_set, version.name.as_deref().map(str::to_owned))
}

/// The ARN of a changed resource.
pub fn resolve_arn(session: &ReadSession<'_>, change: &ResourceChange) -> Result<Arn, LedgerError> {
    let local: String = statement(session.db(), sql::LOCAL_OF_RESOURCE)?
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
    current: Option<&'c CurrentStateIndex>,
    scopes: Scopes<'c>,
}

impl<'c> Comparison<'c> {
    fn new(
        session: &'c ReadSession<'c>,
        earlier: &'c Snapshot,
        later: &'c Snapshot,
        request: DiffRequest<'c>,
        current: Option<&'c CurrentStateIndex>,
    ) -> Self {
        Self {
            session,
            earlier,
            later,
            request,
            current,
            scopes: Scopes { dimensions: session.dimensions(), known: HashMap::default() },
        }
    }

    fn list_changes(mut self, keys: KeyRange) -> Result<Vec<ResourceChange>, LedgerError> {
        let (earlier, later) = (self.earlier.id, self.later.id);
        let (began, has_all) = self.began_statement()?;
        let began = rows(self.session.db(), began, params![earlier, later, keys.start(), keys.end()], version)?;
        let mut began: HashIdMap<Version> = began.into_iter().map(|version| (version.key, version)).collect();
        let mut changed = Vec::new();
        let mut query = statement(self.session.db(), sql::ENDED_BETWEEN)?;
        let parameters = params![earlier, later, keys.start(), keys.end(), self.excluded_reason()];
        let mut rows = query.query(parameters).context(Operation::CompareSnapshots)?;
        while let Some(row) = rows.next().context(Operation::CompareSnapshots)? {
            let (ended, by) = version(row)
                .and_then(|ended| Ok((ended, row.get::<_, i64>(7)?)))
                .context(Operation::CompareSnapshots)?;
            let new = began.remove(&ended.key);
            let needs_current = match (self.request, &new) {
                // For its cost.
                (DiffRequest::InBoth(_), Some(new)) => new.content != ended.content,
                (DiffRequest::InBoth(_), None) => !has_all,
                // A resource that was removed and returned is among those that began.
                (DiffRequest::All, _) => new.is_none() && !has_all && by != REMOVED,
            };
            let current = if needs_current { self.find_current(&ended)? } else { None };
            changed.extend(self.compare(ended, new, current)?);
        }
        if matches!(self.request, DiffRequest::All) {
            for Version { key, ids, content } in began.into_values() {
                let scope = self.scopes.of(ids)?;
                changed.push(ResourceChange { key, scope, ids, before: None, after: Some(content), cost: None });
            }
        }
        changed.sort_unstable_by_key(|one| one.key);
        Ok(changed)
    }

    /// The reason of ending that is left out, or 0: in adjacent snapshots a removed resource is not in both.
    fn excluded_reason(&self) -> i64 {
        if matches!(self.request, DiffRequest::InBoth(_)) && self.later.id == self.earlier.id + 1 { REMOVED } else { 0 }
    }

    /// The statement that reads the versions that began, and whether it reads all of them. Otherwise a version that is still current
    /// is found by the key of the version that it replaced.
    fn began_statement(&self) -> Result<(&'static str, bool), LedgerError> {
        let pruned: i64 = statement(self.session.db(), sql::THINNED_BETWEEN)?
            .query_row([self.earlier.id, self.later.id], |row| row.get(0))
            .context(Operation::CompareSnapshots)?;
        let near = pruned == 0 && self.later.id - self.earlier.id <= NEAR_SNAPSHOTS;
        Ok(match self.request {
            DiffRequest::InBoth(_) if near || self.current.is_some_and(CurrentStateIndex::is_complete) => {
                (sql::BEGAN_AND_ENDED, false)
            }
            DiffRequest::All if near => (sql::BEGAN_NEAR, false),
            // Lookups of most of the estate by key would take longer than a scan.
            DiffRequest::InBoth(_) | DiffRequest::All => (sql::BEGAN_BETWEEN, true),
        })
    }

    /// The change of a resource, from the version that ended, the one that began, and the current one.
    fn compare(
        &mut self,
        ended: Version,
        began: Option<Version>,
        current: Option<CurrentVersion>,
    ) -> Result<Option<ResourceChange>, LedgerError> {
        let in_both = matches!(self.request, DiffRequest::InBoth(_));
        let cost = current.as_ref().filter(|_| in_both).and_then(|current| current.cost);
        let since = self.earlier.id + 1..=self.later.id;
        let began = began.map(|began| (began.ids, began.content));
        let current = current.filter(|current| since.contains(&current.since));
        let (ids, after) = match began.or(current.map(|current| (current.ids, current.content))) {
            Some((ids, content)) => (ids, Some(content)),
            None => (ended.ids, None),
        };
        // A version that ended and returned with the same content is no change.
        if after.as_ref() == Some(&ended.content) || after.is_none() && in_both {
            return Ok(None);
        }
        let scope = self.scopes.of(ids)?;
        Ok(Some(ResourceChange { key: ended.key, scope, ids, before: Some(ended.content), after, cost }))
    }

    /// The current version of a resource of which a version ended.
    fn find_current(&self, ended: &Version) -> Result<Option<CurrentVersion>, LedgerError> {
        let name = ended.content.name.as_ref();
        // Of a version that began before or after both snapshots only the cost is used.
        let has_same_name = |current: &current_state::CurrentState| {
            current.since <= self.earlier.id
                || current.since > self.later.id
                || current.has_name(name.map(|name| &**name), ended.ids)
        };
        match self.current.and_then(|index| index.get(ended.key)) {
            Some(None) => return Ok(None),
            Some(Some(current)) if has_same_name(&current) => {
                let content =
                    ResourceVersion { state: current.state, tag_set: current.tag_set, name: name.map(Arc::clone) };
                return Ok(Some(CurrentVersion { since: current.since, ids: ended.ids, content, cost: current.cost }));
            }
            Some(Some(_)) | None => {}
        }
        let costs = match self.request {
            DiffRequest::InBoth(costs) => Some(costs),
            DiffRequest::All => None,
        };
        let found = current_state::find_row(self.session, ended.key)?;
        Ok(found.map(|row| {
            let cost = row.cost(costs);
            let content = ResourceVersion { state: row.state, tag_set: row.tag_set, name: row.name.map(Arc::from) };
            CurrentVersion { since: row.since, ids: row.ids, content, cost }
        }))
    }
}

/// Scopes by their row ids; each is shared by all changes in it.
struct Scopes<'s> {
    dimensions: &'s Dimensions,
    known: HashMap<ScopeIds, Arc<Scope>, FxBuildHasher>,
}

impl Scopes<'_> {
    fn of(&mut self, ids: ScopeIds) -> Result<Arc<Scope>, LedgerError> {
        match self.known.entry(ids) {
            Entry::Occupied(known) => Ok(Arc::clone(known.get())),
            Entry::Vacant(entry) => Ok(Arc::clone(entry.insert(Arc::new(self.dimensions.scope(ids)?)))),
        }
    }
}
