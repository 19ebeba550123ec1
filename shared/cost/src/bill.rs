//! Questions to Cost Explorer and its responses.

use std::collections::BTreeSet;

use jiff::{ToSpan, civil::Date};
use serde::{Deserialize, Serialize};
use tagledger_model::inventory::Gap;

use crate::amount::Amount;

/// A range of dates, without the end date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Days {
    /// The first date.
    pub first: Date,
    /// The date after the last one.
    pub end: Date,
}

impl Days {
    /// The days of the month of `day`.
    pub fn of_month(day: Date) -> Self {
        let first = day.first_of_month();
        Self { first, end: first.saturating_add(1.month()) }
    }

    /// The number of days.
    pub fn count(self) -> i64 {
        i64::from((self.end - self.first).get_days())
    }

    /// The last day.
    pub fn last(self) -> Date {
        self.end.saturating_sub(1.day())
    }

    /// The intersection with another range; none when it is empty.
    pub fn within(self, other: Self) -> Option<Self> {
        let days = Self { first: self.first.max(other.first), end: self.end.min(other.end) };
        (days.first < days.end).then_some(days)
    }

    /// All days in order.
    pub fn iter(self) -> impl Iterator<Item = Date> {
        self.first.series(1.day()).take_while(move |day| *day < self.end)
    }
}

/// A dimension by which Cost Explorer groups costs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// The service by its name on the bill, such as `Amazon Simple Storage Service`.
    Service,
    /// The record type, such as `Usage`, `Tax` or `Credit`.
    RecordType,
    /// The account that incurred the cost.
    LinkedAccount,
    /// The region; `NoRegion` or `global` for costs without one.
    Region,
    /// The value of the cost allocation tag with this key; empty when there is none.
    Tag(String),
    /// The usage type, such as `EUW1-BoxUsage:m5.large`.
    UsageType,
    /// The resource, by the identifier that its service uses; `NoResourceId` when there is none. Available for the last
    /// 14 days, for named services, and when the payer account has opted in.
    Resource,
}

/// The time granularity of a response.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TimeGranularity {
    /// By day.
    #[default]
    Day,
    /// By calendar month. The day of a row is the first requested day of that month.
    Month,
}

/// A filter of charges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// All of these conditions hold. There are at least two.
    All(Vec<Self>),
    /// At least one of these conditions holds. There are at least two.
    Any(Vec<Self>),
    /// The condition does not hold.
    Not(Box<Self>),
    /// The service is one of these.
    Services(Vec<String>),
    /// The record type is one of these.
    RecordTypes(Vec<String>),
    /// The tag with this key is absent.
    TagAbsent(String),
    /// The tag with this key has exactly one of these values.
    TagValues(String, Vec<String>),
}

impl Condition {
    /// The conjunction of the conditions; none when there are none.
    pub fn all(mut conditions: Vec<Self>) -> Option<Self> {
        if conditions.len() > 1 { Some(Self::All(conditions)) } else { conditions.pop() }
    }

    /// The disjunction of the conditions; none when there are none.
    pub fn any(mut conditions: Vec<Self>) -> Option<Self> {
        if conditions.len() > 1 { Some(Self::Any(conditions)) } else { conditions.pop() }
    }

    /// The negation.
    pub fn negated(self) -> Self {
        Self::Not(Box::new(self))
    }
}

/// A query of costs over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillQuestion {
    /// The period.
    pub days: Days,
    /// The dimensions to group by. Cost Explorer accepts at most two.
    pub group_by: Vec<Dimension>,
    /// The charges to include; none includes all.
    pub filter: Option<Condition>,
    /// The time granularity.
    pub granularity: TimeGranularity,
}

/// The cost metric of the amounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Metric {
    /// Amortized cost after discounts: the fees of reservations and Savings Plans are spread over the usage that they
    /// cover.
    NetAmortized,
    /// Amortized cost before discounts, for accounts without net amounts.
    Amortized,
}

impl Metric {
    /// The name in Cost Explorer.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NetAmortized => "NetAmortizedCost",
            Self::Amortized => "AmortizedCost",
        }
    }
}

/// A row of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostRow {
    /// The day.
    pub day: Date,
    /// The group values, in the order of [`crate::bill::BillQuestion::group_by`].
    pub groups: Vec<String>,
    /// The currency: ISO 4217, such as `USD`.
    pub currency: String,
    /// The cost.
    pub amount: Amount,
    /// The usage in millionths of the billed unit, such as hours; 0 unless the query groups by
    /// [`crate::bill::Dimension::UsageType`].
    pub units: i64,
}

/// The complete response to a query, with the rows of all pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostQueryResponse {
    /// The rows, in no order. Rows with a zero amount may be absent.
    pub rows: Vec<CostRow>,
    /// The days whose amounts AWS marks as estimated, which means that they can change.
    pub estimated: BTreeSet<Date>,
    /// The cost metric of all amounts.
    pub metric: Metric,
}

impl CostQueryResponse {
    /// Whether all sums of amounts and of units over rows of this response are exact: the absolute values add up to
    /// less than the range of an `i64`. A response that does not have exact sums is malformed and must be rejected.
    pub fn has_exact_sums(&self) -> bool {
        let fits = |values: &mut dyn Iterator<Item = i64>| {
            values.map(|value| u128::from(value.unsigned_abs())).sum::<u128>() <= u128::from(i64::MAX.unsigned_abs())
        };
        fits(&mut self.rows.iter().map(|row| row.amount.micros())) && fits(&mut self.rows.iter().map(|row| row.units))
    }
}

/// Why a query has no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CostQueryError {
    /// The costs cannot be read.
    Gap(Gap),
    /// The response has more pages than the number of requests that is allowed.
    PageLimit,
}

/// The result of a query with the number of requests. AWS charges for every request, also for a failed one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostQueryResult {
    /// The number of requests, one for each page.
    pub requests: u64,
    /// The response, or the reason why there is none.
    pub response: Result<CostQueryResponse, CostQueryError>,
}

/// The status of a tag key as a cost allocation tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AllocationTag {
    /// The key.
    pub key: String,
    /// Whether bills are grouped by it.
    pub status: TagStatus,
}

/// The status of a cost allocation tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TagStatus {
    /// Active: bills can be grouped by the key.
    Active,
    /// Not activated: bills cannot be grouped by the key.
    Inactive,
    /// Billing has not seen the key.
    Unknown,
}

impl TagStatus {
    /// All statuses.
    pub const ALL: [Self; 3] = [Self::Active, Self::Inactive, Self::Unknown];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums over the rows of a response are exact as long as the absolute values of all amounts, and of all units, fit
    /// an `i64`.
    #[test]
    fn oversized_response_has_no_exact_sums() {
        let row = |amount: i64, units: i64| CostRow {
            day: Date::constant(2026, 10, 1),
            groups: Vec::new(),
            currency: "USD".to_owned(),
            amount: Amount::from_micros(amount),
            units,
        };
        let has_exact_sums =
            |rows| CostQueryResponse { rows, estimated: BTreeSet::new(), metric: Metric::Amortized }.has_exact_sums();
        assert!(has_exact_sums(vec![row(i64::MAX - 1, 0), row(-1, i64::MAX)]));
        assert!(!has_exact_sums(vec![row(i64::MAX, 0), row(-1, 0)]));
        assert!(!has_exact_sums(vec![row(0, i64::MAX), row(0, 1)]));
        assert!(!has_exact_sums(vec![row(i64::MIN, 0)]));
    }
}
