//! The costs of individual resources, as far as a bill contains them.
//!
//! When the payer account has opted in, Cost Explorer reports the cost of each resource for the last 14 days. Otherwise
//! the bill has one sum for all resources with the same usage, such as the hours of an instance type or the gigabytes
//! of a volume type, by account and region. The cost of a resource is its share of such a pool. No more is allocated
//! than was billed: a pool is divided by the billed units or by the units of the current resources, whichever are more,
//! so that the cost of deleted resources is not allocated to the remaining ones.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tagledger_model::{ResourceType, resource_types::spec::UsageUnit};

use crate::{
    amount::Amount,
    bill::{BillQuestion, Condition, CostQueryResponse, Days, Dimension, TimeGranularity},
    charge_types::inventoried_services,
    tag_scope::usage_condition,
};

/// The number of days for which Cost Explorer reports costs by resource.
const WINDOW_DAYS: i64 = 14;

/// The usage of one cost driver in one account and region, which many resources share, in one currency.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsagePool {
    /// The type of the resources.
    pub resource_type: ResourceType,
    /// The account ID.
    pub account: String,
    /// The region.
    pub region: String,
    /// The cost driver, as in [`tagledger_model::inventory::Usage::driver`].
    pub driver: String,
    /// The cost of the month.
    pub amount: Amount,
    /// The billed usage, in millionths of an hour or of a gigabyte-month.
    pub units: i64,
}

/// The costs of individual resources in the days for which Cost Explorer reports them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceCharges {
    /// The days.
    pub window: Days,
    /// The total usage cost of each service in these days, with or without a resource ID.
    pub services: Vec<(String, Amount)>,
    /// The part with a resource ID, by service and resource ID on the bill.
    pub resources: Vec<(String, String, Amount)>,
}

/// The data from which the monthly cost of each resource is computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceCosts {
    /// The month.
    pub days: Days,
    /// The payer account.
    pub payer: String,
    /// The currency of all amounts.
    pub currency: String,
    /// The usage pools.
    pub pools: Vec<UsagePool>,
    /// The costs of individual resources, when they can be read.
    pub charges: Option<ResourceCharges>,
    /// Why they cannot be read; empty when they can.
    pub problem: String,
}

/// The usage of a month by account and by region. There are two questions because Cost Explorer groups by two
/// dimensions; a usage type belongs to one region.
pub fn usage_questions(days: Days) -> [BillQuestion; 2] {
    let drivers = ResourceType::ALL.iter().filter_map(|kind| kind.spec().cost.driver);
    let shared = Condition::Services(drivers.map(|driver| driver.service.to_owned()).collect());
    let filter = Condition::all(vec![usage_condition(), shared]);
    [Dimension::LinkedAccount, Dimension::Region].map(|dimension| BillQuestion {
        days,
        group_by: vec![Dimension::UsageType, dimension],
        filter: filter.clone(),
        granularity: TimeGranularity::Month,
    })
}

/// The costs of individual resources of inventoried services before the day `until`.
pub fn resource_question(until: jiff::civil::Date) -> BillQuestion {
    let first = until.saturating_sub(jiff::Span::new().days(WINDOW_DAYS));
    let services = Condition::Services(inventoried_services().map(str::to_owned).collect());
    BillQuestion {
        days: Days { first, end: until },
        group_by: vec![Dimension::Resource, Dimension::Service],
        filter: Condition::all(vec![usage_condition(), services]),
        granularity: TimeGranularity::Month,
    }
}

/// The resource type that a usage type is billed for, and its cost driver; none for all other usage types.
fn parse_usage_type(usage_type: &str) -> Option<(ResourceType, String)> {
    let parse = |kind: &ResourceType| {
        let driver = kind.spec().cost.driver.as_ref()?;
        Some((*kind, driver.parse_usage_type(usage_type)?))
    };
    ResourceType::ALL.iter().find_map(parse)
}

/// The usage of a resource in a month, in the unit of [`crate::resource_costs::UsagePool::units`]. `quantity` is the
/// number of instances or of gigabytes.
pub fn monthly_units(resource_type: ResourceType, quantity: u64, days: Days) -> i64 {
    let by_month = resource_type.spec().cost.driver.is_some_and(|driver| driver.unit == UsageUnit::GigabyteMonths);
    let unit_hours = if by_month { 1 } else { 24 * days.count() };
    let units = i128::from(quantity) * i128::from(unit_hours) * 1_000_000;
    i64::try_from(units).unwrap_or(i64::MAX)
}

/// The usage pools of a month in one currency, from the responses to [`usage_questions`]. Usage types without a region,
/// or with several regions, are left out.
pub fn build_usage_pools(
    by_account: &CostQueryResponse,
    by_region: &CostQueryResponse,
    currency: &str,
) -> Vec<UsagePool> {
    let mut regions_by_usage_type: HashMap<&str, BTreeSet<&str>> = HashMap::new();
    for row in &by_region.rows {
        if let [usage_type, region] = row.groups.as_slice() {
            regions_by_usage_type.entry(usage_type).or_default().insert(region);
        }
    }
    let mut sums: BTreeMap<(ResourceType, String, String, String), (Amount, i64)> = BTreeMap::new();
    for row in by_account.rows.iter().filter(|row| row.currency == currency) {
        let [usage_type, account] = row.groups.as_slice() else { continue };
        let Some((resource_type, driver)) = parse_usage_type(usage_type) else { continue };
        let mut regions = regions_by_usage_type.get(usage_type.as_str()).into_iter().flatten();
        let (Some(region), None) = (regions.next(), regions.next()) else { continue };
        let sum = sums.entry((resource_type, account.clone(), (*region).to_owned(), driver)).or_default();
        sum.0 += row.amount;
        // Exact: see `CostQueryResponse::has_exact_sums`.
        sum.1 = sum.1.saturating_add(row.units);
    }
    let pool = |((resource_type, account, region, driver), (amount, units))| UsagePool {
        resource_type,
        account,
        region,
        driver,
        amount,
        units,
    };
    // A pool with a cost of zero or less has nothing to allocate.
    sums.into_iter().filter(|(_, (amount, _))| *amount > Amount::ZERO).map(pool).collect()
}

/// The costs of individual resources in one currency, from the response to [`resource_question`].
pub fn collect_resource_charges(window: Days, response: CostQueryResponse, currency: &str) -> ResourceCharges {
    let mut services: BTreeMap<String, Amount> = BTreeMap::new();
    let mut resources: BTreeMap<(String, String), Amount> = BTreeMap::new();
    for row in response.rows.into_iter().filter(|row| row.currency == currency) {
        let Ok([resource, service]) = <[String; 2]>::try_from(row.groups) else { continue };
        *services.entry(service.clone()).or_default() += row.amount;
        if resource != "NoResourceId" && !resource.is_empty() {
            *resources.entry((service, resource)).or_default() += row.amount;
        }
    }
    let resources = resources.into_iter().map(|((service, resource), amount)| (service, resource, amount)).collect();
    ResourceCharges { window, services: services.into_iter().collect(), resources }
}

#[cfg(test)]
mod tests {
    use jiff::civil::Date;
    use tagledger_model::ResourceType;

    use super::*;
    use crate::bill::{CostQueryResponse, CostRow, Days, Metric};

    const EC2: &str = "Amazon Elastic Compute Cloud - Compute";

    fn row(groups: [&str; 2], amount: &str, units: i64) -> CostRow {
        CostRow {
            day: Date::constant(2026, 10, 1),
            groups: groups.map(str::to_owned).to_vec(),
            currency: "USD".to_owned(),
            amount: amount.parse().unwrap(),
            units,
        }
    }

    fn response(rows: Vec<CostRow>) -> CostQueryResponse {
        CostQueryResponse { rows, estimated: BTreeSet::new(), metric: Metric::NetAmortized }
    }

    /// A usage type maps to its resource type and cost driver whatever its region prefix is. Usage types that no single
    /// resource drives, such as data transfer, map to nothing.
    #[test]
    fn usage_type_maps_to_driver_in_any_region() {
        let parsed =
            |text: &str| parse_usage_type(text).map(|(resource_type, driver)| format!("{resource_type} {driver}"));
        for (usage_type, expected) in [
            ("BoxUsage:m5.large", Some("ec2:instance m5.large")),
            ("EUW1-BoxUsage:t3.micro", Some("ec2:instance t3.micro")),
            ("EU-SpotUsage:c5.xlarge", Some("ec2:instance c5.xlarge")),
            ("APS3-DedicatedUsage:m5.large", Some("ec2:instance m5.large")),
            ("USW2-HostBoxUsage:m5.large", None),
            ("EBS:VolumeUsage", Some("ec2:volume standard")),
            ("EUC1-EBS:VolumeUsage.gp3", Some("ec2:volume gp3")),
            ("EBS:VolumeUsage.piops", Some("ec2:volume io1")),
            ("EBS:VolumeP-IOPS.gp3", None),
            ("EBS:SnapshotUsage", None),
            ("InstanceUsage:db.r5.large", Some("rds:db db.r5.large")),
            ("EUW2-Multi-AZUsage:db.m5.large", Some("rds:db Multi-AZ db.m5.large")),
            ("RDS:GP3-Storage", None),
            ("USE2-DataTransfer-Out-Bytes", None),
            ("NatGateway-Hours", None),
        ] {
            assert_eq!(parsed(usage_type).as_deref(), expected, "{usage_type}");
        }
    }

    /// On-demand and Spot usage of one account, region and driver form one pool. Rows of an unknown region or with a
    /// negative amount, and rows in another currency, form none.
    #[test]
    fn pool_merges_purchase_options() {
        let by_account = response(vec![
            row(["EUW1-BoxUsage:m5.large", "1"], "70", 700_000_000),
            row(["EUW1-SpotUsage:m5.large", "1"], "5", 100_000_000),
            row(["EUW1-BoxUsage:m5.large", "2"], "30", 300_000_000),
            row(["Nowhere-BoxUsage:m5.large", "2"], "30", 300_000_000),
            row(["EUW1-EBS:VolumeUsage.gp3", "2"], "-1", 1),
        ]);
        let by_region = response(vec![
            row(["EUW1-BoxUsage:m5.large", "eu-west-1"], "100", 0),
            row(["EUW1-SpotUsage:m5.large", "eu-west-1"], "5", 0),
            row(["EUW1-EBS:VolumeUsage.gp3", "eu-west-1"], "-1", 0),
        ]);
        let pools = build_usage_pools(&by_account, &by_region, "USD");
        let amounts: Vec<_> =
            pools.iter().map(|pool| (pool.account.as_str(), pool.amount.to_string(), pool.units)).collect();
        assert_eq!(amounts, [("1", "75.00".to_owned(), 800_000_000), ("2", "30.00".to_owned(), 300_000_000)]);
        assert!(build_usage_pools(&by_account, &by_region, "CNY").is_empty(), "currencies are never added");
    }

    /// The total of a service includes charges without a resource ID, while the charges of a resource are summed over
    /// its rows. The question covers 14 days.
    #[test]
    fn service_total_includes_unnamed_charges() {
        let window = resource_question(Date::constant(2026, 11, 25)).days;
        assert_eq!((window.first, window.count()), (Date::constant(2026, 11, 11), 14));
        let rows = vec![row(["i-1", EC2], "4", 0), row(["NoResourceId", EC2], "1.5", 0), row(["i-1", EC2], "1", 0)];
        let charges = collect_resource_charges(window, response(rows), "USD");
        assert_eq!(charges.services, [(EC2.to_owned(), "6.5".parse().unwrap())]);
        assert_eq!(charges.resources, [(EC2.to_owned(), "i-1".to_owned(), "5".parse().unwrap())]);
    }

    /// The monthly usage of an instance is the number of hours in the month, and that of a volume is its size.
    #[test]
    fn monthly_units_are_hours_or_gigabytes() {
        let october = Days::of_month(Date::constant(2026, 10, 5));
        assert_eq!(monthly_units(ResourceType::Ec2Instance, 1, october), 744_000_000);
        assert_eq!(monthly_units(ResourceType::Ec2Volume, 50, october), 50_000_000);
    }
}
