//! Bills as they are recorded and read.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use tagledger_cost::{
    AllocationTag, Amount, Attribution, BillTotals, Days, Metric, ResourceCosts, TagScope, TaggableSpend,
};
use tagledger_policy::Policy;

/// The part of the bill that a line belongs to. Each part has its own two keys; `schema.sql` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BillPart {
    /// All charges, by service and record type.
    Charges = 1,
    /// Spend that must carry a required tag key, by region and account.
    #[serde(rename = "places")]
    ByRegion = 2,
    /// The part of that spend without a required key or its value, by service and account.
    GapByService = 3,
    /// The same spend, by region and account.
    #[serde(rename = "gap_by_place")]
    GapByRegion = 4,
    /// Spend that must carry a required tag key, by tag key and tag value.
    #[serde(rename = "values")]
    ByTagValue = 5,
}

impl BillPart {
    pub(crate) const ALL: [Self; 5] =
        [Self::Charges, Self::ByRegion, Self::GapByService, Self::GapByRegion, Self::ByTagValue];
}

/// A line of the bill: an amount of one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillLine {
    /// The day, UTC.
    pub day: Date,
    /// The part of the bill.
    pub part: BillPart,
    /// The first key of the part.
    #[serde(rename = "a")]
    pub key_a: String,
    /// The second key of the part.
    #[serde(rename = "b")]
    pub key_b: String,
    /// The currency code, ISO 4217.
    pub currency: String,
    /// The amount.
    pub amount: Amount,
}

/// The bill of one month, read completely.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonthBill {
    /// From the first of the month to the last day that was requested.
    pub days: Days,
    /// When it was requested.
    pub asked_at: Timestamp,
    /// The first day whose amounts can still change; none when the month is final.
    pub open_from: Option<Date>,
    /// The cost metric.
    pub metric: Metric,
    /// The payer account.
    pub payer: String,
    /// A digest of everything that the responses depend on. When it changes, the month is requested again.
    #[serde(rename = "terms")]
    pub scope_fingerprint: String,
    /// The number of requests.
    pub requests: u64,
    /// All lines.
    pub lines: Vec<BillLine>,
}

/// Why the bill was not read completely.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillGap {
    /// When it was requested.
    pub asked_at: Timestamp,
    /// The reason, as in the gap of a scope, or `budget`.
    pub reason: String,
    /// The AWS operation that failed, as IAM names it.
    pub operation: String,
    /// The error message of AWS.
    pub message: String,
    /// The smallest number of requests for a month, if known; else 0.
    pub needs: u64,
}

/// The parts of the bill that a scan collected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BillCollection {
    /// When the collection began.
    pub asked_at: Timestamp,
    /// The number of requests.
    pub requests: u64,
    /// The months that were read completely.
    pub months: Vec<MonthBill>,
    /// The status of the required tag keys as cost allocation tags. With none, the recorded status stays.
    pub tags: Option<Vec<AllocationTag>>,
    /// The costs of individual resources. With none, the recorded costs stay.
    pub resource_costs: Option<ResourceCosts>,
    /// Why the collection stopped early. The recorded months that it did not read stay as they were.
    pub gap: Option<BillGap>,
}

/// A recorded month, without its lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedMonth {
    /// The requested days.
    pub days: Days,
    /// The first day whose amounts can still change; none when the month is final.
    pub open_from: Option<Date>,
    /// When it was last requested.
    pub asked_at: Timestamp,
    /// The cost metric.
    pub metric: Metric,
    /// The payer account.
    pub payer: String,
    /// The digest of the policy that decided which spend is an attribution gap.
    pub policy_digest: String,
    /// A digest of everything that the responses depended on.
    #[serde(rename = "terms")]
    pub scope_fingerprint: String,
}

/// The recorded bill, before a scan requests it again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordedBill {
    /// The months in order.
    pub months: Vec<RecordedMonth>,
    /// The status of the tag keys that were required at the last request, as cost allocation tags.
    pub tags: Vec<AllocationTag>,
    /// The number of requests on the given day.
    pub requests_today: u64,
    /// The smallest number of requests for a month; 0 when it is not known.
    pub needs: u64,
    /// The basis of the costs of individual resources; none before they were requested.
    pub basis: Option<RecordedBasis>,
}

/// The sums of the bill over some days.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bill {
    /// The amounts by part, currency, first key and second key.
    pub sums: BTreeMap<(BillPart, String, String, String), Amount>,
}

/// A billed month, or a part of it, with the policy that decides which spend is an attribution gap.
#[derive(Debug, Clone)]
pub struct BilledMonth {
    /// The recorded month.
    pub month: RecordedMonth,
    /// The selected days of the month.
    pub days: Days,
    /// The sums of these days.
    pub bill: Bill,
    /// The policy that was in force when the month was requested.
    pub policy: Arc<Policy>,
}

impl BilledMonth {
    /// The spend that tags attribute and the spend that they do not, in one currency.
    pub fn attribution(&self, currency: &str) -> Attribution {
        Attribution::compute(&self.bill.sums_in(currency), &TagScope::from_policy(&self.policy), self.month.days.last())
    }
}

impl Bill {
    /// All sums in one currency.
    pub fn sums_in(&self, currency: &str) -> BillTotals {
        let part = |part: BillPart| {
            let of = self.sums.iter().filter(|((p, c, _, _), _)| *p == part && c == currency);
            of.map(|((_, _, a, b), amount)| (a.clone(), b.clone(), *amount)).collect()
        };
        BillTotals {
            charges: part(BillPart::Charges),
            by_region: part(BillPart::ByRegion),
            gap_by_service: part(BillPart::GapByService),
            gap_by_region: part(BillPart::GapByRegion),
            by_value: part(BillPart::ByTagValue),
        }
    }

    /// The currencies of all charges with their sums, the largest sum first.
    pub fn currencies(&self) -> Vec<(String, Amount)> {
        let mut sums: BTreeMap<&str, Amount> = BTreeMap::new();
        for ((part, currency, _, _), amount) in &self.sums {
            if *part == BillPart::Charges {
                *sums.entry(currency).or_default() += *amount;
            }
        }
        let mut sums: Vec<_> = sums.into_iter().map(|(currency, sum)| (currency.to_owned(), sum)).collect();
        sums.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.micros().unsigned_abs()));
        sums
    }
}

/// The taggable spend of the last complete month, or of the current one when there is none. It is computed once for each snapshot,
/// because many answers contain it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonthSpend {
    /// The days.
    pub days: Days,
    /// The currency of all amounts.
    pub currency: String,
    /// Spend that must carry required tags.
    pub spend: TaggableSpend,
    /// By service.
    pub by_service: BTreeMap<String, TaggableSpend>,
    /// By region.
    pub by_region: BTreeMap<String, TaggableSpend>,
    /// By account.
    pub by_account: BTreeMap<String, TaggableSpend>,
}

impl MonthSpend {
    /// The spend of a month in the currency with the largest sum; none when the bill is empty.
    pub(crate) fn from_month(month: &BilledMonth) -> Option<Self> {
        let (currency, _) = month.bill.currencies().into_iter().next()?;
        let Attribution { spend, by_service, by_region, by_account, .. } = month.attribution(&currency);
        Some(Self { days: month.days, currency, spend, by_service, by_region, by_account })
    }
}

/// A line of the bill without day and amount: its part, and the row ids of its currency and its two keys.
pub(crate) type Line = (i64, [i64; 3]);

/// The recorded basis of the costs of individual resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedBasis {
    /// The month whose spend is divided among the resources.
    pub days: Days,
    /// When it was requested.
    pub asked_at: Timestamp,
    /// The payer account.
    pub payer: String,
    /// Whether the bill had resource IDs.
    pub has_resource_ids: bool,
}
