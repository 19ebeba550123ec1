//! Cost Explorer: costs, and the status of cost allocation tags.
//!
//! Each page of a response is a request, and AWS charges for each request, so no question is sent twice.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_costexplorer::types::{
    CostAllocationTagStatus, CostAllocationTagType, DateInterval, Dimension as Key, DimensionValues, Expression,
    Granularity, Group, GroupDefinition, GroupDefinitionType, MatchOption, MetricValue, ResultByTime, TagValues,
};
use jiff::civil::Date;
use tagledger_cost::{
    AllocationTag, Amount, BillQuestion, Condition, CostQueryError, CostQueryResponse, CostQueryResult, CostRow, Days,
    Dimension, Metric, TagStatus, TimeGranularity,
};
use tagledger_model::{
    Region,
    api::Operation,
    inventory::{Gap, GapReason},
};

use crate::{listing_builder, paginator::Paginator, rate_limits::COST_EXPLORER, session::Session};

pub(crate) const GET_COST: Operation = Operation::new("ce:GetCostAndUsage", COST_EXPLORER);

const GET_RESOURCES: Operation = Operation::new("ce:GetCostAndUsageWithResources", COST_EXPLORER);

pub(crate) const LIST_TAGS: Operation = Operation::new("ce:ListCostAllocationTags", COST_EXPLORER);

/// The metric of the used quantity, in the unit of the usage type.
const USAGE_QUANTITY: &str = "UsageQuantity";

/// The maximum number of tag keys in one `ListCostAllocationTags` request.
const MAX_KEYS_PER_REQUEST: usize = 100;

/// Returns the region of the Cost Explorer endpoint of a partition.
///
/// # Errors
/// A gap if the partition has no Cost Explorer.
pub(crate) fn region(partition: &str) -> Result<Region, Gap> {
    let name = match partition {
        "aws-cn" => "cn-northwest-1",
        "aws" => "us-east-1",
        other => {
            let message = format!(
                "partition {other} has no Cost Explorer; its costs are on the bill of an account in another partition"
            );
            let gap = listing_builder::malformed_response(GET_COST, &message);
            return Err(Gap { reason: GapReason::NotEnabled, ..gap });
        }
    };
    name.parse().map_err(|_| listing_builder::malformed_response(GET_COST, name))
}

/// Sends a question, and reads all pages of the response. It stops with an error after `max_requests` requests.
pub(crate) async fn query_costs(session: &Session, question: &BillQuestion, max_requests: u64) -> CostQueryResult {
    let mut requests = 0;
    let response = read_pages(session, question, max_requests, &mut requests).await;
    CostQueryResult { requests, response }
}

async fn read_pages(
    session: &Session,
    question: &BillQuestion,
    max_requests: u64,
    requests: &mut u64,
) -> Result<CostQueryResponse, CostQueryError> {
    let request = Request::from_question(question).map_err(CostQueryError::Gap)?;
    let (mut pages, mut collected) = (Paginator::new(request.operation), CollectedLines::default());
    while let Some(token) = pages.next_page() {
        if *requests >= max_requests {
            return Err(CostQueryError::PageLimit);
        }
        *requests += 1;
        let (results, next) = request.send_page(session, token).await.map_err(CostQueryError::Gap)?;
        results.iter().try_for_each(|result| collected.add(result, question)).map_err(CostQueryError::Gap)?;
        pages.advance(next.as_deref()).map_err(CostQueryError::Gap)?;
    }
    Ok(collected.into_response())
}

/// The parameters of a request. Costs of single resources have their own operation, with the same parameters.
struct Request {
    operation: Operation,
    by_resource: bool,
    period: DateInterval,
    granularity: Granularity,
    metrics: Vec<String>,
    group_by: Vec<GroupDefinition>,
    filter: Option<Expression>,
}

/// The results of a page, and the token of the next page.
type ResultPage = (Vec<ResultByTime>, Option<String>);

impl Request {
    fn from_question(question: &BillQuestion) -> Result<Self, Gap> {
        let quantity = question.group_by.contains(&Dimension::UsageType).then_some(USAGE_QUANTITY);
        let by_resource = question.group_by.contains(&Dimension::Resource);
        let metrics = [Metric::NetAmortized.as_str(), Metric::Amortized.as_str()].into_iter().chain(quantity);
        Ok(Self {
            operation: if by_resource { GET_RESOURCES } else { GET_COST },
            by_resource,
            period: interval(question.days)?,
            granularity: match question.granularity {
                TimeGranularity::Day => Granularity::Daily,
                TimeGranularity::Month => Granularity::Monthly,
            },
            metrics: metrics.map(str::to_owned).collect(),
            group_by: question.group_by.iter().map(group_by).collect(),
            filter: question.filter.as_ref().map(expression),
        })
    }

    async fn send_page(&self, session: &Session, token: Option<String>) -> Result<ResultPage, Gap> {
        let client = session.cost_explorer();
        // The two operations have the same parameters, but the SDK has different types for them.
        macro_rules! send {
            ($call:ident) => {{
                let call = client
                    .$call()
                    .time_period(self.period.clone())
                    .granularity(self.granularity.clone())
                    .set_metrics(Some(self.metrics.clone()))
                    .set_group_by(Some(self.group_by.clone()))
                    .set_filter(self.filter.clone())
                    .set_next_page_token(token);
                let page = session.send(self.operation, call.send()).await?;
                Ok((page.results_by_time().to_vec(), page.next_page_token().map(str::to_owned)))
            }};
        }
        if self.by_resource { send!(get_cost_and_usage_with_resources) } else { send!(get_cost_and_usage) }
    }
}

fn interval(days: Days) -> Result<DateInterval, Gap> {
    let built = DateInterval::builder().start(days.first.to_string()).end(days.end.to_string()).build();
    built.map_err(|error| listing_builder::malformed_response(GET_COST, &error.to_string()))
}

fn group_by(dimension: &Dimension) -> GroupDefinition {
    let by = |kind, key: &str| GroupDefinition::builder().r#type(kind).key(key).build();
    match dimension {
        Dimension::Service => by(GroupDefinitionType::Dimension, "SERVICE"),
        Dimension::RecordType => by(GroupDefinitionType::Dimension, "RECORD_TYPE"),
        Dimension::LinkedAccount => by(GroupDefinitionType::Dimension, "LINKED_ACCOUNT"),
        Dimension::Region => by(GroupDefinitionType::Dimension, "REGION"),
        Dimension::UsageType => by(GroupDefinitionType::Dimension, "USAGE_TYPE"),
        Dimension::Resource => by(GroupDefinitionType::Dimension, "RESOURCE_ID"),
        Dimension::Tag(key) => by(GroupDefinitionType::Tag, key),
    }
}

fn expression(condition: &Condition) -> Expression {
    let expressions = |conditions: &[Condition]| Some(conditions.iter().map(expression).collect());
    let dimension =
        |key, values: &[String]| DimensionValues::builder().key(key).set_values(Some(values.to_vec())).build();
    let builder = Expression::builder();
    match condition {
        Condition::All(conditions) => builder.set_and(expressions(conditions)),
        Condition::Any(conditions) => builder.set_or(expressions(conditions)),
        Condition::Not(condition) => builder.not(expression(condition)),
        Condition::Services(names) => builder.dimensions(dimension(Key::Service, names)),
        Condition::RecordTypes(names) => builder.dimensions(dimension(Key::RecordType, names)),
        Condition::TagAbsent(key) => {
            builder.tags(TagValues::builder().key(key).match_options(MatchOption::Absent).build())
        }
        Condition::TagValues(key, values) => {
            builder.tags(TagValues::builder().key(key).set_values(Some(values.clone())).build())
        }
    }
    .build()
}

/// A cost row with both amounts. Which of them is used depends on all rows, so it is decided after the last page.
struct Line {
    day: Date,
    groups: Vec<String>,
    net: Option<(String, Amount)>,
    gross: Option<(String, Amount)>,
    units: i64,
}

/// The lines of the pages that were read so far.
#[derive(Default)]
struct CollectedLines {
    lines: Vec<Line>,
    estimated: BTreeSet<Date>,
}

impl CollectedLines {
    fn add(&mut self, result: &ResultByTime, question: &BillQuestion) -> Result<(), Gap> {
        let malformed = |what: &str| listing_builder::malformed_response(GET_COST, &format!("the response has {what}"));
        let start = result.time_period().map(DateInterval::start).unwrap_or_default();
        let day: Date = start.parse().map_err(|_| malformed("a period without a start date"))?;
        if result.estimated() {
            self.estimated.insert(day);
        }
        for group in result.groups() {
            if group.keys().len() != question.group_by.len() {
                return Err(malformed("a group with other keys than requested"));
            }
            self.lines.push(line(day, group, question).ok_or_else(|| malformed("an invalid amount"))?);
        }
        Ok(())
    }

    /// Returns all rows in one metric, because amounts of different metrics must not be added. It is the gross amount if any row
    /// has no net amount.
    fn into_response(self) -> CostQueryResponse {
        let net = self.lines.iter().all(|line| line.net.is_some());
        let metric = if net { Metric::NetAmortized } else { Metric::Amortized };
        let row = |line: Line| {
            let (currency, amount) = if net { line.net } else { line.gross }?;
            Some(CostRow { day: line.day, groups: line.groups, currency, amount, units: line.units })
        };
        CostQueryResponse { rows: self.lines.into_iter().filter_map(row).collect(), estimated: self.estimated, metric }
    }
}

fn line(day: Date, group: &Group, question: &BillQuestion) -> Option<Line> {
    let metrics = group.metrics()?;
    let amount_of = |metric: Metric| amount(metrics, metric.as_str());
    let (net, gross) = (amount_of(Metric::NetAmortized)?, amount_of(Metric::Amortized)?);
    let units = amount(metrics, USAGE_QUANTITY)?.map_or(0, |(_, units)| units.micros());
    let groups = group.keys().iter().zip(&question.group_by).map(|(key, by)| group_value(key, by).to_owned()).collect();
    (net.is_some() || gross.is_some()).then_some(Line { day, groups, net, gross, units })
}

/// Returns the unit and the amount of a metric, or `Some(None)` if the metric is absent. `None` if the amount is invalid.
fn amount(metrics: &HashMap<String, MetricValue>, metric: &str) -> Option<Option<(String, Amount)>> {
    let Some((unit, text)) = metrics.get(metric).and_then(|value| Some((value.unit()?, value.amount()?))) else {
        return Some(None);
    };
    Some(Some((unit.to_owned(), text.parse().ok()?)))
}

/// Returns the value of a group. For tags, Cost Explorer puts the key before the value: `Owner$anna`.
fn group_value<'k>(key: &'k str, by: &Dimension) -> &'k str {
    match by {
        Dimension::Tag(name) => key.strip_prefix(name.as_str()).and_then(|rest| rest.strip_prefix('$')).unwrap_or(key),
        _ => key,
    }
}

/// Returns the cost allocation status of these tag keys. Only the payer account has the permission.
///
/// # Errors
/// The gap of a failed request.
pub(crate) async fn list_allocation_tags(session: &Session, keys: &[String]) -> Result<Vec<AllocationTag>, Gap> {
    let unknown = |key: &String| AllocationTag { key: key.clone(), status: TagStatus::Unknown };
    let mut tags: Vec<AllocationTag> = keys.iter().map(unknown).collect();
    for keys in keys.chunks(MAX_KEYS_PER_REQUEST) {
        let request = session.cost_explorer().list_cost_allocation_tags().r#type(CostAllocationTagType::UserDefined);
        let response = session.send(LIST_TAGS, request.set_tag_keys(Some(keys.to_vec())).send()).await?;
        for found in response.cost_allocation_tags() {
            let active = *found.status() == CostAllocationTagStatus::Active;
            for tag in tags.iter_mut().filter(|tag| tag.key == found.tag_key()) {
                tag.status = if active { TagStatus::Active } else { TagStatus::Inactive };
            }
        }
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use tagledger_cost::{Amount, BillQuestion, CostRow, Days, Dimension, Metric, TimeGranularity};

    use super::*;

    fn question() -> BillQuestion {
        let days = Days::of_month(Date::constant(2026, 11, 3));
        BillQuestion {
            days,
            group_by: vec![Dimension::Service, Dimension::Tag("Owner".to_owned())],
            filter: None,
            granularity: TimeGranularity::Day,
        }
    }

    fn result(metrics: &[(&str, &str)]) -> ResultByTime {
        let value = |amount: &str| MetricValue::builder().amount(amount).unit("USD").build();
        let group = Group::builder().keys("AWS Lambda").keys("Owner$an$na");
        let group = metrics.iter().fold(group, |group, (name, amount)| group.metrics(*name, value(amount))).build();
        let period = DateInterval::builder().start("2026-11-03").end("2026-11-04").build().unwrap();
        ResultByTime::builder().time_period(period).groups(group).estimated(true).build()
    }

    /// When a row has both metrics, the net amortized cost is used. Tag groups are reduced to the tag value, and
    /// estimated days are recorded.
    #[test]
    fn net_amortized_cost_is_preferred() {
        let mut collected = CollectedLines::default();
        collected.add(&result(&[("NetAmortizedCost", "1.25"), ("AmortizedCost", "2")]), &question()).unwrap();
        let response = collected.into_response();
        let row = CostRow {
            day: Date::constant(2026, 11, 3),
            groups: vec!["AWS Lambda".to_owned(), "an$na".to_owned()],
            currency: "USD".to_owned(),
            amount: Amount::from_micros(1_250_000),
            units: 0,
        };
        assert_eq!((response.rows, response.metric), (vec![row], Metric::NetAmortized));
        assert_eq!(response.estimated.into_iter().collect::<Vec<_>>(), [Date::constant(2026, 11, 3)]);
    }

    /// If any row has no net amortized cost, all rows use the amortized cost, so that the sums use one metric.
    #[test]
    fn missing_net_cost_falls_back_for_all_rows() {
        let mut collected = CollectedLines::default();
        collected.add(&result(&[("NetAmortizedCost", "1"), ("AmortizedCost", "2")]), &question()).unwrap();
        collected.add(&result(&[("AmortizedCost", "3")]), &question()).unwrap();
        let response = collected.into_response();
        assert_eq!(response.metric, Metric::Amortized);
        assert_eq!(response.rows.iter().map(|row| row.amount.micros()).sum::<i64>(), 5_000_000);
    }

    /// A response with an unexpected number of groups, an invalid amount or no metric is rejected.
    #[test]
    fn malformed_cost_response_is_rejected() {
        let other = BillQuestion { group_by: vec![Dimension::Service], ..question() };
        let malformed = [
            (result(&[("AmortizedCost", "3")]), other),
            (result(&[("AmortizedCost", "three")]), question()),
            (result(&[]), question()),
        ];
        for (result, question) in malformed {
            assert!(CollectedLines::default().add(&result, &question).is_err(), "{result:?}");
        }
    }
}
