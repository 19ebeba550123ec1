//! What living resources are, at hand in a few bytes each: what differs between two nights looks up ten thousands of them, and in the
//! file each is on another page.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use rusqlite::{Connection, OptionalExtension, Row};

use super::{
    Attempt, Snapshot, StoreError, View,
    at_hand::{forget, keep, kept},
    cost::CostBook,
    halves::Keys,
    intern::statement,
    rows::{ScopeIds, state},
    sql,
    version::{UsageIds, usage_ids},
};
use crate::{money::Amount, policy::State, suggest::counts::Mixer};

const FAILED: &str = "read what lives";

/// Those with higher keys have to be looked up, where there are more.
const MOST_HELD: usize = if cfg!(test) { 24 } else { 1 << 21 };

/// Where there are more scopes, it is not held where resources are.
const MOST_SCOPES: usize = if cfg!(test) { 4 } else { 1 << 16 };

/// Snapshots have lower numbers, or nothing is held of them.
const SNAPSHOTS: i64 = 1 << 22;

/// A resource in 24 bytes, beside the two of where it is.
#[derive(Debug, Clone, Copy)]
struct Entry {
    key: i64,
    /// Since which snapshot it is as it is, its state in three bits, and seven bits more of its name.
    since: u32,
    /// A hash of its name and of where it is: hardly any changes, and of a thousand that do in a night, one in half a billion nights
    /// would not be seen.
    name: u32,
    /// Local id of its tags; 0 for none.
    tag_set: u32,
    /// What it costs a month, in millionths; or one of the two below.
    cost: u32,
}

const NO_COST: u32 = u32::MAX;
/// More than four thousand a month, or less than nothing.
const OTHER_COST: u32 = u32::MAX - 1;

/// Those of the newest snapshot, in the order of their keys.
#[derive(Debug, Default)]
pub(super) struct Living {
    entries: Vec<Entry>,
    /// Where those begin whose keys have the same highest bits. Keys are hashes: there are a few of each.
    begins: Vec<u32>,
    /// Where each is: a place in `scopes`. Not of all, when there are more scopes than fit.
    places: Vec<u16>,
    scopes: Vec<ScopeIds>,
    /// Whether these are all.
    whole: bool,
}

/// How many bits of a key those are: a few resources of a million have the same.
const BITS: u32 = 18;

fn highest(key: i64) -> usize {
    usize::try_from(key >> (63 - BITS)).unwrap_or_default()
}

/// A resource as it is in the newest snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Now {
    pub(super) since: i64,
    pub(super) state: State,
    pub(super) tag_set: Option<i64>,
    /// A month.
    pub(super) cost: Option<Amount>,
    name: u64,
}

/// The same as the ledger has it.
pub(super) struct LivingRow {
    key: i64,
    pub(super) ids: ScopeIds,
    pub(super) since: i64,
    pub(super) state: i64,
    pub(super) tag_set: Option<i64>,
    pub(super) name: Option<String>,
    usage: Option<UsageIds>,
    charged: Option<i64>,
}

impl LivingRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            key: row.get(0)?,
            since: row.get(1)?,
            tag_set: row.get(2)?,
            name: row.get(3)?,
            state: row.get(4)?,
            ids: ScopeIds::read(row, 5)?,
            usage: usage_ids(row, 8)?,
            charged: row.get(10)?,
        })
    }

    /// A month.
    pub(super) fn cost(&self, book: Option<&CostBook>) -> Option<Amount> {
        Some(book?.of(self.ids, self.usage, self.charged)?.monthly)
    }
}

/// The 39 bits of it that are held. A bucket may be made anew in another place under the same ARN.
fn hashed(name: Option<&str>, at: ScopeIds) -> u64 {
    let mut hasher = DefaultHasher::new();
    (name, at).hash(&mut hasher);
    hasher.finish() >> 25
}

impl Entry {
    /// None of what does not fit.
    fn of(row: &LivingRow, book: Option<&CostBook>) -> Option<Self> {
        let name = hashed(row.name.as_deref(), row.ids);
        let since = row.since << 10 | row.state << 7 | i64::try_from(name >> 32).ok()?;
        let cost = match row.cost(book) {
            None => NO_COST,
            Some(cost) => u32::try_from(cost.micros()).ok().filter(|micros| *micros < OTHER_COST).unwrap_or(OTHER_COST),
        };
        Some(Self {
            key: row.key,
            since: u32::try_from(since).ok()?,
            name: u32::try_from(name & u64::from(u32::MAX)).ok()?,
            tag_set: u32::try_from(row.tag_set.unwrap_or_default()).ok()?,
            cost,
        })
    }

    /// None where its cost has to be looked up.
    fn now(self) -> Option<Now> {
        let cost = match self.cost {
            OTHER_COST => return None,
            NO_COST => None,
            micros => Some(Amount::from_micros(i64::from(micros))),
        };
        Some(Now {
            since: i64::from(self.since >> 10),
            state: state(i64::from(self.since >> 7 & 7)),
            tag_set: Some(i64::from(self.tag_set)).filter(|set| *set > 0),
            cost,
            name: u64::from(self.since & 127) << 32 | u64::from(self.name),
        })
    }
}

impl Now {
    /// Whether that is its Name tag, and where it is.
    pub(super) fn is_named(&self, name: Option<&str>, at: ScopeIds) -> bool {
        self.name == hashed(name, at)
    }
}

impl Living {
    fn read(db: &Connection, book: Option<&CostBook>, newest: &Snapshot, resources: usize) -> Result<Self, StoreError> {
        let room = resources.min(MOST_HELD);
        let (entries, places) = (Vec::with_capacity(room), Vec::with_capacity(room));
        let mut all = Self { entries, begins: Vec::with_capacity(1 << BITS), places, scopes: Vec::new(), whole: true };
        let mut scopes: HashMap<ScopeIds, Option<u16>, BuildHasherDefault<Mixer>> = HashMap::default();
        let mut asked = statement(db, sql::LIVING)?;
        let mut rows = asked.query([]).attempt(FAILED)?;
        while let Some(row) = rows.next().attempt(FAILED)? {
            let row = LivingRow::read(row).attempt(FAILED)?;
            let entry = Entry::of(&row, book).filter(|_| newest.id < SNAPSHOTS && all.entries.len() < MOST_HELD);
            let Some(entry) = entry else {
                all.whole = false;
                break;
            };
            let place = *scopes.entry(row.ids).or_insert_with(|| {
                let place = u16::try_from(all.scopes.len()).ok().filter(|place| usize::from(*place) < MOST_SCOPES);
                all.scopes.extend(place.map(|_| row.ids));
                place
            });
            all.push(entry, place);
        }
        Ok(all)
    }

    fn push(&mut self, entry: Entry, place: Option<u16>) {
        let begin = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        while self.begins.len() <= highest(entry.key) {
            self.begins.push(begin);
        }
        self.entries.push(entry);
        self.places.extend(place);
    }

    /// Those with these keys, each with its own key and where it is; none where they are not all at hand. How one is has to be looked
    /// up where it is not told.
    pub(super) fn all(&self, keys: &Keys) -> Option<impl Iterator<Item = (i64, ScopeIds, Option<Now>)> + use<'_>> {
        let place = |key: i64| self.entries.partition_point(|entry| entry.key < key);
        let end = keys.end().checked_add(1).map_or(self.entries.len(), place);
        let within = place(*keys.start())..end;
        let (entries, places) = (self.entries.get(within.clone())?, self.places.get(within)?);
        let at = |place: &u16| self.scopes.get(usize::from(*place)).copied();
        let each =
            entries.iter().zip(places).filter_map(move |(entry, place)| Some((entry.key, at(place)?, entry.now())));
        (self.whole && self.places.len() == self.entries.len()).then_some(each)
    }

    /// Whether all are at hand.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// Whether a resource lives, and how it is; none where that has to be looked up.
    pub(super) fn get(&self, key: i64) -> Option<Option<Now>> {
        let begin = |bits: usize| self.begins.get(bits).map_or(self.entries.len(), |begin| *begin as usize);
        let (begin, end) = (begin(highest(key)), begin(highest(key) + 1));
        let alike = self.entries.get(begin..end)?;
        match alike.binary_search_by_key(&key, |entry| entry.key) {
            Ok(place) => alike.get(place)?.now().map(Some),
            Err(place) => (self.whole || begin + place < self.entries.len()).then_some(None),
        }
    }
}

impl View<'_> {
    /// Reads ahead what living resources are.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub fn warm_living(&self, newest: &Snapshot) -> Result<(), StoreError> {
        if self.living(newest).is_none() {
            let held = &self.reader.held.living;
            // There is no room for both.
            forget(held);
            let whole = self.whole(newest);
            let book = whole.costs(self.db(), self.dimensions())?;
            let resources: u64 =
                whole.cells(self.db(), self.dimensions(), newest.id)?.iter().map(|(_, tally)| tally.total()).sum();
            let resources = usize::try_from(resources).unwrap_or(usize::MAX);
            keep(held, newest, &Living::read(self.db(), book, newest, resources)?.into());
        }
        Ok(())
    }

    /// What is held of living resources; none when it was not read ahead, or is of another snapshot.
    pub(super) fn living(&self, newest: &Snapshot) -> Option<Arc<Living>> {
        kept(&self.reader.held.living, newest)
    }

    /// A resource as it is now, from the file; none when it lives no more.
    pub(super) fn look_up_living(&self, key: i64) -> Result<Option<LivingRow>, StoreError> {
        statement(self.db(), sql::LIVING_BY_KEY)?.query_row([key], LivingRow::read).optional().attempt(FAILED)
    }
}
