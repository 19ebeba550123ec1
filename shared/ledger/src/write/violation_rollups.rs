//! Counts of the violations that open and close in the snapshot that is being written.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, params};
use tagledger_model::epoch_day::{day_of, number_of};

use crate::{
    db::{sql, statements::prepare, values::parse_time},
    error::{ErrorContext, LedgerError, Operation},
    model::history::Cause,
    write::transaction::SnapshotTransaction,
};

/// A rule and a resource type, by row id.
type RuleAndType = (i64, i64);

/// The columns of `rollup_life`.
#[derive(Default)]
struct EventCounts {
    opened: u64,
    reopened: u64,
    fixed: u64,
    removed: u64,
    dropped: u64,
}

/// Opened and closed violations.
#[derive(Default)]
pub(crate) struct ViolationEvents {
    by_rule: BTreeMap<RuleAndType, EventCounts>,
    /// Fixed errors, by the number of days from opening to fixing.
    days_to_fix: BTreeMap<i64, u64>,
    /// The days of earlier snapshots, as days since 1970-01-01.
    days: HashMap<i64, i64>,
}

impl ViolationEvents {
    pub(crate) fn count_opened(&mut self, rule: RuleAndType, reopened: bool) {
        let counts = self.by_rule.entry(rule).or_default();
        counts.opened += 1;
        counts.reopened += u64::from(reopened);
    }

    pub(crate) fn count_closed(&mut self, rule: RuleAndType, cause: Cause) {
        let counts = self.by_rule.entry(rule).or_default();
        *match cause {
            Cause::Fixed => &mut counts.fixed,
            Cause::Removed => &mut counts.removed,
            Cause::Policy => &mut counts.dropped,
        } += 1;
    }

    /// Counts a fixed error by the number of days since the snapshot that opened it.
    pub(crate) fn count_days_to_fix(
        &mut self,
        snapshot: &SnapshotTransaction<'_>,
        opened: i64,
    ) -> Result<(), LedgerError> {
        let today = number_of(snapshot.day);
        let day = match self.days.get(&opened) {
            Some(day) => *day,
            // The row of this snapshot is written at its end.
            None if opened == snapshot.id => today,
            None => {
                let started = prepare(snapshot.connection(), sql::SNAPSHOT_STARTED_AT)?
                    .query_row([opened], |row| row.get(0))
                    .context(Operation::ReadSnapshots)?;
                number_of(day_of(parse_time(started)?))
            }
        };
        self.days.insert(opened, day);
        *self.days_to_fix.entry(today - day).or_default() += 1;
        Ok(())
    }

    /// Writes the counts. The first snapshot has none: all its violations are new to the ledger, so that it is not known when they began.
    pub(crate) fn write(&self, db: &Connection, snapshot: i64) -> Result<(), LedgerError> {
        if snapshot == 1 {
            return Ok(());
        }
        let mut add = prepare(db, sql::ADD_VIOLATION_FLOW)?;
        for ((rule, resource_type), counts) in &self.by_rule {
            let EventCounts { opened, reopened, fixed, removed, dropped } = counts;
            add.execute(params![snapshot, rule, resource_type, opened, reopened, fixed, removed, dropped])
                .context(Operation::WriteSnapshot)?;
        }
        let mut add = prepare(db, sql::ADD_FIXED)?;
        for (days, violations) in &self.days_to_fix {
            add.execute(params![snapshot, days, violations]).context(Operation::WriteSnapshot)?;
        }
        Ok(())
    }
}
