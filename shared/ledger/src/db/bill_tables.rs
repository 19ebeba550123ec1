//! Columns of the bill tables.

use std::collections::HashMap;

use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension, Row};
use tagledger_cost::{AllocationTag, Days, Metric, TagStatus};
use tagledger_model::epoch_day::{day_numbered, number_of};

use crate::{
    db::{
        sql,
        statements::{prepare, query_all},
        values::parse_time,
    },
    error::{ErrorContext, LedgerError, Operation},
    model::bill::{RecordedBasis, RecordedMonth},
};

pub(crate) fn read_months(db: &Connection) -> Result<Vec<RecordedMonth>, LedgerError> {
    let columns = |row: &Row<'_>| {
        let numbers: (i64, i64, Option<i64>, i64) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        let texts: [String; 4] = [row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?];
        Ok((numbers, texts))
    };
    let month =
        |((first, end, open_from, asked), [metric, payer, policy_digest, scope_fingerprint]): (_, [String; 4])| {
            let (first, end, open_from): (i64, i64, Option<i64>) = (first, end, open_from);
            Ok(RecordedMonth {
                days: Days { first: day_numbered(first), end: day_numbered(end) },
                open_from: open_from.map(day_numbered),
                asked_at: parse_time(asked)?,
                metric: parse_metric(metric)?,
                payer,
                policy_digest,
                scope_fingerprint,
            })
        };
    query_all(db, sql::BILL_MONTHS, columns)?.into_iter().map(month).collect()
}

fn parse_metric(text: String) -> Result<Metric, LedgerError> {
    let found = [Metric::NetAmortized, Metric::Amortized].into_iter().find(|metric| metric.as_str() == text);
    found.ok_or(LedgerError::Content { what: "a cost metric", given: text })
}

pub(crate) fn read_allocation_tags(db: &Connection) -> Result<Vec<AllocationTag>, LedgerError> {
    let found = query_all(db, sql::ALLOCATION_TAGS, |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let tag = |(key, status): (String, String)| {
        let parsed = TagStatus::ALL.into_iter().find(|one| one.as_str() == status);
        let invalid = || LedgerError::Content { what: "a status of a cost allocation tag", given: status };
        Ok(AllocationTag { key, status: parsed.ok_or_else(invalid)? })
    };
    found.into_iter().map(tag).collect()
}

pub(crate) fn sum_requests(db: &Connection, day: Date) -> Result<u64, LedgerError> {
    let sum = prepare(db, sql::BILL_REQUESTS)?.query_row([number_of(day)], |row| row.get(0));
    sum.context(Operation::ReadBill)
}

/// The primary key of a line: day, part, first key, second key and currency.
pub(crate) type Cell = [i64; 5];

/// The amounts of lines, in millionths.
pub(crate) type Lines = HashMap<Cell, i64>;

pub(crate) fn read_cells(db: &Connection, days: Days) -> Result<Lines, LedgerError> {
    let mut lines = prepare(db, sql::LINES_OF_DAYS)?;
    let lines =
        lines.query_map([number_of(days.first), number_of(days.end)], read_cell).context(Operation::WriteSnapshot)?;
    lines.collect::<Result<_, _>>().context(Operation::WriteSnapshot)
}

/// Reads the six columns of a line: its primary key and its amount.
pub(crate) fn read_cell(row: &rusqlite::Row<'_>) -> rusqlite::Result<(Cell, i64)> {
    Ok(([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?], row.get(5)?))
}

/// A row of `cost_basis`.
pub(crate) struct BasisRow {
    pub(crate) recorded: RecordedBasis,
    pub(crate) currency: String,
    pub(crate) window: Option<Days>,
    pub(crate) problem: String,
}

pub(crate) fn read_basis(db: &Connection) -> Result<Option<BasisRow>, LedgerError> {
    type Columns = ([i64; 3], [String; 3], [Option<i64>; 2]);
    let columns = |row: &rusqlite::Row<'_>| -> rusqlite::Result<Columns> {
        let texts = [row.get(3)?, row.get(4)?, row.get(7)?];
        Ok(([row.get(0)?, row.get(1)?, row.get(2)?], texts, [row.get(5)?, row.get(6)?]))
    };
    let found = prepare(db, sql::COST_BASIS)?.query_row([], columns).optional().context(Operation::ReadCosts)?;
    let days = |first, end| Days { first: day_numbered(first), end: day_numbered(end) };
    let row = |([first, end, asked], [payer, currency, problem], window): Columns| {
        let window = if let [Some(first), Some(end)] = window { Some(days(first, end)) } else { None };
        let recorded = RecordedBasis {
            days: days(first, end),
            asked_at: parse_time(asked)?,
            payer,
            has_resource_ids: window.is_some(),
        };
        Ok(BasisRow { recorded, currency, window, problem })
    };
    found.map(row).transpose()
}
