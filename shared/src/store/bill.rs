//! The bill in the ledger: what is known of it before it is asked, and what a night writes.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};
use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};

use super::{
    Attempt, KnownBasis, Night, StoreError, Writer,
    intern::statement,
    night::FAILED,
    rows::{all, int, time},
    single::basis,
    sql,
};
use crate::{
    day::{day_numbered, day_of, number_of},
    money::{AllocationTag, Amount, Days, Metric, SingleCosts, TagStatus},
};

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
    pub(super) const ALL: [Self; 5] = [Self::Charges, Self::Places, Self::GapByService, Self::GapByPlace, Self::Values];
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
pub struct Harvest {
    /// When it asked.
    pub asked_at: Timestamp,
    /// How often.
    pub requests: u64,
    /// Months read whole.
    pub months: Vec<MonthBill>,
    /// Whether bills are split by the required keys; none: what is known of it stays.
    pub tags: Option<Vec<AllocationTag>>,
    /// What single resources cost; none: what is known of it stays.
    pub singles: Option<SingleCosts>,
    /// What ended it before its time. Months that are not among those read stay as they were.
    pub gap: Option<BillGap>,
}

/// What is known of a month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// On what the costs of single resources are based; none before they were asked for.
    pub basis: Option<KnownBasis>,
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
            let (months, tags, requests_today) = (months(db)?, tags(db)?, requests_on(db, today)?);
            Ok(BillKnown { months, tags, requests_today, needs, basis: basis(db)?.map(|row| row.known) })
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
        // What single resources cost is written to resources that are there.
        self.write_newcomers()?;
        self.keep_bill_known()?;
        let asked_at = harvest.asked_at.as_second();
        for month in &harvest.months {
            self.month(month)?;
        }
        if let Some(costs) = &harvest.singles {
            self.single_costs(costs, asked_at)?;
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

    fn month(&mut self, month: &MonthBill) -> Result<(), StoreError> {
        let (first, end) = (number_of(month.days.first), number_of(month.days.end));
        let before = self.lines_known(month.days)?;
        // A clock that went back asks for fewer days than are known: what is known of all of them stays.
        if before.as_ref().is_some_and(|(days, _)| days.end > month.days.end) {
            return Ok(());
        }
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
        if let Some((days, before)) = before {
            self.keep_lines(days, &before)?;
        }
        let open_from = month.open_from.map(number_of);
        let columns = params![
            first,
            end,
            open_from,
            month.asked_at.as_second(),
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

pub(super) fn months(db: &Connection) -> Result<Vec<KnownMonth>, StoreError> {
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

pub(super) fn tags(db: &Connection) -> Result<Vec<AllocationTag>, StoreError> {
    let found = all(db, sql::ALLOCATION_TAGS, |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let tag = |(key, status): (String, String)| {
        let known = TagStatus::ALL.into_iter().find(|known| known.as_str() == status);
        let unknown = || StoreError::Content { what: "a tag's status", given: status };
        Ok(AllocationTag { key, status: known.ok_or_else(unknown)? })
    };
    found.into_iter().map(tag).collect()
}

pub(super) fn requests_on(db: &Connection, day: Date) -> Result<u64, StoreError> {
    let sum = statement(db, sql::BILL_REQUESTS)?.query_row([number_of(day)], |row| row.get::<_, i64>(0));
    sum.map(i64::unsigned_abs).attempt("read requests")
}
