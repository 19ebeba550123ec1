//! The bill in the ledger: written by a night, summed for a question.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{Timestamp, civil::Date};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    Attempt, Night, StoreError, View, Writer,
    intern::statement,
    night::FAILED,
    rows::{all, int, rows, time},
    sql,
};
use crate::{
    day::{day_numbered, day_of, number_of},
    money::{AllocationTag, Amount, Attribution, Days, Metric, Spend, Sums, TagStatus, Terms},
    policy::Policy,
};

/// Which sum a line of the bill belongs to; `schema.sql` says what each is by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    const ALL: [Self; 5] = [Self::Charges, Self::Places, Self::GapByService, Self::GapByPlace, Self::Values];
}

/// A line of the bill.
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonthBill {
    /// From the first of the month to the last day that was asked for.
    pub days: Days,
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
pub struct Harvest {
    /// When it asked.
    pub asked_at: Timestamp,
    /// How often.
    pub requests: u64,
    /// Months read whole.
    pub months: Vec<MonthBill>,
    /// Whether bills are split by the required keys; none: what is known of it stays.
    pub tags: Option<Vec<AllocationTag>>,
    /// What ended it before its time. Months that are not among those read stay as they were.
    pub gap: Option<BillGap>,
}

/// What is known of a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownMonth {
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
pub struct BillKnown {
    /// Months, in order.
    pub months: Vec<KnownMonth>,
    /// Whether bills are split by the keys that were required when it was asked last.
    pub tags: Vec<AllocationTag>,
    /// Requests made on the day in question.
    pub requests_today: u64,
    /// Requests that a month takes at least; 0 when that is not known.
    pub needs: u64,
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

impl Writer {
    /// What is known of the bill; requests are those of `today`.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub fn bill_known(&self, today: Date) -> Result<BillKnown, StoreError> {
        let known = || {
            let db = self.connection();
            let needs = statement(db, sql::BILL_NEEDS)?.query_row([], |row| row.get::<_, i64>(0));
            let needs = needs.attempt("read the bill")?.unsigned_abs();
            Ok(BillKnown { months: months(db)?, tags: tags(db)?, requests_today: requests_on(db, today)?, needs })
        };
        known().map_err(|error: StoreError| error.at(self.path()))
    }
}

impl Night<'_> {
    /// Writes what the bill said: the months that were read whole take the place of what was known of them.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be written.
    pub fn bill(&mut self, harvest: &Harvest) -> Result<(), StoreError> {
        let asked_at = harvest.asked_at.as_second();
        for month in &harvest.months {
            self.month(month, asked_at)?;
        }
        if harvest.requests > 0 {
            self.run(sql::ADD_BILL_REQUESTS, params![number_of(day_of(harvest.asked_at)), int(harvest.requests)])?;
        }
        if let Some(tags) = &harvest.tags {
            self.run(sql::DROP_ALLOCATION_TAGS, [])?;
            for tag in tags {
                self.run(sql::ADD_ALLOCATION_TAG, params![tag.key, tag.status.as_str(), asked_at])?;
            }
        }
        self.run(sql::DROP_BILL_GAP, [])?;
        if let Some(gap) = &harvest.gap {
            let BillGap { asked_at, reason, operation, message, needs } = gap;
            self.run(sql::PUT_BILL_GAP, params![asked_at.as_second(), reason, operation, message, int(*needs)])?;
        }
        Ok(())
    }

    fn month(&mut self, month: &MonthBill, asked_at: i64) -> Result<(), StoreError> {
        let (first, end) = (number_of(month.days.first), number_of(month.days.end));
        self.run(sql::DROP_BILL_DAYS, params![first, end])?;
        let mut ids = BTreeMap::new();
        for line in &month.lines {
            let mut id = |text: &str| -> Result<i64, StoreError> {
                if let Some(id) = ids.get(text) {
                    return Ok(*id);
                }
                let added =
                    statement(&self.sql, sql::ADD_BILL_TEXT)?.query_row([text], |row| row.get(0)).attempt(FAILED)?;
                ids.insert(text.to_owned(), added);
                Ok(added)
            };
            let (a, b, currency) = (id(&line.a)?, id(&line.b)?, id(&line.currency)?);
            let columns = params![number_of(line.day), line.part as i64, a, b, currency, line.amount.micros()];
            self.run(sql::ADD_BILL, columns)?;
        }
        let open_from = month.open_from.map(number_of);
        let columns = params![
            first,
            end,
            open_from,
            asked_at,
            self.id,
            month.metric.as_str(),
            month.payer,
            self.policy_id,
            month.terms,
            int(month.requests)
        ];
        self.run(sql::PUT_BILL_MONTH, columns)
    }
}

impl View<'_> {
    /// What was billed in some days, as far as it is known.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub fn bill(&self, days: Days) -> Result<Bill, StoreError> {
        bill(self.db(), days)
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
        let mut months = months(self.db())?;
        let payer = months.iter().max_by_key(|month| month.asked_at).map(|month| month.payer.clone());
        months.retain(|month| Some(&month.payer) == payer.as_ref());
        Ok(months)
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

fn bill(db: &Connection, days: Days) -> Result<Bill, StoreError> {
    let parameters = params![number_of(days.first), number_of(days.end)];
    let columns = |row: &Row<'_>| {
        let names: [String; 3] = [row.get(3)?, row.get(1)?, row.get(2)?];
        Ok((row.get::<_, i64>(0)?, names, row.get::<_, i64>(4)?))
    };
    let mut bill = Bill::default();
    for (part, [currency, a, b], micros) in rows(db, sql::BILL_SUMS, parameters, columns)? {
        let known = BillPart::ALL.into_iter().find(|known| *known as i64 == part);
        let part = known.ok_or_else(|| StoreError::Content { what: "a part of the bill", given: part.to_string() })?;
        bill.sums.insert((part, currency, a, b), Amount::from_micros(micros));
    }
    Ok(bill)
}

fn months(db: &Connection) -> Result<Vec<KnownMonth>, StoreError> {
    let columns = |row: &Row<'_>| {
        let numbers: (i64, i64, Option<i64>, i64) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        let texts: [String; 4] = [row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?];
        Ok((numbers, texts))
    };
    let known = |((first, end, open_from, asked), [metric, payer, policy_digest, terms]): (_, [String; 4])| {
        let (first, end, open_from): (i64, i64, Option<i64>) = (first, end, open_from);
        Ok(KnownMonth {
            days: Days { first: day_numbered(first), end: day_numbered(end) },
            open_from: open_from.map(day_numbered),
            asked_at: time(asked)?,
            metric: if metric == Metric::NetAmortized.as_str() { Metric::NetAmortized } else { Metric::Amortized },
            payer,
            policy_digest,
            terms,
        })
    };
    all(db, sql::BILL_MONTHS, columns)?.into_iter().map(known).collect()
}

fn tags(db: &Connection) -> Result<Vec<AllocationTag>, StoreError> {
    let found = all(db, sql::ALLOCATION_TAGS, |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let tag = |(key, status): (String, String)| {
        let known = TagStatus::ALL.into_iter().find(|known| known.as_str() == status);
        let unknown = || StoreError::Content { what: "a tag's status", given: status };
        Ok(AllocationTag { key, status: known.ok_or_else(unknown)? })
    };
    found.into_iter().map(tag).collect()
}

fn requests_on(db: &Connection, day: Date) -> Result<u64, StoreError> {
    let sum = statement(db, sql::BILL_REQUESTS)?.query_row([number_of(day)], |row| row.get::<_, i64>(0));
    sum.map(i64::unsigned_abs).attempt("read requests")
}

fn gap(db: &Connection) -> Result<Option<BillGap>, StoreError> {
    let columns = |row: &Row<'_>| Ok(((row.get(0)?, row.get(4)?), row.get(1)?, row.get(2)?, row.get(3)?));
    let found = statement(db, sql::BILL_GAP)?.query_row([], columns).optional().attempt("read the bill")?;
    found
        .map(|((asked, needs), reason, operation, message): ((i64, i64), String, String, String)| {
            Ok(BillGap { asked_at: time(asked)?, reason, operation, message, needs: needs.unsigned_abs() })
        })
        .transpose()
}
