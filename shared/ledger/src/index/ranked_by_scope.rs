//! An index of resources with findings and of resources with missing tags, by scope and rank.
//!
//! The file has one order for all scopes. Without the index, a page of few scopes would read hundreds of thousands of resources of other
//! scopes.

use std::{cmp::Reverse, collections::HashMap, ops::Range, sync::Arc};

use rusqlite::Connection;
use rustc_hash::FxBuildHasher;

use crate::{
    db::{sql, statements::query_rows},
    error::LedgerError,
    model::{
        page::PageStart,
        resource_row::{Order, OrderBySeverity},
        scope_ids::ScopeIds,
        snapshot::Snapshot,
    },
    read::{
        memo::{CacheValue, bytes_of},
        session::ReadSession,
    },
};

/// The largest number of scopes of a page from the index. In the order of the file, a page of more scopes is found fast enough.
const MAX_SCOPES: usize = if cfg!(test) { 2 } else { 256 };

/// The resources of the newest snapshot.
#[derive(Debug, Default)]
pub(crate) struct RankedByScope {
    by_severity: Ranked,
    by_missing_tags: Ranked,
}

/// Resources in one order, twelve bytes each.
#[derive(Debug, Default)]
struct Ranked {
    scopes: HashMap<ScopeIds, Range<usize>, FxBuildHasher>,
    /// The ranks of the resources. Within a scope they are sorted by rank, then by key, both descending.
    ranks: Vec<u32>,
    keys: Vec<i64>,
}

impl RankedByScope {
    fn load(db: &Connection) -> Result<Self, LedgerError> {
        let by_severity = Ranked::load(db, sql::CURRENT_WITH_FINDINGS)?;
        Ok(Self { by_severity, by_missing_tags: Ranked::load(db, sql::CURRENT_MISSING_TAGS)? })
    }

    /// The page of the admitted scopes after a start; none when there are too many scopes, or when the ranks do not determine which
    /// resources are listed.
    pub(crate) fn list_page(
        &self,
        admits: impl Fn(ScopeIds) -> bool,
        order: Order,
        start: PageStart,
        limit: usize,
    ) -> Option<Vec<PageStart>> {
        match order {
            Order::BySeverity(OrderBySeverity { errors: true, warnings }) => {
                self.by_severity.list_page(admits, start, u32::from(!warnings), limit)
            }
            Order::ByMissingTags(None) => self.by_missing_tags.list_page(admits, start, 0, limit),
            Order::BySeverity(_) | Order::ByMissingTags(Some(_)) => None,
        }
    }
}

impl Ranked {
    fn load(db: &Connection, text: &'static str) -> Result<Self, LedgerError> {
        // A position instead of the ids makes a row 16 bytes long. The allocator does not return the memory of larger rows.
        let mut positions: HashMap<ScopeIds, u32, FxBuildHasher> = HashMap::default();
        let mut all = query_rows(db, text, [], |row| {
            let next = u32::try_from(positions.len()).unwrap_or(u32::MAX);
            let position = *positions.entry(ScopeIds::read(row, 0)?).or_insert(next);
            Ok((position, Reverse(row.get::<_, u32>(3)?), Reverse(row.get::<_, i64>(4)?)))
        })?;
        all.sort_unstable();
        let start = |position: u32| all.partition_point(|(scope, ..)| *scope < position);
        Ok(Self {
            scopes: positions
                .into_iter()
                .map(|(scope, position)| (scope, start(position)..start(position.saturating_add(1))))
                .collect(),
            ranks: all.iter().map(|(_, Reverse(rank), _)| *rank).collect(),
            keys: all.iter().map(|(.., Reverse(key))| *key).collect(),
        })
    }

    /// The page of resources with rank `min_rank` and above.
    fn list_page(
        &self,
        admits: impl Fn(ScopeIds) -> bool,
        start: PageStart,
        min_rank: u32,
        limit: usize,
    ) -> Option<Vec<PageStart>> {
        let admitted: Vec<&Range<usize>> = self
            .scopes
            .iter()
            .filter(|(scope, _)| admits(**scope))
            .map(|(_, range)| range)
            .take(MAX_SCOPES + 1)
            .collect();
        if admitted.len() > MAX_SCOPES {
            return None;
        }
        let mut page: Vec<PageStart> = admitted
            .into_iter()
            .flat_map(|range| self.list_scope_page(range.clone(), start, min_rank, limit))
            .collect();
        page.sort_unstable_by_key(|start| Reverse((start.rank, start.key)));
        page.truncate(limit);
        Some(page)
    }

    fn list_scope_page(
        &self,
        range: Range<usize>,
        start: PageStart,
        min_rank: u32,
        limit: usize,
    ) -> impl Iterator<Item = PageStart> {
        let ranks = self.ranks.get(range.clone()).unwrap_or_default();
        let keys = self.keys.get(range).unwrap_or_default();
        let starts = ranks.iter().zip(keys).map(|(rank, key)| PageStart { rank: i64::from(*rank), key: *key });
        let before = move |one: &PageStart| start != PageStart::FIRST && (one.rank, one.key) >= (start.rank, start.key);
        starts.skip_while(before).take_while(move |one| one.rank >= i64::from(min_rank)).take(limit)
    }
}

impl CacheValue for RankedByScope {
    fn weight(&self) -> usize {
        let ranked = |one: &Ranked| {
            2 * bytes_of::<(ScopeIds, Range<usize>)>(one.scopes.len()) + bytes_of::<u32>(3 * one.keys.len())
        };
        ranked(&self.by_severity) + ranked(&self.by_missing_tags)
    }
}

/// The index of a snapshot, if it was preloaded while that was the newest.
pub(crate) fn cached(session: &ReadSession<'_>, snapshot: &Snapshot) -> Option<Arc<RankedByScope>> {
    session.memo(snapshot).get()
}

/// Loads the index of the newest snapshot into the cache.
pub(crate) fn preload(session: &ReadSession<'_>, newest: &Snapshot) -> Result<(), LedgerError> {
    session.memo(newest).replace_or_load(|| RankedByScope::load(session.db())).map(drop)
}
