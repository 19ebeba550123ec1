//! An index of current resources, in 26 bytes each. A diff of two snapshots looks up ten thousand resources, each of which is on
//! another page of the file.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use rusqlite::{Connection, OptionalExtension, Row};
use rustc_hash::FxBuildHasher;
use tagledger_cost::Amount;
use tagledger_policy::State;

use crate::{
    cost::resource_cost::{self, ResourceCostModel},
    db::{
        resource_state::{UsageIds, usage_ids},
        sql,
        statements::statement,
        values::{state, state_from_number, state_number},
    },
    error::{ErrorContext, LedgerError, Operation},
    model::{scope_ids::ScopeIds, snapshot::Snapshot},
    read::{
        memo::{CacheValue, bytes_of},
        partition::KeyRange,
        session::ReadSession,
    },
};

/// The largest number of entries. Resources with higher keys have to be read from the file.
const MAX_ENTRIES: usize = if cfg!(test) { 24 } else { 1 << 21 };

/// The largest number of distinct scopes. Resources of further scopes have no scope in the index.
const MAX_SCOPES: usize = if cfg!(test) { 4 } else { 1 << 16 };

/// Snapshot ids from this one on do not fit into an entry: the index is then empty.
const MAX_SNAPSHOT_ID: i64 = 1 << 22;

/// A resource in 24 bytes; two more bytes are its position in `scopes`.
#[derive(Debug, Clone, Copy)]
struct Entry {
    key: i64,
    /// The snapshot in which the version began, three bits of state, and the seven high bits of the name hash.
    since: u32,
    /// The 32 low bits of a hash of the Name tag and the scope. With a thousand renames in each snapshot, the hash hides one rename
    /// in half a billion snapshots.
    name: u32,
    /// Row id of the tag set; 0 for none.
    tag_set: u32,
    /// The monthly cost in millionths; or one of the two values below.
    cost: u32,
}

const NO_COST: u32 = u32::MAX;

/// The cost is negative or above 4,294.97 a month: it has to be computed from the file.
const OTHER_COST: u32 = u32::MAX - 1;

/// The resources of the newest snapshot, ordered by key.
#[derive(Debug, Default)]
pub(crate) struct CurrentStateIndex {
    entries: Vec<Entry>,
    /// By the high bits of keys: the position of the first entry. Keys are hashes, so that a few entries share their high bits.
    bucket_starts: Vec<u32>,
    /// For each entry a position in `scopes`; shorter than `entries` when there are more scopes than fit.
    scope_positions: Vec<u16>,
    scopes: Vec<ScopeIds>,
    /// Whether the index has all resources.
    complete: bool,
}

/// The number of high bits: a few resources of a million share them.
const BUCKET_BITS: u32 = 18;

fn bucket(key: i64) -> usize {
    usize::try_from(key >> (63 - BUCKET_BITS)).unwrap_or_default()
}

/// A resource of the newest snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CurrentState {
    pub(crate) since: i64,
    pub(crate) state: State,
    pub(crate) tag_set: Option<i64>,
    /// The monthly cost.
    pub(crate) cost: Option<Amount>,
    name_hash: u64,
}

/// A current resource as a row of the ledger.
pub(crate) struct IndexRow {
    key: i64,
    pub(crate) ids: ScopeIds,
    pub(crate) since: i64,
    pub(crate) state: State,
    pub(crate) tag_set: Option<i64>,
    pub(crate) name: Option<String>,
    usage: Option<UsageIds>,
    charged: Option<i64>,
}

impl IndexRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            key: row.get(0)?,
            since: row.get(1)?,
            tag_set: row.get(2)?,
            name: row.get(3)?,
            state: state(row.get(4)?)?,
            ids: ScopeIds::read(row, 5)?,
            usage: usage_ids(row, 8)?,
            charged: row.get(10)?,
        })
    }

    /// The monthly cost.
    pub(crate) fn cost(&self, model: Option<&ResourceCostModel>) -> Option<Amount> {
        Some(model?.cost_of(self.ids, self.usage, self.charged)?.monthly)
    }
}

/// The 39 bits that an entry has. The scope is a part of it because a bucket can be created again in another region under the same
/// ARN.
fn name_hash(name: Option<&str>, ids: ScopeIds) -> u64 {
    let mut hasher = DefaultHasher::new();
    (name, ids).hash(&mut hasher);
    hasher.finish() >> 25
}

impl Entry {
    /// None if a value does not fit.
    fn new(row: &IndexRow, model: Option<&ResourceCostModel>) -> Option<Self> {
        let name = name_hash(row.name.as_deref(), row.ids);
        let since = row.since << 10 | state_number(row.state) << 7 | i64::try_from(name >> 32).ok()?;
        let cost = match row.cost(model) {
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

    /// None if the cost has to be computed from the file.
    fn current_state(self) -> Option<CurrentState> {
        let cost = match self.cost {
            OTHER_COST => return None,
            NO_COST => None,
            micros => Some(Amount::from_micros(i64::from(micros))),
        };
        Some(CurrentState {
            since: i64::from(self.since >> 10),
            state: state_from_number(i64::from(self.since >> 7 & 7))?,
            tag_set: Some(i64::from(self.tag_set)).filter(|set| *set > 0),
            cost,
            name_hash: u64::from(self.since & 127) << 32 | u64::from(self.name),
        })
    }
}

impl CurrentState {
    /// Whether the resource has this Name tag and scope.
    pub(crate) fn has_name(&self, name: Option<&str>, ids: ScopeIds) -> bool {
        self.name_hash == name_hash(name, ids)
    }
}

impl CurrentStateIndex {
    fn load(
        db: &Connection,
        model: Option<&ResourceCostModel>,
        newest: &Snapshot,
        expected: usize,
    ) -> Result<Self, LedgerError> {
        let capacity = expected.min(MAX_ENTRIES);
        let mut index = Self {
            entries: Vec::with_capacity(capacity),
            bucket_starts: Vec::with_capacity(1 << BUCKET_BITS),
            scope_positions: Vec::with_capacity(capacity),
            scopes: Vec::new(),
            complete: true,
        };
        let mut positions: HashMap<ScopeIds, Option<u16>, FxBuildHasher> = HashMap::default();
        let mut query = statement(db, sql::LIVING)?;
        let mut rows = query.query([]).context(Operation::BuildIndex)?;
        while let Some(row) = rows.next().context(Operation::BuildIndex)? {
            let row = IndexRow::read(row).context(Operation::BuildIndex)?;
            let fits = newest.id < MAX_SNAPSHOT_ID && index.entries.len() < MAX_ENTRIES;
            let entry = Entry::new(&row, model).filter(|_| fits);
            let Some(entry) = entry else {
                index.complete = false;
                break;
            };
            let position = *positions.entry(row.ids).or_insert_with(|| {
                let next = u16::try_from(index.scopes.len()).ok().filter(|next| usize::from(*next) < MAX_SCOPES);
                index.scopes.extend(next.map(|_| row.ids));
                next
            });
            index.push(entry, position);
        }
        Ok(index)
    }

    fn push(&mut self, entry: Entry, scope_position: Option<u16>) {
        let start = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        while self.bucket_starts.len() <= bucket(entry.key) {
            self.bucket_starts.push(start);
        }
        self.entries.push(entry);
        self.scope_positions.extend(scope_position);
    }

    /// The resources with keys in a range, each with its key, its scope, and its state unless that has to be read from the file; none
    /// if the index does not have all resources.
    pub(crate) fn range(
        &self,
        keys: &KeyRange,
    ) -> Option<impl Iterator<Item = (i64, ScopeIds, Option<CurrentState>)> + use<'_>> {
        let position = |key: i64| self.entries.partition_point(|entry| entry.key < key);
        let end = keys.end().checked_add(1).map_or(self.entries.len(), position);
        let range = position(*keys.start())..end;
        let (entries, positions) = (self.entries.get(range.clone())?, self.scope_positions.get(range)?);
        let scope = |position: &u16| self.scopes.get(usize::from(*position)).copied();
        let resources = entries
            .iter()
            .zip(positions)
            .filter_map(move |(entry, position)| Some((entry.key, scope(position)?, entry.current_state())));
        (self.complete && self.scope_positions.len() == self.entries.len()).then_some(resources)
    }

    /// Whether the index has all resources.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// The state of a resource; `Some(None)` when it does not exist, none when it has to be read from the file.
    pub(crate) fn get(&self, key: i64) -> Option<Option<CurrentState>> {
        let start = |bucket: usize| self.bucket_starts.get(bucket).map_or(self.entries.len(), |start| *start as usize);
        let (start, end) = (start(bucket(key)), start(bucket(key) + 1));
        let entries = self.entries.get(start..end)?;
        match entries.binary_search_by_key(&key, |entry| entry.key) {
            Ok(position) => entries.get(position)?.current_state().map(Some),
            Err(position) => (self.complete || start + position < self.entries.len()).then_some(None),
        }
    }
}

impl CacheValue for CurrentStateIndex {
    fn weight(&self) -> usize {
        bytes_of::<Entry>(self.entries.capacity())
            + bytes_of::<u32>(self.bucket_starts.capacity())
            + bytes_of::<u16>(self.scope_positions.capacity())
            + bytes_of::<ScopeIds>(self.scopes.capacity())
    }
}

/// Loads the index of the newest snapshot into the cache. `expected`: the number of its resources, for which memory is reserved.
pub(crate) fn preload(session: &ReadSession<'_>, newest: &Snapshot, expected: usize) -> Result<(), LedgerError> {
    let model = resource_cost::load_model(session, newest)?;
    let load = || CurrentStateIndex::load(session.db(), Some(&model), newest, expected);
    session.memo(newest).replace_or_load(load).map(drop)
}

/// The index of a snapshot, if it was preloaded while that was the newest.
pub(crate) fn cached(session: &ReadSession<'_>, snapshot: &Snapshot) -> Option<Arc<CurrentStateIndex>> {
    session.memo(snapshot).get()
}

/// A current resource, read from the file; none when it does not exist.
pub(crate) fn find_row(session: &ReadSession<'_>, key: i64) -> Result<Option<IndexRow>, LedgerError> {
    statement(session.db(), sql::LIVING_BY_KEY)?
        .query_row([key], IndexRow::read)
        .optional()
        .context(Operation::BuildIndex)
}
