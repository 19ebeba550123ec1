//! Lines of the bill at hand: whoever asks about another period has other sums of the same lines.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::{Attempt, StoreError, billed::Line, intern::statement, past_bill::cell, sql};

const FAILED: &str = "read the bill";

/// Lines held at most, of the newest days; twelve bytes each.
const MOST: u32 = 200_000;

/// The lines of the newest days.
#[derive(Debug, Default)]
pub(super) struct BillLines {
    /// Of the first day that is whole here, its number.
    from: i64,
    /// What lines are of, each once.
    of: Vec<Line>,
    /// The days, each with where its lines end.
    days: Vec<(i64, usize)>,
    /// Places in `of`.
    places: Vec<u32>,
    micros: Vec<i64>,
}

impl BillLines {
    pub(super) fn read(db: &Connection) -> Result<Self, StoreError> {
        Self::newest(db, MOST)
    }

    pub(super) fn newest(db: &Connection, most: u32) -> Result<Self, StoreError> {
        // The day of the first line that is too many is not held whole.
        let cut: Option<i64> =
            statement(db, sql::BILL_DAY_OF_LINE)?.query_row([most], |row| row.get(0)).optional().attempt(FAILED)?;
        let mut all = Self { from: cut.map_or(i64::MIN, |day| day + 1), ..Self::default() };
        let mut known: HashMap<Line, u32> = HashMap::new();
        let mut asked = statement(db, sql::LINES_OF_DAYS)?;
        let mut rows = asked.query(params![all.from, i64::MAX]).attempt(FAILED)?;
        while let Some(row) = rows.next().attempt(FAILED)? {
            let ([day, part, a, b, currency], micros) = cell(row).attempt(FAILED)?;
            let of = (part, [currency, a, b]);
            let place = *known.entry(of).or_insert_with(|| {
                all.of.push(of);
                u32::try_from(all.of.len() - 1).unwrap_or(u32::MAX)
            });
            all.places.push(place);
            all.micros.push(micros);
            match all.days.last_mut() {
                Some((last, end)) if *last == day => *end = all.places.len(),
                _ => all.days.push((day, all.places.len())),
            }
        }
        all.places.shrink_to_fit();
        all.micros.shrink_to_fit();
        Ok(all)
    }

    /// The sums of some days; none when not all of them are held.
    pub(super) fn sums(&self, first: i64, end: i64) -> Option<Vec<(Line, i64)>> {
        if first < self.from {
            return None;
        }
        let before = |day: i64| {
            let days = self.days.partition_point(|(known, _)| *known < day);
            days.checked_sub(1).and_then(|last| self.days.get(last)).map_or(0, |(_, end)| *end)
        };
        let mut sums: Vec<Option<i64>> = vec![None; self.of.len()];
        let held = before(first)..before(end);
        for (place, micros) in self.places.get(held.clone())?.iter().zip(self.micros.get(held)?) {
            if let Some(sum) = sums.get_mut(*place as usize) {
                *sum = Some(sum.unwrap_or_default() + micros);
            }
        }
        Some(self.of.iter().zip(sums).filter_map(|(of, sum)| Some((*of, sum?))).collect())
    }
}
