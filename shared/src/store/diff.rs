//! What differs between two nights: of each resource what was known in the one and in the other.

use std::collections::HashMap;

use rusqlite::{Row, params};

use super::{
    Attempt, ResourceCost, Snapshot, StoreError, View,
    intern::statement,
    page::Remembered,
    rows::{ScopeIds, rows, state},
    sql,
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
    pub scope: Scope,
    /// In the earlier night.
    pub before: Option<Side>,
    /// In the later one.
    pub after: Option<Side>,
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

/// Tags that were read already: those of many resources are the same.
#[derive(Default)]
pub struct TagsRead(Remembered);

/// Nights from one to the other, beyond which most of the estate may have changed.
const NEAR: i64 = 30;

type Columns = (i64, ScopeIds, Side);

fn side(row: &Row<'_>) -> rusqlite::Result<Columns> {
    let side = Side { tag_set: row.get(1)?, name: row.get(2)?, state: state(row.get(3)?) };
    Ok((row.get(0)?, ScopeIds::read(row, 4)?, side))
}

impl View<'_> {
    /// What differs between two nights, the earlier one first; in the order of the keys.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read; so for the questions below.
    pub fn changed(&self, earlier: &Snapshot, later: &Snapshot) -> Result<Vec<Changed>, StoreError> {
        let nights = params![earlier.id, later.id];
        let mut after: HashMap<i64, (ScopeIds, Side)> =
            rows(self.db(), self.began_between(earlier, later)?, nights, side)?
                .into_iter()
                .map(|(key, ids, side)| (key, (ids, side)))
                .collect();
        let mut changed = Vec::new();
        for (key, ids, before) in rows(self.db(), sql::ENDED_BETWEEN, nights, side)? {
            let now = after.remove(&key);
            let ids = now.as_ref().map_or(ids, |(ids, _)| *ids);
            let after = now.map(|(_, side)| side);
            // What ended and came back as it was is no change between the two.
            if after.as_ref() != Some(&before) {
                changed.push(Changed { key, scope: self.dimensions().scope(ids)?, before: Some(before), after });
            }
        }
        for (key, (ids, side)) in after {
            changed.push(Changed { key, scope: self.dimensions().scope(ids)?, before: None, after: Some(side) });
        }
        changed.sort_by_key(|one| one.key);
        Ok(changed)
    }

    /// How what began is found: by what ended or came in nights near to each other that are all kept, else among all that live.
    fn began_between(&self, earlier: &Snapshot, later: &Snapshot) -> Result<&'static str, StoreError> {
        let thinned: i64 = statement(self.db(), sql::THINNED_BETWEEN)?
            .query_row([earlier.id, later.id], |row| row.get(0))
            .attempt("count nights")?;
        let near = thinned == 0 && later.id - earlier.id <= NEAR;
        Ok(if near { sql::BEGAN_NEAR } else { sql::BEGAN_BETWEEN })
    }

    /// The tags of a resource in one night. `read`: what was read for others.
    pub fn tags_in(&self, side: &Side, read: &mut TagsRead) -> Result<TagSet, StoreError> {
        read.0.tags(self.db(), side.tag_set, side.name.clone())
    }

    /// Its name, and what it costs by the newest snapshot.
    pub fn named(&self, newest: &Snapshot, changed: &Changed) -> Result<(Arn, Option<ResourceCost>), StoreError> {
        let columns = |row: &Row<'_>| {
            let usage = row.get::<_, Option<i64>>(3)?.zip(row.get::<_, Option<u32>>(4)?);
            Ok((row.get::<_, String>(0)?, usage, row.get::<_, Option<i64>>(5)?))
        };
        let (local, usage, charged) =
            statement(self.db(), sql::RESOURCE_BY_KEY)?.query_row([changed.key], columns).attempt("read a resource")?;
        let ids = self.dimensions().ids(&changed.scope)?;
        let whole = self.whole(newest);
        let cost = whole.costs(self.db(), self.dimensions())?.and_then(|book| book.of(ids, usage, charged));
        Ok((self.dimensions().arn(&local, &changed.scope, ids)?, cost))
    }
}
