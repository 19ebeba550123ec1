//! All resources of a snapshot that lack tags, in the order of what they cost: read once, for counts and pages by cost and age.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row};

use super::{
    Attempt, Filter, Page, PageStart, Snapshot, StoreError, View,
    cost::CostBook,
    intern::statement,
    rows::{Dimensions, ScopeIds, rows},
    sql,
    version::usage_ids,
};
use crate::{inventory::Scope, money::Amount};

/// Which of them are meant, beside the filter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Narrowing {
    /// Those that AWS says were created at that time or before it; seconds since 1970.
    pub created_until: Option<i64>,
    /// Those known to cost at least so much a month.
    pub least_cost: Option<Amount>,
}

/// How many they are, and what they cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LackingSums {
    /// Without any user tag.
    pub untagged: u64,
    /// With user tags, but without a required one.
    pub lacking: u64,
    /// A month of all of them whose cost is known.
    pub cost: Amount,
    /// How many that are.
    pub with_cost: u64,
    /// AWS gives no date of creation for so many.
    pub dateless: u64,
}

/// A resource in 24 bytes: there may be hundreds of thousands.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// What it costs a month; [`UNKNOWN`] when that is not known, which comes last.
    micros: i64,
    key: i64,
    /// Seconds since 1970; 0 when AWS does not say.
    created: u32,
    /// Of its scope, twice, and 1 more when it has no user tag.
    place: u32,
}

const UNKNOWN: i64 = -1;

impl Entry {
    fn scope(self) -> usize {
        usize::try_from(self.place >> 1).unwrap_or(usize::MAX)
    }

    fn bare(self) -> bool {
        self.place & 1 == 1
    }

    fn meets(self, what: Narrowing) -> bool {
        what.created_until.is_none_or(|until| self.created > 0 && i64::from(self.created) <= until)
            && what.least_cost.is_none_or(|least| self.micros >= least.micros())
    }

    fn add_to(self, sums: &mut LackingSums) {
        if self.bare() {
            sums.untagged += 1;
        } else {
            sums.lacking += 1;
        }
        sums.dateless += u64::from(self.created == 0);
        if self.micros != UNKNOWN {
            sums.cost += Amount::from_micros(self.micros);
            sums.with_cost += 1;
        }
    }
}

/// Those of one snapshot.
#[derive(Debug, Default)]
pub(super) struct Lackers {
    /// Whether they were read while their snapshot was the newest: the costs of others are of a later bill.
    pub(super) in_time: bool,
    /// Each with its sums.
    scopes: Vec<(Scope, LackingSums)>,
    /// Those that cost most first.
    entries: Vec<Entry>,
}

impl Lackers {
    pub(super) fn read(
        db: &Connection,
        dimensions: &Dimensions,
        book: &CostBook,
        snapshot: i64,
    ) -> Result<Self, StoreError> {
        let mut places: BTreeMap<ScopeIds, u32> = BTreeMap::new();
        let columns = |row: &Row<'_>| {
            let ids = ScopeIds::read(row, 0)?;
            let next = u32::try_from(places.len()).unwrap_or(u32::MAX >> 1);
            let place = *places.entry(ids).or_insert(next);
            let usage = usage_ids(row, 6)?;
            let cost = book.of(ids, usage, row.get(8)?);
            let created = row.get::<_, Option<i64>>(5)?.and_then(|second| u32::try_from(second).ok());
            Ok(Entry {
                micros: cost.map_or(UNKNOWN, |cost| cost.monthly.micros().max(0)),
                key: row.get(4)?,
                created: created.unwrap_or(0),
                place: place << 1 | u32::from(row.get::<_, bool>(3)?),
            })
        };
        let mut entries = rows(db, sql::LACKING_ALL, [snapshot], columns)?;
        entries.shrink_to_fit();
        entries.sort_unstable_by_key(|entry| std::cmp::Reverse((entry.micros, entry.key)));
        let mut by_place: Vec<(u32, ScopeIds)> = places.into_iter().map(|(ids, place)| (place, ids)).collect();
        by_place.sort_unstable();
        let mut scopes = Vec::with_capacity(by_place.len());
        for (_, ids) in by_place {
            scopes.push((dimensions.scope(ids)?, LackingSums::default()));
        }
        for entry in &entries {
            if let Some((_, sums)) = scopes.get_mut(entry.scope()) {
                entry.add_to(sums);
            }
        }
        let next: i64 = statement(db, sql::NEXT_SNAPSHOT)?.query_row([], |row| row.get(0)).attempt("read snapshots")?;
        Ok(Self { in_time: next == snapshot + 1, scopes, entries })
    }

    /// How many there are of those meant, and what they cost.
    pub(super) fn sums(&self, filter: &Filter, what: Narrowing) -> LackingSums {
        let mut all = LackingSums::default();
        if what == Narrowing::default() {
            for (_, sums) in self.scopes.iter().filter(|(scope, _)| filter.admits(scope)) {
                all.untagged += sums.untagged;
                all.lacking += sums.lacking;
                all.cost += sums.cost;
                all.with_cost += sums.with_cost;
                all.dateless += sums.dateless;
            }
            return all;
        }
        self.admitted(&self.entries, filter).filter(|entry| entry.meets(what)).for_each(|entry| entry.add_to(&mut all));
        all
    }

    /// The next ones behind a place, those that cost most first: keys with their places.
    pub(super) fn page(&self, filter: &Filter, what: Narrowing, at: PageStart, limit: usize) -> Vec<PageStart> {
        let before = |entry: &Entry| at != PageStart::FIRST && (entry.micros, entry.key) >= (at.rank, at.key);
        let behind = self.entries.get(self.entries.partition_point(before)..).unwrap_or_default();
        let found = self.admitted(behind, filter).filter(|entry| entry.meets(what)).take(limit);
        found.map(|entry| PageStart { rank: entry.micros, key: entry.key }).collect()
    }

    fn admitted<'e>(&self, entries: &'e [Entry], filter: &Filter) -> impl Iterator<Item = Entry> + use<'e> {
        let admitted: Vec<bool> = self.scopes.iter().map(|(scope, _)| filter.admits(scope)).collect();
        entries.iter().copied().filter(move |entry| admitted.get(entry.scope()).copied().unwrap_or_default())
    }
}

impl View<'_> {
    /// The same resources, those that cost most first, and then those of which it is not known. None of a snapshot that is not
    /// the newest any more and whose order is forgotten.
    pub fn lacking_by_cost(
        &self,
        snapshot: &Snapshot,
        filter: &Filter,
        what: Narrowing,
        start: PageStart,
        limit: usize,
    ) -> Result<Option<Page>, StoreError> {
        let pages = self.pages(snapshot);
        // What an older snapshot's resources cost then is not kept: its order is known as long as it is at hand.
        match pages.whole.lackers(self.db(), self.dimensions(), snapshot.id)? {
            Some(lackers) if lackers.in_time => {
                pages.listed(&lackers.page(filter, what, start, limit + 1), limit).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// How many resources lack tags, and what they cost.
    pub fn lacking_sums(
        &self,
        snapshot: &Snapshot,
        filter: &Filter,
        what: Narrowing,
    ) -> Result<LackingSums, StoreError> {
        let whole = self.whole(snapshot);
        let lackers = whole.lackers(self.db(), self.dimensions(), snapshot.id)?;
        Ok(lackers.map(|lackers| lackers.sums(filter, what)).unwrap_or_default())
    }
}
