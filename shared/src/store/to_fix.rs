//! Which resources are not compliant, with what it takes to make them so.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap, hash_map::Entry},
    hash::BuildHasherDefault,
    sync::Arc,
};

use rusqlite::Row;
use serde::{Deserialize, Serialize};

use super::{
    Attempt, Filter, PageStart, Row as Resource, Snapshot, Standing, StoreError, View,
    at_hand::{forget, keep, kept},
    cost::CostBook,
    halves::{ALL, Half},
    intern::statement,
    rows::{ScopeIds, state},
    sql,
    told::MOST_KEYS,
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
}

/// The same of an earlier night as it was told then: without costs, and with the first keys alone.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FirstToFix {
    steps: Vec<Step>,
    keys: Vec<i64>,
}

/// A resource that is not compliant: its key, the tags that are to be changed, and what it costs a month where that is known.
type Broken = (i64, u32, Option<Amount>);

impl ToFix {
    fn of(standing: Standing, mut broken: Vec<Broken>) -> Self {
        let order = |(key, changes, cost): &Broken| (*changes, Reverse(*cost), *key);
        broken.sort_unstable_by_key(order);
        let mut steps: Vec<Step> = Vec::new();
        for (_, changes, cost) in &broken {
            match steps.last_mut() {
                Some(step) if (step.changes, step.cost) == (*changes, *cost) => step.resources += 1,
                _ => steps.push(Step { changes: *changes, cost: *cost, resources: 1 }),
            }
        }
        let mut keys: Vec<i64> = broken.into_iter().map(|(key, ..)| key).collect();
        // Collected in place, they have room for all that was known of the resources.
        keys.shrink_to_fit();
        steps.shrink_to_fit();
        Self { standing, steps, keys }
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

/// Which scopes a filter admits, each asked once.
#[derive(Default)]
struct Admitted(HashMap<ScopeIds, bool, BuildHasherDefault<Mixer>>);

impl Admitted {
    fn admits(&mut self, view: &View<'_>, filter: &Filter, ids: ScopeIds) -> Result<bool, StoreError> {
        Ok(match self.0.entry(ids) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(place) => *place.insert(filter.admits(&view.dimensions().scope(ids)?)),
        })
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
        let whole = self.whole(snapshot);
        let book = self.costs_told(&whole, snapshot)?;
        if *filter == Filter::default() {
            // What is held has costs: it is not told of a night that was the newest when it was read.
            let known = match book {
                Some(_) => kept(&self.reader.held.to_fix, snapshot),
                None => self.first_to_fix(snapshot, wanted)?.map(Arc::new),
            };
            if let Some(known) = known {
                return Ok(known);
            }
        }
        let narrowed = match book {
            Some(book) => self.narrowed_to_fix(snapshot, filter, book)?,
            None => None,
        };
        narrowed.map_or_else(|| self.read_to_fix(snapshot, filter, book), Ok).map(Arc::new)
    }

    /// Of the newest snapshot, from what is held of all of it; none where it is not.
    fn narrowed_to_fix(
        &self,
        newest: &Snapshot,
        filter: &Filter,
        book: &CostBook,
    ) -> Result<Option<ToFix>, StoreError> {
        let (all, living) = (kept(&self.reader.held.to_fix, newest), self.living(newest));
        let Some((all, living)) = all.as_ref().zip(living.as_ref().and_then(|living| living.all(&ALL))) else {
            return Ok(None);
        };
        let mut changes: Vec<(i64, u32)> = Vec::with_capacity(all.keys.len());
        for (step, keys) in all.steps.iter().zip(all.keys()) {
            changes.extend(keys.iter().map(|key| (*key, step.changes)));
        }
        changes.sort_unstable();
        let mut changes = changes.into_iter().peekable();
        let (mut standing, mut broken, mut admitted) = (Standing::default(), Vec::new(), Admitted::default());
        for (key, ids, now) in living {
            while changes.next_if(|(other, _)| *other < key).is_some() {}
            if !admitted.admits(self, filter, ids)? {
                continue;
            }
            let (state, cost) = match now {
                Some(now) => (now.state, now.cost),
                None => match self.look_up_living(key)? {
                    Some(row) => (state(row.state), row.cost(Some(book))),
                    None => continue,
                },
            };
            standing.add(state, cost.unwrap_or_default());
            if state == State::NonCompliant {
                let Some((_, changes)) = changes.next_if(|(other, _)| *other == key) else { return Ok(None) };
                broken.push((key, changes, cost));
            }
        }
        Ok(Some(ToFix::of(standing, broken)))
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
        Ok(enough.then_some(ToFix { standing, steps, keys }))
    }

    fn read_to_fix(&self, snapshot: &Snapshot, filter: &Filter, book: Option<&CostBook>) -> Result<ToFix, StoreError> {
        let halves = self.in_halves(|view, half| view.read_broken(half, snapshot, filter, book))?;
        // Of the size that it will have: a vector that grows leaves as much again behind.
        let all = halves.iter().map(|(_, broken)| broken.len()).sum();
        let (mut standing, mut broken) = (Standing::default(), Vec::with_capacity(all));
        for (half, more) in halves {
            standing += half;
            broken.extend(more);
        }
        Ok(ToFix::of(standing, broken))
    }

    fn read_broken(
        &self,
        half: Half,
        snapshot: &Snapshot,
        filter: &Filter,
        book: Option<&CostBook>,
    ) -> Result<(Standing, Vec<Broken>), StoreError> {
        let columns = |row: &Row<'_>| {
            let usage = row.get::<_, Option<i64>>(6)?.zip(row.get::<_, Option<u32>>(7)?);
            let judged = (row.get::<_, i64>(0)?, state(row.get(4)?), row.get::<_, u32>(5)?);
            Ok((judged, ScopeIds::read(row, 1)?, usage, row.get::<_, Option<i64>>(8)?))
        };
        let (mut standing, mut broken) = (Standing::default(), Vec::new());
        let mut admitted = Admitted::default();
        let mut read = statement(self.db(), sql::JUDGED_TO_FIX)?;
        for one in read.query_map(half.of(snapshot), columns).attempt(FAILED)? {
            let ((key, state, changes), ids, usage, charged) = one.attempt(FAILED)?;
            if admitted.admits(self, filter, ids)? {
                let cost = book.and_then(|book| book.of(ids, usage, charged)).map(|cost| cost.monthly);
                standing.add(state, cost.unwrap_or_default());
                if state == State::NonCompliant {
                    broken.push((key, changes, cost));
                }
            }
        }
        Ok((standing, broken))
    }

    /// Resources by their keys, in the order given; those that the snapshot does not have are left out.
    pub fn resources_of(&self, snapshot: &Snapshot, keys: &[i64]) -> Result<Vec<Resource>, StoreError> {
        let places: Vec<PageStart> = keys.iter().map(|key| PageStart { rank: 0, key: *key }).collect();
        Ok(self.pages(snapshot).listed(&places, places.len())?.rows)
    }
}
