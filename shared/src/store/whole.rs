//! What a snapshot says as a whole, read once: it never changes, and every answer needs it.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use jiff::Timestamp;
use rusqlite::Connection;

use super::{
    Attempt, DaySpend, Life, MonthSpend, ScopeRow, ScopeSpend, Snapshot, StoreError, Tally, Turned,
    cost::CostBook,
    intern::{statement, varints},
    lackers::Lackers,
    rows::{Dimensions, ScopeIds, rows, scope_columns, tally_columns},
    sql,
};
use crate::{advice::Advised, inventory::Scope};

/// Snapshots whose figures are kept at hand: the newest, and some that cursors still go through.
const KEPT: usize = 4;

/// The figures of one snapshot, each part read when it is first asked for.
#[derive(Debug, Default)]
pub(super) struct Whole {
    cells: OnceLock<Arc<[(Scope, Tally)]>>,
    scopes: OnceLock<Arc<[ScopeRow]>>,
    findings: OnceLock<Vec<(Scope, i64, i64)>>,
    costs: OnceLock<Vec<CostBook>>,
    lackers: OnceLock<Vec<Lackers>>,
    live: OnceLock<Vec<Live>>,
    days: OnceLock<Vec<DaySpend>>,
    /// Without costs, and with them: an earlier night was the newest once.
    advised: [OnceLock<Advised>; 2],
    month: OnceLock<Vec<MonthSpend>>,
    lives: OnceLock<Vec<(Timestamp, Life)>>,
}

/// What living resources cost by scope, and whose tags were put right or spoilt since the month of those costs.
pub(super) type Live = (Vec<ScopeSpend>, Option<Turned>);

/// The figures at hand. Locked to look one up, not while it is read.
#[derive(Debug, Default)]
pub(super) struct Wholes(Mutex<Vec<(Name, Arc<Whole>)>>);

/// Number and fingerprint: another ledger may be put in the place of this one.
pub(super) type Name = (i64, i64, i64);

pub(super) fn name(snapshot: &Snapshot) -> Name {
    (snapshot.id, snapshot.fingerprint, snapshot.finished_at.as_second())
}

impl Wholes {
    /// The figures of a snapshot, as far as any were read.
    pub(super) fn known(&self, snapshot: &Snapshot) -> Option<Arc<Whole>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(known, _)| *known == name(snapshot)).map(|(_, whole)| Arc::clone(whole))
    }

    pub(super) fn of(&self, snapshot: &Snapshot) -> Arc<Whole> {
        let name = name(snapshot);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, whole)) = kept.iter().find(|(known, _)| *known == name) {
            return Arc::clone(whole);
        }
        if kept.len() >= KEPT {
            // What most ask about stays, however many earlier nights are asked about.
            let newest = kept.iter().map(|((id, ..), _)| *id).max();
            let oldest = kept.iter().position(|((id, ..), _)| Some(*id) != newest).unwrap_or(0);
            kept.remove(oldest);
        }
        let whole = Arc::default();
        kept.push((name, Arc::clone(&whole)));
        whole
    }

    /// Forgets all: what was read may have been of a damaged file.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Whole {
    /// Counts by scope.
    pub(super) fn cells(
        &self,
        db: &Connection,
        dimensions: &Dimensions,
        snapshot: i64,
    ) -> Result<Arc<[(Scope, Tally)]>, StoreError> {
        shared(&self.cells, || {
            let found = rows(db, sql::CELLS, [snapshot], |row| Ok((ScopeIds::read(row, 0)?, tally_columns(row)?)))?;
            found.into_iter().map(|(ids, tally)| Ok((dimensions.scope(ids)?, tally))).collect()
        })
    }

    /// How each scope ended.
    pub(super) fn scopes(
        &self,
        db: &Connection,
        dimensions: &Dimensions,
        snapshot: i64,
    ) -> Result<Arc<[ScopeRow]>, StoreError> {
        shared(&self.scopes, || {
            let found = rows(db, sql::SCOPES, [snapshot], scope_columns)?;
            found.into_iter().map(|columns| dimensions.scope_row(columns)).collect()
        })
    }

    /// The same, if they were read.
    pub(super) fn scopes_at_hand(&self) -> Option<Arc<[ScopeRow]>> {
        self.scopes.get().map(Arc::clone)
    }

    /// All that the costs of single resources follow from.
    pub(super) fn costs(&self, db: &Connection, dimensions: &Dimensions) -> Result<Option<&CostBook>, StoreError> {
        once(&self.costs, || Ok(vec![CostBook::load(db, dimensions)?])).map(<[_]>::first)
    }

    /// All resources that lack tags.
    pub(super) fn lackers(
        &self,
        db: &Connection,
        dimensions: &Dimensions,
        snapshot: i64,
    ) -> Result<Option<&Lackers>, StoreError> {
        let read = || match self.costs(db, dimensions)? {
            Some(book) => Ok(vec![Lackers::read(db, dimensions, book, snapshot)?]),
            None => Ok(Vec::new()),
        };
        once(&self.lackers, read).map(<[_]>::first)
    }

    /// What living resources cost, by the tags of the newest snapshot, and whose tags were put right.
    pub(super) fn live(&self, read: impl FnOnce() -> Result<Live, StoreError>) -> Result<Option<&Live>, StoreError> {
        once(&self.live, || Ok(vec![read()?])).map(<[_]>::first)
    }

    /// What happened to violations in each night up to it.
    pub(super) fn lives(
        &self,
        read: impl FnOnce() -> Result<Vec<(Timestamp, Life)>, StoreError>,
    ) -> Result<&[(Timestamp, Life)], StoreError> {
        once(&self.lives, read)
    }

    /// What to tag first.
    pub(super) fn advised(
        &self,
        costs: bool,
        read: impl FnOnce() -> Result<Advised, StoreError>,
    ) -> Result<&Advised, StoreError> {
        let [without, with] = &self.advised;
        let kept = if costs { with } else { without };
        match kept.get() {
            Some(known) => Ok(known),
            None => {
                let read = read()?;
                Ok(kept.get_or_init(|| read))
            }
        }
    }

    /// What was spent day by day.
    pub(super) fn days(
        &self,
        read: impl FnOnce() -> Result<Vec<DaySpend>, StoreError>,
    ) -> Result<&[DaySpend], StoreError> {
        once(&self.days, read)
    }

    /// What the usual month came to; none when nothing is known of the bill.
    pub(super) fn month(
        &self,
        read: impl FnOnce() -> Result<Option<MonthSpend>, StoreError>,
    ) -> Result<Option<&MonthSpend>, StoreError> {
        once(&self.month, || Ok(read()?.into_iter().collect())).map(<[_]>::first)
    }

    /// Resources by scope and rule, from the facts.
    pub(super) fn findings(
        &self,
        db: &Connection,
        dimensions: &Dimensions,
        snapshot: i64,
    ) -> Result<&[(Scope, i64, i64)], StoreError> {
        once(&self.findings, || {
            let columns = |row: &rusqlite::Row<'_>| Ok((ScopeIds::read(row, 0)?, row.get(3)?, row.get(4)?));
            let sets: Vec<(ScopeIds, i64, i64)> = rows(db, sql::FINDING_SET_COUNTS, [snapshot], columns)?;
            let mut counts = Vec::new();
            for (ids, set, resources) in sets {
                let scope = dimensions.scope(ids)?;
                let blob: Vec<u8> = statement(db, sql::FINDING_SET_RULES)?
                    .query_row([set], |row| row.get(0))
                    .attempt("read findings")?;
                counts.extend(varints(&blob).into_iter().map(|rule| (scope.clone(), rule, resources)));
            }
            Ok(counts)
        })
    }
}

/// Two who ask at once may both read; one reading is kept, and both are the same.
fn once<T>(kept: &OnceLock<Vec<T>>, read: impl FnOnce() -> Result<Vec<T>, StoreError>) -> Result<&[T], StoreError> {
    if kept.get().is_none() {
        drop(kept.set(read()?));
    }
    Ok(kept.get().map_or(&[], Vec::as_slice))
}

/// The same, to be held by whoever asks.
fn shared<T>(
    kept: &OnceLock<Arc<[T]>>,
    read: impl FnOnce() -> Result<Arc<[T]>, StoreError>,
) -> Result<Arc<[T]>, StoreError> {
    match kept.get() {
        Some(known) => Ok(Arc::clone(known)),
        None => {
            let read = read()?;
            Ok(Arc::clone(kept.get_or_init(|| read)))
        }
    }
}
