//! Cost Explorer: the costs of the estate by [`crate::prices`], equal on all days. awsJson 1.1.

use std::collections::BTreeMap;

use jiff::{ToSpan, civil::Date};
use serde_json::{Value, json};

use crate::{
    account_region::{AccountRegion, Kind},
    errors::ApiError,
    pagination::Paging,
    prices::{Used, billed_resource_id, daily_nano, service_of, usage_type},
    protocol::{Call, Outcome, Reply},
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
    /// The first day for which single resources are told; none when the account has not opted in.
    pub resources_from: Option<Date>,
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
        Self {
            activated: Vec::new(),
            inactive: Vec::new(),
            extra: Vec::new(),
            page: 5_000,
            open_from: None,
            net: true,
            resources_from: None,
        }
    }
}

/// The metric that tells how much was used.
const QUANTITY: &str = "UsageQuantity";

/// What a sum is of: the keys that were grouped by, and the currency.
type Group = (Vec<String>, String);

/// The sum of a group in a period.
type Place<'a> = (Period, &'a Group, Sum);

/// A day's sum.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    nano: i64,
    used: Used,
}

/// Days that one result tells together, the last one not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Period {
    first: Date,
    end: Date,
}

impl Period {
    fn days(self) -> i64 {
        i64::from((self.end - self.first).get_days())
    }

    /// What was used in it, in thousand-millionths.
    fn units(self, used: Used) -> i64 {
        used.hours * self.days() + used.gigabytes * self.days() / i64::from(self.first.days_in_month())
    }
}

/// A line of one day.
struct Line<'a> {
    service: &'a str,
    record_type: &'a str,
    account: &'a str,
    region: &'a str,
    currency: &'a str,
    tags: Vec<(String, String)>,
    usage_type: String,
    resource: String,
    sum: Sum,
}

pub(crate) fn answer(account_region: &AccountRegion<'_>, call: &Call) -> Outcome {
    match call.operation.as_str() {
        "GetCostAndUsage" => get_cost_and_usage(account_region, call),
        "GetCostAndUsageWithResources" => get_cost_and_usage_with_resources(account_region, call),
        "ListCostAllocationTags" => list_cost_allocation_tags(account_region, call),
        _ => Err(ApiError::unknown(call)),
    }
}

fn invalid(message: &str) -> ApiError {
    ApiError::new(400, "ValidationException", message)
}

fn list_cost_allocation_tags(account_region: &AccountRegion<'_>, call: &Call) -> Outcome {
    if call.account != account_region.estate.home {
        return Err(ApiError::new(
            400,
            "AccessDeniedException",
            "Linked account doesn't have access to cost allocation tags.",
        ));
    }
    let billing = &account_region.estate.billing;
    let of = |keys: &[String], status: &str| -> Vec<Value> {
        let asked = call.field_list("TagKeys");
        let wanted = keys.iter().filter(|key| asked.as_ref().is_none_or(|asked| asked.contains(&key.as_str())));
        wanted.map(|key| json!({"TagKey": key, "Type": "UserDefined", "Status": status})).collect()
    };
    let tags = [of(&billing.activated, "Active"), of(&billing.inactive, "Inactive")].concat();
    let items = tags.len();
    Ok(Reply { body: json!({ "CostAllocationTags": tags }).to_string(), items })
}

fn get_cost_and_usage_with_resources(account_region: &AccountRegion<'_>, call: &Call) -> Outcome {
    let Some(from) = account_region.estate.billing.resources_from else {
        let message = "The requested data is not available: resource-level data is not enabled in the settings.";
        return Err(ApiError::new(400, "DataUnavailableException", message));
    };
    if periods(call)?.first().is_some_and(|period| period.first < from) {
        return Err(invalid("Start date should be within the last 14 days."));
    }
    let (by, filter) = (call.json.get("GroupBy"), call.json.get("Filter"));
    let has = |value: Option<&Value>, word: &str| value.is_some_and(|value| value.to_string().contains(word));
    if !has(filter, "\"SERVICE\"") || !(has(by, "RESOURCE_ID") || has(filter, "RESOURCE_ID")) {
        return Err(invalid("A filter on SERVICE, and a group or filter by RESOURCE_ID are required."));
    }
    get_cost_and_usage(account_region, call)
}

fn get_cost_and_usage(account_region: &AccountRegion<'_>, call: &Call) -> Outcome {
    let periods = periods(call)?;
    let by = call.json.get("GroupBy").and_then(Value::as_array).cloned().unwrap_or_default();
    if by.len() > 2 {
        return Err(invalid("GroupBy supports at most 2 group definitions."));
    }
    let metrics = call.field_list("Metrics").unwrap_or_default();
    if metrics.is_empty() || metrics.iter().any(|metric| !metric.ends_with("Cost") && *metric != QUANTITY) {
        return Err(invalid("Metrics are missing or not known."));
    }
    let groups = groups(account_region, call, &by)?;
    let places: Vec<Place<'_>> =
        periods.iter().flat_map(|period| groups.iter().map(|(group, sum)| (*period, group, *sum))).collect();
    let scope = call.scope(&format!("{:?}{:?}", call.json.get("TimePeriod"), call.json.get("Filter")));
    let token = call.field("NextPageToken");
    let paging =
        Paging { scope: &scope, token, size: account_region.estate.billing.page, effect: call.effect.as_ref() };
    let page = paging.page(places.len()).ok_or_else(|| invalid("The NextPageToken is invalid."))?;
    let shown = places.get(page.places).unwrap_or_default();
    let mut body = json!({"GroupDefinitions": by, "ResultsByTime": results(account_region, &periods, shown, &metrics)});
    if let (Some(next), Some(body)) = (page.next, body.as_object_mut()) {
        body.insert("NextPageToken".to_owned(), Value::String(next));
    }
    Ok(Reply { body: body.to_string(), items: shown.len() })
}

fn periods(call: &Call) -> Result<Vec<Period>, ApiError> {
    let field = |name: &str| call.json.get("TimePeriod")?.get(name)?.as_str()?.parse::<Date>().ok();
    let (Some(start), Some(end)) = (field("Start"), field("End")) else {
        return Err(invalid("TimePeriod needs Start and End, each yyyy-MM-dd."));
    };
    if start >= end {
        return Err(invalid("Start date (and hour) should be before end date (and hour)"));
    }
    let next = match call.field("Granularity") {
        Some("DAILY") => |day: Date| day.saturating_add(1.day()),
        Some("MONTHLY") => |day: Date| day.first_of_month().saturating_add(1.month()),
        _ => return Err(invalid("The fake knows DAILY and MONTHLY only.")),
    };
    let firsts = std::iter::successors(Some(start), |first| Some(next(*first))).take_while(|first| *first < end);
    Ok(firsts.map(|first| Period { first, end: next(first).min(end) }).collect())
}

/// A day's lines that the filter leaves, summed by group and currency. The account that pays sees everybody's.
fn groups(account_region: &AccountRegion<'_>, call: &Call, by: &[Value]) -> Result<Vec<(Group, Sum)>, ApiError> {
    let estate = account_region.estate;
    let filter = call.json.get("Filter");
    let mut sums: BTreeMap<Group, Sum> = BTreeMap::new();
    let mut add = |line: &Line<'_>| -> Result<(), ApiError> {
        if filter.map_or(Ok(true), |filter| meets(line, filter))? {
            let keys = by.iter().map(|by| key(line, by)).collect::<Result<_, _>>()?;
            let sum = sums.entry((keys, line.currency.to_owned())).or_default();
            sum.nano += line.sum.nano;
            sum.used.hours += line.sum.used.hours;
            sum.used.gigabytes += line.sum.used.gigabytes;
        }
        Ok(())
    };
    let pays = call.account == estate.home;
    for (no, account) in estate.accounts.iter().enumerate().filter(|(_, account)| pays || account.id == call.account) {
        for place in AccountRegion::all(estate, no, account).filter(|place| place.enabled && !account.suspended) {
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
            usage_type: "Requests".to_owned(),
            resource: "NoResourceId".to_owned(),
            sum: Sum { nano: extra.nano, used: Used::default() },
        })?;
    }
    Ok(sums.into_iter().collect())
}

fn of_resource<'a>(place: &AccountRegion<'a>, kind: Kind, index: usize) -> Line<'a> {
    let mut tags = place.tags(kind, index);
    tags.retain(|(key, _)| place.estate.billing.activated.contains(key));
    Line {
        service: service_of(kind.name()),
        record_type: "Usage",
        account: &place.account.id,
        region: place.region,
        currency: "USD",
        tags,
        usage_type: usage_type(place, kind, index),
        resource: billed_resource_id(place, kind, index),
        sum: match kind {
            Kind::Instance if place.stopped(index) => Sum::default(),
            _ => Sum { nano: daily_nano(kind.name(), index), used: Used::daily(kind, index) },
        },
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
            "USAGE_TYPE" => &self.usage_type,
            "RESOURCE_ID" => &self.resource,
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
        return at_least_two(all)?.iter().try_fold(true, |sum, one| Ok(meets(line, one)? && sum));
    }
    if let Some(any) = several("Or") {
        return at_least_two(any)?.iter().try_fold(false, |sum, one| Ok(meets(line, one)? || sum));
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

fn at_least_two(list: &[Value]) -> Result<&[Value], ApiError> {
    if list.len() < 2 { Err(invalid("And and Or need two expressions at least.")) } else { Ok(list) }
}

/// Every period is told, with those of its groups that stand on the page.
fn results(
    account_region: &AccountRegion<'_>,
    periods: &[Period],
    shown: &[Place<'_>],
    metrics: &[&str],
) -> Vec<Value> {
    let billing = &account_region.estate.billing;
    let group = |(period, (keys, currency), sum): &Place<'_>| {
        let told = metrics.iter().filter(|metric| billing.net || !metric.starts_with("Net"));
        let value = |metric: &str| match metric {
            QUANTITY => decimal(period.units(sum.used), "N/A"),
            net if net.starts_with("Net") => decimal(sum.nano * period.days(), currency),
            _ => decimal(sum.nano * period.days() / 10 * 11, currency),
        };
        let metrics: BTreeMap<&str, Value> = told.map(|metric| (*metric, value(metric))).collect();
        json!({"Keys": keys, "Metrics": metrics})
    };
    let result = |period: &Period| {
        let groups: Vec<Value> = shown.iter().filter(|(of, _, _)| of == period).map(group).collect();
        json!({
            "TimePeriod": {"Start": period.first.to_string(), "End": period.end.to_string()},
            "Total": {},
            "Groups": groups,
            "Estimated": billing.open_from.is_some_and(|open| period.end > open),
        })
    };
    periods.iter().map(result).collect()
}

fn decimal(nano: i64, unit: &str) -> Value {
    let (sign, size) = (if nano < 0 { "-" } else { "" }, nano.unsigned_abs());
    json!({"Amount": format!("{sign}{}.{:09}0", size / 1_000_000_000, size % 1_000_000_000), "Unit": unit})
}
