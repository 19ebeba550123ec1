//! What was billed, as questions need it: sums of days, and months with the policy that decides what of them is a gap.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::Arc,
};

use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension, Row};

use super::{
    Attempt, BillGap, BillPart, KnownMonth, StoreError, View,
    bill::{months, requests_on, tags},
    intern::statement,
    rows::time,
    sql,
};
use crate::{
    day::number_of,
    money::{AllocationTag, Amount, Attribution, Days, Spend, Sums, Terms},
    policy::Policy,
};

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
    pub month: KnownMonth,
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
        Attribution::of(&self.bill.sums_in(currency), &Terms::of(&self.policy), self.month.days.last())
    }
}

impl Bill {
    /// All sums in one currency.
    pub fn sums_in(&self, currency: &str) -> Sums {
        let part = |part: BillPart| {
            let of = self.sums.iter().filter(|((p, c, _, _), _)| *p == part && c == currency);
            of.map(|((_, _, a, b), amount)| (a.clone(), b.clone(), *amount)).collect()
        };
        Sums {
            charges: part(BillPart::Charges),
            places: part(BillPart::Places),
            gap_by_service: part(BillPart::GapByService),
            gap_by_place: part(BillPart::GapByPlace),
            values: part(BillPart::Values),
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
    pub spend: Spend,
    /// By service.
    pub by_service: BTreeMap<String, Spend>,
    /// By region.
    pub by_region: BTreeMap<String, Spend>,
    /// By account.
    pub by_account: BTreeMap<String, Spend>,
}

/// The month that is meant where nobody names one.
pub fn usual_month(months: &[KnownMonth]) -> Option<&KnownMonth> {
    let whole = months.iter().rev().find(|month| month.days.end == Days::of_month(month.days.first).end);
    whole.or(months.last())
}

impl MonthSpend {
    /// Of a bill that holds something; in the currency with most spend.
    pub(super) fn of(month: &BilledMonth) -> Option<Self> {
        let (currency, _) = month.bill.currencies().into_iter().next()?;
        let Attribution { spend, by_service, by_region, by_account, .. } = month.attribution(&currency);
        Some(Self { days: month.days, currency, spend, by_service, by_region, by_account })
    }
}

impl View<'_> {
    /// What was billed in some days, as far as it is known.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub fn bill(&self, days: Days) -> Result<Bill, StoreError> {
        let (first, end) = (number_of(days.first), number_of(days.end));
        let at_hand = self.newest()?.and_then(|newest| self.at_hand(&newest));
        match at_hand.and_then(|at_hand| at_hand.bill_lines.sums(first, end)) {
            Some(sums) => added(self.db(), sums),
            None => bill(self.db(), days),
        }
    }

    /// The same month by month, each with the policy that it was asked by.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub fn billed(&self, days: Days) -> Result<Vec<BilledMonth>, StoreError> {
        let months = self.bill_months()?.into_iter();
        let billed = months.filter_map(|month| Some((month.days.within(days)?, month))).map(|(days, month)| {
            let (bill, policy) = (self.bill(days)?, self.policy_named(&month.policy_digest)?);
            Ok(BilledMonth { month, days, bill, policy })
        });
        billed.collect()
    }

    /// Whether bills are split by the keys that the policy requires; empty when nobody may ask.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub fn allocation_tags(&self) -> Result<Vec<AllocationTag>, StoreError> {
        tags(self.db())
    }

    /// The months that are known of the bill, in order: of the account whose bill was asked last, for bills of several are
    /// never added.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub fn bill_months(&self) -> Result<Vec<KnownMonth>, StoreError> {
        Ok(of_one_payer(months(self.db())?))
    }

    /// Why the newest scan that asked did not read all of the bill.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub fn bill_gap(&self) -> Result<Option<BillGap>, StoreError> {
        gap(self.db())
    }

    /// Requests made to Cost Explorer on a day.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub fn bill_requests(&self, day: Date) -> Result<u64, StoreError> {
        requests_on(self.db(), day)
    }
}

/// What a line of the bill is of: its part, and the ids of its currency and names.
pub(super) type Line = (i64, [i64; 3]);

pub(super) fn bill(db: &Connection, days: Days) -> Result<Bill, StoreError> {
    added(db, summed(db, number_of(days.first), number_of(days.end))?)
}

pub(super) fn summed(db: &Connection, first: i64, end: i64) -> Result<HashMap<Line, i64>, StoreError> {
    let mut sums: HashMap<Line, i64> = HashMap::new();
    let mut lines = statement(db, sql::BILL_LINES)?;
    let mut lines = lines.query([first, end]).attempt("read the bill")?;
    while let Some(row) = lines.next().attempt("read the bill")? {
        let line = || Ok(((row.get(0)?, [row.get(1)?, row.get(2)?, row.get(3)?]), row.get::<_, i64>(4)?));
        let (of, micros) = line().attempt("read the bill")?;
        *sums.entry(of).or_default() += micros;
    }
    Ok(sums)
}

/// Sums with their texts.
pub(super) fn added(db: &Connection, sums: impl IntoIterator<Item = (Line, i64)>) -> Result<Bill, StoreError> {
    let mut text_of = statement(db, sql::BILL_TEXT)?;
    let mut texts: HashMap<i64, String> = HashMap::new();
    let mut bill = Bill::default();
    for ((part, names), micros) in sums {
        let known = BillPart::ALL.into_iter().find(|known| *known as i64 == part);
        let part = known.ok_or_else(|| StoreError::Content { what: "a part of the bill", given: part.to_string() })?;
        let mut text = |id: i64| match texts.entry(id) {
            Entry::Occupied(known) => Ok(known.get().clone()),
            Entry::Vacant(place) => {
                let read = text_of.query_row([id], |row| row.get(0)).attempt("read the bill")?;
                Ok(place.insert(read).clone())
            }
        };
        let [currency, a, b] = names;
        bill.sums.insert((part, text(currency)?, text(a)?, text(b)?), Amount::from_micros(micros));
    }
    Ok(bill)
}

/// Those of the account whose bill was asked last.
pub(super) fn of_one_payer(mut months: Vec<KnownMonth>) -> Vec<KnownMonth> {
    let payer = months.iter().max_by_key(|month| month.asked_at).map(|month| month.payer.clone());
    months.retain(|month| Some(&month.payer) == payer.as_ref());
    months
}

pub(super) fn gap(db: &Connection) -> Result<Option<BillGap>, StoreError> {
    let columns = |row: &Row<'_>| Ok(((row.get(0)?, row.get(4)?), row.get(1)?, row.get(2)?, row.get(3)?));
    let found = statement(db, sql::BILL_GAP)?.query_row([], columns).optional().attempt("read the bill")?;
    found
        .map(|((asked, needs), reason, operation, message): ((i64, i64), String, String, String)| {
            Ok(BillGap { asked_at: time(asked)?, reason, operation, message, needs: needs.unsigned_abs() })
        })
        .transpose()
}
