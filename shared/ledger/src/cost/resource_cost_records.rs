//! Records the costs of individual resources.

use std::collections::{BTreeMap, HashMap};

use jiff::civil::Date;
use rusqlite::{Connection, params};
use tagledger_cost::{
    Amount, ChargeCategory, Days, ResourceCharges, ResourceCosts, charge_category, resource_types_of,
};
use tagledger_model::{Arn, Partition, ResourceType, epoch_day::number_of, resource_types::spec::BilledAs};

use crate::{
    cost::bill_query::sum_bill,
    db::{dimensions::Dimensions, sql, statements::query_rows},
    error::LedgerError,
    write::{interner::Interner, transaction::SnapshotTransaction},
};

/// Replaces the recorded costs of resources. The bill of the month must be recorded first.
pub(crate) fn record(
    snapshot: &SnapshotTransaction<'_>,
    interner: &mut Interner,
    dimensions: &Dimensions,
    costs: &ResourceCosts,
    asked_at: i64,
) -> Result<(), LedgerError> {
    for text in [sql::DROP_COST_BASIS, sql::DROP_POOLS, sql::DROP_CHARGED_SERVICES, sql::DROP_RESOURCE_COSTS] {
        snapshot.run(text, [])?;
    }
    let number = |day: Option<Date>| day.map(number_of);
    let (first, end) = (number_of(costs.days.first), number_of(costs.days.end));
    let window = costs.charges.as_ref().map(|charges| charges.window);
    let columns = params![
        first,
        end,
        asked_at,
        costs.payer,
        costs.currency,
        number(window.map(|days| days.first)),
        number(window.map(|days| days.end)),
        costs.problem
    ];
    snapshot.run(sql::ADD_COST_BASIS, columns)?;
    for pool in &costs.pools {
        let mut id = |text: &str| interner.intern_cost_driver(snapshot.connection(), text);
        let ids = [id(pool.resource_type.as_str())?, id(&pool.account)?, id(&pool.region)?, id(&pool.driver)?];
        let [resource_type, account, region, driver] = ids;
        let columns = params![resource_type, account, region, driver, pool.amount.micros(), pool.units];
        snapshot.run(sql::ADD_POOL, columns)?;
    }
    match &costs.charges {
        Some(charges) => record_charges(snapshot, interner, dimensions, charges, costs),
        None => Ok(()),
    }
}

/// Records for each resource its share of the month's amount of its service. The share is that of the last days, for which the bill has
/// resource IDs. The shares of all resources are never more than the service's amount.
fn record_charges(
    snapshot: &SnapshotTransaction<'_>,
    interner: &mut Interner,
    dimensions: &Dimensions,
    charges: &ResourceCharges,
    costs: &ResourceCosts,
) -> Result<(), LedgerError> {
    let months = sum_usage_by_service(snapshot.connection(), costs.days, &costs.currency)?;
    let mut shares: HashMap<&str, (i64, i64)> = HashMap::new();
    // Credits and refunds belong to no resource. With them in the sum, the shares would be more than the sum.
    let mut resource_sums: BTreeMap<&str, Amount> = BTreeMap::new();
    for (service, _, amount) in &charges.resources {
        *resource_sums.entry(service).or_default() += (*amount).max(Amount::ZERO);
    }
    for (service, window) in &charges.services {
        let of_month = months.get(service.as_str()).copied().unwrap_or_default();
        // For a service without resource IDs on the bill, the usage pools divide the amount.
        let Some(sum) = resource_sums.get(service.as_str()).filter(|sum| **sum > Amount::ZERO) else { continue };
        let window = (*window).max(*sum);
        if of_month > Amount::ZERO {
            shares.insert(service, (of_month.micros(), window.micros()));
            let id = interner.intern_cost_driver(snapshot.connection(), service)?;
            snapshot.run(sql::ADD_CHARGED_SERVICE, params![id, of_month.micros()])?;
        }
    }
    let mut by_id: HashMap<&str, i64> = HashMap::new();
    let partition = dimensions.accounts.values().next().map(|account| account.partition.clone());
    for (service, resource, amount) in &charges.resources {
        let Some((of_month, window)) = shares.get(service.as_str()) else { continue };
        let share = i128::from(amount.micros().max(0)) * i128::from(*of_month) / i128::from(*window);
        let micros = i64::try_from(share)
            .map_err(|_| LedgerError::CountOutOfRange { what: "the cost of a resource in millionths" })?;
        match resolve_arn(service, resource, partition.as_ref()) {
            Some(arn) => snapshot.run(sql::ADD_RESOURCE_COST, params![arn.key(), micros])?,
            None => *by_id.entry(resource).or_default() += micros,
        }
    }
    record_charges_by_id(snapshot, dimensions, &by_id)
}

/// Records the costs of resources that the bill lists by ID without account and region, such as those of EC2.
fn record_charges_by_id(
    snapshot: &SnapshotTransaction<'_>,
    dimensions: &Dimensions,
    micros: &HashMap<&str, i64>,
) -> Result<(), LedgerError> {
    let by_id = |resource_type: &ResourceType| resource_type.spec().cost.billed_as == BilledAs::Id;
    for (type_id, _) in dimensions.types.iter().filter(|(_, resource_type)| by_id(resource_type)) {
        let columns = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?));
        for (key, local) in query_rows(snapshot.connection(), sql::LOCALS_OF_TYPE, [type_id], columns)? {
            let id = local.rsplit('/').next().unwrap_or(&local);
            if let Some(micros) = micros.get(id) {
                snapshot.run(sql::ADD_RESOURCE_COST, params![key, micros])?;
            }
        }
    }
    Ok(())
}

/// The usage charges of each service in some days.
fn sum_usage_by_service(db: &Connection, days: Days, currency: &str) -> Result<BTreeMap<String, Amount>, LedgerError> {
    let mut sums: BTreeMap<String, Amount> = BTreeMap::new();
    for (service, record_type, amount) in sum_bill(db, days)?.sums_in(currency).charges {
        if charge_category(&service, &record_type) == ChargeCategory::Usage {
            *sums.entry(service).or_default() += amount;
        }
    }
    Ok(sums)
}

/// The ARN of a resource that the bill lists by ARN, or by its name when that is unique; none for all others.
fn resolve_arn(service: &str, resource: &str, partition: Option<&Partition>) -> Option<Arn> {
    if resource.starts_with("arn:") {
        return resource.parse().ok();
    }
    let unique = resource_types_of(service).find(|kind| kind.spec().cost.billed_as == BilledAs::UniqueName)?;
    unique.spec().arn.write_arn(partition?.as_str(), "", "", &[resource]).parse().ok()
}
