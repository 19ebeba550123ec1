//! Versions that held in an earlier night and have ended since, in the orders in which pages tell resources.
//!
//! The ledger has them in the order of the nights that ended them: a page would look through all of them to find its twenty. So
//! they are read once, and held for the earlier night that was asked about last.

use std::{cmp::Reverse, collections::HashMap, sync::Arc};

use rusqlite::{Connection, Row};

use super::{
    Attempt, Filter, PageStart, Snapshot, StoreError, View, Worst,
    at_hand::{keep, kept},
    intern::statement,
    rows::{Dimensions, ScopeIds, rows},
    sql,
};
use crate::inventory::Scope;

const FAILED: &str = "read what has ended";

/// More are read anew for each question: a server has no room for them.
const MOST_HELD: usize = 1 << 18;

/// A version, in forty bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Version {
    key: i64,
    pub(super) since: i64,
    pub(super) until: i64,
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
    worst: Vec<Version>,
    /// That lack tags, those that lack most first.
    lacking: Vec<Version>,
}

impl Version {
    fn rank(self, order: Order) -> i64 {
        i64::from(match order {
            Order::Worst(_) => self.errors,
            Order::Lacking(_) => self.lacking,
        })
    }

    fn start(self, order: Order) -> PageStart {
        PageStart { rank: self.rank(order), key: self.key }
    }

    fn meets(self, db: &Connection, order: Order) -> Result<bool, StoreError> {
        match order {
            Order::Worst(what) => Ok(what.errors && self.errors > 0 || what.warnings && self.place & 1 == 1),
            Order::Lacking(None) => Ok(true),
            Order::Lacking(Some(until)) => {
                let created = statement(db, sql::CREATED_AT)?.query_row([self.key], |row| row.get::<_, Option<i64>>(0));
                Ok(created.attempt(FAILED)?.is_some_and(|created| created <= until))
            }
        }
    }
}

impl Ended {
    fn read(db: &Connection, dimensions: &Dimensions, snapshot: i64) -> Result<Self, StoreError> {
        let mut places: HashMap<ScopeIds, u32> = HashMap::new();
        let columns = |row: &Row<'_>| {
            let next = u32::try_from(places.len()).unwrap_or(u32::MAX >> 1);
            let place = *places.entry(ScopeIds::read(row, 5)?).or_insert(next);
            Ok(Version {
                key: row.get(0)?,
                since: row.get(1)?,
                until: row.get(2)?,
                errors: row.get(3)?,
                lacking: row.get(4)?,
                place: place << 1 | u32::from(row.get::<_, bool>(8)?),
            })
        };
        let all = rows(db, sql::ENDED_SINCE, [snapshot], columns)?;
        let of = |order: Order, meant: fn(&Version) -> bool| {
            let mut of: Vec<Version> = all.iter().copied().filter(meant).collect();
            of.sort_unstable_by_key(|version| Reverse((version.rank(order), version.key)));
            of
        };
        let worst =
            of(Order::Worst(Worst { errors: true, warnings: true }), |one| one.errors > 0 || one.place & 1 == 1);
        let lacking = of(Order::Lacking(None), |one| one.lacking > 0);
        let mut places: Vec<(u32, ScopeIds)> = places.into_iter().map(|(ids, place)| (place, ids)).collect();
        places.sort_unstable();
        let scopes = places.into_iter().map(|(_, ids)| dimensions.scope(ids)).collect::<Result<_, _>>()?;
        Ok(Self { scopes, worst, lacking })
    }

    /// The next ones behind a place, at most as many as are wanted.
    pub(super) fn page(
        &self,
        db: &Connection,
        filter: &Filter,
        order: Order,
        at: PageStart,
        wanted: usize,
    ) -> Result<Vec<(PageStart, Version)>, StoreError> {
        let all = if matches!(order, Order::Worst(_)) { &self.worst } else { &self.lacking };
        let before = |version: &Version| {
            let PageStart { rank, key } = version.start(order);
            at != PageStart::FIRST && (rank, key) >= (at.rank, at.key)
        };
        let admitted: Vec<bool> = self.scopes.iter().map(|scope| filter.admits(scope)).collect();
        let mut page = Vec::new();
        for version in all.get(all.partition_point(before)..).unwrap_or_default() {
            if page.len() == wanted {
                break;
            }
            let place = usize::try_from(version.place >> 1).unwrap_or(usize::MAX);
            if admitted.get(place) == Some(&true) && version.meets(db, order)? {
                page.push((version.start(order), *version));
            }
        }
        Ok(page)
    }

    fn len(&self) -> usize {
        self.worst.len() + self.lacking.len()
    }
}

impl View<'_> {
    /// What has ended since a snapshot; nothing of the newest.
    pub(super) fn ended_since(&self, snapshot: &Snapshot) -> Result<Arc<Ended>, StoreError> {
        let Some(newest) = self.newest()?.filter(|newest| newest != snapshot) else { return Ok(Arc::default()) };
        // Held with the newest snapshot, for each night ends more.
        let at_hand = self.at_hand(&newest);
        let last = at_hand.as_ref().map(|at_hand| &at_hand.ended);
        if let Some(held) = last.and_then(|last| kept(last, snapshot)) {
            return Ok(held);
        }
        let ended = Arc::new(Ended::read(self.db(), self.dimensions(), snapshot.id)?);
        if let Some(last) = last.filter(|_| ended.len() <= MOST_HELD) {
            keep(last, snapshot, &ended);
        }
        Ok(ended)
    }
}
