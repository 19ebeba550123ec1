//! Versions that held in an earlier night and have ended since, in the orders in which pages tell resources.
//!
//! The ledger has them in the order of the nights that ended them: a page would look through all of them to find its twenty. So
//! they are read once, and held, with what else is held of the newest snapshot, for the earlier night that was asked about last.

use std::{cmp::Reverse, collections::HashMap, sync::Arc};

use rusqlite::{Connection, Row};

use super::{
    Attempt, Filter, PageStart, Snapshot, StoreError, View, Worst,
    at_hand::{keep, kept},
    intern::statement,
    rows::{Dimensions, ScopeIds},
    sql,
};
use crate::inventory::Scope;

const FAILED: &str = "read what has ended";

/// Of more, a server holds none: each page looks through them.
const MOST_HELD: usize = if cfg!(test) { 8 } else { 1 << 18 };

/// A version, in forty-eight bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct EndedVersion {
    key: i64,
    pub(super) since: i64,
    pub(super) until: i64,
    /// The second in which its resource was made, where it lacks tags; none when AWS does not say.
    created: Option<u32>,
    errors: u32,
    lacking: u32,
    /// Of its scope, twice, and 1 more when it has warnings.
    place: u32,
}

/// An order of resources, and which of them are meant.
#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    Worst(Worst),
    /// Those that AWS says were created in that second or before it; none for all.
    Lacking(Option<i64>),
}

/// Those of one night.
#[derive(Debug, Default)]
pub(super) struct Ended {
    scopes: Vec<Scope>,
    /// With findings, those with most errors first.
    worst: Vec<EndedVersion>,
    /// That lack tags, those that lack most first.
    lacking: Vec<EndedVersion>,
    /// The night, when there are too many to be held.
    many: Option<i64>,
}

impl EndedVersion {
    /// From a row of `ENDED_SINCE`; `place`: of its scope.
    fn read(row: &Row<'_>, place: u32) -> rusqlite::Result<Self> {
        Ok(Self {
            key: row.get(0)?,
            since: row.get(1)?,
            until: row.get(2)?,
            errors: row.get(3)?,
            lacking: row.get(4)?,
            place: place << 1 | u32::from(row.get::<_, bool>(8)?),
            created: row.get::<_, Option<i64>>(9)?.and_then(|second| u32::try_from(second).ok()),
        })
    }

    fn start(self, order: Order) -> PageStart {
        let rank = match order {
            Order::Worst(_) => self.errors,
            Order::Lacking(_) => self.lacking,
        };
        PageStart { rank: rank.into(), key: self.key }
    }

    /// Whether it comes behind a place.
    fn behind(self, order: Order, at: PageStart) -> bool {
        let PageStart { rank, key } = self.start(order);
        at == PageStart::FIRST || (rank, key) < (at.rank, at.key)
    }

    fn meets(self, order: Order) -> bool {
        match order {
            Order::Worst(what) => what.errors && self.errors > 0 || what.warnings && self.place & 1 == 1,
            Order::Lacking(None) => self.lacking > 0,
            Order::Lacking(Some(until)) => {
                self.lacking > 0 && self.created.is_some_and(|created| i64::from(created) <= until)
            }
        }
    }

    fn scope(self) -> usize {
        usize::try_from(self.place >> 1).unwrap_or(usize::MAX)
    }
}

/// What is looked through, with the scopes that were met, in the order in which they were.
struct Looking<'l> {
    db: &'l Connection,
    dimensions: &'l Dimensions,
    places: HashMap<ScopeIds, u32>,
    scopes: Vec<Scope>,
}

impl Looking<'_> {
    /// Looks at one after another, as long as `go_on` says so.
    fn each(&mut self, snapshot: i64, mut go_on: impl FnMut(&[Scope], EndedVersion) -> bool) -> Result<(), StoreError> {
        let mut statement = statement(self.db, sql::ENDED_SINCE)?;
        let mut rows = statement.query([snapshot]).attempt(FAILED)?;
        while let Some(row) = rows.next().attempt(FAILED)? {
            let place = self.place(ScopeIds::read(row, 5).attempt(FAILED)?)?;
            if !go_on(&self.scopes, EndedVersion::read(row, place).attempt(FAILED)?) {
                break;
            }
        }
        Ok(())
    }

    fn place(&mut self, ids: ScopeIds) -> Result<u32, StoreError> {
        if let Some(known) = self.places.get(&ids) {
            return Ok(*known);
        }
        let next = u32::try_from(self.scopes.len()).unwrap_or(u32::MAX >> 1);
        self.scopes.push(self.dimensions.scope(ids)?);
        self.places.insert(ids, next);
        Ok(next)
    }

    /// A page, holding no more than three times as many as are wanted.
    fn page(
        &mut self,
        snapshot: i64,
        filter: &Filter,
        order: Order,
        at: PageStart,
        wanted: usize,
    ) -> Result<Vec<EndedVersion>, StoreError> {
        let (mut best, mut admitted): (Vec<EndedVersion>, Vec<bool>) = (Vec::new(), Vec::new());
        self.each(snapshot, |scopes, version| {
            admitted.extend(scopes.iter().skip(admitted.len()).map(|scope| filter.admits(scope)));
            let meant = admitted.get(version.scope()) == Some(&true) && version.meets(order);
            if meant && version.behind(order, at) {
                best.push(version);
            }
            if best.len() > 3 * wanted {
                first(&mut best, order, wanted);
            }
            true
        })?;
        first(&mut best, order, wanted);
        Ok(best)
    }
}

fn sort(versions: &mut [EndedVersion], order: Order) {
    versions.sort_unstable_by_key(|version| Reverse((version.start(order).rank, version.key)));
}

fn first(versions: &mut Vec<EndedVersion>, order: Order, wanted: usize) {
    sort(versions, order);
    versions.truncate(wanted);
}

impl Ended {
    fn read(mut looking: Looking<'_>, snapshot: i64) -> Result<Self, StoreError> {
        let mut all = Vec::new();
        looking.each(snapshot, |_, version| {
            all.push(version);
            all.len() <= MOST_HELD
        })?;
        if all.len() > MOST_HELD {
            return Ok(Self { many: Some(snapshot), ..Self::default() });
        }
        let in_order = |order: Order| {
            let mut of: Vec<EndedVersion> = all.iter().copied().filter(|version| version.meets(order)).collect();
            sort(&mut of, order);
            of.shrink_to_fit();
            of
        };
        Ok(Self {
            worst: in_order(Order::Worst(Worst { errors: true, warnings: true })),
            lacking: in_order(Order::Lacking(None)),
            scopes: looking.scopes,
            many: None,
        })
    }
}

impl View<'_> {
    /// What has ended since a snapshot; nothing of the newest.
    fn ended_since(&self, snapshot: &Snapshot) -> Result<Arc<Ended>, StoreError> {
        let Some(newest) = self.newest()?.filter(|newest| newest != snapshot) else { return Ok(Arc::default()) };
        // Held with the newest snapshot, for each night ends more.
        let at_hand = self.at_hand(&newest);
        let last = at_hand.as_ref().map(|at_hand| &at_hand.ended);
        if let Some(held) = last.and_then(|last| kept(last, snapshot)) {
            return Ok(held);
        }
        let ended = Arc::new(Ended::read(self.looking(), snapshot.id)?);
        if let Some(last) = last {
            keep(last, snapshot, &ended);
        }
        Ok(ended)
    }

    /// Of what has ended since a snapshot, the next ones behind a place, at most as many as are wanted.
    pub(super) fn ended_page(
        &self,
        snapshot: &Snapshot,
        filter: &Filter,
        order: Order,
        at: PageStart,
        wanted: usize,
    ) -> Result<Vec<(PageStart, EndedVersion)>, StoreError> {
        let ended = self.ended_since(snapshot)?;
        let found = match ended.many {
            Some(snapshot) => self.looking().page(snapshot, filter, order, at, wanted)?,
            None => {
                let all = if matches!(order, Order::Worst(_)) { &ended.worst } else { &ended.lacking };
                let behind = all.get(all.partition_point(|version| !version.behind(order, at))..).unwrap_or_default();
                let admitted: Vec<bool> = ended.scopes.iter().map(|scope| filter.admits(scope)).collect();
                let meant = behind.iter().filter(|one| admitted.get(one.scope()) == Some(&true) && one.meets(order));
                meant.take(wanted).copied().collect()
            }
        };
        Ok(found.into_iter().map(|version| (version.start(order), version)).collect())
    }

    fn looking(&self) -> Looking<'_> {
        Looking { db: self.db(), dimensions: self.dimensions(), places: HashMap::new(), scopes: Vec::new() }
    }
}
