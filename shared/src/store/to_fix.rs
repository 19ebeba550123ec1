//! Which resources are not compliant, with what it takes to make them so.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap},
    hash::BuildHasherDefault,
    sync::Arc,
};

use rusqlite::Row;
use serde::{Deserialize, Serialize};

use super::{
    Attempt, Filter, PageStart, Row as Resource, Snapshot, Standing, StoreError, View,
    at_hand::{forget, keep, kept},
    cost::CostBook,
    halves::Half,
    intern::statement,
    rows::{Dimensions, ScopeIds, state},
    sql,
    told::MOST_KEYS,
    version::usage_ids,
};
use crate::{fixes::plan::Step, money::Amount, policy::State, suggest::counts::Mixer};

const FAILED: &str = "look for what to fix";

/// What there is to fix.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToFix {
    /// How the judged resources stand.
    pub standing: Standing,
    /// Those that are not compliant, alike ones together: those with fewest changes first, then those that cost most.
    pub steps: Vec<Step>,
    /// Keys of the resources of each step, step by step.
    keys: Vec<i64>,
    /// Where each of them is: a place in `scopes`.
    places: Vec<u32>,
    scopes: Vec<(ScopeIds, Standing)>,
}

/// The same of an earlier night as it was told then: without costs, and with the first keys alone.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FirstToFix {
    steps: Vec<Step>,
    keys: Vec<i64>,
}

/// A resource that is not compliant.
struct Broken {
    key: i64,
    /// Tags that are to be changed.
    changes: u32,
    /// Of its scope.
    place: u32,
    /// A month, where it is known.
    cost: Option<Amount>,
}

/// Judged resources: scope by scope how they stand, and those that are not compliant.
#[derive(Default)]
struct Judged {
    places: HashMap<ScopeIds, u32, BuildHasherDefault<Mixer>>,
    scopes: Vec<(ScopeIds, Standing)>,
    broken: Vec<Broken>,
}

impl Judged {
    fn place(&mut self, ids: ScopeIds) -> u32 {
        *self.places.entry(ids).or_insert_with(|| {
            self.scopes.push((ids, Standing::default()));
            u32::try_from(self.scopes.len() - 1).unwrap_or(u32::MAX)
        })
    }

    fn add(&mut self, ids: ScopeIds, standing: Standing) -> u32 {
        let place = self.place(ids);
        if let Some((_, sum)) = self.scopes.get_mut(place as usize) {
            *sum += standing;
        }
        place
    }

    fn join(halves: Vec<Self>) -> Self {
        // Of the size that it will have: a vector that grows leaves as much again behind.
        let room = halves.iter().map(|half| half.broken.len()).sum();
        let mut all = Self { broken: Vec::with_capacity(room), ..Self::default() };
        for half in halves {
            let places: Vec<u32> = half.scopes.into_iter().map(|(ids, standing)| all.add(ids, standing)).collect();
            let place = |one: &Broken| places.get(one.place as usize).copied().unwrap_or(u32::MAX);
            all.broken.extend(half.broken.into_iter().map(|one| Broken { place: place(&one), ..one }));
        }
        all
    }
}

impl ToFix {
    fn of(Judged { scopes, mut broken, .. }: Judged) -> Self {
        broken.sort_unstable_by_key(|one| (one.changes, Reverse(one.cost), one.key));
        let mut all = Self {
            keys: Vec::with_capacity(broken.len()),
            places: Vec::with_capacity(broken.len()),
            scopes,
            ..Self::default()
        };
        for (_, standing) in &all.scopes {
            all.standing += *standing;
        }
        for one in broken {
            match all.steps.last_mut() {
                Some(step) if (step.changes, step.cost) == (one.changes, one.cost) => step.resources += 1,
                _ => all.steps.push(Step { changes: one.changes, cost: one.cost, resources: 1 }),
            }
            all.keys.push(one.key);
            all.places.push(one.place);
        }
        all.steps.shrink_to_fit();
        all
    }

    /// What there is in the scopes that a filter admits.
    fn narrowed(&self, dimensions: &Dimensions, filter: &Filter) -> Result<Self, StoreError> {
        let (mut narrow, mut admitted) = (Self::default(), Vec::with_capacity(self.scopes.len()));
        for (ids, standing) in &self.scopes {
            let admits = filter.admits(&dimensions.scope(*ids)?);
            admitted.push(admits);
            if admits {
                narrow.standing += *standing;
            }
        }
        let mut places = self.places.iter();
        for (step, keys) in self.steps.iter().zip(self.keys()) {
            let before = narrow.keys.len();
            let admits = |place: &u32| admitted.get(*place as usize) == Some(&true);
            narrow.keys.extend(keys.iter().zip(&mut places).filter(|(_, place)| admits(place)).map(|(key, _)| key));
            let resources = (narrow.keys.len() - before) as u64;
            if resources > 0 {
                narrow.steps.push(Step { resources, ..*step });
            }
        }
        Ok(narrow)
    }

    /// Keys of the resources of each step, in their order. The last steps may have fewer than they have resources: the rest of an
    /// earlier night is not at hand.
    pub fn keys(&self) -> Vec<&[i64]> {
        let mut rest = self.keys.as_slice();
        let take = |step: &Step| {
            let wanted = usize::try_from(step.resources).unwrap_or(usize::MAX);
            let (keys, behind) = rest.split_at(wanted.min(rest.len()));
            rest = behind;
            keys
        };
        self.steps.iter().map(take).collect()
    }
}

/// The same while resources are read: for each number of changes how many there are, and the lowest keys.
#[derive(Default)]
pub(super) struct FirstToFixOf(BTreeMap<u32, (u64, BinaryHeap<i64>)>);

impl FirstToFixOf {
    /// A resource that is not compliant.
    pub(super) fn add(&mut self, key: i64, changes: u32) {
        let (resources, keys) = self.0.entry(changes).or_default();
        *resources += 1;
        if keys.len() < MOST_KEYS {
            keys.push(key);
        } else if keys.peek().is_some_and(|highest| key < *highest) {
            keys.pop();
            keys.push(key);
        }
    }

    pub(super) fn end(self) -> FirstToFix {
        let step = |(changes, (resources, _)): (&u32, &(u64, _))| Step {
            changes: *changes,
            cost: None,
            resources: *resources,
        };
        let steps = self.0.iter().map(step).collect();
        let keys = self.0.into_values().flat_map(|(_, keys)| keys.into_sorted_vec()).take(MOST_KEYS).collect();
        FirstToFix { steps, keys }
    }
}

impl View<'_> {
    /// How the judged resources of a snapshot stand, and what there is to fix of them; costs are told of the newest alone. Of an
    /// earlier night it may be what was told when that was the newest: each step with the first of its keys, `wanted` in all if there
    /// are so many.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read; so for the questions below.
    pub fn to_fix(&self, snapshot: &Snapshot, filter: &Filter, wanted: usize) -> Result<Arc<ToFix>, StoreError> {
        let (whole, everything) = (self.whole(snapshot), *filter == Filter::default());
        let book = self.costs_told(&whole, snapshot)?;
        // What is held has costs: it is not told of a night that was the newest when it was read. What was told has the first keys alone.
        let known = match book {
            Some(_) => kept(&self.reader.held.to_fix, snapshot),
            None if everything => self.first_to_fix(snapshot, wanted)?.map(Arc::new),
            None => None,
        };
        let all = known.map_or_else(|| self.read_to_fix(snapshot, book).map(Arc::new), Ok)?;
        if everything { Ok(all) } else { all.narrowed(self.dimensions(), filter).map(Arc::new) }
    }

    /// Reads ahead what there is to fix in the newest snapshot.
    pub fn warm_to_fix(&self, newest: &Snapshot) -> Result<(), StoreError> {
        let held = &self.reader.held.to_fix;
        if kept(held, newest).is_none() {
            // There is no room for both.
            forget(held);
            keep(held, newest, &self.to_fix(newest, &Filter::default(), usize::MAX)?);
        }
        Ok(())
    }

    /// As it was told when the night was the newest; none where that was not, or with fewer keys than are wanted.
    fn first_to_fix(&self, snapshot: &Snapshot, wanted: usize) -> Result<Option<ToFix>, StoreError> {
        let Some(FirstToFix { steps, keys }) = self.told(snapshot)?.map(|told| told.to_fix) else { return Ok(None) };
        let tally = self.night_totals(snapshot, &Filter::default())?.tally;
        let standing =
            Standing { compliant: tally.compliant, non_compliant: tally.non_compliant, ..Standing::default() };
        let all = steps.iter().map(|step| step.resources).sum::<u64>();
        let enough = keys.len() >= wanted || keys.len() as u64 == all;
        Ok(enough.then_some(ToFix { standing, steps, keys, ..ToFix::default() }))
    }

    fn read_to_fix(&self, snapshot: &Snapshot, book: Option<&CostBook>) -> Result<ToFix, StoreError> {
        self.in_halves(|view, half| view.read_half(half, snapshot, book)).map(Judged::join).map(ToFix::of)
    }

    fn read_half(&self, half: Half, snapshot: &Snapshot, book: Option<&CostBook>) -> Result<Judged, StoreError> {
        let columns = |row: &Row<'_>| {
            let usage = usage_ids(row, 6)?;
            let judged = (row.get::<_, i64>(0)?, state(row.get(4)?), row.get::<_, u32>(5)?);
            Ok((judged, ScopeIds::read(row, 1)?, usage, row.get::<_, Option<i64>>(8)?))
        };
        let mut all = Judged::default();
        let mut read = statement(self.db(), sql::JUDGED_TO_FIX)?;
        for one in read.query_map(half.of(snapshot), columns).attempt(FAILED)? {
            let ((key, state, changes), ids, usage, charged) = one.attempt(FAILED)?;
            let cost = book.and_then(|book| book.of(ids, usage, charged)).map(|cost| cost.monthly);
            let mut standing = Standing::default();
            standing.add(state, cost.unwrap_or_default());
            let place = all.add(ids, standing);
            if state == State::NonCompliant {
                all.broken.push(Broken { key, changes, place, cost });
            }
        }
        Ok(all)
    }

    /// Resources by their keys, in the order given; those that the snapshot does not have are left out.
    pub fn resources_of(&self, snapshot: &Snapshot, keys: &[i64]) -> Result<Vec<Resource>, StoreError> {
        let places: Vec<PageStart> = keys.iter().map(|key| PageStart { rank: 0, key: *key }).collect();
        Ok(self.pages(snapshot).listed(&places, places.len())?.rows)
    }
}
