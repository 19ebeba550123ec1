//! The bill as it was known when a night ended: what stands there now, with all undone that later scans read otherwise.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::{
    Attempt, Bill, BillGap, BilledMonth, KnownMonth, Night, Snapshot, StoreError, View,
    bill::{months, tags},
    billed::{Line, added, gap, of_one_payer},
    intern::statement,
    night::FAILED,
    sql,
};
use crate::{
    day::number_of,
    money::{AllocationTag, Days},
};

const READING: &str = "read the bill of an earlier night";

/// What is known of the bill beside its lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    months: Vec<KnownMonth>,
    tags: Vec<AllocationTag>,
    gap: Option<BillGap>,
}

impl Known {
    fn now(db: &Connection) -> Result<Self, StoreError> {
        Ok(Self { months: months(db)?, tags: tags(db)?, gap: gap(db)? })
    }
}

/// The bill as it was known when a night ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillThen {
    /// The months that were known, in order, of one account's bill.
    pub months: Vec<KnownMonth>,
    /// Whether bills were split by the keys that the policy required; empty when nobody might ask.
    pub tags: Vec<AllocationTag>,
    /// Why not all of the bill had been read.
    pub gap: Option<BillGap>,
    snapshot: i64,
}

/// A line, by its day, part, both names and currency.
pub(super) type Cell = [i64; 5];

/// Lines, in millionths.
pub(super) type Lines = HashMap<Cell, i64>;

impl Night<'_> {
    /// Keeps what is known of the bill, before anything of it is changed.
    pub(super) fn keep_bill_known(&self) -> Result<(), StoreError> {
        let known = serde_json::to_string(&Known::now(&self.sql)?).unwrap_or_default();
        self.run(sql::ADD_KNOWN_BEFORE, params![self.id, known])
    }

    /// The lines of a month of which some days are known, with these days; none when none is.
    pub(super) fn lines_known(&self, of: Days) -> Result<Option<(Days, Lines)>, StoreError> {
        let known = months(&self.sql)?.into_iter().find(|month| month.days.first == of.first);
        let lines = known.map(|month| Ok((month.days, cells(&self.sql, month.days)?)));
        lines.transpose()
    }

    /// Keeps lines that are read otherwise now, as they were before.
    pub(super) fn keep_lines(&self, days: Days, before: &Lines) -> Result<(), StoreError> {
        let now = cells(&self.sql, days)?;
        let changed = before.iter().filter(|(cell, micros)| now.get(*cell) != Some(micros));
        let new = now.keys().filter(|cell| !before.contains_key(*cell)).map(|cell| (cell, &0));
        for ([day, part, a, b, currency], micros) in changed.chain(new) {
            self.run(sql::ADD_BILL_BEFORE, params![self.id, day, part, a, b, currency, micros])?;
        }
        Ok(())
    }
}

impl View<'_> {
    /// The bill as it was known when the night of this snapshot ended; none where that was not kept, by a version that did not.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read; so for the question below.
    pub fn bill_then(&self, snapshot: &Snapshot) -> Result<Option<BillThen>, StoreError> {
        let after = statement(self.db(), sql::KNOWN_AFTER)?
            .query_row([snapshot.id], |row| row.get::<_, Option<String>>(0))
            .optional()
            .attempt(READING)?;
        let known = match after {
            None => Known::now(self.db())?,
            Some(None) => return Ok(None),
            Some(Some(text)) => serde_json::from_str(&text).map_err(|error| StoreError::Content {
                what: "what was known of the bill",
                given: error.to_string(),
            })?,
        };
        let Known { months, tags, gap } = known;
        Ok(Some(BillThen { months: of_one_payer(months), tags, gap, snapshot: snapshot.id }))
    }
}

impl BillThen {
    /// What was billed in some days, month by month, each with the policy that it was asked by.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub fn billed(&self, view: &View<'_>, days: Days) -> Result<Vec<BilledMonth>, StoreError> {
        let months = self.months.iter().filter_map(|month| Some((month.days.within(days)?, month)));
        let billed = months.map(|(days, month)| {
            let (bill, policy) = (self.bill(view, days)?, view.policy_named(&month.policy_digest)?);
            Ok(BilledMonth { month: month.clone(), days, bill, policy })
        });
        billed.collect()
    }

    fn bill(&self, view: &View<'_>, days: Days) -> Result<Bill, StoreError> {
        let mut undone = statement(view.db(), sql::BILL_UNDONE)?;
        let range = params![number_of(days.first), number_of(days.end), self.snapshot];
        let mut undone = undone.query(range).attempt(READING)?;
        let mut then: Lines = HashMap::new();
        while let Some(row) = undone.next().attempt(READING)? {
            let (cell, micros) = cell(row).attempt(READING)?;
            then.entry(cell).or_insert(micros);
        }
        if then.is_empty() {
            return view.bill(days);
        }
        let mut lines = cells(view.db(), days)?;
        lines.extend(then);
        let mut sums: HashMap<Line, i64> = HashMap::new();
        for ([_, part, a, b, currency], micros) in lines.into_iter().filter(|(_, micros)| *micros != 0) {
            *sums.entry((part, [currency, a, b])).or_default() += micros;
        }
        added(view.db(), sums)
    }
}

fn cells(db: &Connection, days: Days) -> Result<Lines, StoreError> {
    let mut lines = statement(db, sql::LINES_OF_DAYS)?;
    let lines = lines.query_map([number_of(days.first), number_of(days.end)], cell).attempt(FAILED)?;
    lines.collect::<Result<_, _>>().attempt(FAILED)
}

/// From the six columns of a line: day, part, names and currency, and how much.
pub(super) fn cell(row: &rusqlite::Row<'_>) -> rusqlite::Result<(Cell, i64)> {
    Ok(([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?], row.get(5)?))
}
