//! What single resources cost, as a night writes it.

use std::collections::{BTreeMap, HashMap};

use jiff::{Timestamp, civil::Date};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    Attempt, Night, StoreError,
    billed::bill,
    intern::statement,
    rows::{rows, time},
    sql,
};
use crate::{
    Arn, Partition, ResourceType,
    day::{day_numbered, number_of},
    money::{Amount, Charge, Charges, Days, SingleCosts, charge, types_of},
};

/// On what the costs of single resources are based so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownBasis {
    /// The month whose spend is shared out.
    pub days: Days,
    /// When that was asked.
    pub asked_at: Timestamp,
    /// Whose bill it is.
    pub payer: String,
    /// Whether the bill named single resources.
    pub named: bool,
}

/// A row of `cost_basis`.
pub(super) struct BasisRow {
    pub(super) known: KnownBasis,
    pub(super) currency: String,
    pub(super) window: Option<Days>,
    pub(super) problem: String,
}

pub(super) fn basis(db: &Connection) -> Result<Option<BasisRow>, StoreError> {
    type Columns = ([i64; 3], [String; 3], [Option<i64>; 2]);
    let columns = |row: &rusqlite::Row<'_>| -> rusqlite::Result<Columns> {
        let texts = [row.get(3)?, row.get(4)?, row.get(7)?];
        Ok(([row.get(0)?, row.get(1)?, row.get(2)?], texts, [row.get(5)?, row.get(6)?]))
    };
    let found = statement(db, sql::COST_BASIS)?.query_row([], columns).optional().attempt("read costs")?;
    let days = |first, end| Days { first: day_numbered(first), end: day_numbered(end) };
    let row = |([first, end, asked], [payer, currency, problem], window): Columns| {
        let window = if let [Some(first), Some(end)] = window { Some(days(first, end)) } else { None };
        let known = KnownBasis { days: days(first, end), asked_at: time(asked)?, payer, named: window.is_some() };
        Ok(BasisRow { known, currency, window, problem })
    };
    found.map(row).transpose()
}

impl Night<'_> {
    /// Writes what single resources cost, in the place of what was known of it; the bill of the month is written before.
    pub(super) fn single_costs(&mut self, costs: &SingleCosts, asked_at: i64) -> Result<(), StoreError> {
        for text in [sql::DROP_COST_BASIS, sql::DROP_POOLS, sql::DROP_CHARGED_SERVICES, sql::DROP_RESOURCE_COSTS] {
            self.run(text, [])?;
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
        self.run(sql::ADD_COST_BASIS, columns)?;
        for pool in &costs.pools {
            let mut id = |text: &str| self.counter.interner.driver(&self.sql, text);
            let ids = [id(pool.resource_type.as_str())?, id(&pool.account)?, id(&pool.region)?, id(&pool.driver)?];
            let [kind, account, region, driver] = ids;
            self.run(sql::ADD_POOL, params![kind, account, region, driver, pool.amount.micros(), pool.units])?;
        }
        match &costs.charges {
            Some(charges) => self.charges(charges, costs.days, &costs.currency),
            None => Ok(()),
        }
    }

    /// A resource has that part of its service's month that it had of the service's last days: what all of them have together
    /// is never more than what was billed.
    fn charges(&mut self, charges: &Charges, month: Days, currency: &str) -> Result<(), StoreError> {
        let months = used_by_service(&self.sql, month, currency)?;
        let mut parts: HashMap<&str, (i64, i64)> = HashMap::new();
        // Lines that take something back are no resource's: with them in the whole, its parts would be more than it.
        let mut named_sums: BTreeMap<&str, Amount> = BTreeMap::new();
        for (service, _, amount) in &charges.resources {
            *named_sums.entry(service).or_default() += (*amount).max(Amount::ZERO);
        }
        for (service, window) in &charges.services {
            let of_month = months.get(service.as_str()).copied().unwrap_or_default();
            // A service that names no resource says nothing of single ones; what they share does.
            let Some(sum) = named_sums.get(service.as_str()).filter(|sum| **sum > Amount::ZERO) else { continue };
            let window = (*window).max(*sum);
            if of_month > Amount::ZERO {
                parts.insert(service, (of_month.micros(), window.micros()));
                let id = self.counter.interner.driver(&self.sql, service)?;
                self.run(sql::ADD_CHARGED_SERVICE, params![id, of_month.micros()])?;
            }
        }
        let mut by_id: HashMap<&str, i64> = HashMap::new();
        let partition = self.dimensions.accounts.values().next().map(|account| account.partition.clone());
        for (service, resource, amount) in &charges.resources {
            let Some((of_month, window)) = parts.get(service.as_str()) else { continue };
            let part = i128::from(amount.micros().max(0)) * i128::from(*of_month) / i128::from(*window);
            let micros = i64::try_from(part).unwrap_or(i64::MAX);
            match named(service, resource, partition.as_ref()) {
                Some(arn) => self.run(sql::ADD_RESOURCE_COST, params![arn.key(), micros])?,
                None => *by_id.entry(resource).or_default() += micros,
            }
        }
        self.charge_by_id(&by_id)
    }

    /// EC2 stands on the bill by ids, without account and region.
    fn charge_by_id(&self, micros: &HashMap<&str, i64>) -> Result<(), StoreError> {
        let by_id = [ResourceType::Ec2Instance, ResourceType::Ec2Volume];
        for (type_id, _) in self.dimensions.types.iter().filter(|(_, known)| by_id.contains(known)) {
            let columns = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?));
            for (key, local) in rows(&self.sql, sql::LOCALS_OF_TYPE, [type_id], columns)? {
                let id = local.rsplit('/').next().unwrap_or_default();
                if let Some(micros) = micros.get(id) {
                    self.run(sql::ADD_RESOURCE_COST, params![key, micros])?;
                }
            }
        }
        Ok(())
    }
}

/// What the use of each service cost in some days.
fn used_by_service(db: &Connection, days: Days, currency: &str) -> Result<BTreeMap<String, Amount>, StoreError> {
    let mut sums: BTreeMap<String, Amount> = BTreeMap::new();
    for (service, record_type, amount) in bill(db, days)?.sums_in(currency).charges {
        if charge(&service, &record_type) == Charge::Usage {
            *sums.entry(service).or_default() += amount;
        }
    }
    Ok(sums)
}

/// The name of a resource that stands on the bill by its ARN, or by its name alone where that is unique.
fn named(service: &str, resource: &str, partition: Option<&Partition>) -> Option<Arn> {
    if resource.starts_with("arn:") {
        return resource.parse().ok();
    }
    let bucket = types_of(service).contains(&ResourceType::S3Bucket);
    let partition = partition.filter(|_| bucket)?;
    format!("arn:{partition}:s3:::{resource}").parse().ok()
}
