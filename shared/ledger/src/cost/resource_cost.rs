//! The cost of each resource, and how much of it a bill could attribute by the current tags.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use jiff::{Timestamp, tz::TimeZone};
use rusqlite::{Connection, Row};
use rustc_hash::FxBuildHasher;
use tagledger_cost::{Amount, monthly_units, resource_types_of};
use tagledger_model::{ResourceType, resource_types::spec::UsageUnit};

use crate::{
    cost::attribution_evaluator::{AttributionEvaluator, StateAndFindings},
    db::{
        bill_tables::read_basis,
        dimensions::Dimensions,
        id_map::HashIdMap,
        resource_state::{UsageIds, read_usage},
        snapshots::load_snapshot_before,
        sql,
        statements::{query_all, query_rows},
    },
    error::LedgerError,
    model::{
        attributable::Attributable,
        resource_cost::{CostBasis, CostSource, CurrentTagSpend, RemediatedSpend, ResourceCost, ScopeSpend},
        scope_ids::ScopeIds,
        snapshot::Snapshot,
    },
    read::{
        memo::{CacheValue, bytes_of},
        session::ReadSession,
    },
};

/// The price of a shared cost pool: an amount in millionths and the number of units that share it.
type UnitRate = (i64, i64);

/// By scope and by row id of the cost driver.
type UnitRates = HashMap<(ScopeIds, i64), UnitRate, FxBuildHasher>;

/// The data that determine the cost of a resource.
#[derive(Debug, Default)]
pub(crate) struct ResourceCostModel {
    pub(crate) basis: Option<CostBasis>,
    rates: UnitRates,
    /// Units that one instance or gigabyte uses in a month, by row id of the type.
    units: HashIdMap<(i64, CostSource)>,
    /// Row ids of the types whose resources the bill lists.
    billed_types: HashSet<i64>,
}

/// The usage of all resources of a scope with the same driver and verdict.
struct UsageRow {
    ids: ScopeIds,
    driver: i64,
    attributable: Attributable,
    quantity: i64,
}

impl ResourceCostModel {
    pub(crate) fn load(db: &Connection, dimensions: &Dimensions) -> Result<Self, LedgerError> {
        let Some(row) = read_basis(db)? else { return Ok(Self::default()) };
        let days = row.recorded.days;
        let source = |kind: ResourceType| match kind.spec().cost.driver.map(|driver| driver.unit) {
            Some(UsageUnit::GigabyteMonths) => CostSource::VolumeSize,
            Some(UsageUnit::Hours) | None => CostSource::InstanceHours,
        };
        let units = dimensions.types.iter().map(|(id, kind)| (*id, (monthly_units(*kind, 1, days), source(*kind))));
        let billed_types = load_billed_types(db, dimensions)?;
        let mut model = Self { units: units.collect(), billed_types, ..Self::default() };
        model.rates = model.load_rates(db, dimensions)?;
        let shared: HashSet<i64> = model.rates.keys().map(|(ids, _)| ids.resource_type).collect();
        let mut types: Vec<ResourceType> =
            model.billed_types.union(&shared).filter_map(|id| dimensions.types.get(id).copied()).collect();
        types.sort_unstable();
        let (currency, window, problem) = (row.currency, row.window, row.problem);
        model.basis = Some(CostBasis { days, currency, window, problem, types });
        Ok(model)
    }

    /// A pool is divided by the billed units or by the units in use now, whichever is larger.
    fn load_rates(&self, db: &Connection, dimensions: &Dimensions) -> Result<UnitRates, LedgerError> {
        let mut in_use: HashMap<(ScopeIds, i64), i64> = HashMap::new();
        for UsageRow { ids, driver, quantity, .. } in load_usage(db)? {
            let units = self.units.get(&ids.resource_type).map_or(0, |(one, _)| one.saturating_mul(quantity));
            let sum = in_use.entry((ids, driver)).or_default();
            *sum = sum.saturating_add(units);
        }
        let columns = |row: &Row<'_>| {
            let scope: [String; 3] = [row.get(0)?, row.get(1)?, row.get(2)?];
            Ok((scope, (row.get::<_, i64>(3)?, row.get::<_, i64>(4)?, row.get::<_, i64>(5)?)))
        };
        let mut rates = UnitRates::default();
        for ([kind, account, region], (driver, micros, billed)) in query_all(db, sql::POOLS, columns)? {
            let Some(ids) = dimensions.scope_ids(&kind, &account, &region) else { continue };
            let key = (ids, driver);
            let units = billed.max(in_use.get(&key).copied().unwrap_or_default());
            if units > 0 && !self.billed_types.contains(&ids.resource_type) {
                rates.insert(key, (micros, units));
            }
        }
        Ok(rates)
    }

    /// The monthly cost of a resource; none when it is not known. `charged`: its cost by the bill, in millionths.
    pub(crate) fn cost_of(&self, ids: ScopeIds, usage: Option<UsageIds>, charged: Option<i64>) -> Option<ResourceCost> {
        if let Some(micros) = charged {
            return Some(ResourceCost { monthly: Amount::from_micros(micros), source: CostSource::ResourceCharges });
        }
        let (driver, quantity) = usage?;
        let (_, source) = self.units.get(&ids.resource_type)?;
        if quantity == 0 {
            return Some(ResourceCost { monthly: Amount::ZERO, source: *source });
        }
        let monthly = self.shared_cost(ids, driver, i64::from(quantity))?;
        Some(ResourceCost { monthly, source: *source })
    }

    /// The monthly cost of a quantity of a driver.
    fn shared_cost(&self, ids: ScopeIds, driver: i64, quantity: i64) -> Option<Amount> {
        let (pool, units) = self.rates.get(&(ids, driver))?;
        let (one, _) = self.units.get(&ids.resource_type)?;
        let micros = i128::from(*pool) * i128::from(one.saturating_mul(quantity)) / i128::from(*units);
        i64::try_from(micros).ok().map(Amount::from_micros)
    }

    /// The cost of current resources by scope and by whether their current tags attribute it.
    pub(crate) fn current_spend(
        &self,
        db: &Connection,
        dimensions: &Dimensions,
        verdicts: &mut AttributionEvaluator<'_>,
    ) -> Result<Vec<ScopeSpend>, LedgerError> {
        let mut sums: BTreeMap<ScopeIds, CurrentTagSpend> = BTreeMap::new();
        for UsageRow { ids, driver, attributable, quantity } in load_usage(db)? {
            if let Some(amount) = self.shared_cost(ids, driver, quantity) {
                sums.entry(ids).or_default().add(attributable, amount);
            }
        }
        let columns = |row: &Row<'_>| {
            Ok((ScopeIds::read(row, 0)?, (row.get::<_, i64>(3)?, row.get::<_, Option<i64>>(4)?), row.get(5)?))
        };
        for (ids, (state, set), micros) in query_all(db, sql::COSTS_BY_VERDICT, columns)? {
            let attributable = verdicts.evaluate(db, state, set)?;
            sums.entry(ids).or_default().add(attributable, Amount::from_micros(micros));
        }
        let spends = sums.into_iter().map(|(ids, spend)| Ok(ScopeSpend { scope: dimensions.scope(ids)?, spend }));
        spends.collect()
    }

    /// The cost of resources whose tags were fixed or broken since the billed month ended; none when no retained snapshot is that
    /// old.
    pub(crate) fn remediated_spend(
        &self,
        db: &Connection,
        dimensions: &Dimensions,
        verdicts: &mut AttributionEvaluator<'_>,
    ) -> Result<Option<RemediatedSpend>, LedgerError> {
        let Some(basis) = &self.basis else { return Ok(None) };
        let end = TimeZone::UTC.to_timestamp(basis.days.end.at(0, 0, 0, 0)).unwrap_or(Timestamp::MAX);
        let Some(earlier) = load_snapshot_before(db, end)? else { return Ok(None) };
        // The verdicts of two policies can differ without a change of tags.
        if earlier.policy_digest != verdicts.policy.digest() {
            return Ok(None);
        }
        let mut sums: BTreeMap<(ScopeIds, bool), Amount> = BTreeMap::new();
        for (ids, usage, charged, [(was, was_set), (is, is_set)]) in
            query_rows(db, sql::VERDICTS_CHANGED_SINCE, [earlier.id], read_remediated_columns)?
        {
            let before = verdicts.evaluate(db, was, was_set)?;
            let now = verdicts.evaluate(db, is, is_set)?;
            let fixed = match (before, now) {
                (Attributable::No, Attributable::Yes) => true,
                (Attributable::Yes, Attributable::No) => false,
                _ => continue,
            };
            if let Some(cost) = self.cost_of(ids, usage, charged) {
                *sums.entry((ids, fixed)).or_default() += cost.monthly;
            }
        }
        let (mut fixed, mut regressed) = (Vec::new(), Vec::new());
        for ((ids, is_fixed), amount) in sums {
            let scopes = if is_fixed { &mut fixed } else { &mut regressed };
            scopes.push((dimensions.scope(ids)?, amount));
        }
        Ok(Some(RemediatedSpend { since: earlier.started_at, fixed, regressed }))
    }
}

type RemediatedSpendColumns = (ScopeIds, Option<UsageIds>, Option<i64>, [StateAndFindings; 2]);

fn read_remediated_columns(row: &Row<'_>) -> rusqlite::Result<RemediatedSpendColumns> {
    let usage = read_usage(row, 3)?;
    Ok((ScopeIds::read(row, 0)?, usage, row.get(5)?, [(row.get(6)?, row.get(7)?), (row.get(8)?, row.get(9)?)]))
}

fn load_usage(db: &Connection) -> Result<Vec<UsageRow>, LedgerError> {
    let columns = |row: &Row<'_>| {
        let attributable = match row.get::<_, i64>(4)? {
            0 => Attributable::No,
            1 => Attributable::Yes,
            _ => Attributable::NotEvaluated,
        };
        Ok(UsageRow { ids: ScopeIds::read(row, 0)?, driver: row.get(3)?, attributable, quantity: row.get(5)? })
    };
    query_all(db, sql::USAGE, columns)
}

/// Row ids of the types whose resources the bill lists: all types of a charged service. For ECS the bill lists tasks instead.
fn load_billed_types(db: &Connection, dimensions: &Dimensions) -> Result<HashSet<i64>, LedgerError> {
    let services: Vec<String> = query_all(db, sql::CHARGED_SERVICES, |row| row.get(0))?;
    let sold: Vec<ResourceType> = services.iter().flat_map(|service| resource_types_of(service)).collect();
    let is_billed = |kind: &ResourceType| sold.contains(kind) && kind.spec().cost.billed_as.names_resource();
    let billed = dimensions.types.iter().filter(|(_, kind)| is_billed(kind));
    Ok(billed.map(|(id, _)| *id).collect())
}

impl Dimensions {
    fn scope_ids(&self, kind: &str, account: &str, region: &str) -> Option<ScopeIds> {
        Some(ScopeIds {
            account: self.accounts.iter().find(|(_, one)| one.id.as_str() == account).map(|(id, _)| *id)?,
            region: self.regions.iter().find(|(_, one)| one.as_str() == region).map(|(id, _)| *id)?,
            resource_type: self.types.iter().find(|(_, one)| one.as_str() == kind).map(|(id, _)| *id)?,
        })
    }
}

impl CacheValue for ResourceCostModel {
    fn weight(&self) -> usize {
        2 * bytes_of::<((ScopeIds, i64), UnitRate)>(self.rates.len()) + bytes_of::<Self>(1)
    }
}

/// The cost model, as it was when it was first loaded for this snapshot.
pub(crate) fn load_model(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
) -> Result<Arc<ResourceCostModel>, LedgerError> {
    session.memo(snapshot).get_or_load(|| ResourceCostModel::load(session.db(), session.dimensions()))
}

/// The cost model if the snapshot is the newest; none for past snapshots, whose costs the ledger does not store.
pub(crate) fn load_model_if_newest(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
) -> Result<Option<Arc<ResourceCostModel>>, LedgerError> {
    let newest = session.newest()?.is_some_and(|newest| newest.id == snapshot.id);
    newest.then(|| load_model(session, snapshot)).transpose()
}
