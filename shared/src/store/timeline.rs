//! Nights in a row: what each said as a whole, what happened in it, and what was spent day by day.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};

use jiff::{Timestamp, civil::Date};
use rusqlite::{OptionalExtension, Row, params};

use super::{
    Attempt, BillPart, Filter, ScopeRow, Snapshot, StoreError, Tally, View,
    cost::snapshot_before,
    fingerprint::Fingerprint,
    intern::statement,
    rows::{Dimensions, dated, rows, snapshot_columns, time},
    sql,
};
use crate::{
    day::day_numbered,
    inventory::Scope,
    money::{Amount, Spend},
    policy::{Code, Severity},
};

/// What a night said as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NightTotals {
    /// Counts of its resources.
    pub tally: Tally,
    /// Scopes that were asked for.
    pub scopes: u64,
    /// Of these, read whole.
    pub whole: u64,
    /// Names the set of scopes that were read whole: nights with equal names can be compared.
    pub coverage: i64,
}

/// What of violations is meant: of a kind of finding, about a tag; without either, all of severity error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LifeOf {
    /// Of this kind.
    pub code: Option<Code>,
    /// About this tag.
    pub tag: Option<String>,
}

/// What happened to violations in one night.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Life {
    /// Began.
    pub opened: u64,
    /// Of these, such as had been there before.
    pub reopened: u64,
    /// Ended, for the tags are right now.
    pub fixed: u64,
    /// Ended with their resources.
    pub removed: u64,
    /// Ended, for the same tags are judged otherwise.
    pub dropped: u64,
    /// Of those fixed, how many had been open for how many days. Known of all errors together only.
    pub fixed_days: Vec<(i64, u64)>,
}

/// What was spent on a day, of what must carry tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DaySpend {
    /// Which.
    pub day: Date,
    /// How much, and how much of it cannot be attributed.
    pub spend: Spend,
}

impl View<'_> {
    /// The nights that are kept of those that began at that time or later, in order.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read; so for every question below.
    pub fn nights_since(&self, from: Timestamp) -> Result<Vec<Snapshot>, StoreError> {
        let found = rows(self.db(), sql::SNAPSHOTS_SINCE, [from.as_second()], snapshot_columns)?;
        found.into_iter().map(dated).collect()
    }

    /// The last kept night that began before a moment.
    pub fn night_before(&self, moment: Timestamp) -> Result<Option<Snapshot>, StoreError> {
        snapshot_before(self.db(), moment)
    }

    /// When the oldest kept night began; none before the first scan.
    pub fn oldest(&self) -> Result<Option<Timestamp>, StoreError> {
        let oldest: Option<i64> =
            statement(self.db(), sql::OLDEST_KEPT)?.query_row([], |row| row.get(0)).attempt("find the oldest night")?;
        oldest.map(time).transpose()
    }

    /// What a night said of the scopes that the filter admits.
    pub fn night_totals(&self, snapshot: &Snapshot, filter: &Filter) -> Result<NightTotals, StoreError> {
        if *filter != Filter::default() {
            return self.read_totals(snapshot, filter);
        }
        if let Some(known) = self.totals().get(snapshot) {
            return Ok(known);
        }
        let totals = self.read_totals(snapshot, filter)?;
        self.totals().keep(snapshot, totals);
        Ok(totals)
    }

    /// Reads ahead what happened in all nights, and what each said as a whole.
    pub fn warm_nights(&self) -> Result<(), StoreError> {
        self.lives(Timestamp::UNIX_EPOCH, &LifeOf::default(), &Filter::default())?;
        let nights = self.nights_since(Timestamp::MIN)?;
        nights.iter().try_for_each(|night| self.night_totals(night, &Filter::default()).map(drop))
    }

    fn read_totals(&self, snapshot: &Snapshot, filter: &Filter) -> Result<NightTotals, StoreError> {
        let mut tally = Tally::default();
        for (_, cell) in self.cells_of(snapshot)?.iter().filter(|(scope, _)| filter.admits(scope)) {
            tally += *cell;
        }
        let scopes = self.scopes_of(snapshot)?;
        let asked: Vec<&ScopeRow> = scopes.iter().filter(|row| filter.admits(&row.scope)).collect();
        let whole: BTreeSet<&Scope> = asked.iter().filter(|row| row.gap.is_none()).map(|row| &row.scope).collect();
        let coverage =
            whole.iter().fold(Fingerprint::default(), |hash, scope| hash.field(scope.to_string().as_bytes()));
        let (scopes, whole) = (asked.len() as u64, whole.len() as u64);
        Ok(NightTotals { tally, scopes, whole, coverage: coverage.finish() })
    }

    /// The scopes of a night that were read whole, with their counts, as far as the filter admits them. A scope without
    /// resources has counts of nothing.
    pub fn whole_cells(&self, snapshot: &Snapshot, filter: &Filter) -> Result<BTreeMap<Scope, Tally>, StoreError> {
        let whole = self.scopes_of(snapshot)?.into_iter().filter(|row| row.gap.is_none() && filter.admits(&row.scope));
        let mut cells: BTreeMap<Scope, Tally> = whole.map(|row| (row.scope, Tally::default())).collect();
        for (scope, tally) in self.cells_of(snapshot)? {
            if let Some(cell) = cells.get_mut(&scope) {
                *cell = tally;
            }
        }
        Ok(cells)
    }

    /// What happened to violations in each night since then, thinned out or not; in order, of nights in which anything did.
    pub fn lives(&self, from: Timestamp, of: &LifeOf, filter: &Filter) -> Result<Vec<(Timestamp, Life)>, StoreError> {
        if (of, filter) != (&LifeOf::default(), &Filter::default()) {
            return self.read_lives(from, of, filter);
        }
        let Some(newest) = self.newest()? else { return Ok(Vec::new()) };
        let whole = self.whole(&newest);
        let all = whole.lives(|| self.read_lives(Timestamp::UNIX_EPOCH, of, filter))?;
        Ok(all.iter().filter(|(at, _)| *at >= from).cloned().collect())
    }

    fn read_lives(&self, from: Timestamp, of: &LifeOf, filter: &Filter) -> Result<Vec<(Timestamp, Life)>, StoreError> {
        let rules = format!("{:?}", self.rule_ids(of)?);
        let [types, _, _] = filter.parameters(self.dimensions());
        let columns = |row: &Row<'_>| -> rusqlite::Result<(i64, [i64; 5])> {
            Ok((row.get(0)?, [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?]))
        };
        let mut lives: BTreeMap<i64, Life> = BTreeMap::new();
        for (at, counts) in rows(self.db(), sql::LIFE, params![from.as_second(), rules, types], columns)? {
            let [opened, reopened, fixed, removed, dropped] = counts.map(i64::unsigned_abs);
            let life = lives.entry(at).or_default();
            life.opened += opened;
            life.reopened += reopened;
            life.fixed += fixed;
            life.removed += removed;
            life.dropped += dropped;
        }
        if *of == LifeOf::default() && types.is_none() {
            let columns = |row: &Row<'_>| Ok((row.get(0)?, (row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)));
            for (at, (days, n)) in rows(self.db(), sql::FIXED_DAYS, [from.as_second()], columns)? {
                lives.entry(at).or_default().fixed_days.push((days, n.unsigned_abs()));
            }
        }
        lives.into_iter().map(|(at, life)| Ok((time(at)?, life))).collect()
    }

    fn rule_ids(&self, of: &LifeOf) -> Result<Vec<i64>, StoreError> {
        let columns = |row: &Row<'_>| -> rusqlite::Result<(i64, [String; 3])> {
            Ok((row.get(0)?, [row.get(1)?, row.get(2)?, row.get(3)?]))
        };
        let rules = rows(self.db(), sql::RULES, [], columns)?.into_iter();
        let meant = rules.filter(|(_, [code, severity, tag])| {
            let errors = *of != LifeOf::default() || severity == Severity::Error.as_str();
            let kind = of.code.is_none_or(|wanted| wanted.as_str() == code);
            errors && kind && of.tag.as_ref().is_none_or(|wanted| wanted == tag)
        });
        Ok(meant.map(|(id, _)| id).collect())
    }

    /// How many resources of a night had a kind of finding, of these types.
    pub fn found_in(&self, snapshot: &Snapshot, of: &LifeOf, filter: &Filter) -> Result<u64, StoreError> {
        let ids = self.rule_ids(of)?;
        let [types, _, _] = filter.parameters(self.dimensions());
        let columns = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        let counts = rows(self.db(), sql::RULE_COUNTS, params![snapshot.id, types], columns)?.into_iter();
        Ok(counts.filter(|(id, _)| ids.contains(id)).map(|(_, n)| n.unsigned_abs()).sum())
    }

    /// How many resources of a night had this tag, and how many of them were non-compliant; none when the ledger does not
    /// count the values of the key.
    pub fn tagged(&self, snapshot: &Snapshot, key: &str, value: &str) -> Result<Option<(u64, u64)>, StoreError> {
        let id: Option<i64> = statement(self.db(), sql::FIND_TAG)?
            .query_row([key, value], |row| row.get(0))
            .optional()
            .attempt("find a tag")?;
        let Some(id) = id else { return Ok(None) };
        let counts = statement(self.db(), sql::TAG_COUNT)?
            .query_row([snapshot.id, id], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
            .optional()
            .attempt("count a tag")?;
        Ok(counts.map(|(resources, wrong)| (resources.unsigned_abs(), wrong.unsigned_abs())))
    }

    pub(super) fn read_spend_by_day(&self) -> Result<Vec<DaySpend>, StoreError> {
        let known: BTreeSet<Date> = self.bill_months()?.iter().flat_map(|month| month.days.iter()).collect();
        let columns = |row: &Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?, row.get(3)?));
        let mut by_currency: BTreeMap<String, BTreeMap<Date, Spend>> = BTreeMap::new();
        for (day, part, currency, micros) in rows(self.db(), sql::SPEND_BY_DAY, [], columns)? {
            let day = day_numbered(day);
            if known.contains(&day) {
                let spend = by_currency.entry(currency).or_default().entry(day).or_default();
                let sum = if part == BillPart::Places as i64 { &mut spend.taggable } else { &mut spend.unattributable };
                *sum += Amount::from_micros(micros);
            }
        }
        let all = |days: &BTreeMap<Date, Spend>| days.values().map(|spend| spend.taggable).sum::<Amount>();
        let main = by_currency.into_values().max_by_key(all).unwrap_or_default();
        Ok(main.into_iter().map(|(day, spend)| DaySpend { day, spend }).collect())
    }
}

/// The totals of nights at hand, which never change: by number and fingerprint, for another ledger may be put in the place of
/// this one.
#[derive(Debug, Default)]
pub(super) struct Totals(Mutex<HashMap<(i64, i64), NightTotals>>);

impl Totals {
    fn get(&self, snapshot: &Snapshot) -> Option<NightTotals> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&(snapshot.id, snapshot.fingerprint)).copied()
    }

    fn keep(&self, snapshot: &Snapshot, totals: NightTotals) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert((snapshot.id, snapshot.fingerprint), totals);
    }

    /// Forgets all: what was read may have been of a damaged file.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl View<'_> {
    fn cells_of(&self, snapshot: &Snapshot) -> Result<Vec<(Scope, Tally)>, StoreError> {
        let found = rows(self.db(), sql::CELLS, [snapshot.id], |row| {
            Ok((super::rows::ScopeIds::read(row, 0)?, super::rows::tally_columns(row)?))
        })?;
        found.into_iter().map(|(ids, tally)| Ok((self.dimensions().scope(ids)?, tally))).collect()
    }

    fn scopes_of(&self, snapshot: &Snapshot) -> Result<Vec<ScopeRow>, StoreError> {
        let dimensions: &Dimensions = self.dimensions();
        let found = rows(self.db(), sql::SCOPES, [snapshot.id], super::rows::scope_columns)?;
        found.into_iter().map(|columns| dimensions.scope_row(columns)).collect()
    }
}
