//! What differs between two nights: of each resource what was known in the one and in the other.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::BuildHasherDefault,
    sync::Arc,
};

use rusqlite::{OptionalExtension, Row, params};

use super::{
    Attempt, ResourceCost, Snapshot, StoreError, View,
    cost::CostBook,
    gathering::ByNumber,
    halves::{ALL, Keys},
    intern::statement,
    page::tags,
    retagged::Retagged,
    rows::{ScopeIds, rows, state},
    sql,
    version::UsageIds,
};
use crate::{
    Arn,
    inventory::{Scope, TagSet},
    policy::State,
    suggest::counts::Mixer,
};

/// A resource in one night.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// Its state.
    pub state: State,
    tag_set: Option<i64>,
    name: Option<Arc<str>>,
}

/// A resource that was not the same in both nights; there in one of them at least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Its key in the ledger.
    pub key: i64,
    /// Where it is, or was.
    pub scope: Arc<Scope>,
    pub(super) ids: ScopeIds,
    /// In the earlier night.
    pub before: Option<Side>,
    /// In the later one.
    pub after: Option<Side>,
    /// What it costs a month by the newest snapshot; none when that is not known, or it is not in both nights.
    pub cost: Option<ResourceCost>,
}

/// What a resource takes of something that is billed in one sum, and what the bill says of it by name.
type Taken = (Option<UsageIds>, Option<i64>);

impl Side {
    /// Local id of its tags but for the name.
    pub(super) fn tag_set(&self) -> Option<i64> {
        self.tag_set
    }

    /// Its Name tag.
    pub(super) fn name(&self) -> Option<&Arc<str>> {
        self.name.as_ref()
    }

    /// Whether another night knew the same tags.
    pub(super) fn same_tags(&self, other: &Self) -> bool {
        self.tag_set == other.tag_set && self.name == other.name
    }
}

const FAILED: &str = "look for what differs";

/// Nights from one to the other, beyond which most of the estate may have changed.
const NEAR: i64 = 30;

/// A version: of which resource, where it is, and what was known; and what its cost follows from, when it holds still.
struct Version {
    key: i64,
    ids: ScopeIds,
    side: Side,
    taken: Option<Taken>,
}

/// From eight columns, or eleven when it holds still.
fn version(row: &Row<'_>) -> rusqlite::Result<Version> {
    let side = Side { tag_set: row.get(1)?, name: row.get(2)?, state: state(row.get(3)?) };
    let taken = if row.get(7)? { Some(taken(row, 8)?) } else { None };
    Ok(Version { key: row.get(0)?, ids: ScopeIds::read(row, 4)?, side, taken })
}

/// A version that ended, with what came in its place where that is known at once, or at least with what its cost follows from now.
struct Ended {
    key: i64,
    /// Where it is, or was.
    ids: ScopeIds,
    before: Side,
    after: Option<Side>,
    taken: Option<Taken>,
}

fn ended(row: &Row<'_>) -> rusqlite::Result<Ended> {
    let before = Side { tag_set: row.get(1)?, name: row.get(2)?, state: state(row.get(3)?) };
    let known: i64 = row.get(7)?;
    let (after, place) = if known == 1 {
        // Hardly any name changes.
        let name = match (row.get_ref(9)?.as_str_or_null()?, &before.name) {
            (Some(name), Some(same)) if name == &**same => Some(Arc::clone(same)),
            (name, _) => name.map(Arc::from),
        };
        (Some(Side { tag_set: row.get(8)?, name, state: state(row.get(10)?) }), 11)
    } else {
        (None, 4)
    };
    let taken = if known > 0 { Some(taken(row, 14)?) } else { None };
    Ok(Ended { key: row.get(0)?, ids: ScopeIds::read(row, place)?, before, after, taken })
}

fn taken(row: &Row<'_>, first: usize) -> rusqlite::Result<Taken> {
    let usage = row.get::<_, Option<i64>>(first)?.zip(row.get::<_, Option<u32>>(first + 1)?);
    Ok((usage, row.get(first + 2)?))
}

/// What differs between two nights.
#[derive(Debug, Default)]
pub struct Differences {
    /// In the order of the keys.
    pub changed: Vec<Changed>,
    /// Their tags.
    pub retagged: Retagged,
}

impl View<'_> {
    /// What differs between two nights, the earlier one first.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read; so for the questions below.
    pub fn differences(&self, earlier: &Snapshot, later: &Snapshot) -> Result<Arc<Differences>, StoreError> {
        let Some(newest) = self.newest()? else { return Ok(Arc::default()) };
        if let Some(known) = self.read_ahead_since(earlier, later)? {
            return Ok(known);
        }
        let whole = self.whole(&newest);
        let book = whole.costs(self.db(), self.dimensions())?;
        self.read_differences(earlier, later, book).map(Arc::new)
    }

    /// The same, for who does not ask what changed resources cost.
    pub(super) fn differences_without_costs(
        &self,
        earlier: &Snapshot,
        later: &Snapshot,
    ) -> Result<Arc<Differences>, StoreError> {
        match self.read_ahead_since(earlier, later)? {
            Some(known) => Ok(known),
            None => self.read_differences(earlier, later, None).map(Arc::new),
        }
    }

    fn read_ahead_since(&self, earlier: &Snapshot, later: &Snapshot) -> Result<Option<Arc<Differences>>, StoreError> {
        let at_hand = self.newest()?.filter(|newest| newest == later).and_then(|newest| self.at_hand(&newest));
        Ok(at_hand.and_then(|at_hand| at_hand.since(earlier.id)))
    }

    fn read_differences(
        &self,
        earlier: &Snapshot,
        later: &Snapshot,
        book: Option<&CostBook>,
    ) -> Result<Differences, StoreError> {
        let at_hand = self.newest()?.and_then(|newest| self.at_hand(&newest));
        let sets = at_hand.as_ref().map(|at_hand| &at_hand.sets);
        let halves = self.in_halves(|view, half| {
            let changed = view.changed_of(half.keys(), earlier, later, book)?;
            let retagged = Retagged::read(view.db(), sets, &changed)?;
            Ok((changed, retagged))
        })?;
        let (changed, retagged): (Vec<_>, Vec<_>) = halves.into_iter().unzip();
        Ok(Differences { changed: changed.into_iter().flatten().collect(), retagged: Retagged::join(retagged) })
    }

    /// What differs, without costs and tags.
    pub(super) fn changed(&self, earlier: &Snapshot, later: &Snapshot) -> Result<Vec<Changed>, StoreError> {
        self.changed_of(ALL, earlier, later, None)
    }

    fn changed_of(
        &self,
        keys: Keys,
        earlier: &Snapshot,
        later: &Snapshot,
        book: Option<&CostBook>,
    ) -> Result<Vec<Changed>, StoreError> {
        let asked = params![earlier.id, later.id, keys.start(), keys.end()];
        let (began, ended_by) = self.found_by(earlier, later)?;
        let began = rows(self.db(), began, asked, version)?;
        let mut began: ByNumber<Version> = began.into_iter().map(|version| (version.key, version)).collect();
        let mut scopes: HashMap<ScopeIds, Arc<Scope>, BuildHasherDefault<Mixer>> = HashMap::default();
        let mut scope = |ids| match scopes.entry(ids) {
            Entry::Occupied(known) => Ok(Arc::clone(known.get())),
            Entry::Vacant(place) => Ok(Arc::clone(place.insert(Arc::new(self.dimensions().scope(ids)?)))),
        };
        let mut changed = Vec::new();
        let mut walk = statement(self.db(), ended_by)?;
        let mut walk = walk.query(asked).attempt(FAILED)?;
        while let Some(row) = walk.next().attempt(FAILED)? {
            let Ended { key, ids, before, after, taken } = ended(row).attempt(FAILED)?;
            let (ids, after, taken) = match began.remove(&key) {
                Some(new) => (new.ids, Some(new.side), new.taken.or(taken)),
                None => (ids, after, taken),
            };
            // What ended and came back as it was is no change between the two.
            if after.as_ref() != Some(&before) {
                let cost = if after.is_some() { self.cost(book, key, ids, taken)? } else { None };
                changed.push(Changed { key, scope: scope(ids)?, ids, before: Some(before), after, cost });
            }
        }
        for Version { key, ids, side, .. } in began.into_values() {
            changed.push(Changed { key, scope: scope(ids)?, ids, before: None, after: Some(side), cost: None });
        }
        changed.sort_unstable_by_key(|one| one.key);
        Ok(changed)
    }

    /// How what began and what ended is found: by what ended or came in nights near to each other that are all kept, else among
    /// all that live.
    fn found_by(&self, earlier: &Snapshot, later: &Snapshot) -> Result<(&'static str, &'static str), StoreError> {
        let thinned: i64 = statement(self.db(), sql::THINNED_BETWEEN)?
            .query_row([earlier.id, later.id], |row| row.get(0))
            .attempt("count nights")?;
        let near = thinned == 0 && later.id - earlier.id <= NEAR;
        Ok(if near { (sql::BEGAN_NEAR, sql::ENDED_NEAR) } else { (sql::BEGAN_BETWEEN, sql::ENDED_BETWEEN) })
    }

    /// The tags of a resource in one night.
    pub(super) fn tags_in(&self, side: &Side) -> Result<TagSet, StoreError> {
        tags(self.db(), side.tag_set, side.name.as_deref().map(str::to_owned))
    }

    /// The name of a resource that changed.
    pub fn named(&self, changed: &Changed) -> Result<Arn, StoreError> {
        let local: String = statement(self.db(), sql::LOCAL_OF_RESOURCE)?
            .query_row([changed.key], |row| row.get(0))
            .attempt("read a resource")?;
        self.dimensions().arn(&local, &changed.scope, changed.ids)
    }

    /// `taken`: what its cost follows from, where that needs no look.
    fn cost(
        &self,
        book: Option<&CostBook>,
        key: i64,
        ids: ScopeIds,
        taken: Option<Taken>,
    ) -> Result<Option<ResourceCost>, StoreError> {
        let Some(book) = book else { return Ok(None) };
        let (usage, charged) = taken.map_or_else(|| self.look_up_taken(key), Ok)?;
        Ok(book.of(ids, usage, charged))
    }

    fn look_up_taken(&self, key: i64) -> Result<Taken, StoreError> {
        let found = statement(self.db(), sql::TAKEN_BY_KEY)?.query_row([key], |row| taken(row, 0)).optional();
        Ok(found.attempt("read a resource")?.unwrap_or_default())
    }
}
