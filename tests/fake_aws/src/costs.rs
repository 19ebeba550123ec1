//! Cost Explorer: what the estate costs, the same every day, by an index's arithmetic. awsJson 1.1.

use std::collections::BTreeMap;

use jiff::{ToSpan, civil::Date};
use serde_json::{Value, json};

use crate::{
    cell::{Cell, Kind},
    errors::ApiError,
    page::Paging,
    wire::{Call, Outcome, Reply},
};

/// What the account that pays is billed beside its resources, and how its bill is told.
#[derive(Debug, Clone)]
pub struct Billing {
    /// Keys that are activated as cost allocation tags: bills know no other.
    pub activated: Vec<String>,
    /// Keys that billing knows and that are not activated.
    pub inactive: Vec<String>,
    /// Lines of every day that are no resource's.
    pub extra: Vec<ExtraLine>,
    /// Groups on a page.
    pub page: usize,
    /// Days from this one on may still change.
    pub open_from: Option<Date>,
    /// Whether net amounts are told; the others are a tenth more.
    pub net: bool,
}

/// A line of every day.
#[derive(Debug, Clone)]
pub struct ExtraLine {
    /// As the bill names it.
    pub service: String,
    /// Such as `Tax`.
    pub record_type: String,
    /// Whose.
    pub account: String,
    /// Where; `NoRegion` when nowhere.
    pub region: String,
    /// ISO 4217.
    pub currency: String,
    /// Hundred-millionths of the currency's unit a day.
    pub nano: i64,
}

impl Default for Billing {
    fn default() -> Self {
        Self { activated: Vec::new(), inactive: Vec::new(), extra: Vec::new(), page: 5_000, open_from: None, net: true }
    }
}

/// What a resource costs a day, in thousand-millionths of a dollar: no round figures.
pub fn daily_nano(resource_type: &str, index: usize) -> i64 {
    let index = i64::try_from(index % 1_000).unwrap_or_default();
    match resource_type {
        "ec2:instance" => 1_000_000_001 + index % 7 * 250_000_333,
        "ec2:volume" => 90_000_017 + index % 5 * 1_003,
        "rds:db" => 4_100_000_007 + index % 3 * 77_777_777,
        "rds:cluster" => 950_000_011,
        "s3:bucket" => 400_000_003 + index * 1_009,
        "lambda:function" => 10_000_019 + index * 101,
        "ecs:service" => 590_000_023 + index % 4 * 13,
        _ => 0,
    }
}

/// The service on whose bill a resource stands.
pub fn service_of(resource_type: &str) -> &'static str {
    match resource_type {
        "ec2:instance" => "Amazon Elastic Compute Cloud - Compute",
        "ec2:volume" => "EC2 - Other",
        "rds:db" | "rds:cluster" => "Amazon Relational Database Service",
        "s3:bucket" => "Amazon Simple Storage Service",
        "lambda:function" => "AWS Lambda",
        _ => "Amazon Elastic Container Service",
    }
}

/// What a sum is of: the keys that were grouped by, and the currency.
type Group = (Vec<String>, String);

/// A day's sum, in thousand-millionths.
type Place<'a> = (Date, &'a Group, i64);

/// A line of one day.
struct Line<'a> {
    service: &'a str,
    record_type: &'a str,
    account: &'a str,
    region: &'a str,
    currency: &'a str,
    tags: Vec<(String, String)>,
    nano: i64,
}

pub(crate) fn answer(cell: &Cell<'_>, call: &Call) -> Outcome {
    match call.operation.as_str() {
        "GetCostAndUsage" => get_cost_and_usage(cell, call),
        "ListCostAllocationTags" => list_cost_allocation_tags(cell, call),
        _ => Err(ApiError::unknown(call)),
    }
}

fn invalid(message: &str) -> ApiError {
    ApiError::new(400, "ValidationException", message)
}

fn list_cost_allocation_tags(cell: &Cell<'_>, call: &Call) -> Outcome {
    if call.account != cell.estate.home {
        return Err(ApiError::new(
            400,
            "AccessDeniedException",
            "Linked account doesn't have access to cost allocation tags.",
        ));
    }
    let billing = &cell.estate.billing;
    let of = |keys: &[String], status: &str| -> Vec<Value> {
        let asked = call.field_list("TagKeys");
        let wanted = keys.iter().filter(|key| asked.as_ref().is_none_or(|asked| asked.contains(&key.as_str())));
        wanted.map(|key| json!({"TagKey": key, "Type": "UserDefined", "Status": status})).collect()
    };
    let tags = [of(&billing.activated, "Active"), of(&billing.inactive, "Inactive")].concat();
    let items = tags.len();
    Ok(Reply { body: json!({ "CostAllocationTags": tags }).to_string(), items })
}

fn get_cost_and_usage(cell: &Cell<'_>, call: &Call) -> Outcome {
    let days = days(call)?;
    let by = call.json.get("GroupBy").and_then(Value::as_array).cloned().unwrap_or_default();
    if by.len() > 2 {
        return Err(invalid("GroupBy supports at most 2 group definitions."));
    }
    let metrics = call.field_list("Metrics").unwrap_or_default();
    if metrics.is_empty() || metrics.iter().any(|metric| !metric.ends_with("Cost")) {
        return Err(invalid("Metrics are missing or not known."));
    }
    let groups = groups(cell, call, &by)?;
    let places: Vec<Place<'_>> =
        days.iter().flat_map(|day| groups.iter().map(|(group, nano)| (*day, group, *nano))).collect();
    let scope = call.scope(&format!("{:?}{:?}", call.json.get("TimePeriod"), call.json.get("Filter")));
    let token = call.field("NextPageToken");
    let paging = Paging { scope: &scope, token, size: cell.estate.billing.page, effect: call.effect.as_ref() };
    let page = paging.page(places.len()).ok_or_else(|| invalid("The NextPageToken is invalid."))?;
    let shown = places.get(page.places).unwrap_or_default();
    let mut body = json!({"GroupDefinitions": by, "ResultsByTime": results(cell, &days, shown, &metrics)});
    if let (Some(next), Some(body)) = (page.next, body.as_object_mut()) {
        body.insert("NextPageToken".to_owned(), Value::String(next));
    }
    Ok(Reply { body: body.to_string(), items: shown.len() })
}

fn days(call: &Call) -> Result<Vec<Date>, ApiError> {
    let field = |name: &str| call.json.get("TimePeriod")?.get(name)?.as_str()?.parse::<Date>().ok();
    let (Some(start), Some(end)) = (field("Start"), field("End")) else {
        return Err(invalid("TimePeriod needs Start and End, each yyyy-MM-dd."));
    };
    if start >= end {
        return Err(invalid("Start date (and hour) should be before end date (and hour)"));
    }
    if call.field("Granularity") != Some("DAILY") {
        return Err(invalid("The fake knows DAILY only."));
    }
    Ok(start.series(1.day()).take_while(|day| *day < end).collect())
}

/// A day's lines that the filter leaves, summed by group and currency. The account that pays sees everybody's.
fn groups(cell: &Cell<'_>, call: &Call, by: &[Value]) -> Result<Vec<(Group, i64)>, ApiError> {
    let estate = cell.estate;
    let filter = call.json.get("Filter");
    let mut sums: BTreeMap<Group, i64> = BTreeMap::new();
    let mut add = |line: &Line<'_>| -> Result<(), ApiError> {
        if filter.map_or(Ok(true), |filter| meets(line, filter))? {
            let keys = by.iter().map(|by| key(line, by)).collect::<Result<_, _>>()?;
            *sums.entry((keys, line.currency.to_owned())).or_default() += line.nano;
        }
        Ok(())
    };
    let pays = call.account == estate.home;
    for (no, account) in estate.accounts.iter().enumerate().filter(|(_, account)| pays || account.id == call.account) {
        for place in Cell::all(estate, no, account).filter(|place| place.enabled && !account.suspended) {
            for kind in Kind::ALL {
                (0..place.count(kind)).try_for_each(|index| add(&of_resource(&place, kind, index)))?;
            }
        }
    }
    for extra in estate.billing.extra.iter().filter(|extra| pays || extra.account == call.account) {
        add(&Line {
            service: &extra.service,
            record_type: &extra.record_type,
            account: &extra.account,
            region: &extra.region,
            currency: &extra.currency,
            tags: Vec::new(),
            nano: extra.nano,
        })?;
    }
    Ok(sums.into_iter().collect())
}

fn of_resource<'a>(place: &Cell<'a>, kind: Kind, index: usize) -> Line<'a> {
    let mut tags = place.tags(kind, index);
    tags.retain(|(key, _)| place.estate.billing.activated.contains(key));
    Line {
        service: service_of(kind.name()),
        record_type: "Usage",
        account: &place.account.id,
        region: place.region,
        currency: "USD",
        tags,
        nano: daily_nano(kind.name(), index),
    }
}

fn key(line: &Line<'_>, by: &Value) -> Result<String, ApiError> {
    let name = by.get("Key").and_then(Value::as_str).unwrap_or_default();
    match by.get("Type").and_then(Value::as_str) {
        Some("TAG") => Ok(format!("{name}${}", line.tag(name).unwrap_or_default())),
        Some("DIMENSION") => line.dimension(name).map(ToOwned::to_owned),
        _ => Err(invalid("A group definition has no known type.")),
    }
}

impl Line<'_> {
    fn tag(&self, key: &str) -> Option<&str> {
        self.tags.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    fn dimension(&self, name: &str) -> Result<&str, ApiError> {
        Ok(match name {
            "SERVICE" => self.service,
            "RECORD_TYPE" => self.record_type,
            "LINKED_ACCOUNT" => self.account,
            "REGION" => self.region,
            _ => return Err(invalid("The fake does not know this dimension.")),
        })
    }
}

fn meets(line: &Line<'_>, filter: &Value) -> Result<bool, ApiError> {
    let several = |name: &str| filter.get(name).and_then(Value::as_array);
    let values = |of: &Value| -> Vec<String> {
        let listed = of.get("Values").and_then(Value::as_array).cloned().unwrap_or_default();
        listed.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect()
    };
    if let Some(all) = several("And") {
        return of_two(all)?.iter().try_fold(true, |sum, one| Ok(meets(line, one)? && sum));
    }
    if let Some(any) = several("Or") {
        return of_two(any)?.iter().try_fold(false, |sum, one| Ok(meets(line, one)? || sum));
    }
    if let Some(not) = filter.get("Not") {
        return Ok(!meets(line, not)?);
    }
    if let Some(dimensions) = filter.get("Dimensions") {
        let name = dimensions.get("Key").and_then(Value::as_str).unwrap_or_default();
        let value = line.dimension(name)?;
        return Ok(values(dimensions).iter().any(|one| one == value));
    }
    let Some(tags) = filter.get("Tags") else { return Err(invalid("An expression has none of the known parts.")) };
    let value = line.tag(tags.get("Key").and_then(Value::as_str).unwrap_or_default());
    let absent = tags.get("MatchOptions").is_some_and(|options| *options == json!(["ABSENT"]));
    Ok(if absent { value.is_none() } else { value.is_some_and(|value| values(tags).iter().any(|one| one == value)) })
}

fn of_two(list: &[Value]) -> Result<&[Value], ApiError> {
    if list.len() < 2 { Err(invalid("And and Or need two expressions at least.")) } else { Ok(list) }
}

/// Every day of the period is told, with those of its groups that stand on the page.
fn results(cell: &Cell<'_>, days: &[Date], shown: &[Place<'_>], metrics: &[&str]) -> Vec<Value> {
    let billing = &cell.estate.billing;
    let amount = |nano: i64, metric: &str, currency: &str| {
        let nano = if metric.starts_with("Net") { nano } else { nano + nano / 10 };
        let (sign, size) = (if nano < 0 { "-" } else { "" }, nano.unsigned_abs());
        json!({"Amount": format!("{sign}{}.{:09}0", size / 1_000_000_000, size % 1_000_000_000), "Unit": currency})
    };
    let group = |(_, (keys, currency), nano): &Place<'_>| {
        let told = metrics.iter().filter(|metric| billing.net || !metric.starts_with("Net"));
        let metrics: BTreeMap<&str, Value> = told.map(|metric| (*metric, amount(*nano, metric, currency))).collect();
        json!({"Keys": keys, "Metrics": metrics})
    };
    let result = |day: &Date| {
        let groups: Vec<Value> = shown.iter().filter(|(of, _, _)| of == day).map(group).collect();
        let end = day.saturating_add(1.day());
        json!({
            "TimePeriod": {"Start": day.to_string(), "End": end.to_string()},
            "Total": {},
            "Groups": groups,
            "Estimated": billing.open_from.is_some_and(|open| *day >= open),
        })
    };
    days.iter().map(result).collect()
}
