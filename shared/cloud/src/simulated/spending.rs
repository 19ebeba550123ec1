//! The costs of the simulated company, as cost lines and as answers to cost queries.

use std::collections::BTreeMap;

use jiff::civil::Date;
use tagledger_cost::{
    Amount, BillQuestion, Condition, CostQueryResponse, CostRow, Days, Dimension, Metric, TimeGranularity, services_of,
};
use tagledger_model::{
    AccountId, Arn, Region, ResourceType,
    inventory::{Scope, TagSet, Tags, Usage},
    resource_types::spec::{BilledAs, UsageUnit},
};

use crate::simulated::{company, estate::Estate, sizes::ResourceSize};

/// One cent in millionths of a dollar.
const CENT: i64 = 10_000;

/// One cost of one resource or service on one day.
#[derive(Debug, Clone)]
pub(crate) struct CostLine {
    day: Date,
    service: &'static str,
    record_type: &'static str,
    account: String,
    region: String,
    tags: TagSet,
    amount: Amount,
    usage_type: String,
    /// Usage in millionths of an hour, or of a gibibyte-month.
    units: i64,
    resource: String,
}

/// Costs that belong to no inventoried resource: service, charge type, cents per day.
const OTHER_COSTS: &[(&str, &str, i64)] = &[
    ("Amazon DynamoDB", "Usage", 1_840),
    ("AWS Data Transfer", "Usage", 930),
    ("AWS Cost Explorer", "Usage", 8),
    ("AWS Support (Business)", "Usage", 2_400),
    ("Datadog Pro", "Usage", 4_100),
    ("Savings Plans for AWS Compute usage", "SavingsPlanRecurringFee", 310),
    ("Amazon Elastic Compute Cloud - Compute", "Credit", -1_150),
    ("Amazon Relational Database Service", "Refund", -35),
    ("Tax", "Tax", 6_700),
];

/// Computes all cost lines of these days, up to the estate's day.
pub(crate) fn cost_lines(estate: &Estate, days: Days) -> Vec<CostLine> {
    let mut lines = Vec::new();
    for day in 0..=estate.day {
        let past_estate = estate.on_day(day);
        let date = past_estate.date();
        if date >= days.first && date < days.end {
            scopes().for_each(|scope| add_resource_costs(&past_estate, &scope, date, &mut lines));
            lines.extend(
                OTHER_COSTS.iter().map(|(service, record_type, cents)| other_cost(date, service, record_type, *cents)),
            );
        }
    }
    lines
}

fn add_resource_costs(estate: &Estate, scope: &Scope, date: Date, lines: &mut Vec<CostLine>) {
    let Some(service) = services_of(scope.resource_type).next() else { return };
    for number in 0..estate.resource_count(scope) {
        let Some(resource) = estate.resource(scope, number) else { continue };
        let Tags::Known(tags) = resource.tags else { continue };
        let ResourceSize { cents, stopped, .. } = ResourceSize::choose(estate.seed, scope, number);
        let quantity = resource.usage.as_ref().map_or(0, |usage| i64::from(usage.quantity));
        let days_of_month = Days::of_month(date).count();
        let unit = scope.resource_type.spec().cost.driver.map(|driver| driver.unit);
        lines.push(CostLine {
            day: date,
            service,
            record_type: "Usage",
            account: scope.account.to_string(),
            region: scope.region.to_string(),
            tags,
            amount: if stopped { Amount::ZERO } else { Amount::from_micros(cents * CENT) },
            usage_type: usage_type(scope, resource.usage.as_ref()),
            units: quantity
                * if unit == Some(UsageUnit::GigabyteMonths) { 1_000_000 / days_of_month } else { 24_000_000 },
            resource: billed_resource_id(scope.resource_type, &resource.arn),
        });
    }
}

/// Answers a cost query from the cost lines of its days. Costs of the current month are estimated, as they are at AWS.
pub(crate) fn query_lines(question: &BillQuestion, lines: &[CostLine], today: Date) -> CostQueryResponse {
    let mut sums: BTreeMap<(Date, Vec<String>), (Amount, i64)> = BTreeMap::new();
    for line in lines.iter().filter(|line| question.filter.as_ref().is_none_or(|condition| line.matches(condition))) {
        let groups = question.group_by.iter().map(|dimension| line.group(dimension).to_owned()).collect();
        let day = match question.granularity {
            TimeGranularity::Day => line.day,
            TimeGranularity::Month => line.day.first_of_month().max(question.days.first),
        };
        let (amount, units) = sums.entry((day, groups)).or_default();
        *amount += line.amount;
        *units += line.units;
    }
    let row = |((day, groups), (amount, units))| CostRow { day, groups, currency: "USD".to_owned(), amount, units };
    let month = Days::of_month(today);
    let estimated = question.days.iter().filter(|day| *day >= month.first && *day <= today);
    CostQueryResponse {
        estimated: estimated.collect(),
        metric: Metric::NetAmortized,
        rows: sums.into_iter().map(row).collect(),
    }
}

fn scopes() -> impl Iterator<Item = Scope> {
    let regions = company::ACCOUNTS.iter().flat_map(|(account, _)| {
        let enabled = company::REGIONS.iter().filter(|(_, enabled)| *enabled);
        enabled.filter_map(|(region, _)| Some((account.parse().ok()?, region.parse().ok()?)))
    });
    regions.flat_map(|(account, region): (AccountId, Region)| {
        ResourceType::ALL.iter().map(move |resource_type| Scope {
            account: account.clone(),
            region: region.clone(),
            resource_type: *resource_type,
        })
    })
}

fn other_cost(day: Date, service: &'static str, record_type: &'static str, cents: i64) -> CostLine {
    let (account, region) = ("111111111111".to_owned(), "NoRegion".to_owned());
    CostLine {
        day,
        service,
        record_type,
        account,
        region,
        tags: TagSet::default(),
        amount: Amount::from_micros(cents * CENT),
        usage_type: "Requests".to_owned(),
        units: 0,
        resource: "NoResourceId".to_owned(),
    }
}

/// The usage type. It starts with the full region name, where AWS uses an abbreviation.
fn usage_type(scope: &Scope, usage: Option<&Usage>) -> String {
    let driver = scope.resource_type.spec().cost.driver;
    let usage_type = driver.zip(usage).map(|(driver, usage)| driver.usage_type(&usage.driver));
    format!("{}-{}", scope.region, usage_type.as_deref().unwrap_or("Requests"))
}

/// The resource ID in cost data.
fn billed_resource_id(resource_type: ResourceType, arn: &Arn) -> String {
    match resource_type.spec().cost.billed_as {
        BilledAs::Arn => arn.to_string(),
        BilledAs::Id | BilledAs::UniqueName => arn.resource_id().to_owned(),
        BilledAs::Tasks => arn.as_str().replace(":service/", ":task/"),
        BilledAs::Unnamed => "NoResourceId".to_owned(),
    }
}

impl CostLine {
    fn group(&self, dimension: &Dimension) -> &str {
        match dimension {
            Dimension::Service => self.service,
            Dimension::RecordType => self.record_type,
            Dimension::LinkedAccount => &self.account,
            Dimension::Region => &self.region,
            Dimension::UsageType => &self.usage_type,
            Dimension::Resource => &self.resource,
            Dimension::Tag(key) => self.tags.get(key).unwrap_or_default(),
        }
    }

    fn matches(&self, condition: &Condition) -> bool {
        let contains = |names: &[String], name: &str| names.iter().any(|candidate| candidate == name);
        match condition {
            Condition::All(conditions) => conditions.iter().all(|condition| self.matches(condition)),
            Condition::Any(conditions) => conditions.iter().any(|condition| self.matches(condition)),
            Condition::Not(condition) => !self.matches(condition),
            Condition::Services(names) => contains(names, self.service),
            Condition::RecordTypes(names) => contains(names, self.record_type),
            Condition::TagAbsent(key) => self.tags.get(key).is_none(),
            Condition::TagValues(key, values) => self.tags.get(key).is_some_and(|value| contains(values, value)),
        }
    }
}
