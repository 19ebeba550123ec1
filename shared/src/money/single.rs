//! What single resources cost, as far as a bill says it.
//!
//! Where the account that pays has opted in, Cost Explorer names what each resource cost in the last fourteen days. Else the
//! bill has one sum for all that is used alike: hours of an instance type, gigabytes of a volume type, each by account and
//! region. A resource's share of such a pool is what it takes of it. Neither is more than was billed: a pool is shared by
//! what was billed of it, or by what there is now, whichever is more, so that nothing is put on those that are left.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    Amount, BillAnswer, BillQuestion, Condition, Days, Dimension, Grain,
    charges::{EC2, EC2_OTHER, RDS, services},
    terms::usage,
};
use crate::ResourceType;

/// Days for which Cost Explorer knows single resources.
const WINDOW_DAYS: i64 = 14;

/// What many resources of an account in a region take of, in one currency.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pool {
    /// The type of those resources.
    pub resource_type: ResourceType,
    /// Whose.
    pub account: String,
    /// Where.
    pub region: String,
    /// What they take, as [`crate::inventory::Usage::driver`] names it.
    pub driver: String,
    /// What it cost in the month.
    pub amount: Amount,
    /// How much of it was billed: millionths of an hour, or of a gigabyte for a month.
    pub units: i64,
}

/// What single resources cost in the days for which Cost Explorer says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charges {
    /// The days.
    pub window: Days,
    /// All use of each service in these days, whether a resource is named or not.
    pub services: Vec<(String, Amount)>,
    /// Of that, by service and the resource's name on the bill.
    pub resources: Vec<(String, String, Amount)>,
}

/// What is known of single resources' costs: the basis on which a month of each is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SingleCosts {
    /// The month.
    pub days: Days,
    /// Whose bill it is.
    pub payer: String,
    /// Of all amounts.
    pub currency: String,
    /// What was used alike.
    pub pools: Vec<Pool>,
    /// What single resources cost, where that can be read.
    pub charges: Option<Charges>,
    /// Why it cannot; empty when it can.
    pub problem: String,
}

/// What was used in a month: by account and by region, for a bill groups by two dimensions, and a usage type is of one region.
pub fn usage_questions(days: Days) -> [BillQuestion; 2] {
    let shared = Condition::Services([EC2, EC2_OTHER, RDS].map(str::to_owned).to_vec());
    let only = Condition::all(vec![usage(), shared]);
    [Dimension::LinkedAccount, Dimension::Region].map(|by| BillQuestion {
        days,
        by: vec![Dimension::UsageType, by],
        only: only.clone(),
        grain: Grain::Month,
    })
}

/// What single resources of inventoried services cost until a day, which is not included.
pub fn resources_question(until: jiff::civil::Date) -> BillQuestion {
    let first = until.saturating_sub(jiff::Span::new().days(WINDOW_DAYS));
    let named = Condition::Services(services().map(str::to_owned).collect());
    BillQuestion {
        days: Days { first, end: until },
        by: vec![Dimension::Resource, Dimension::Service],
        only: Condition::all(vec![usage(), named]),
        grain: Grain::Month,
    }
}

/// The resource type that a usage type is billed for, and what of it is used; none of all else that is billed.
fn driver(usage_type: &str) -> Option<(ResourceType, String)> {
    let behind = |part: &str| usage_type.split_once(part).map(|(_, rest)| rest);
    // Dedicated hosts are billed as a whole; what runs on them costs nothing more.
    let hosted = usage_type.contains("HostBoxUsage") || usage_type.contains("HostUsage");
    if let Some(kind) = behind("BoxUsage:").or_else(|| behind("SpotUsage:")).or_else(|| behind("DedicatedUsage:")) {
        return (!hosted).then(|| (ResourceType::Ec2Instance, kind.to_owned()));
    }
    if let Some(kind) = behind("EBS:VolumeUsage") {
        let kind = match kind.strip_prefix('.') {
            None => "standard",
            Some("piops") => "io1",
            Some(kind) => kind,
        };
        return Some((ResourceType::Ec2Volume, kind.to_owned()));
    }
    let class = |class: &&str| class.starts_with("db.");
    let twice = behind("Multi-AZUsage:").filter(class).map(|class| format!("Multi-AZ {class}"));
    let one = || behind("InstanceUsage:").filter(class).map(str::to_owned);
    twice.or_else(one).map(|driver| (ResourceType::RdsDb, driver))
}

/// How much of a pool so much of a resource takes in a month, in the unit of [`Pool::units`].
pub fn monthly_units(resource_type: ResourceType, quantity: u64, days: Days) -> i64 {
    let one = if resource_type == ResourceType::Ec2Volume { 1 } else { 24 * days.count() };
    let units = i128::from(quantity) * i128::from(one) * 1_000_000;
    i64::try_from(units).unwrap_or(i64::MAX)
}

/// The pools of a month, from the answers to [`usage_questions`], in one currency. What has no region, or several, is in none.
pub fn pools_of(by_account: &BillAnswer, by_region: &BillAnswer, currency: &str) -> Vec<Pool> {
    let mut places: HashMap<&str, BTreeSet<&str>> = HashMap::new();
    for row in &by_region.rows {
        if let [usage_type, region] = row.groups.as_slice() {
            places.entry(usage_type).or_default().insert(region);
        }
    }
    let mut sums: BTreeMap<(ResourceType, String, String, String), (Amount, i64)> = BTreeMap::new();
    for row in by_account.rows.iter().filter(|row| row.currency == currency) {
        let [usage_type, account] = row.groups.as_slice() else { continue };
        let Some((resource_type, driver)) = driver(usage_type) else { continue };
        let mut regions = places.get(usage_type.as_str()).into_iter().flatten();
        let (Some(region), None) = (regions.next(), regions.next()) else { continue };
        let sum = sums.entry((resource_type, account.clone(), (*region).to_owned(), driver)).or_default();
        sum.0 += row.amount;
        sum.1 = sum.1.saturating_add(row.units);
    }
    let pool = |((resource_type, account, region, driver), (amount, units))| Pool {
        resource_type,
        account,
        region,
        driver,
        amount,
        units,
    };
    // A pool that came to less than nothing has nothing to share.
    sums.into_iter().filter(|(_, (amount, _))| *amount > Amount::ZERO).map(pool).collect()
}

/// What single resources cost, from the answer to [`resources_question`], in one currency.
pub fn charges_of(window: Days, answer: BillAnswer, currency: &str) -> Charges {
    let mut services: BTreeMap<String, Amount> = BTreeMap::new();
    let mut resources: BTreeMap<(String, String), Amount> = BTreeMap::new();
    for row in answer.rows.into_iter().filter(|row| row.currency == currency) {
        let Ok([resource, service]) = <[String; 2]>::try_from(row.groups) else { continue };
        *services.entry(service.clone()).or_default() += row.amount;
        if resource != "NoResourceId" && !resource.is_empty() {
            *resources.entry((service, resource)).or_default() += row.amount;
        }
    }
    let resources = resources.into_iter().map(|((service, resource), amount)| (service, resource, amount)).collect();
    Charges { window, services: services.into_iter().collect(), resources }
}

#[cfg(test)]
mod tests {
    use jiff::civil::Date;

    use super::*;
    use crate::money::{BillRow, Metric};

    fn row(groups: [&str; 2], amount: &str, units: i64) -> BillRow {
        BillRow {
            day: Date::constant(2026, 10, 1),
            groups: groups.map(str::to_owned).to_vec(),
            currency: "USD".to_owned(),
            amount: amount.parse().unwrap(),
            units,
        }
    }

    fn answer(rows: Vec<BillRow>) -> BillAnswer {
        BillAnswer { rows, estimated: BTreeSet::new(), metric: Metric::NetAmortized }
    }

    #[test]
    fn usage_types_say_what_is_used_whatever_their_region() {
        let told = |text: &str| driver(text).map(|(resource_type, driver)| format!("{resource_type} {driver}"));
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
            assert_eq!(told(usage_type).as_deref(), expected, "{usage_type}");
        }
    }

    #[test]
    fn a_pool_is_of_one_account_region_and_driver_however_it_was_bought() {
        let by_account = answer(vec![
            row(["EUW1-BoxUsage:m5.large", "1"], "70", 700_000_000),
            row(["EUW1-SpotUsage:m5.large", "1"], "5", 100_000_000),
            row(["EUW1-BoxUsage:m5.large", "2"], "30", 300_000_000),
            row(["Nowhere-BoxUsage:m5.large", "2"], "30", 300_000_000),
            row(["EUW1-EBS:VolumeUsage.gp3", "2"], "-1", 1),
        ]);
        let by_region = answer(vec![
            row(["EUW1-BoxUsage:m5.large", "eu-west-1"], "100", 0),
            row(["EUW1-SpotUsage:m5.large", "eu-west-1"], "5", 0),
            row(["EUW1-EBS:VolumeUsage.gp3", "eu-west-1"], "-1", 0),
        ]);
        let pools = pools_of(&by_account, &by_region, "USD");
        let told: Vec<_> =
            pools.iter().map(|pool| (pool.account.as_str(), pool.amount.to_string(), pool.units)).collect();
        assert_eq!(told, [("1", "75.00".to_owned(), 800_000_000), ("2", "30.00".to_owned(), 300_000_000)]);
        assert!(pools_of(&by_account, &by_region, "CNY").is_empty(), "currencies are never added");
    }

    #[test]
    fn a_service_has_what_its_resources_cost_and_what_names_none() {
        let window = resources_question(Date::constant(2026, 11, 25)).days;
        assert_eq!((window.first, window.count()), (Date::constant(2026, 11, 11), 14));
        let rows = vec![row(["i-1", EC2], "4", 0), row(["NoResourceId", EC2], "1.5", 0), row(["i-1", EC2], "1", 0)];
        let charges = charges_of(window, answer(rows), "USD");
        assert_eq!(charges.services, [(EC2.to_owned(), "6.5".parse().unwrap())]);
        assert_eq!(charges.resources, [(EC2.to_owned(), "i-1".to_owned(), "5".parse().unwrap())]);
    }

    #[test]
    fn a_month_of_a_machine_has_its_hours_and_a_month_of_a_volume_its_size() {
        let october = Days::of_month(Date::constant(2026, 10, 5));
        assert_eq!(monthly_units(ResourceType::Ec2Instance, 1, october), 744_000_000);
        assert_eq!(monthly_units(ResourceType::Ec2Volume, 50, october), 50_000_000);
    }
}
