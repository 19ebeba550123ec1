//! An index of versions that a past snapshot has and that later snapshots ended, in the orders of pages.
//!
//! The file has them in the order of the snapshots that ended them, so that every page would read all of them. The index is valid
//! until the next snapshot, which ends further versions.

use std::{cmp::Reverse, collections::HashMap, sync::Arc};

use rusqlite::{Connection, Row};
use tagledger_model::inventory::Scope;

use crate::{
    db::{dimensions::Dimensions, sql, statements::statement},
    error::{ErrorContext, LedgerError, Operation},
    model::{
        page::PageStart,
        resource_row::{Order, OrderBySeverity},
        scope_ids::ScopeIds,
        snapshot::Snapshot,
    },
    read::{
        filter::Filter,
        memo::{CacheValue, SCOPE_BYTES, SnapshotKey, bytes_of},
        session::ReadSession,
    },
};

/// The largest number of versions in the index. When there are more, each page reads all of them.
const MAX_VERSIONS: usize = if cfg!(test) { 8 } else { 1 << 18 };

/// A version in 48 bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SupersededState {
    key: i64,
    pub(crate) since: i64,
    pub(crate) until: i64,
    /// Creation time of the resource in seconds since 1970, if it has missing tags; none when it is not known.
    created: Option<u32>,
    errors: u32,
    missing: u32,
    /// Twice the position of the scope, plus 1 when there are warnings.
    scope_and_warnings: u32,
}

/// The superseded versions of one snapshot.
#[derive(Debug, Default)]
pub(crate) struct SupersededIndex {
    /// The newest snapshot when the index was built.
    newest: Option<SnapshotKey>,
    scopes: Vec<Scope>,
    /// Versions with findings, most errors first.
    by_severity: Vec<SupersededState>,
    /// Versions with missing tags, most missing tags first.
    by_missing_tags: Vec<SupersededState>,
    /// Whether there are too many versions for the index, which is then empty.
    too_many: bool,
}

impl SupersededState {
    /// From a row of `ENDED_SINCE` and the position of its scope.
    fn read(row: &Row<'_>, scope: u32) -> rusqlite::Result<Self> {
        Ok(Self {
            key: row.get(0)?,
            since: row.get(1)?,
            until: row.get(2)?,
            errors: row.get(3)?,
            missing: row.get(4)?,
            scope_and_warnings: scope << 1 | u32::from(row.get::<_, bool>(8)?),
            created: row.get::<_, Option<i64>>(9)?.and_then(|second| u32::try_from(second).ok()),
        })
    }

    fn start(self, order: Order) -> PageStart {
        let rank = match order {
            Order::Worst(_) => self.errors,
            Order::Lacking(_) => self.missing,
        };
        PageStart { rank: rank.into(), key: self.key }
    }

    /// Whether it comes after a start.
    fn is_after(self, order: Order, at: PageStart) -> bool {
        let PageStart { rank, key } = self.start(order);
        at == PageStart::FIRST || (rank, key) < (at.rank, at.key)
    }

    fn meets(self, order: Order) -> bool {
        match order {
            Order::Worst(what) => what.errors && self.errors > 0 || what.warnings && self.scope_and_warnings & 1 == 1,
            Order::Lacking(None) => self.missing > 0,
            Order::Lacking(Some(until)) => {
                self.missing > 0 && self.created.is_some_and(|created| i64::from(created) <= until)
            }
        }
    }

    fn scope(self) -> usize {
        usize::try_from(self.scope_and_warnings >> 1).unwrap_or(usize::MAX)
    }
}

/// A scan of superseded versions, with the scopes of those read so far.
struct SupersededScan<'l> {
    db: &'l Connection,
    dimensions: &'l Dimensions,
    positions: HashMap<ScopeIds, u32>,
    scopes: Vec<Scope>,
}

impl SupersededScan<'_> {
    /// Reads versions as long as `visit` returns true.
    fn scan(
        &mut self,
        snapshot: i64,
        mut visit: impl FnMut(&[Scope], SupersededState) -> bool,
    ) -> Result<(), LedgerError> {
        let mut statement = statement(self.db, sql::ENDED_SINCE)?;
        let mut rows = statement.query([snapshot]).context(Operation::BuildIndex)?;
        while let Some(row) = rows.next().context(Operation::BuildIndex)? {
            let scope = self.scope_position(ScopeIds::read(row, 5).context(Operation::BuildIndex)?)?;
            if !visit(&self.scopes, SupersededState::read(row, scope).context(Operation::BuildIndex)?) {
                break;
            }
        }
        Ok(())
    }

    fn scope_position(&mut self, ids: ScopeIds) -> Result<u32, LedgerError> {
        if let Some(known) = self.positions.get(&ids) {
            return Ok(*known);
        }
        let next = u32::try_from(self.scopes.len()).unwrap_or(u32::MAX >> 1);
        self.scopes.push(self.dimensions.scope(ids)?);
        self.positions.insert(ids, next);
        Ok(next)
    }

    /// A page, with at most three times its length in memory.
    fn page(
        &mut self,
        snapshot: i64,
        filter: &Filter,
        order: Order,
        at: PageStart,
        wanted: usize,
    ) -> Result<Vec<SupersededState>, LedgerError> {
        let (mut best, mut admitted): (Vec<SupersededState>, Vec<bool>) = (Vec::new(), Vec::new());
        self.scan(snapshot, |scopes, version| {
            admitted.extend(scopes.iter().skip(admitted.len()).map(|scope| filter.admits(scope)));
            let selected = admitted.get(version.scope()) == Some(&true) && version.meets(order);
            if selected && version.is_after(order, at) {
                best.push(version);
            }
            if best.len() > 3 * wanted {
                keep_first(&mut best, order, wanted);
            }
            true
        })?;
        keep_first(&mut best, order, wanted);
        Ok(best)
    }
}

fn sort(versions: &mut [SupersededState], order: Order) {
    versions.sort_unstable_by_key(|version| Reverse((version.start(order).rank, version.key)));
}

fn keep_first(versions: &mut Vec<SupersededState>, order: Order, wanted: usize) {
    sort(versions, order);
    versions.truncate(wanted);
}

impl SupersededIndex {
    fn load(mut scan: SupersededScan<'_>, snapshot: i64, newest: SnapshotKey) -> Result<Self, LedgerError> {
        let mut all = Vec::new();
        scan.scan(snapshot, |_, version| {
            all.push(version);
            all.len() <= MAX_VERSIONS
        })?;
        let index = Self { newest: Some(newest), too_many: all.len() > MAX_VERSIONS, ..Self::default() };
        if index.too_many {
            return Ok(index);
        }
        let in_order = |order: Order| {
            let mut versions: Vec<SupersededState> =
                all.iter().copied().filter(|version| version.meets(order)).collect();
            sort(&mut versions, order);
            versions.shrink_to_fit();
            versions
        };
        Ok(Self {
            by_severity: in_order(Order::Worst(OrderBySeverity { errors: true, warnings: true })),
            by_missing_tags: in_order(Order::Lacking(None)),
            scopes: scan.scopes,
            ..index
        })
    }
}

impl CacheValue for SupersededIndex {
    fn weight(&self) -> usize {
        bytes_of::<SupersededState>(self.by_severity.len() + self.by_missing_tags.len())
            + SCOPE_BYTES * self.scopes.len()
            + bytes_of::<Self>(1)
    }
}

/// The index of a snapshot; empty for the newest.
fn load_index(session: &ReadSession<'_>, snapshot: &Snapshot) -> Result<Arc<SupersededIndex>, LedgerError> {
    let Some(newest) = session.newest()?.filter(|newest| newest != snapshot) else { return Ok(Arc::default()) };
    let newest = SnapshotKey::new(&newest);
    let cached = session.memo(snapshot).get::<SupersededIndex>();
    match cached.filter(|index| index.newest == Some(newest)) {
        Some(index) => Ok(index),
        None => Ok(session.memo(snapshot).put(SupersededIndex::load(begin_scan(session), snapshot.id, newest)?)),
    }
}

/// Superseded versions of a snapshot after a start, at most `wanted`.
pub(crate) fn list_page(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    filter: &Filter,
    order: Order,
    at: PageStart,
    wanted: usize,
) -> Result<Vec<(PageStart, SupersededState)>, LedgerError> {
    let index = load_index(session, snapshot)?;
    let found = if index.too_many {
        begin_scan(session).page(snapshot.id, filter, order, at, wanted)?
    } else {
        let all = if matches!(order, Order::Worst(_)) { &index.by_severity } else { &index.by_missing_tags };
        let rest = all.get(all.partition_point(|version| !version.is_after(order, at))..).unwrap_or_default();
        let admitted: Vec<bool> = index.scopes.iter().map(|scope| filter.admits(scope)).collect();
        let selected = rest.iter().filter(|one| admitted.get(one.scope()) == Some(&true) && one.meets(order));
        selected.take(wanted).copied().collect()
    };
    Ok(found.into_iter().map(|version| (version.start(order), version)).collect())
}

fn begin_scan<'s>(session: &'s ReadSession<'_>) -> SupersededScan<'s> {
    let (db, dimensions) = (session.db(), session.dimensions());
    SupersededScan { db, dimensions, positions: HashMap::new(), scopes: Vec::new() }
}
