//! The states of a past snapshot that later snapshots ended, for pages of resources.
//!
//! The file has them in the order of the snapshots that ended them, so each page would read all of them. They are cached until the next
//! snapshot, which ends further states.

use std::{cmp::Reverse, collections::HashMap, sync::Arc};

use rusqlite::Row;
use tagledger_model::inventory::Scope;

use crate::{
    db::{sql, statements::prepare},
    error::{ErrorContext, LedgerError, Operation},
    model::{page::PageStart, resource_row::Order, scope_ids::ScopeIds, snapshot::Snapshot},
    read::{
        filter::Filter,
        memo::{CacheValue, SCOPE_BYTES, SnapshotKey, bytes_of},
        session::ReadSession,
    },
};

/// The largest number of states that are cached. When there are more, each page reads all of them from the file.
const MAX_STATES: usize = if cfg!(test) { 8 } else { 1 << 18 };

/// A superseded state in 48 bytes.
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

/// The superseded states of one snapshot that have findings or missing tags.
#[derive(Debug, Default)]
struct SupersededStates {
    /// The newest snapshot when they were read.
    newest: Option<SnapshotKey>,
    scopes: Vec<Scope>,
    states: Vec<SupersededState>,
}

impl SupersededState {
    /// Reads a row of `SUPERSEDED_SINCE`. `scope`: the position of its scope.
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
            Order::BySeverity(_) => self.errors,
            Order::ByMissingTags(_) => self.missing,
        };
        PageStart { rank: rank.into(), key: self.key }
    }

    /// Whether it comes after a start.
    fn is_after(self, order: Order, start: PageStart) -> bool {
        let PageStart { rank, key } = self.start(order);
        start == PageStart::FIRST || (rank, key) < (start.rank, start.key)
    }

    /// Whether the list contains it.
    fn is_listed(self, order: Order) -> bool {
        match order {
            Order::BySeverity(what) => {
                what.errors && self.errors > 0 || what.warnings && self.scope_and_warnings & 1 == 1
            }
            Order::ByMissingTags(None) => self.missing > 0,
            Order::ByMissingTags(Some(until)) => {
                self.missing > 0 && self.created.is_some_and(|created| i64::from(created) <= until)
            }
        }
    }

    fn scope(self) -> usize {
        usize::try_from(self.scope_and_warnings >> 1).unwrap_or(usize::MAX)
    }
}

/// Selects the states of one page, with at most three times the length of the page in memory.
struct PageSelection<'f> {
    filter: &'f Filter,
    order: Order,
    start: PageStart,
    limit: usize,
    /// By position of the scope: whether the filter admits it.
    admitted: Vec<bool>,
    first: Vec<SupersededState>,
}

impl PageSelection<'_> {
    /// `scopes`: the scopes of the states so far, in their positions.
    fn add(&mut self, scopes: &[Scope], state: SupersededState) {
        self.admitted.extend(scopes.iter().skip(self.admitted.len()).map(|scope| self.filter.admits(scope)));
        let selected = self.admitted.get(state.scope()) == Some(&true) && state.is_listed(self.order);
        if selected && state.is_after(self.order, self.start) {
            self.first.push(state);
            if self.first.len() > 3 * self.limit {
                self.truncate();
            }
        }
    }

    /// Drops all states that come after the first `limit` ones.
    fn truncate(&mut self) {
        let order = self.order;
        self.first.sort_unstable_by_key(|state| Reverse((state.start(order).rank, state.key)));
        self.first.truncate(self.limit);
    }

    fn finish(mut self) -> Vec<(PageStart, SupersededState)> {
        self.truncate();
        self.first.into_iter().map(|state| (state.start(self.order), state)).collect()
    }
}

/// Reads the superseded states of a snapshot and adds each to the selection. Caches them unless there are too many.
fn scan(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    newest: SnapshotKey,
    page: &mut PageSelection<'_>,
) -> Result<(), LedgerError> {
    let mut read = SupersededStates { newest: Some(newest), ..SupersededStates::default() };
    let mut positions: HashMap<ScopeIds, u32> = HashMap::new();
    let mut statement = prepare(session.db(), sql::SUPERSEDED_SINCE)?;
    let mut rows = statement.query([snapshot.id]).context(Operation::BuildIndex)?;
    while let Some(row) = rows.next().context(Operation::BuildIndex)? {
        let ids = ScopeIds::read(row, 5).context(Operation::BuildIndex)?;
        let position = match positions.get(&ids) {
            Some(position) => *position,
            None => {
                let next = u32::try_from(read.scopes.len()).unwrap_or(u32::MAX >> 1);
                read.scopes.push(session.dimensions().scope(ids)?);
                positions.insert(ids, next);
                next
            }
        };
        let state = SupersededState::read(row, position).context(Operation::BuildIndex)?;
        page.add(&read.scopes, state);
        if read.states.len() <= MAX_STATES {
            read.states.push(state);
        }
    }
    if read.states.len() <= MAX_STATES {
        read.states.shrink_to_fit();
        session.memo(snapshot).put(read);
    }
    Ok(())
}

impl CacheValue for SupersededStates {
    fn weight(&self) -> usize {
        bytes_of::<SupersededState>(self.states.len()) + SCOPE_BYTES * self.scopes.len() + bytes_of::<Self>(1)
    }
}

/// The superseded states of a snapshot after a start, at most `limit`; none for the newest snapshot.
pub(crate) fn list_page(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    filter: &Filter,
    order: Order,
    start: PageStart,
    limit: usize,
) -> Result<Vec<(PageStart, SupersededState)>, LedgerError> {
    let Some(newest) = session.newest()?.filter(|newest| newest != snapshot) else { return Ok(Vec::new()) };
    let newest = SnapshotKey::new(&newest);
    let mut page = PageSelection { filter, order, start, limit, admitted: Vec::new(), first: Vec::new() };
    let cached: Option<Arc<SupersededStates>> = session.memo(snapshot).get();
    match cached.filter(|cached| cached.newest == Some(newest)) {
        Some(cached) => cached.states.iter().for_each(|state| page.add(&cached.scopes, *state)),
        None => scan(session, snapshot, newest, &mut page)?,
    }
    Ok(page.finish())
}
