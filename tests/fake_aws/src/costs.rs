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

/// The costs of the payer account that are not of resources, and the settings of Cost Explorer.
#[derive(Debug, Clone)]
pub struct Billing {
    /// The tag keys that are activated as cost allocation tags. Costs can be grouped only by these.
    pub activated: Vec<String>,
    /// The tag keys that Cost Explorer lists as inactive.
    pub inactive: Vec<String>,
    /// The lines of each day that belong to no resource.
    pub extra: Vec<ExtraLine>,
    /// The number of groups on a page.
    pub page: usize,
    /// The first day whose costs are estimated.
    pub open_from: Option<Date>,
    /// Whether responses contain net amounts. Gross amounts are 10% higher.
    pub net: bool,
    /// The first day with costs of single resources. `None` if the account has not enabled them.
    pub resources_from: Option<Date>,
}

/// A cost line of each day.
#[derive(Debug, Clone)]
pub struct ExtraLine {
    /// The name of the service on the bill.
    pub service: String,
    /// The record type, such as `Tax`.
    pub record_type: String,
    /// The ID of the account.
    pub account: String,
    /// The region, or `NoRegion`.
    pub region: String,
    /// The currency code of ISO 4217.
    pub currency: String,
    /// The amount per day in billionths of the currency unit.
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

/// The metric of the used quantity.
const QUANTITY: &str = "UsageQuantity";

/// The keys of a group, and its currency.
type Group = (Vec<String>, String);

/// The sum of a group in a period.
type PeriodSum<'a> = (Period, &'a Group, Sum);

/// The sum of one day.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    nano: i64,
    used: Used,
}

/// The days of one result. The end is exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Period {
    first: Date,
    end: Date,
}

impl Period {
    fn days(self) -> i64 {
        i64::from((self.end - self.first).get_days())
    }

    /// Returns the quantity that was used in the period, in billionths.
    fn quantity(self, used: Used) -> i64 {
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

/// Handles a call of this service.
pub(crate) fn handle(account_region: &AccountRegion<'_>, call: &Call) -> Outcome {
    match call.operation.as_str() {
        "GetCostAndUsage" => get_cost_and_usage(account_region, call),
        "GetCostAndUsageWithResources" => get_cost_and_usage_with_resources(account_region, call),
        "ListCostAllocationTags" => list_cost_allocation_tags(account_region, call),
        _ => Err(ApiError::unsupported(call)),
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
    let tags_with_status = |keys: &[String], status: &str| -> Vec<Value> {
        let requested = call.field_list("TagKeys");
        let is_requested = |key: &str| requested.as_ref().is_none_or(|requested| requested.contains(&key));
        keys.iter()
            .filter(|key| is_requested(key))
            .map(|key| json!({"TagKey": key, "Type": "UserDefined", "Status": status}))
            .collect()
    };
    let active = tags_with_status(&billing.activated, "Active");
    let tags = [active, tags_with_status(&billing.inactive, "Inactive")].concat();
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
    let sums: Vec<PeriodSum<'_>> =
        periods.iter().flat_map(|period| groups.iter().map(|(group, sum)| (*period, group, *sum))).collect();
    let scope = call.scope(&format!("{:?}{:?}", call.json.get("TimePeriod"), call.json.get("Filter")));
    let token = call.field("NextPageToken");
    let paging =
        Paging { scope: &scope, token, size: account_region.estate.billing.page, effect: call.effect.as_ref() };
    let page = paging.page(sums.len()).ok_or_else(|| invalid("The NextPageToken is invalid."))?;
    let shown = sums.get(page.range).unwrap_or_default();
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
        _ => return Err(invalid("The fake implements only DAILY and MONTHLY.")),
    };
    let firsts = std::iter::successors(Some(start), |first| Some(next(*first))).take_while(|first| *first < end);
    Ok(firsts.map(|first| Period { first, end: next(first).min(end) }).collect())
}

/// Returns the sums of one day by group and currency, for the lines that match the filter. The payer account sees the costs of
/// all accounts.
fn groups(account_region: &AccountRegion<'_>, call: &Call, by: &[Value]) -> Result<Vec<(Group, Sum)>, ApiError> {
    let estate = account_region.estate;
    let filter = call.json.get("Filter");
    let mut sums: BTreeMap<Group, Sum> = BTreeMap::new();
    let mut add = |line: &Line<'_>| -> Result<(), ApiError> {
        if filter.map_or(Ok(true), |filter| matches_filter(line, filter))? {
            let keys = by.iter().map(|by| group_key(line, by)).collect::<Result<_, _>>()?;
            let sum = sums.entry((keys, line.currency.to_owned())).or_default();
            sum.nano += line.sum.nano;
            sum.used.hours += line.sum.used.hours;
            sum.used.gigabytes += line.sum.used.gigabytes;
        }
        Ok(())
    };
    let is_payer = call.account == estate.home;
    for (no, account) in
        estate.accounts.iter().enumerate().filter(|(_, account)| is_payer || account.id == call.account)
    {
        for account_region in
            AccountRegion::all(estate, no, account).filter(|region| region.enabled && !account.suspended)
        {
            for kind in Kind::ALL {
                (0..account_region.count(kind))
                    .try_for_each(|index| add(&resource_line(&account_region, kind, index)))?;
            }
        }
    }
    for extra in estate.billing.extra.iter().filter(|extra| is_payer || extra.account == call.account) {
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

fn resource_line<'a>(account_region: &AccountRegion<'a>, kind: Kind, index: usize) -> Line<'a> {
    let mut tags = account_region.tags(kind, index);
    tags.retain(|(key, _)| account_region.estate.billing.activated.contains(key));
    Line {
        service: service_of(kind.name()),
        record_type: "Usage",
        account: &account_region.account.id,
        region: account_region.region,
        currency: "USD",
        tags,
        usage_type: usage_type(account_region, kind, index),
        resource: billed_resource_id(account_region, kind, index),
        sum: match kind {
            Kind::Instance if account_region.is_stopped(index) => Sum::default(),
            _ => Sum { nano: daily_nano(kind.name(), index), used: Used::daily(kind, index) },
        },
    }
}

fn group_key(line: &Line<'_>, by: &Value) -> Result<String, ApiError> {
    let name = by.get("Key").and_then(Value::as_str).unwrap_or_default();
    match by.get("Type").and_then(Value::as_str) {
        Some("TAG") => Ok(format!("{name}${}", line.tag(name).unwrap_or_default())),
        Some("DIMENSION") => line.dimension(name).map(ToOwned::to_owned),
        _ => Err(invalid("A group definition has no known type.")),
    }
}

impl Line<'_> {
    fn tag(&self, key: &str) -> Option<&str> {
        self.tags.iter().find(|(tag_key, _)| tag_key == key).map(|(_, value)| value.as_str())
    }

    fn dimension(&self, name: &str) -> Result<&str, ApiError> {
        Ok(match name {
            "SERVICE" => self.service,
            "RECORD_TYPE" => self.record_type,
            "LINKED_ACCOUNT" => self.account,
            "REGION" => self.region,
            "USAGE_TYPE" => &self.usage_type,
            "RESOURCE_ID" => &self.resource,
            _ => return Err(invalid("The fake does not implement this dimension.")),
        })
    }
}

fn matches_filter(line: &Line<'_>, filter: &Value) -> Result<bool, ApiError> {
    let expressions = |name: &str| filter.get(name).and_then(Value::as_array);
    let values = |part: &Value| -> Vec<String> {
        let listed = part.get("Values").and_then(Value::as_array).cloned().unwrap_or_default();
        listed.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect()
    };
    if let Some(all) = expressions("And") {
        return at_least_two(all)?.iter().try_fold(true, |matched, part| Ok(matches_filter(line, part)? && matched));
    }
    if let Some(any) = expressions("Or") {
        return at_least_two(any)?.iter().try_fold(false, |matched, part| Ok(matches_filter(line, part)? || matched));
    }
    if let Some(not) = filter.get("Not") {
        return Ok(!matches_filter(line, not)?);
    }
    if let Some(dimensions) = filter.get("Dimensions") {
        let name = dimensions.get("Key").and_then(Value::as_str).unwrap_or_default();
        let value = line.dimension(name)?;
        return Ok(values(dimensions).iter().any(|other| other == value));
    }
    let Some(tags) = filter.get("Tags") else { return Err(invalid("An expression has none of the known parts.")) };
    let value = line.tag(tags.get("Key").and_then(Value::as_str).unwrap_or_default());
    let absent = tags.get("MatchOptions").is_some_and(|options| *options == json!(["ABSENT"]));
    Ok(if absent {
        value.is_none()
    } else {
        value.is_some_and(|value| values(tags).iter().any(|other| other == value))
    })
}

fn at_least_two(list: &[Value]) -> Result<&[Value], ApiError> {
    if list.len() < 2 { Err(invalid("And and Or need two expressions at least.")) } else { Ok(list) }
}

/// Returns a result for each period, with its groups on the page.
fn results(
    account_region: &AccountRegion<'_>,
    periods: &[Period],
    shown: &[PeriodSum<'_>],
    metrics: &[&str],
) -> Vec<Value> {
    let billing = &account_region.estate.billing;
    let group = |(period, (keys, currency), sum): &PeriodSum<'_>| {
        let returned = metrics.iter().filter(|metric| billing.net || !metric.starts_with("Net"));
        let value = |metric: &str| match metric {
            QUANTITY => decimal(period.quantity(sum.used), "N/A"),
            net if net.starts_with("Net") => decimal(sum.nano * period.days(), currency),
            _ => decimal(sum.nano * period.days() / 10 * 11, currency),
        };
        let metrics: BTreeMap<&str, Value> = returned.map(|metric| (*metric, value(metric))).collect();
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
