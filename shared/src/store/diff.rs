//! What differs between two nights: of each resource what was known in the one and in the other.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, OnceLock},
};

use rusqlite::{OptionalExtension, Row, params};

use super::{
    Attempt, ResourceCost, Snapshot, StoreError, View,
    intern::{NAME, statement, tag_ids},
    page::{tag, tags},
    rows::{ScopeIds, rows, state},
    sql,
    version::UsageIds,
};
use crate::{
    Arn,
    inventory::{Scope, TagSet},
    policy::State,
};

/// A resource in one night.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// Its state.
    pub state: State,
    tag_set: Option<i64>,
    name: Option<String>,
}

/// A resource that was not the same in both nights; there in one of them at least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Its key in the ledger.
    pub key: i64,
    /// Where it is, or was.
    pub scope: Arc<Scope>,
    /// In the earlier night.
    pub before: Option<Side>,
    /// In the later one.
    pub after: Option<Side>,
    /// What its cost follows from; none where it has to be looked up.
    taken: Option<Taken>,
}

/// What a resource takes of something that is billed in one sum, and what the bill says of it by name.
type Taken = (Option<UsageIds>, Option<i64>);

/// A key whose value differs between two nights.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagChange {
    /// The key, to the letter.
    pub key: Arc<str>,
    /// Its value in the earlier night; none: it was not there.
    pub before: Option<Arc<str>>,
    /// Its value in the later one; none: it is there no more.
    pub after: Option<Arc<str>>,
}

impl Side {
    /// Its tag set and name, as local ids and text.
    pub(super) fn tags_known(&self) -> (Option<i64>, Option<&str>) {
        (self.tag_set, self.name.as_deref())
    }

    /// Whether another night knew the same tags.
    pub fn same_tags(&self, other: &Self) -> bool {
        self.tag_set == other.tag_set && self.name == other.name
    }
}

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
fn version(row: &Row<'_>, at: usize) -> rusqlite::Result<Version> {
    let side = Side { tag_set: row.get(at + 1)?, name: row.get(at + 2)?, state: state(row.get(at + 3)?) };
    let taken = if row.get(at + 7)? { Some(taken(row, at + 8)?) } else { None };
    Ok(Version { key: row.get(at)?, ids: ScopeIds::read(row, at + 4)?, side, taken })
}

/// What ended, with what came in its place where that is known at once, or at least with what its cost follows from now.
fn ended(row: &Row<'_>) -> rusqlite::Result<(Version, Option<Version>)> {
    let side = Side { tag_set: row.get(1)?, name: row.get(2)?, state: state(row.get(3)?) };
    let known: i64 = row.get(7)?;
    let taken = if known > 0 { Some(taken(row, 16)?) } else { None };
    let old = Version { key: row.get(0)?, ids: ScopeIds::read(row, 4)?, side, taken };
    let new = if known == 1 { Some(version(row, 8)?) } else { None };
    Ok((old, new))
}

fn taken(row: &Row<'_>, first: usize) -> rusqlite::Result<Taken> {
    let usage = row.get::<_, Option<i64>>(first)?.zip(row.get::<_, Option<u32>>(first + 1)?);
    Ok((usage, row.get(first + 2)?))
}

/// What differs between two nights.
#[derive(Debug)]
pub struct Differences {
    /// In the order of the keys.
    pub changed: Vec<Changed>,
    tags: OnceLock<Vec<Vec<TagChange>>>,
}

/// More are not read ahead: they would have too much of a server's memory.
const MOST_AHEAD: usize = 32_768;

impl Differences {
    /// Of each of [`changed`](Self::changed) the keys whose values differ between the two nights, in no order; none where it is not
    /// in both.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub fn tags(&self, view: &View<'_>) -> Result<&[Vec<TagChange>], StoreError> {
        match self.tags.get() {
            Some(known) => Ok(known),
            None => {
                let read = view.tag_changes(&self.changed)?;
                Ok(self.tags.get_or_init(|| read))
            }
        }
    }
}

impl View<'_> {
    /// What differs between two nights, the earlier one first.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read; so for the questions below.
    pub fn differences(&self, earlier: &Snapshot, later: &Snapshot) -> Result<Arc<Differences>, StoreError> {
        match self.wholes().known(later).and_then(|whole| whole.since(earlier.id)) {
            Some(known) => Ok(known),
            None => Ok(Arc::new(Differences { changed: self.changed(earlier, later)?, tags: OnceLock::new() })),
        }
    }

    /// Reads ahead what differs between the newest night and the one before it, which is what most ask.
    pub(super) fn read_last_differences(&self, newest: &Snapshot) -> Result<(), StoreError> {
        let Some(before) = self.night_before(newest.started_at)? else { return Ok(()) };
        let differences = self.differences(&before, newest)?;
        if differences.changed.len() <= MOST_AHEAD {
            differences.tags(self)?;
            self.whole(newest).keep_since(before.id, differences);
        }
        Ok(())
    }

    pub(super) fn changed(&self, earlier: &Snapshot, later: &Snapshot) -> Result<Vec<Changed>, StoreError> {
        let nights = params![earlier.id, later.id];
        let (began, ended_by) = self.found_by(earlier, later)?;
        let began = rows(self.db(), began, nights, |row| version(row, 0))?;
        let mut after: HashMap<i64, Version> = began.into_iter().map(|version| (version.key, version)).collect();
        let mut scopes: HashMap<ScopeIds, Arc<Scope>> = HashMap::new();
        let mut scope = |ids| match scopes.entry(ids) {
            Entry::Occupied(known) => Ok(Arc::clone(known.get())),
            Entry::Vacant(place) => Ok(Arc::clone(place.insert(Arc::new(self.dimensions().scope(ids)?)))),
        };
        let mut changed = Vec::new();
        for (old, new) in rows(self.db(), ended_by, nights, ended)? {
            let new = after.remove(&old.key).or(new);
            let scope = scope(new.as_ref().map_or(old.ids, |new| new.ids))?;
            let (after, taken) = new.map(|new| (new.side, new.taken)).unzip();
            // What ended and came back as it was is no change between the two.
            if after.as_ref() != Some(&old.side) {
                let taken = taken.flatten().or(old.taken);
                changed.push(Changed { key: old.key, scope, before: Some(old.side), after, taken });
            }
        }
        for Version { key, ids, side, taken } in after.into_values() {
            changed.push(Changed { key, scope: scope(ids)?, before: None, after: Some(side), taken });
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
    pub fn tags_in(&self, side: &Side) -> Result<TagSet, StoreError> {
        tags(self.db(), side.tag_set, side.name.clone())
    }

    fn tag_changes(&self, changed: &[Changed]) -> Result<Vec<Vec<TagChange>>, StoreError> {
        let sides = || changed.iter().filter_map(|one| one.before.as_ref().zip(one.after.as_ref()));
        let both = sides().flat_map(|(was, is)| [was.tag_set, is.tag_set]);
        let sets: HashMap<i64, Vec<i64>> = read_in_order(both.flatten(), |id| tag_ids(self.db(), id))?;
        let set = |side: &Side| side.tag_set.and_then(|id| sets.get(&id)).map_or(&[][..], Vec::as_slice);
        let gone = |old: &Side, new: &Side| -> Vec<i64> {
            set(old).iter().filter(|id| !set(new).contains(id)).copied().collect()
        };
        let differing = sides().flat_map(|(was, is)| gone(was, is).into_iter().chain(gone(is, was)));
        let tags: HashMap<i64, (Arc<str>, Arc<str>)> = read_in_order(differing, |id| {
            let (key, value) = tag(self.db(), id)?;
            Ok((key.into(), value.into()))
        })?;
        let one = |one: &Changed| {
            let Some((was, is)) = one.before.as_ref().zip(one.after.as_ref()) else { return Vec::new() };
            let mut changes: Vec<TagChange> = Vec::new();
            for (key, value) in gone(was, is).iter().filter_map(|id| tags.get(id)).cloned() {
                changes.push(TagChange { key, before: Some(value), after: None });
            }
            for (key, value) in gone(is, was).iter().filter_map(|id| tags.get(id)).cloned() {
                match changes.iter_mut().find(|change| change.key == key) {
                    Some(change) => change.after = Some(value),
                    None => changes.push(TagChange { key, before: None, after: Some(value) }),
                }
            }
            if was.name != is.name {
                let [before, after] = [was, is].map(|side| side.name.as_deref().map(Arc::from));
                changes.push(TagChange { key: NAME.into(), before, after });
            }
            changes
        };
        Ok(changed.iter().map(one).collect())
    }

    /// The name of a resource that changed.
    pub fn named(&self, changed: &Changed) -> Result<Arn, StoreError> {
        let local: String = statement(self.db(), sql::LOCAL_OF_RESOURCE)?
            .query_row([changed.key], |row| row.get(0))
            .attempt("read a resource")?;
        self.dimensions().arn(&local, &changed.scope, self.dimensions().ids(&changed.scope)?)
    }

    /// What each of them costs by the newest snapshot, in their order.
    pub fn costs_of(&self, newest: &Snapshot, changed: &[Changed]) -> Result<Vec<Option<ResourceCost>>, StoreError> {
        let whole = self.whole(newest);
        let Some(book) = whole.costs(self.db(), self.dimensions())? else { return Ok(vec![None; changed.len()]) };
        let cost = |one: &Changed| {
            let (usage, charged) = match one.taken {
                Some(known) => known,
                None => self.look_up_taken(one.key)?,
            };
            Ok(book.of(self.dimensions().ids(&one.scope)?, usage, charged))
        };
        changed.iter().map(cost).collect()
    }

    fn look_up_taken(&self, key: i64) -> Result<Taken, StoreError> {
        let found = statement(self.db(), sql::TAKEN_BY_KEY)?.query_row([key], |row| taken(row, 0)).optional();
        Ok(found.attempt("read a resource")?.unwrap_or_default())
    }
}

/// Reads each once, in the order in which they lie in the file: neighbours are then on a page that was just read.
fn read_in_order<T>(
    ids: impl Iterator<Item = i64>,
    read: impl Fn(i64) -> Result<T, StoreError>,
) -> Result<HashMap<i64, T>, StoreError> {
    let mut ids: Vec<i64> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    ids.into_iter().map(|id| Ok((id, read(id)?))).collect()
}
