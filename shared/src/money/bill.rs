//! What a bill is asked and what it answers, in its own terms.

use std::collections::BTreeSet;

use jiff::{ToSpan, civil::Date};
use serde::{Deserialize, Serialize};

use super::Amount;
use crate::inventory::Gap;

/// Some days, the last one not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Days {
    /// The first.
    pub first: Date,
    /// The first that is not among them any more.
    pub end: Date,
}

impl Days {
    /// The days of the month that `day` is in.
    pub fn of_month(day: Date) -> Self {
        let first = day.first_of_month();
        Self { first, end: first.saturating_add(1.month()) }
    }

    /// How many.
    pub fn count(self) -> i64 {
        i64::from((self.end - self.first).get_days())
    }

    /// The last of them.
    pub fn last(self) -> Date {
        self.end.saturating_sub(1.day())
    }

    /// Those that are also among others; none when no day is.
    pub fn within(self, other: Self) -> Option<Self> {
        let days = Self { first: self.first.max(other.first), end: self.end.min(other.end) };
        (days.first < days.end).then_some(days)
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Date> {
        self.first.series(1.day()).take_while(move |day| *day < self.end)
    }
}

/// What a bill can be grouped by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// The service as the bill names it, such as `Amazon Simple Storage Service`.
    Service,
    /// The kind of charge, such as `Usage`, `Tax` or `Credit`.
    RecordType,
    /// The account that used it.
    LinkedAccount,
    /// Where; `NoRegion` or `global` where the bill says so.
    Region,
    /// The value of a cost allocation tag; empty where there is none.
    Tag(String),
    /// What was used, such as `EUW1-BoxUsage:m5.large`.
    UsageType,
    /// The resource that was used, in whatever way its service names it; `NoResourceId` where there is none. Only of the last
    /// fourteen days, of named services, and where the account that pays has opted in.
    Resource,
}

/// How finely an answer tells when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Grain {
    /// Day by day.
    #[default]
    Day,
    /// By calendar month: a row has the first of those days of it that were asked for.
    Month,
}

/// Which lines are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// All of these hold; never of fewer than two.
    All(Vec<Self>),
    /// One of these holds; never of fewer than two.
    Any(Vec<Self>),
    /// This does not.
    Not(Box<Self>),
    /// Of these services.
    Services(Vec<String>),
    /// Of these kinds of charge.
    RecordTypes(Vec<String>),
    /// Without this tag.
    TagAbsent(String),
    /// With one of these values, to the letter.
    TagValues(String, Vec<String>),
}

impl Condition {
    /// All of several, of which there may be one.
    pub fn all(mut of: Vec<Self>) -> Option<Self> {
        if of.len() > 1 { Some(Self::All(of)) } else { of.pop() }
    }

    /// One of several, of which there may be one.
    pub fn any(mut of: Vec<Self>) -> Option<Self> {
        if of.len() > 1 { Some(Self::Any(of)) } else { of.pop() }
    }

    /// The opposite.
    pub fn negated(self) -> Self {
        Self::Not(Box::new(self))
    }
}

/// One question to a bill: what was spent, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillQuestion {
    /// When.
    pub days: Days,
    /// Grouped by these; Cost Explorer takes two at most.
    pub by: Vec<Dimension>,
    /// Of these lines; none: of all.
    pub only: Option<Condition>,
    /// How finely.
    pub grain: Grain,
}

/// Which amounts are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Metric {
    /// Fees of reservations and savings plans spread over what they cover, discounts taken off.
    NetAmortized,
    /// The same before discounts: for accounts that are not told net amounts.
    Amortized,
}

impl Metric {
    /// As Cost Explorer names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NetAmortized => "NetAmortizedCost",
            Self::Amortized => "AmortizedCost",
        }
    }
}

/// A line of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillRow {
    /// When.
    pub day: Date,
    /// In the order of [`BillQuestion::by`].
    pub groups: Vec<String>,
    /// ISO 4217, such as `USD`.
    pub currency: String,
    /// How much.
    pub amount: Amount,
    /// Millionths of the unit that is billed, such as hours; 0 unless the question is by [`Dimension::UsageType`].
    pub units: i64,
}

/// What a bill says, read to its last page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillAnswer {
    /// Lines, in no order; what is zero may be left out.
    pub rows: Vec<BillRow>,
    /// Days of which AWS says that they may still change.
    pub estimated: BTreeSet<Date>,
    /// Which amounts.
    pub metric: Metric,
}

/// Why a bill does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BillProblem {
    /// It cannot be read.
    Gap(Gap),
    /// The answer has more pages than may be asked for.
    Budget,
}

/// An answer, and what it cost: every page is a request, and requests cost money whether they help or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Billed {
    /// Pages asked for.
    pub requests: u64,
    /// What was said.
    pub answer: Result<BillAnswer, BillProblem>,
}

/// A tag key as billing knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AllocationTag {
    /// The key.
    pub key: String,
    /// Whether bills are split by it.
    pub status: TagStatus,
}

/// Whether bills are split by a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TagStatus {
    /// They are.
    Active,
    /// They are not, until somebody activates the key.
    Inactive,
    /// Billing never saw the key.
    Unknown,
}

impl TagStatus {
    /// Every status.
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
