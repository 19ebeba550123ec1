//! Bills as they are recorded and read.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use tagledger_cost::{
    AllocationTag, Amount, Attribution, BillTotals, Days, Metric, ResourceCosts, TagScope, TaggableSpend,
};
use tagledger_policy::Policy;

/// Which sum a line of the bill belongs to; `schema.sql` says what each is by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BillPart {
    /// All charges, by service and kind of charge.
    Charges = 1,
    /// Spend that must carry some key, by region and account.
    Places = 2,
    /// Of that, what lacks a key or its value, by service and account.
    GapByService = 3,
    /// The same, by region and account.
    GapByPlace = 4,
    /// Spend that must carry a key, by key and value.
    Values = 5,
}

impl BillPart {
    pub(crate) const ALL: [Self; 5] = [Self::Charges, Self::Places, Self::GapByService, Self::GapByPlace, Self::Values];
}

/// A line of the bill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillLine {
    /// When.
    pub day: Date,
    /// Of which sum.
    pub part: BillPart,
    /// What the part is by, first.
    pub a: String,
    /// And second.
    pub b: String,
    /// ISO 4217.
    pub currency: String,
    /// How much.
    pub amount: Amount,
}

/// A month as it was asked for, whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonthBill {
    /// From the first of the month to the last day that was asked for.
    pub days: Days,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// The first day that may still change.
    pub open_from: Option<Date>,
    /// Which amounts.
    pub metric: Metric,
    /// Whose bill it is.
    pub payer: String,
    /// Names all that the answers depend on.
    pub terms: String,
    /// Requests that it took.
    pub requests: u64,
    /// All of it.
    pub lines: Vec<BillLine>,
}

/// Why a bill was not read to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillGap {
    /// When it was asked.
    pub asked_at: Timestamp,
    /// As of a scope's gap, or `budget`.
    pub reason: String,
    /// The call that failed, as IAM names it.
    pub operation: String,
    /// AWS's own words.
    pub message: String,
    /// Requests that a month takes at least, as far as that is known; 0 when it is not.
    pub needs: u64,
}

/// What a scan brings home from the bill.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BillCollection {
    /// When it asked.
    pub asked_at: Timestamp,
    /// How often.
    pub requests: u64,
    /// Months read whole.
    pub months: Vec<MonthBill>,
    /// Whether bills are split by the required keys; none: what is known of it stays.
    pub tags: Option<Vec<AllocationTag>>,
    /// What single resources cost; none: what is known of it stays.
    pub singles: Option<ResourceCosts>,
    /// What ended it before its time. Months that are not among those read stay as they were.
    pub gap: Option<BillGap>,
}

/// What is known of a month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedMonth {
    /// The days asked for.
    pub days: Days,
    /// The first that may still change.
    pub open_from: Option<Date>,
    /// When it was asked for last.
    pub asked_at: Timestamp,
    /// Which amounts.
    pub metric: Metric,
    /// Whose bill it is.
    pub payer: String,
    /// Digest of the policy that decided what of it is a gap.
    pub policy_digest: String,
    /// Names all that the answers depended on.
    pub terms: String,
}

/// What is known of the bill before it is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordedBill {
    /// Months, in order.
    pub months: Vec<RecordedMonth>,
    /// Whether bills are split by the keys that were required when it was asked last.
    pub tags: Vec<AllocationTag>,
    /// Requests made on the day in question.
    pub requests_today: u64,
    /// Requests that a month takes at least; 0 when that is not known.
    pub needs: u64,
    /// On what the costs of single resources are based; none before they were asked for.
    pub basis: Option<RecordedBasis>,
}

/// Sums of some days.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bill {
    /// By part, currency, and what the part is by.
    pub sums: BTreeMap<(BillPart, String, String, String), Amount>,
}

/// A month, or a part of it, with what decides what of it is a gap.
#[derive(Debug, Clone)]
pub struct BilledMonth {
    /// What is known of the month.
    pub month: RecordedMonth,
    /// The days of it that are meant.
    pub days: Days,
    /// Their sums.
    pub bill: Bill,
    /// The policy that it was asked by.
    pub policy: Arc<Policy>,
}

impl BilledMonth {
    /// What of it its tags attribute, in a currency.
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
            by_region: part(BillPart::Places),
            gap_by_service: part(BillPart::GapByService),
            gap_by_region: part(BillPart::GapByPlace),
            by_value: part(BillPart::Values),
        }
    }

    /// The currencies of all charges, that with most spend first.
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

/// What the last whole month came to, or the running one when there is none: read once a snapshot, for many answers tell
/// it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonthSpend {
    /// Its days.
    pub days: Days,
    /// Of all amounts.
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
    /// Of a bill that holds something; in the currency with most spend.
    pub(crate) fn of(month: &BilledMonth) -> Option<Self> {
        let (currency, _) = month.bill.currencies().into_iter().next()?;
        let Attribution { spend, by_service, by_region, by_account, .. } = month.attribution(&currency);
        Some(Self { days: month.days, currency, spend, by_service, by_region, by_account })
    }
}

/// What a line of the bill is of: its part, and the ids of its currency and names.
pub(crate) type Line = (i64, [i64; 3]);

/// On what the costs of single resources are based so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedBasis {
    /// The month whose spend is shared out.
    pub days: Days,
    /// When that was asked.
    pub asked_at: Timestamp,
    /// Whose bill it is.
    pub payer: String,
    /// Whether the bill named single resources.
    pub named: bool,
}
