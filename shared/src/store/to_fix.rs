//! Which resources are not compliant, with what it takes to make them so.

use std::{collections::HashMap, hash::BuildHasherDefault};

use rusqlite::Row;

use super::{
    Attempt, Filter, PageStart, Row as Resource, Snapshot, Standing, StoreError, View,
    intern::statement,
    rows::{ScopeIds, state},
    sql,
};
use crate::{money::Amount, policy::State, suggest::counts::Mixer};

const FAILED: &str = "look for what to fix";

/// A resource that is not compliant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken {
    /// Its key in the ledger.
    pub key: i64,
    /// Tags that are to be changed: its errors.
    pub changes: u32,
    /// What it costs a month; none when that is not known.
    pub cost: Option<Amount>,
}

impl View<'_> {
    /// How the judged resources of a snapshot stand, and those that are not compliant, in the order of their keys; costs are told
    /// of the newest alone.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read; so for the question below.
    pub fn to_fix(&self, snapshot: &Snapshot, filter: &Filter) -> Result<(Standing, Vec<Broken>), StoreError> {
        let whole = self.whole(snapshot);
        let book = self.costs_told(&whole, snapshot)?;
        let columns = |row: &Row<'_>| {
            let usage = row.get::<_, Option<i64>>(6)?.zip(row.get::<_, Option<u32>>(7)?);
            let judged = (row.get::<_, i64>(0)?, state(row.get(4)?), row.get::<_, u32>(5)?);
            Ok((judged, ScopeIds::read(row, 1)?, usage, row.get::<_, Option<i64>>(8)?))
        };
        let dimensions = self.dimensions();
        let halves = self.in_halves(|view, half| {
            let (mut standing, mut broken) = (Standing::default(), Vec::new());
            let mut admitted: HashMap<ScopeIds, bool, BuildHasherDefault<Mixer>> = HashMap::default();
            let mut read = statement(view.db(), sql::JUDGED_TO_FIX)?;
            for one in read.query_map(half.of(snapshot), columns).attempt(FAILED)? {
                let ((key, state, changes), ids, usage, charged) = one.attempt(FAILED)?;
                let wanted = match admitted.get(&ids) {
                    Some(known) => *known,
                    None => {
                        let wanted = filter.admits(&dimensions.scope(ids)?);
                        admitted.insert(ids, wanted);
                        wanted
                    }
                };
                if wanted {
                    let cost = book.and_then(|book| book.of(ids, usage, charged)).map(|cost| cost.monthly);
                    standing.add(state, cost.unwrap_or_default());
                    if state == State::NonCompliant {
                        broken.push(Broken { key, changes, cost });
                    }
                }
            }
            Ok((standing, broken))
        })?;
        // Of the size that it will have: a vector that grows leaves as much again behind.
        let all = halves.iter().map(|(_, broken)| broken.len()).sum();
        let (mut standing, mut broken) = (Standing::default(), Vec::with_capacity(all));
        for (half, more) in halves {
            standing += half;
            broken.extend(more);
        }
        broken.sort_unstable_by_key(|one| one.key);
        Ok((standing, broken))
    }

    /// Resources by their keys, in the order given; those that the snapshot does not have are left out.
    pub fn resources_of(&self, snapshot: &Snapshot, keys: &[i64]) -> Result<Vec<Resource>, StoreError> {
        let places: Vec<PageStart> = keys.iter().map(|key| PageStart { rank: 0, key: *key }).collect();
        Ok(self.pages(snapshot).listed(&places, places.len())?.rows)
    }
}
