//! What differs between two nights: of each resource what was known in the one and in the other.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::BuildHasherDefault,
    sync::Arc,
};

use rusqlite::{Row, params};

use super::{
    Attempt, Snapshot, StoreError, View,
    cost::CostBook,
    gathering::ByNumber,
    halves::{ALL, Keys},
    intern::statement,
    living::{self, Living},
    page::tags,
    retagged::Retagged,
    rows::{Dimensions, ScopeIds, rows, state},
    sql,
};
use crate::{
    Arn,
    inventory::{Scope, TagSet},
    money::Amount,
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
    /// What it costs a month by the newest snapshot; none when that is not known or was not asked for.
    pub cost: Option<Amount>,
}

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

/// A version: of which resource, where it is, and what was known.
struct Version {
    key: i64,
    ids: ScopeIds,
    side: Side,
}

/// From seven columns.
fn version(row: &Row<'_>) -> rusqlite::Result<Version> {
    let side = Side { tag_set: row.get(1)?, name: row.get(2)?, state: state(row.get(3)?) };
    Ok(Version { key: row.get(0)?, ids: ScopeIds::read(row, 4)?, side })
}

/// What the ledger has for a version that ended because its resource is gone.
const REMOVED: i64 = 5;

/// What differs between two nights.
#[derive(Debug, Default)]
pub struct Differences {
    /// In the order of the keys.
    pub changed: Vec<Changed>,
    /// Their tags.
    pub retagged: Retagged,
}

/// Which resources are asked for.
#[derive(Clone, Copy)]
enum Wanted<'w> {
    /// All that are not the same, without costs.
    All,
    /// Those that were there in both nights, with what they cost.
    Both(Option<&'w CostBook>),
}

/// A resource as it is in the newest snapshot.
struct Present {
    since: i64,
    ids: ScopeIds,
    side: Side,
    cost: Option<Amount>,
}

impl View<'_> {
    /// How resources differ that were there in both of two nights, the earlier one first; with costs.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read; so for the questions below.
    pub fn differences(&self, earlier: &Snapshot, later: &Snapshot) -> Result<Arc<Differences>, StoreError> {
        let Some(newest) = self.newest()? else { return Ok(Arc::default()) };
        let at_hand = self.at_hand(&newest).filter(|_| newest == *later);
        if let Some(known) = at_hand.and_then(|at_hand| at_hand.since(earlier.id)) {
            return Ok(known);
        }
        let whole = self.whole(&newest);
        let book = whole.costs(self.db(), self.dimensions())?;
        self.read_differences(earlier, later, Wanted::Both(book)).map(Arc::new)
    }

    /// All that differs between two nights, also what came and what is gone; without costs.
    pub(super) fn all_differences(&self, earlier: &Snapshot, later: &Snapshot) -> Result<Differences, StoreError> {
        self.read_differences(earlier, later, Wanted::All)
    }

    fn read_differences(
        &self,
        earlier: &Snapshot,
        later: &Snapshot,
        wanted: Wanted<'_>,
    ) -> Result<Differences, StoreError> {
        let newest = self.newest()?;
        let living = newest.as_ref().and_then(|newest| self.living(newest));
        let at_hand = newest.as_ref().and_then(|newest| self.at_hand(newest));
        let sets = at_hand.as_ref().map(|at_hand| &at_hand.sets);
        let halves = self.in_halves(|view, half| {
            let changed = Compared::of(view, earlier, later, wanted, living.as_deref()).changed(half.keys())?;
            let retagged = Retagged::read(view.db(), sets, &changed)?;
            Ok((changed, retagged))
        })?;
        let (changed, retagged): (Vec<_>, Vec<_>) = halves.into_iter().unzip();
        Ok(Differences { changed: changed.into_iter().flatten().collect(), retagged: Retagged::join(retagged) })
    }

    /// All that differs, without costs and tags.
    pub(super) fn changed(&self, earlier: &Snapshot, later: &Snapshot) -> Result<Vec<Changed>, StoreError> {
        let living = self.newest()?.and_then(|newest| self.living(&newest));
        Compared::of(self, earlier, later, Wanted::All, living.as_deref()).changed(ALL)
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
}

/// Two nights, in the course of being compared.
struct Compared<'c> {
    view: &'c View<'c>,
    earlier: &'c Snapshot,
    later: &'c Snapshot,
    wanted: Wanted<'c>,
    living: Option<&'c Living>,
    scopes: Scopes<'c>,
}

impl<'c> Compared<'c> {
    fn of(
        view: &'c View<'c>,
        earlier: &'c Snapshot,
        later: &'c Snapshot,
        wanted: Wanted<'c>,
        living: Option<&'c Living>,
    ) -> Self {
        Self {
            view,
            earlier,
            later,
            wanted,
            living,
            scopes: Scopes { dimensions: view.dimensions(), known: HashMap::default() },
        }
    }

    fn changed(mut self, keys: Keys) -> Result<Vec<Changed>, StoreError> {
        let (earlier, later) = (self.earlier.id, self.later.id);
        let (began, all_began) = self.began()?;
        let began = rows(self.view.db(), began, params![earlier, later, keys.start(), keys.end()], version)?;
        let mut began: ByNumber<Version> = began.into_iter().map(|version| (version.key, version)).collect();
        let mut changed = Vec::new();
        let mut walk = statement(self.view.db(), sql::ENDED_BETWEEN)?;
        let asked = params![earlier, later, keys.start(), keys.end(), self.left_out()];
        let mut walk = walk.query(asked).attempt(FAILED)?;
        while let Some(row) = walk.next().attempt(FAILED)? {
            let (ended, by) = version(row).and_then(|ended| Ok((ended, row.get::<_, i64>(7)?))).attempt(FAILED)?;
            let new = began.remove(&ended.key);
            let looked_up = match (self.wanted, &new) {
                // For what it costs.
                (Wanted::Both(_), Some(new)) => new.side != ended.side,
                (Wanted::Both(_), None) => !all_began,
                // What was removed and returned is among what came.
                (Wanted::All, _) => new.is_none() && !all_began && by != REMOVED,
            };
            let now = if looked_up { self.now(&ended)? } else { None };
            changed.extend(self.compared(ended, new, now)?);
        }
        if matches!(self.wanted, Wanted::All) {
            for Version { key, ids, side } in began.into_values() {
                let scope = self.scopes.of(ids)?;
                changed.push(Changed { key, scope, ids, before: None, after: Some(side), cost: None });
            }
        }
        changed.sort_unstable_by_key(|one| one.key);
        Ok(changed)
    }

    /// Versions that need not be read: none returns in the night that removes it.
    fn left_out(&self) -> i64 {
        if matches!(self.wanted, Wanted::Both(_)) && self.later.id == self.earlier.id + 1 { REMOVED } else { 0 }
    }

    /// How what began is found, and whether that is all of it: else what holds still is found by what ended in its place.
    fn began(&self) -> Result<(&'static str, bool), StoreError> {
        let thinned: i64 = statement(self.view.db(), sql::THINNED_BETWEEN)?
            .query_row([self.earlier.id, self.later.id], |row| row.get(0))
            .attempt("count nights")?;
        let near = thinned == 0 && self.later.id - self.earlier.id <= NEAR;
        Ok(match self.wanted {
            Wanted::Both(_) if near || self.living.is_some_and(Living::is_whole) => (sql::BEGAN_AND_ENDED, false),
            Wanted::All if near => (sql::BEGAN_NEAR, false),
            // To look all of them up takes longer.
            Wanted::Both(_) | Wanted::All => (sql::BEGAN_BETWEEN, true),
        })
    }

    /// A version that ended, beside one that began since and ended as well, and what its resource is now.
    fn compared(
        &mut self,
        ended: Version,
        began: Option<Version>,
        now: Option<Present>,
    ) -> Result<Option<Changed>, StoreError> {
        let both = matches!(self.wanted, Wanted::Both(_));
        let cost = now.as_ref().filter(|_| both).and_then(|now| now.cost);
        let since = self.earlier.id + 1..=self.later.id;
        let began = began.map(|began| (began.ids, began.side));
        let (ids, after) = match began.or(now.filter(|now| since.contains(&now.since)).map(|now| (now.ids, now.side))) {
            Some((ids, side)) => (ids, Some(side)),
            None => (ended.ids, None),
        };
        // What ended and came back as it was is no change between the two.
        if after.as_ref() == Some(&ended.side) || after.is_none() && both {
            return Ok(None);
        }
        let scope = self.scopes.of(ids)?;
        Ok(Some(Changed { key: ended.key, scope, ids, before: Some(ended.side), after, cost }))
    }

    /// What has become of a resource.
    fn now(&self, ended: &Version) -> Result<Option<Present>, StoreError> {
        let name = ended.side.name.as_ref();
        // What matters of one that began in neither night is its cost.
        let as_named = |now: &living::Now| {
            now.since <= self.earlier.id
                || now.since > self.later.id
                || now.is_named(name.map(|name| &**name), ended.ids)
        };
        match self.living.and_then(|living| living.get(ended.key)) {
            Some(None) => return Ok(None),
            Some(Some(now)) if as_named(&now) => {
                let side = Side { state: now.state, tag_set: now.tag_set, name: name.map(Arc::clone) };
                return Ok(Some(Present { since: now.since, ids: ended.ids, side, cost: now.cost }));
            }
            Some(Some(_)) | None => {}
        }
        let book = match self.wanted {
            Wanted::Both(book) => book,
            Wanted::All => None,
        };
        let found = self.view.look_up_living(ended.key)?;
        Ok(found.map(|row| {
            let cost = row.cost(book);
            let side = Side { state: state(row.state), tag_set: row.tag_set, name: row.name.map(Arc::from) };
            Present { since: row.since, ids: row.ids, side, cost }
        }))
    }
}

/// Scopes by their local ids, each once.
struct Scopes<'s> {
    dimensions: &'s Dimensions,
    known: HashMap<ScopeIds, Arc<Scope>, BuildHasherDefault<Mixer>>,
}

impl Scopes<'_> {
    fn of(&mut self, ids: ScopeIds) -> Result<Arc<Scope>, StoreError> {
        match self.known.entry(ids) {
            Entry::Occupied(known) => Ok(Arc::clone(known.get())),
            Entry::Vacant(place) => Ok(Arc::clone(place.insert(Arc::new(self.dimensions.scope(ids)?)))),
        }
    }
}
