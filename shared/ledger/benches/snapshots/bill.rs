//! The bill of the last complete month of the estate: by service, account and region, and tag value, with the usage of resources of the
//! same kind.

use std::collections::BTreeMap;

use jiff::civil::Date;
use tagledger_cost::{AllocationTag, Amount, Days, Metric, ResourceCosts, TagStatus, UsagePool, monthly_units};
use tagledger_ledger::{BillCollection, BillLine, BillPart, MonthBill};
use tagledger_model::ResourceType;

use crate::estate::Estate;

const SERVICES: [&str; 6] = [
    "Amazon Elastic Compute Cloud - Compute",
    "EC2 - Other",
    "AWS Lambda",
    "Amazon Simple Storage Service",
    "Amazon Elastic Container Service",
    "Amazon Relational Database Service",
];

/// The bill that a scan of `today` collects. Every day of the last complete month has the same charges.
pub(crate) fn collect_bill(estate: &Estate, today: Date) -> BillCollection {
    let days = Days::of_month(today.first_of_month().yesterday().unwrap());
    let payer = estate.accounts[0].id.to_string();
    let midnight = jiff::tz::TimeZone::UTC.to_timestamp(today.at(0, 0, 0, 0)).unwrap();
    let month = MonthBill {
        days,
        asked_at: midnight,
        open_from: None,
        metric: Metric::NetAmortized,
        payer: payer.clone(),
        scope_fingerprint: "as measured".to_owned(),
        requests: 7,
        lines: days.iter().flat_map(|day| lines(estate, day)).collect(),
    };
    let tags = ["CostCenter", "Environment", "Owner"];
    let active = |key: &str| AllocationTag { key: key.to_owned(), status: TagStatus::Active };
    let resource_costs = ResourceCosts {
        days,
        payer,
        currency: "USD".to_owned(),
        pools: pools(estate, days),
        charges: None,
        problem: "not opted in".to_owned(),
    };
    BillCollection {
        months: vec![month],
        tags: Some(tags.map(active).to_vec()),
        resource_costs: Some(resource_costs),
        ..BillCollection::default()
    }
}

/// The lines of a day: ten dollars for each service in each account, half of it in each of two regions, and a tenth of it not
/// attributable.
fn lines(estate: &Estate, day: Date) -> Vec<BillLine> {
    let line = |part, a: &str, b: &str, dollars: i64| BillLine {
        day,
        part,
        key_a: a.to_owned(),
        key_b: b.to_owned(),
        currency: "USD".to_owned(),
        amount: Amount::from_micros(dollars * 1_000_000),
    };
    let accounts = i64::try_from(estate.accounts.len()).unwrap();
    let mut lines = Vec::new();
    for service in SERVICES {
        lines.push(line(BillPart::Charges, service, "Usage", 10 * accounts));
        lines.extend(
            estate.accounts.iter().map(|account| line(BillPart::GapByService, service, account.id.as_str(), 1)),
        );
    }
    for account in &estate.accounts {
        for region in ["eu-west-1", "us-east-1"] {
            lines.push(line(BillPart::ByRegion, region, account.id.as_str(), 30));
            lines.push(line(BillPart::GapByRegion, region, account.id.as_str(), 3));
        }
    }
    for (value, dollars) in [("Engineering", 30), ("Marketing", 15), ("Sales", 10), ("", 5)] {
        lines.push(line(BillPart::ByTagValue, "CostCenter", value, dollars * accounts));
    }
    lines
}

/// The usage of resources of the same kind. The billed usage is a tenth more than the current usage.
fn pools(estate: &Estate, days: Days) -> Vec<UsagePool> {
    let mut quantities: BTreeMap<(ResourceType, &str, &str, String), u64> = BTreeMap::new();
    for (scope, listing) in estate.listings() {
        for usage in listing.resources.into_iter().filter_map(|resource| resource.usage) {
            let pool = (scope.resource_type, scope.account.as_str(), scope.region.as_str(), usage.driver);
            *quantities.entry(pool).or_default() += u64::from(usage.quantity);
        }
    }
    let pool = |((resource_type, account, region, driver), quantity): ((_, &str, &str, _), u64)| {
        let billed = quantity + quantity / 10;
        UsagePool {
            resource_type,
            account: account.to_owned(),
            region: region.to_owned(),
            driver,
            amount: Amount::from_micros(i64::try_from(billed).unwrap() * 1_000_000),
            units: monthly_units(resource_type, billed, days),
        }
    };
    quantities.into_iter().map(pool).collect()
}
