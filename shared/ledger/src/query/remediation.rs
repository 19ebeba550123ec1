//! The remediation backlog: non-compliant resources in tiers of equal effort and cost.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap},
    sync::Arc,
};

use rusqlite::Row;
use rustc_hash::FxBuildHasher;
use tagledger_analysis::remediation::plan::RemediationTier;
use tagledger_cost::Amount;
use tagledger_policy::State;

use crate::{
    cost::resource_cost::{self, ResourceCostModel},
    db::{dimensions::Dimensions, resource_state::read_usage, sql, statements::prepare, values::parse_state},
    error::{ErrorContext, LedgerError, Operation},
    model::{
        compliance_totals::ComplianceTotals, page::PageStart, resource_row::ResourceRow, scope_ids::ScopeIds,
        snapshot::Snapshot,
    },
    query::{
        history,
        resource_pages::ResourcePages,
        stored_insights::{self, BacklogHead, MAX_KEYS},
    },
    read::{
        filter::Filter,
        memo::{CacheValue, bytes_of},
        partition::{self, Partition},
        session::ReadSession,
    },
};

/// The non-compliant resources of a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemediationBacklog {
    /// Totals of the evaluated resources.
    pub totals: ComplianceTotals,
    /// Tiers of non-compliant resources with the same number of changes and the same cost. The tiers with the fewest changes come first,
    /// and within them those with the highest cost.
    pub tiers: Vec<RemediationTier>,
    /// The keys of the resources of all tiers, one tier after another.
    keys: Vec<i64>,
    /// For each key a position in `scopes`.
    scope_positions: Vec<u32>,
    scopes: Vec<(ScopeIds, ComplianceTotals)>,
}

/// A resource that is not compliant.
struct NonCompliantResource {
    key: i64,
    /// The number of tags to change.
    changes: u32,
    /// The position of its scope.
    scope: u32,
    /// The monthly cost, if known.
    cost: Option<Amount>,
}

/// Evaluated resources: totals by scope, and those that are not compliant.
#[derive(Default)]
struct EvaluatedResources {
    positions: HashMap<ScopeIds, u32, FxBuildHasher>,
    scopes: Vec<(ScopeIds, ComplianceTotals)>,
    non_compliant: Vec<NonCompliantResource>,
}

impl EvaluatedResources {
    fn find_or_add_scope(&mut self, ids: ScopeIds) -> u32 {
        *self.positions.entry(ids).or_insert_with(|| {
            self.scopes.push((ids, ComplianceTotals::default()));
            u32::try_from(self.scopes.len() - 1).unwrap_or(u32::MAX)
        })
    }

    fn add(&mut self, ids: ScopeIds, totals: ComplianceTotals) -> u32 {
        let position = self.find_or_add_scope(ids);
        if let Some((_, sum)) = self.scopes.get_mut(position as usize) {
            *sum += totals;
        }
        position
    }

    fn join(parts: Vec<Self>) -> Self {
        // With the final capacity, because a vector that grows leaves freed memory of its own size behind.
        let capacity = parts.iter().map(|part| part.non_compliant.len()).sum();
        let mut all = Self { non_compliant: Vec::with_capacity(capacity), ..Self::default() };
        for part in parts {
            let positions: Vec<u32> = part.scopes.into_iter().map(|(ids, totals)| all.add(ids, totals)).collect();
            let scope = |one: &NonCompliantResource| positions.get(one.scope as usize).copied().unwrap_or(u32::MAX);
            let moved = part.non_compliant.into_iter().map(|one| NonCompliantResource { scope: scope(&one), ..one });
            all.non_compliant.extend(moved);
        }
        all
    }
}

impl RemediationBacklog {
    fn new(EvaluatedResources { scopes, mut non_compliant, .. }: EvaluatedResources) -> Self {
        non_compliant.sort_unstable_by_key(|one| (one.changes, Reverse(one.cost), one.key));
        let mut all = Self {
            keys: Vec::with_capacity(non_compliant.len()),
            scope_positions: Vec::with_capacity(non_compliant.len()),
            scopes,
            ..Self::default()
        };
        for (_, totals) in &all.scopes {
            all.totals += *totals;
        }
        for one in non_compliant {
            match all.tiers.last_mut() {
                Some(tier) if (tier.changes, tier.cost) == (one.changes, one.cost) => tier.resources += 1,
                _ => all.tiers.push(RemediationTier { changes: one.changes, cost: one.cost, resources: 1 }),
            }
            all.keys.push(one.key);
            all.scope_positions.push(one.scope);
        }
        all.tiers.shrink_to_fit();
        all
    }

    /// The backlog of the scopes that a filter admits.
    fn restrict(&self, dimensions: &Dimensions, filter: &Filter) -> Result<Self, LedgerError> {
        let (mut restricted, mut admitted) = (Self::default(), Vec::with_capacity(self.scopes.len()));
        for (ids, totals) in &self.scopes {
            let admits = filter.admits(&dimensions.scope(*ids)?);
            admitted.push(admits);
            if admits {
                restricted.totals += *totals;
            }
        }
        let mut positions = self.scope_positions.iter();
        for (tier, keys) in self.tiers.iter().zip(self.keys()) {
            let before = restricted.keys.len();
            let admits = |scope: &u32| admitted.get(*scope as usize) == Some(&true);
            let admitted_keys = keys.iter().zip(&mut positions).filter(|(_, scope)| admits(scope));
            restricted.keys.extend(admitted_keys.map(|(key, _)| key));
            let resources = (restricted.keys.len() - before) as u64;
            if resources > 0 {
                restricted.tiers.push(RemediationTier { resources, ..*tier });
            }
        }
        Ok(restricted)
    }

    /// The keys of the resources of each tier. The last tiers have fewer keys than resources when the backlog comes from stored
    /// insights.
    pub fn keys(&self) -> Vec<&[i64]> {
        let mut rest = self.keys.as_slice();
        let take = |tier: &RemediationTier| {
            let wanted = usize::try_from(tier.resources).unwrap_or(usize::MAX);
            let (keys, next) = rest.split_at(wanted.min(rest.len()));
            rest = next;
            keys
        };
        self.tiers.iter().map(take).collect()
    }
}

/// Builds the head of a backlog: for each number of changes the number of resources, and the lowest keys.
#[derive(Default)]
pub(crate) struct BacklogHeadBuilder(BTreeMap<u32, (u64, BinaryHeap<i64>)>);

impl BacklogHeadBuilder {
    /// Adds a resource that is not compliant.
    pub(crate) fn add(&mut self, key: i64, changes: u32) {
        let (resources, keys) = self.0.entry(changes).or_default();
        *resources += 1;
        if keys.len() < MAX_KEYS {
            keys.push(key);
        } else if keys.peek().is_some_and(|highest| key < *highest) {
            keys.pop();
            keys.push(key);
        }
    }

    pub(crate) fn finish(self) -> BacklogHead {
        let tier = |(changes, (resources, _)): (&u32, &(u64, _))| RemediationTier {
            changes: *changes,
            cost: None,
            resources: *resources,
        };
        let steps = self.0.iter().map(tier).collect();
        let keys = self.0.into_values().flat_map(|(_, keys)| keys.into_sorted_vec()).take(MAX_KEYS).collect();
        BacklogHead { steps, keys }
    }
}

/// The totals of the evaluated resources of a snapshot, and the backlog of those that are not compliant. Costs are known only for the newest
/// snapshot. The backlog of a past snapshot can come from its stored insights: the tiers are then complete, and it has at least the
/// first `wanted` keys.
///
/// # Errors
///
/// When the ledger cannot be read. The same applies to the functions below.
pub fn find_backlog(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    filter: &Filter,
    wanted: usize,
) -> Result<Arc<RemediationBacklog>, LedgerError> {
    let is_total = *filter == Filter::default();
    let costs = resource_cost::load_model_if_newest(session, snapshot)?;
    // The cached backlog has the costs of the newest snapshot. The stored one cannot be filtered, because it does not have all keys.
    let available = match &costs {
        Some(_) => session.memo(snapshot).get::<RemediationBacklog>(),
        None if is_total => load_head(session, snapshot, wanted)?.map(Arc::new),
        None => None,
    };
    let all = available.map_or_else(|| load_backlog(session, snapshot, costs.as_deref()).map(Arc::new), Ok)?;
    if is_total { Ok(all) } else { all.restrict(session.dimensions(), filter).map(Arc::new) }
}

/// Loads the backlog of the newest snapshot into the cache.
pub(crate) fn preload(session: &ReadSession<'_>, newest: &Snapshot) -> Result<(), LedgerError> {
    let costs = resource_cost::load_model(session, newest)?;
    session.memo(newest).replace_or_load(|| load_backlog(session, newest, Some(&costs))).map(drop)
}

impl CacheValue for RemediationBacklog {
    fn weight(&self) -> usize {
        bytes_of::<RemediationTier>(self.tiers.capacity())
            + bytes_of::<i64>(self.keys.capacity())
            + bytes_of::<u32>(self.scope_positions.capacity())
            + bytes_of::<(ScopeIds, ComplianceTotals)>(self.scopes.capacity())
    }
}

/// The backlog from stored insights; none when none are stored, or when they have fewer keys than wanted.
fn load_head(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    wanted: usize,
) -> Result<Option<RemediationBacklog>, LedgerError> {
    let stored = stored_insights::load(session, snapshot)?;
    let Some(BacklogHead { steps, keys }) = stored.map(|insights| insights.to_fix) else { return Ok(None) };
    let tally = history::find_snapshot_totals(session, snapshot, &Filter::default())?.tally;
    let totals = ComplianceTotals {
        compliant: tally.compliant,
        non_compliant: tally.non_compliant,
        ..ComplianceTotals::default()
    };
    let all = steps.iter().map(|tier| tier.resources).sum::<u64>();
    let enough = keys.len() >= wanted || keys.len() as u64 == all;
    Ok(enough.then_some(RemediationBacklog { totals, tiers: steps, keys, ..RemediationBacklog::default() }))
}

fn load_backlog(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    costs: Option<&ResourceCostModel>,
) -> Result<RemediationBacklog, LedgerError> {
    partition::par_partitions(session, |session, part| load_partition(session, part, snapshot, costs))
        .map(EvaluatedResources::join)
        .map(RemediationBacklog::new)
}

fn load_partition(
    session: &ReadSession<'_>,
    part: Partition,
    snapshot: &Snapshot,
    costs: Option<&ResourceCostModel>,
) -> Result<EvaluatedResources, LedgerError> {
    let columns = |row: &Row<'_>| {
        let usage = read_usage(row, 6)?;
        let evaluated = (row.get::<_, i64>(0)?, parse_state(row.get(4)?)?, row.get::<_, u32>(5)?);
        Ok((evaluated, ScopeIds::read(row, 1)?, usage, row.get::<_, Option<i64>>(8)?))
    };
    let mut all = EvaluatedResources::default();
    let mut query = prepare(session.db(), sql::EVALUATED_FOR_REMEDIATION)?;
    for one in query.query_map(part.parameters(snapshot), columns).context(Operation::ReadResources)? {
        let ((key, state, changes), ids, usage, charged) = one.context(Operation::ReadResources)?;
        let cost = costs.and_then(|costs| costs.cost_of(ids, usage, charged)).map(|cost| cost.monthly);
        let mut totals = ComplianceTotals::default();
        totals.add(state, cost.unwrap_or_default());
        let scope = all.add(ids, totals);
        if state == State::NonCompliant {
            all.non_compliant.push(NonCompliantResource { key, changes, scope, cost });
        }
    }
    Ok(all)
}

/// The resources of a snapshot with these keys, in their order. A key that it does not have is left out.
pub fn list_resources(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    keys: &[i64],
) -> Result<Vec<ResourceRow>, LedgerError> {
    let starts: Vec<PageStart> = keys.iter().map(|key| PageStart { rank: 0, key: *key }).collect();
    Ok(ResourcePages::open(session, snapshot)?.list_given(&starts, starts.len())?.rows)
}
