//! The lives of violations, counted while a night is written: what began and ended in it.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, params};

use super::{
    Attempt, Night, StoreError,
    intern::statement,
    night::FAILED,
    rows::{int, time},
    sql,
};
use crate::day::{day_of, number_of};

/// What ended a violation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// Other tags.
    Fixed,
    /// Its resource has gone.
    Removed,
    /// The same tags, judged otherwise.
    Policy,
}

impl Cause {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Removed => "removed",
            Self::Policy => "policy",
        }
    }
}

/// Of one rule and type.
#[derive(Default)]
struct Life {
    opened: u64,
    reopened: u64,
    fixed: u64,
    removed: u64,
    dropped: u64,
}

/// What began and ended in a night.
#[derive(Default)]
pub(super) struct Lives {
    /// By rule and type.
    by_rule: BTreeMap<(i64, i64), Life>,
    /// Errors that were fixed, by the days that they had been open.
    fixed_days: BTreeMap<i64, u64>,
    /// Days of earlier snapshots.
    days: HashMap<i64, i64>,
}

impl Lives {
    pub(super) fn open(&mut self, of: (i64, i64), again: bool) {
        let life = self.by_rule.entry(of).or_default();
        life.opened += 1;
        life.reopened += u64::from(again);
    }

    pub(super) fn close(&mut self, of: (i64, i64), cause: Cause) {
        let life = self.by_rule.entry(of).or_default();
        *match cause {
            Cause::Fixed => &mut life.fixed,
            Cause::Removed => &mut life.removed,
            Cause::Policy => &mut life.dropped,
        } += 1;
    }

    pub(super) fn fix_after(&mut self, days: i64) {
        *self.fixed_days.entry(days).or_default() += 1;
    }

    /// Of the first night everything is new: it says nothing of what happened.
    pub(super) fn write(&self, db: &Connection, snapshot: i64) -> Result<(), StoreError> {
        if snapshot == 1 {
            return Ok(());
        }
        let mut add = statement(db, sql::ADD_LIFE)?;
        for ((rule, kind), life) in &self.by_rule {
            let [opened, reopened, fixed, removed, dropped] =
                [life.opened, life.reopened, life.fixed, life.removed, life.dropped].map(int);
            add.execute(params![snapshot, rule, kind, opened, reopened, fixed, removed, dropped]).attempt(FAILED)?;
        }
        let mut add = statement(db, sql::ADD_FIXED)?;
        for (days, violations) in &self.fixed_days {
            add.execute(params![snapshot, days, int(*violations)]).attempt(FAILED)?;
        }
        Ok(())
    }
}

impl Night<'_> {
    /// Days from an earlier snapshot to this night.
    pub(super) fn days_since(&mut self, snapshot: i64) -> Result<i64, StoreError> {
        let today = number_of(self.day);
        if let Some(day) = self.lives.days.get(&snapshot) {
            return Ok(today - day);
        }
        // What was opened this very night has no snapshot yet.
        let day = if snapshot == self.id {
            today
        } else {
            let began =
                statement(&self.sql, sql::BEGAN)?.query_row([snapshot], |row| row.get(0)).attempt("find a snapshot")?;
            number_of(day_of(time(began)?))
        };
        self.lives.days.insert(snapshot, day);
        Ok(today - day)
    }
}
