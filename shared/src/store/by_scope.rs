//! Resources with findings, and resources that lack tags, scope by scope in the order of their pages. The ledger has them in one order
//! for all scopes: a page of one scope in a thousand would pass over all the others on its way.

use std::{cmp::Reverse, collections::HashMap, hash::BuildHasherDefault, ops::Range};

use rusqlite::Connection;

use super::{
    PageStart, StoreError, Worst,
    ended::Order,
    rows::{ScopeIds, rows},
    sql,
};
use crate::suggest::counts::Mixer;

/// Those of the newest snapshot.
#[derive(Debug, Default)]
pub(super) struct ByScope {
    worst: Ranked,
    lacking: Ranked,
}

/// Twelve bytes a resource.
#[derive(Debug, Default)]
struct Ranked {
    scopes: HashMap<ScopeIds, Range<usize>, BuildHasherDefault<Mixer>>,
    /// Of each scope those of the highest rank first, and of a rank those with the highest keys.
    ranks: Vec<u32>,
    keys: Vec<i64>,
}

impl ByScope {
    pub(super) fn read(db: &Connection) -> Result<Self, StoreError> {
        Ok(Self { worst: Ranked::read(db, sql::WORST_OF_SCOPES)?, lacking: Ranked::read(db, sql::LACKING_OF_SCOPES)? })
    }

    /// The next ones of a scope behind a place; none where the order does not follow from ranks alone.
    pub(super) fn page(&self, scope: ScopeIds, order: Order, at: PageStart, limit: usize) -> Option<Vec<PageStart>> {
        match order {
            Order::Worst(Worst { errors: true, warnings }) => {
                Some(self.worst.page(scope, at, u32::from(!warnings), limit))
            }
            Order::Lacking(None) => Some(self.lacking.page(scope, at, 0, limit)),
            Order::Worst(_) | Order::Lacking(Some(_)) => None,
        }
    }
}

impl Ranked {
    fn read(db: &Connection, text: &'static str) -> Result<Self, StoreError> {
        // Sixteen bytes a row while they are read: what is freed of so many is not given back.
        let mut places: HashMap<ScopeIds, u32, BuildHasherDefault<Mixer>> = HashMap::default();
        let mut all = rows(db, text, [], |row| {
            let next = u32::try_from(places.len()).unwrap_or(u32::MAX);
            let place = *places.entry(ScopeIds::read(row, 0)?).or_insert(next);
            Ok((place, Reverse(row.get::<_, u32>(3)?), Reverse(row.get::<_, i64>(4)?)))
        })?;
        all.sort_unstable();
        let begin = |place: u32| all.partition_point(|(of, ..)| *of < place);
        Ok(Self {
            scopes: places
                .into_iter()
                .map(|(scope, place)| (scope, begin(place)..begin(place.saturating_add(1))))
                .collect(),
            ranks: all.iter().map(|(_, Reverse(rank), _)| *rank).collect(),
            keys: all.iter().map(|(.., Reverse(key))| *key).collect(),
        })
    }

    /// Of rank `least` and above.
    fn page(&self, scope: ScopeIds, at: PageStart, least: u32, limit: usize) -> Vec<PageStart> {
        let Some(range) = self.scopes.get(&scope) else { return Vec::new() };
        let ranks = self.ranks.get(range.clone()).unwrap_or_default();
        let keys = self.keys.get(range.clone()).unwrap_or_default();
        let places = ranks.iter().zip(keys).map(|(rank, key)| PageStart { rank: i64::from(*rank), key: *key });
        let before = |place: &PageStart| at != PageStart::FIRST && (place.rank, place.key) >= (at.rank, at.key);
        places.skip_while(before).take_while(|place| place.rank >= i64::from(least)).take(limit).collect()
    }
}
