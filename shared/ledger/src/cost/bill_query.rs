//! Recorded bills: sums of any period, and months with the policy that decides what is an attribution gap.

use std::collections::{HashMap, hash_map::Entry};

use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension, Row};
use tagledger_cost::{AllocationTag, Amount, Days};
use tagledger_model::epoch_day::number_of;

use crate::{
    cost::bill_lines_index,
    db::{
        bill_tables::{read_allocation_tags, read_months, sum_requests},
        sql,
        statements::prepare,
        values::parse_time,
    },
    error::{ErrorContext, LedgerError, Operation},
    model::bill::{Bill, BillGap, BillPart, BilledMonth, Line, RecordedMonth},
    read::session::ReadSession,
};

/// The month of a request without a period: the newest complete month, or the newest when none is complete.
pub fn find_default_month(months: &[RecordedMonth]) -> Option<&RecordedMonth> {
    let complete = months.iter().rev().find(|month| month.days.end == Days::of_month(month.days.first).end);
    complete.or(months.last())
}

/// The recorded bill of some days.
///
/// # Errors
///
/// When the ledger cannot be read.
pub fn load_bill(session: &ReadSession<'_>, days: Days) -> Result<Bill, LedgerError> {
    let (first, end) = (number_of(days.first), number_of(days.end));
    match bill_lines_index::cached(session)?.and_then(|index| index.sum_days(first, end)) {
        Some(sums) => resolve_lines(session.db(), sums),
        None => sum_bill(session.db(), days),
    }
}

/// The recorded bill of some days by month, each with the policy in force when the month was read.
///
/// # Errors
///
/// When the ledger cannot be read.
pub fn load_billed_months(session: &ReadSession<'_>, days: Days) -> Result<Vec<BilledMonth>, LedgerError> {
    let months = load_months(session)?.into_iter();
    let billed = months.filter_map(|month| Some((month.days.within(days)?, month))).map(|(days, month)| {
        let (bill, policy) = (load_bill(session, days)?, session.policy_by_digest(&month.policy_digest)?);
        Ok(BilledMonth { month, days, bill, policy })
    });
    billed.collect()
}

/// The cost allocation tags that the policy requires, with their status; empty when the scanner may not list them.
///
/// # Errors
///
/// When the ledger cannot be read.
pub fn load_allocation_tags(session: &ReadSession<'_>) -> Result<Vec<AllocationTag>, LedgerError> {
    read_allocation_tags(session.db())
}

/// The recorded months in order, of the payer account whose bill was read last. Bills of several payer accounts are never added.
///
/// # Errors
///
/// When the ledger cannot be read.
pub fn load_months(session: &ReadSession<'_>) -> Result<Vec<RecordedMonth>, LedgerError> {
    Ok(retain_newest_payer(read_months(session.db())?))
}

/// Why the newest scan that read the bill did not read all of it.
///
/// # Errors
///
/// When the ledger cannot be read.
pub fn load_bill_gap(session: &ReadSession<'_>) -> Result<Option<BillGap>, LedgerError> {
    load_gap(session.db())
}

/// The number of Cost Explorer requests on a day.
///
/// # Errors
///
/// When the ledger cannot be read.
pub fn count_requests(session: &ReadSession<'_>, day: Date) -> Result<u64, LedgerError> {
    sum_requests(session.db(), day)
}

pub(crate) fn sum_bill(db: &Connection, days: Days) -> Result<Bill, LedgerError> {
    resolve_lines(db, sum_lines(db, number_of(days.first), number_of(days.end))?)
}

pub(crate) fn sum_lines(db: &Connection, first: i64, end: i64) -> Result<HashMap<Line, i64>, LedgerError> {
    let mut sums: HashMap<Line, i64> = HashMap::new();
    let mut query = prepare(db, sql::BILL_LINES)?;
    let mut lines = query.query([first, end]).context(Operation::ReadBill)?;
    while let Some(row) = lines.next().context(Operation::ReadBill)? {
        let columns = || Ok(((row.get(0)?, [row.get(1)?, row.get(2)?, row.get(3)?]), row.get::<_, i64>(4)?));
        let (line, micros) = columns().context(Operation::ReadBill)?;
        *sums.entry(line).or_default() += micros;
    }
    Ok(sums)
}

/// A bill from sums by row ids of texts.
pub(crate) fn resolve_lines(db: &Connection, sums: impl IntoIterator<Item = (Line, i64)>) -> Result<Bill, LedgerError> {
    let mut text_of = prepare(db, sql::BILL_TEXT)?;
    let mut texts: HashMap<i64, String> = HashMap::new();
    let mut bill = Bill::default();
    for ((part, ids), micros) in sums {
        let found = BillPart::ALL.into_iter().find(|one| *one as i64 == part);
        let part = found.ok_or_else(|| LedgerError::Content { what: "a bill part", given: part.to_string() })?;
        let mut text = |id: i64| match texts.entry(id) {
            Entry::Occupied(text) => Ok(text.get().clone()),
            Entry::Vacant(entry) => {
                let text = text_of.query_row([id], |row| row.get(0)).context(Operation::ReadBill)?;
                Ok(entry.insert(text).clone())
            }
        };
        let [currency, key_a, key_b] = ids;
        bill.sums.insert((part, text(currency)?, text(key_a)?, text(key_b)?), Amount::from_micros(micros));
    }
    Ok(bill)
}

/// The months of the account whose bill was read last.
pub(crate) fn retain_newest_payer(mut months: Vec<RecordedMonth>) -> Vec<RecordedMonth> {
    let payer = months.iter().max_by_key(|month| month.asked_at).map(|month| month.payer.clone());
    months.retain(|month| Some(&month.payer) == payer.as_ref());
    months
}

pub(crate) fn load_gap(db: &Connection) -> Result<Option<BillGap>, LedgerError> {
    let columns = |row: &Row<'_>| Ok(((row.get(0)?, row.get(4)?), row.get(1)?, row.get(2)?, row.get(3)?));
    let found = prepare(db, sql::BILL_GAP)?.query_row([], columns).optional().context(Operation::ReadBill)?;
    found
        .map(|((asked, needs), reason, operation, message): ((i64, i64), String, String, String)| {
            Ok(BillGap { asked_at: parse_time(asked)?, reason, operation, message, needs: needs.unsigned_abs() })
        })
        .transpose()
}
