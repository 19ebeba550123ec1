//! An index of bill lines by day, for the sums of any period.

use std::{collections::HashMap, sync::Arc};

use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    db::{bill_tables::read_cell, sql, statements::prepare},
    error::{ErrorContext, LedgerError, Operation},
    model::{bill::Line, snapshot::Snapshot},
    read::{
        memo::{CacheValue, bytes_of},
        session::ReadSession,
    },
};

/// The largest number of lines in the index, of the newest days; twelve bytes each.
const MAX_LINES: u32 = 200_000;

/// The lines of the newest days.
#[derive(Debug, Default)]
pub(crate) struct BillLinesIndex {
    /// The number of the first day whose lines are all in the index.
    from: i64,
    /// Distinct lines without day and amount.
    lines: Vec<Line>,
    /// The days, each with the end of its range in `positions` and `micros`.
    days: Vec<(i64, usize)>,
    /// Positions in `lines`.
    positions: Vec<u32>,
    micros: Vec<i64>,
}

impl BillLinesIndex {
    pub(crate) fn load(db: &Connection) -> Result<Self, LedgerError> {
        Self::load_newest(db, MAX_LINES)
    }

    pub(crate) fn load_newest(db: &Connection, max_lines: u32) -> Result<Self, LedgerError> {
        // The day of the first line beyond the limit would be incomplete.
        let cut: Option<i64> = prepare(db, sql::BILL_DAY_OF_LINE)?
            .query_row([max_lines], |row| row.get(0))
            .optional()
            .context(Operation::BuildIndex)?;
        let mut all = Self { from: cut.map_or(i64::MIN, |day| day + 1), ..Self::default() };
        let mut line_positions: HashMap<Line, u32> = HashMap::new();
        let mut lines = prepare(db, sql::LINES_OF_DAYS)?;
        let mut rows = lines.query(params![all.from, i64::MAX]).context(Operation::BuildIndex)?;
        while let Some(row) = rows.next().context(Operation::BuildIndex)? {
            let ([day, part, key_a, key_b, currency], micros) = read_cell(row).context(Operation::BuildIndex)?;
            let line = (part, [currency, key_a, key_b]);
            let position = *line_positions.entry(line).or_insert_with(|| {
                all.lines.push(line);
                u32::try_from(all.lines.len() - 1).unwrap_or(u32::MAX)
            });
            all.positions.push(position);
            all.micros.push(micros);
            match all.days.last_mut() {
                Some((last, end)) if *last == day => *end = all.positions.len(),
                _ => all.days.push((day, all.positions.len())),
            }
        }
        all.positions.shrink_to_fit();
        all.micros.shrink_to_fit();
        Ok(all)
    }

    /// The sums of the days from `first` until before `end`; none when the index does not have all of them.
    pub(crate) fn sum_days(&self, first: i64, end: i64) -> Option<Vec<(Line, i64)>> {
        if first < self.from {
            return None;
        }
        let before = |day: i64| {
            let days = self.days.partition_point(|(indexed, _)| *indexed < day);
            days.checked_sub(1).and_then(|last| self.days.get(last)).map_or(0, |(_, end)| *end)
        };
        let mut sums: Vec<Option<i64>> = vec![None; self.lines.len()];
        let range = before(first)..before(end);
        for (position, micros) in self.positions.get(range.clone())?.iter().zip(self.micros.get(range)?) {
            if let Some(sum) = sums.get_mut(*position as usize) {
                *sum = Some(sum.unwrap_or_default() + micros);
            }
        }
        Some(self.lines.iter().zip(sums).filter_map(|(line, sum)| Some((*line, sum?))).collect())
    }
}

impl CacheValue for BillLinesIndex {
    fn weight(&self) -> usize {
        bytes_of::<Line>(self.lines.len())
            + bytes_of::<(i64, usize)>(self.days.len())
            + bytes_of::<(u32, i64)>(self.positions.len())
    }
}

/// The index of the newest snapshot, if it was preloaded.
pub(crate) fn cached(session: &ReadSession<'_>) -> Result<Option<Arc<BillLinesIndex>>, LedgerError> {
    Ok(session.newest()?.and_then(|newest| session.memo(&newest).get()))
}

/// Loads the index of the newest snapshot into the cache.
pub(crate) fn preload(session: &ReadSession<'_>, newest: &Snapshot) -> Result<(), LedgerError> {
    session.memo(newest).replace_or_load(|| BillLinesIndex::load(session.db())).map(drop)
}
