//! An index of the resources of a snapshot with missing tags, ordered by cost, for totals and pages by cost and age.

use std::{collections::BTreeMap, sync::Arc};

use rusqlite::{Connection, Row};
use tagledger_cost::Amount;
use tagledger_model::inventory::Scope;

use crate::{
    cost::resource_cost::{self, ResourceCostModel},
    db::{
        dimensions::Dimensions,
        resource_state::read_usage,
        sql,
        statements::{prepare, query_rows},
    },
    error::{ErrorContext, LedgerError, Operation},
    model::{page::PageStart, scope_ids::ScopeIds, snapshot::Snapshot},
    read::{
        filter::Filter,
        memo::{CacheValue, SCOPE_BYTES, bytes_of},
        session::ReadSession,
    },
};

/// Restricts resources with missing tags by age and cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AgeAndCostFilter {
    /// Only resources created at this time or earlier, in seconds since 1970. Resources without a creation time are left out.
    pub created_until: Option<i64>,
    /// Only resources with a known monthly cost of at least this amount.
    pub min_cost: Option<Amount>,
}

/// The number and cost of resources with missing tags.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MissingTagTotals {
    /// Resources without any user tag.
    pub untagged: u64,
    /// Resources with user tags and without a required one.
    pub missing_required: u64,
    /// Monthly cost of all resources whose cost is known.
    pub cost: Amount,
    /// The number of resources whose cost is known.
    pub with_cost: u64,
    /// The number of resources without a creation time.
    pub without_creation_time: u64,
}

/// A resource in 24 bytes: there can be hundreds of thousands.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// The monthly cost in millionths; [`UNKNOWN`] sorts last.
    micros: i64,
    key: i64,
    /// Creation time in seconds since 1970; 0 for unknown.
    created: u32,
    /// Twice the position of the scope, plus 1 when there is no user tag.
    scope_and_untagged: u32,
}

const UNKNOWN: i64 = -1;

impl Entry {
    fn scope(self) -> usize {
        usize::try_from(self.scope_and_untagged >> 1).unwrap_or(usize::MAX)
    }

    fn is_untagged(self) -> bool {
        self.scope_and_untagged & 1 == 1
    }

    fn is_within(self, limits: AgeAndCostFilter) -> bool {
        limits.created_until.is_none_or(|until| self.created > 0 && i64::from(self.created) <= until)
            && limits.min_cost.is_none_or(|min| self.micros >= min.micros())
    }

    fn add_to(self, sums: &mut MissingTagTotals) {
        if self.is_untagged() {
            sums.untagged += 1;
        } else {
            sums.missing_required += 1;
        }
        sums.without_creation_time += u64::from(self.created == 0);
        if self.micros != UNKNOWN {
            sums.cost += Amount::from_micros(self.micros);
            sums.with_cost += 1;
        }
    }
}

/// The resources of one snapshot with missing tags.
#[derive(Debug, Default)]
pub(crate) struct MissingTagsByCost {
    /// Whether the index was built while its snapshot was the newest. Otherwise the costs are those of a later bill.
    pub(crate) has_own_costs: bool,
    scopes: Vec<(Scope, MissingTagTotals)>,
    /// The most expensive first.
    entries: Vec<Entry>,
}

impl MissingTagsByCost {
    fn load(
        db: &Connection,
        dimensions: &Dimensions,
        model: &ResourceCostModel,
        snapshot: i64,
    ) -> Result<Self, LedgerError> {
        let mut positions: BTreeMap<ScopeIds, u32> = BTreeMap::new();
        let columns = |row: &Row<'_>| {
            let ids = ScopeIds::read(row, 0)?;
            let next = u32::try_from(positions.len()).unwrap_or(u32::MAX >> 1);
            let position = *positions.entry(ids).or_insert(next);
            let usage = read_usage(row, 6)?;
            let cost = model.cost_of(ids, usage, row.get(8)?);
            let created = row.get::<_, Option<i64>>(5)?.and_then(|second| u32::try_from(second).ok());
            Ok(Entry {
                micros: cost.map_or(UNKNOWN, |cost| cost.monthly.micros().max(0)),
                key: row.get(4)?,
                created: created.unwrap_or(0),
                scope_and_untagged: position << 1 | u32::from(row.get::<_, bool>(3)?),
            })
        };
        let mut entries = query_rows(db, sql::MISSING_TAGS_AS_OF, [snapshot], columns)?;
        entries.shrink_to_fit();
        entries.sort_unstable_by_key(|entry| std::cmp::Reverse((entry.micros, entry.key)));
        let mut by_position: Vec<(u32, ScopeIds)> =
            positions.into_iter().map(|(ids, position)| (position, ids)).collect();
        by_position.sort_unstable();
        let mut scopes = Vec::with_capacity(by_position.len());
        for (_, ids) in by_position {
            scopes.push((dimensions.scope(ids)?, MissingTagTotals::default()));
        }
        for entry in &entries {
            if let Some((_, sums)) = scopes.get_mut(entry.scope()) {
                entry.add_to(sums);
            }
        }
        let next: i64 =
            prepare(db, sql::NEXT_SNAPSHOT)?.query_row([], |row| row.get(0)).context(Operation::ReadSnapshots)?;
        Ok(Self { has_own_costs: next == snapshot + 1, scopes, entries })
    }

    /// The number and cost of the resources within the limits.
    pub(crate) fn sum_totals(&self, filter: &Filter, limits: AgeAndCostFilter) -> MissingTagTotals {
        let mut all = MissingTagTotals::default();
        if limits == AgeAndCostFilter::default() {
            for (_, sums) in self.scopes.iter().filter(|(scope, _)| filter.admits(scope)) {
                all.untagged += sums.untagged;
                all.missing_required += sums.missing_required;
                all.cost += sums.cost;
                all.with_cost += sums.with_cost;
                all.without_creation_time += sums.without_creation_time;
            }
            return all;
        }
        self.admitted(&self.entries, filter)
            .filter(|entry| entry.is_within(limits))
            .for_each(|entry| entry.add_to(&mut all));
        all
    }

    /// The page after a start, the most expensive first.
    pub(crate) fn list_page(
        &self,
        filter: &Filter,
        limits: AgeAndCostFilter,
        start: PageStart,
        limit: usize,
    ) -> Vec<PageStart> {
        let before = |entry: &Entry| start != PageStart::FIRST && (entry.micros, entry.key) >= (start.rank, start.key);
        let rest = self.entries.get(self.entries.partition_point(before)..).unwrap_or_default();
        let found = self.admitted(rest, filter).filter(|entry| entry.is_within(limits)).take(limit);
        found.map(|entry| PageStart { rank: entry.micros, key: entry.key }).collect()
    }

    fn admitted<'e>(&self, entries: &'e [Entry], filter: &Filter) -> impl Iterator<Item = Entry> + use<'e> {
        let admitted: Vec<bool> = self.scopes.iter().map(|(scope, _)| filter.admits(scope)).collect();
        entries.iter().copied().filter(move |entry| admitted.get(entry.scope()).copied().unwrap_or_default())
    }
}

impl CacheValue for MissingTagsByCost {
    fn weight(&self) -> usize {
        bytes_of::<Entry>(self.entries.capacity()) + (bytes_of::<MissingTagTotals>(1) + SCOPE_BYTES) * self.scopes.len()
    }
}

/// The index of a snapshot.
pub(crate) fn load(session: &ReadSession<'_>, snapshot: &Snapshot) -> Result<Arc<MissingTagsByCost>, LedgerError> {
    session.memo(snapshot).get_or_load(|| {
        let model = resource_cost::load_model(session, snapshot)?;
        MissingTagsByCost::load(session.db(), session.dimensions(), &model, snapshot.id)
    })
}
