//! Simulates a draft policy on the resources of a snapshot.

pub(crate) mod evaluator;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap, hash_map::Entry},
};

use rusqlite::{Row, params};
use rustc_hash::FxBuildHasher;
use tagledger_cost::Amount;
use tagledger_model::{Arn, epoch_day::day_of, inventory::Scope};
use tagledger_policy::{Code, Policy, State};

use crate::{
    cost::resource_cost::{self, ResourceCostModel},
    db::{
        dimensions::Dimensions, id_map::HashIdMap, resource_state::read_usage, sql, statements::prepare,
        values::parse_state,
    },
    error::{ErrorContext, LedgerError, Operation},
    index::tag_sets,
    model::{
        change::{ResourceChange, ResourceVersion},
        compliance_totals::{ComplianceTotals, SimulatedTotals, newly_fails},
        resource_row::ResourceRow,
        scope_ids::ScopeIds,
        snapshot::Snapshot,
    },
    query::{
        policy_simulation::evaluator::{DraftPolicy, PolicyEvaluator},
        remediation, snapshot_diff,
    },
    read::{filter::Filter, partition, session::ReadSession},
};

/// The ARN that is used for all resources when the draft does not depend on ARNs.
const PLACEHOLDER: &str = "arn:aws:s3:::unnamed";

/// The result of a simulation.
#[derive(Debug, Default)]
pub struct PolicySimulation {
    /// Totals by scope, of the scopes that the filter admits.
    pub scopes: Vec<(Scope, SimulatedTotals)>,
    /// Findings of newly failing resources: code and tag, with the number of resources.
    pub reasons: BTreeMap<(Code, String), u64>,
    /// The most expensive newly failing resources, up to the requested number.
    pub failing: Vec<ResourceRow>,
    /// The number of resources whose tags could not be read, which neither policy evaluates.
    pub unknown: u64,
}

/// The result of the draft for one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulatedSnapshot {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Totals by the draft, without costs.
    pub draft: ComplianceTotals,
}

/// A resource to evaluate.
struct SimulatedResource {
    key: i64,
    ids: ScopeIds,
    tag_set: Option<i64>,
    name: Option<String>,
    state: State,
    cost: Option<Amount>,
    local: Option<String>,
}

fn read_simulated_resource(row: &Row<'_>, costs: Option<&ResourceCostModel>) -> rusqlite::Result<SimulatedResource> {
    let ids = ScopeIds::read(row, 1)?;
    let usage = read_usage(row, 8)?;
    let charged = row.get(10)?;
    Ok(SimulatedResource {
        key: row.get(0)?,
        ids,
        tag_set: row.get(4)?,
        name: row.get(5)?,
        state: parse_state(row.get(6)?)?,
        local: row.get(7)?,
        cost: costs.and_then(|costs| costs.cost_of(ids, usage, charged)).map(|cost| cost.monthly),
    })
}

/// Evaluates resources by the draft and adds up the results.
struct Simulation<'a> {
    evaluator: PolicyEvaluator<'a>,
    dimensions: &'a Dimensions,
    filter: &'a Filter,
    /// The ARN that is used when the draft does not depend on ARNs.
    placeholder: &'a Arn,
    /// The number of newly failing resources to list.
    max_failing: usize,
    scopes: HashMap<ScopeIds, Option<(Scope, SimulatedTotals)>, FxBuildHasher>,
    /// The number of newly failing resources, by the number of their error set.
    newly_failing: HashIdMap<u64>,
    failing: CheapestFirst,
    unknown: u64,
}

/// Errors with the number of resources that have them.
type Reasons = BTreeMap<(Code, String), u64>;

/// Costs and keys of resources. The cheapest is on top, so that it can be removed.
type CheapestFirst = BinaryHeap<Reverse<(i64, i64)>>;

impl Simulation<'_> {
    fn add(&mut self, one: &SimulatedResource) -> Result<(), LedgerError> {
        let entry = match self.scopes.entry(one.ids) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let scope = self.dimensions.scope(one.ids)?;
                entry.insert(self.filter.admits(&scope).then(|| (scope, SimulatedTotals::default())))
            }
        };
        let Some((scope, sums)) = entry else { return Ok(()) };
        if one.state == State::Unknown {
            self.unknown += 1;
            return Ok(());
        }
        let arn = one.local.as_deref().map(|local| self.dimensions.arn(local, scope, one.ids)).transpose()?;
        let arn = arn.as_ref().unwrap_or(self.placeholder);
        let (draft, errors) = self.evaluator.evaluate(scope, one.ids, one.tag_set, one.name.as_deref(), arn);
        sums.add(one.state, draft, one.cost);
        if newly_fails(one.state, draft) {
            *self.newly_failing.entry(i64::from(errors)).or_default() += 1;
            self.failing.push(Reverse((one.cost.map_or(-1, |cost| cost.micros()), one.key)));
            if self.failing.len() > self.max_failing {
                self.failing.pop();
            }
        }
        Ok(())
    }

    fn add_partition(
        &mut self,
        session: &ReadSession<'_>,
        [snapshot, lowest, highest, parity]: [i64; 4],
        draft: &DraftPolicy<'_>,
        costs: Option<&ResourceCostModel>,
    ) -> Result<(), LedgerError> {
        let parameters = params![snapshot, lowest, highest, parity, draft.uses_name, draft.has_exemptions()];
        let mut query = prepare(session.db(), sql::ALL_FOR_SIMULATION)?;
        let mut rows = query.query(parameters).context(Operation::SimulatePolicy)?;
        while let Some(row) = rows.next().context(Operation::SimulatePolicy)? {
            self.add(&read_simulated_resource(row, costs).context(Operation::SimulatePolicy)?)?;
        }
        Ok(())
    }

    /// Adds the results of this partition to those of the others and returns the number of unknown resources.
    fn finish(
        self,
        scopes: &mut BTreeMap<Scope, SimulatedTotals>,
        reasons: &mut Reasons,
        failing: &mut CheapestFirst,
    ) -> u64 {
        for (errors, resources) in self.newly_failing {
            for error in self.evaluator.errors.get(u32::try_from(errors).unwrap_or(u32::MAX)) {
                *reasons.entry(error.clone()).or_default() += resources;
            }
        }
        for (scope, sums) in self.scopes.into_values().flatten() {
            *scopes.entry(scope).or_default() += sums;
        }
        failing.extend(self.failing);
        self.unknown
    }
}

/// Simulates a draft policy on a snapshot. Costs are known only for the newest snapshot.
///
/// # Errors
///
/// When the ledger cannot be read. The same applies to the functions below.
pub fn simulate(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    filter: &Filter,
    draft: &Policy,
    max_failing: usize,
) -> Result<PolicySimulation, LedgerError> {
    let costs = resource_cost::load_model_if_newest(session, snapshot)?;
    let costs = costs.as_deref();
    let draft = load_draft(session, snapshot, draft)?;
    let placeholder: Arn =
        PLACEHOLDER.parse().map_err(|_| LedgerError::Content { what: "an ARN", given: PLACEHOLDER.to_owned() })?;
    let dimensions = session.dimensions();
    let parts = partition::par_partitions(session, |session, part| {
        let mut simulation = Simulation {
            evaluator: PolicyEvaluator::new(&draft),
            dimensions,
            filter,
            placeholder: &placeholder,
            max_failing,
            scopes: HashMap::default(),
            newly_failing: HashIdMap::default(),
            failing: BinaryHeap::new(),
            unknown: 0,
        };
        simulation.add_partition(session, part.parameters(snapshot), &draft, costs)?;
        Ok(simulation)
    })?;
    let (mut result, mut scopes, mut failing) = (PolicySimulation::default(), BTreeMap::new(), CheapestFirst::new());
    for part in parts {
        result.unknown += part.finish(&mut scopes, &mut result.reasons, &mut failing);
    }
    result.scopes = scopes.into_iter().collect();
    let mut failing: Vec<i64> = failing.into_sorted_vec().into_iter().map(|Reverse((_, key))| key).collect();
    failing.truncate(max_failing);
    result.failing = remediation::list_resources(session, snapshot, &failing)?;
    Ok(result)
}

fn load_draft<'p>(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    draft: &'p Policy,
) -> Result<DraftPolicy<'p>, LedgerError> {
    let tag_sets = tag_sets::cached(session)?;
    DraftPolicy::load(session.db(), draft, day_of(snapshot.started_at), tag_sets.as_deref())
}

/// Simulates a draft policy on earlier snapshots, the latest first, given its totals for `snapshot`. The draft must give the same
/// verdict on the same tags on every day.
pub fn simulate_history(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    filter: &Filter,
    draft: &Policy,
    totals: ComplianceTotals,
    earlier: &[Snapshot],
) -> Result<Vec<SimulatedSnapshot>, LedgerError> {
    let draft = load_draft(session, snapshot, draft)?;
    let mut evaluator = PolicyEvaluator::new(&draft);
    let (mut later, mut totals_then) = (snapshot.clone(), totals);
    let mut simulated = vec![SimulatedSnapshot { snapshot: snapshot.clone(), draft: totals }];
    for snapshot in earlier {
        let changes = snapshot_diff::list_changes(session, snapshot, &later)?;
        for change in changes.iter().filter(|change| filter.admits(&change.scope)) {
            if let Some(version) = &change.after {
                totals_then.subtract(evaluate_version(session, &mut evaluator, change, version)?);
            }
            if let Some(version) = &change.before {
                totals_then.add(evaluate_version(session, &mut evaluator, change, version)?, Amount::default());
            }
        }
        simulated.push(SimulatedSnapshot { snapshot: snapshot.clone(), draft: totals_then });
        later = snapshot.clone();
    }
    Ok(simulated)
}

fn evaluate_version(
    session: &ReadSession<'_>,
    evaluator: &mut PolicyEvaluator<'_>,
    change: &ResourceChange,
    version: &ResourceVersion,
) -> Result<State, LedgerError> {
    if version.state == State::Unknown {
        return Ok(State::Unknown);
    }
    let arn = snapshot_diff::resolve_arn(session, change)?;
    let name = version.name().map(|name| &**name);
    Ok(evaluator.evaluate(&change.scope, change.ids, version.tag_set(), name, &arn).0)
}
