//! Thinning out old nights, and sweeping away what no night needs any more.

use std::collections::HashSet;

use jiff::civil::Date;
use rusqlite::{Connection, TransactionBehavior, params};

use super::{
    Attempt, Retention, StoreError, Writer,
    intern::{statement, varints},
    retention::Mark,
    rows::{all, time},
    sql,
};
use crate::day::day_of;

const FAILED: &str = "thin out old nights";

/// The sweep reads the whole ledger; once for so many nights that went is enough.
const SWEPT_EVERY: i64 = 7;

/// What thinning took away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Thinned {
    /// Nights that are no longer kept.
    pub nights: u64,
    /// Versions that no kept night saw.
    pub versions: u64,
    /// Resources of which no kept night knows.
    pub resources: u64,
}

impl Writer {
    /// Thins out the nights that `retention` does not keep as of `today`, in one transaction. What a kept night says
    /// stays as it is. The file does not shrink; later nights fill the room.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] when another process is writing a night; when the ledger cannot be written.
    pub fn thin(&mut self, retention: &Retention, today: Date) -> Result<Thinned, StoreError> {
        let path = self.path().to_owned();
        let none = marks(self.connection_mut()).map(|kept| retention.surplus(&kept, today).is_empty());
        if none.map_err(|error| error.at(&path))? {
            return Ok(Thinned::default());
        }
        let thinned = self.change(FAILED, |db| thin(db, retention, today));
        thinned.map_err(|error| error.at(&path))
    }

    /// Runs a change in one transaction.
    pub(super) fn change<T>(
        &mut self,
        what: &'static str,
        change: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let path = self.path().to_owned();
        let begun = self.connection_mut().transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = begun.map_err(|source| super::open::classify(&path, source))?;
        let changed = change(&transaction)?;
        super::seal::remove(&path)?;
        transaction.commit().attempt(what)?;
        Ok(changed)
    }
}

fn thin(db: &Connection, retention: &Retention, today: Date) -> Result<Thinned, StoreError> {
    let before_all = thinned_nights(db)?;
    let kept = marks(db)?;
    let surplus: HashSet<i64> = retention.surplus(&kept, today).into_iter().collect();
    let mut thinned = Thinned { nights: surplus.len() as u64, ..Thinned::default() };
    let mut before = 0; // the newest kept night before
    let mut gap = false;
    for mark in &kept {
        if surplus.contains(&mark.id) {
            drop_night(db, mark.id)?;
            gap = true;
            continue;
        }
        if gap {
            thinned.versions += run(db, sql::DROP_VERSIONS, params![before, mark.id])?;
            run(db, sql::DROP_LINES_BETWEEN, params![before, mark.id])?;
            run(db, sql::DROP_KNOWN_BETWEEN, params![before, mark.id])?;
        }
        (before, gap) = (mark.id, false);
    }
    let oldest = kept.iter().find(|mark| !surplus.contains(&mark.id));
    if let Some(oldest) = oldest
        && before_all / SWEPT_EVERY != thinned_nights(db)? / SWEPT_EVERY
    {
        thinned.resources = sweep(db, oldest.id)?;
    }
    Ok(thinned)
}

fn thinned_nights(db: &Connection) -> Result<i64, StoreError> {
    statement(db, sql::COUNT_THINNED)?.query_row([], |row| row.get(0)).attempt(FAILED)
}

fn marks(db: &Connection) -> Result<Vec<Mark>, StoreError> {
    let columns = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?));
    let kept = all(db, sql::KEPT_SNAPSHOTS, columns)?;
    let mark = |(id, started, status)| Ok(Mark { id, day: day_of(time(started)?), complete: status == "complete" });
    kept.into_iter().map(mark).collect()
}

fn drop_night(db: &Connection, id: i64) -> Result<(), StoreError> {
    for text in [
        sql::DROP_SCOPES,
        sql::DROP_CELLS,
        sql::DROP_RULE_COUNTS,
        sql::DROP_TAG_COUNTS,
        sql::DROP_ARRIVALS,
        sql::DROP_TOLD,
        sql::NO_LONGER_KEPT,
    ] {
        run(db, text, params![id])?;
    }
    Ok(())
}

/// Deletes what only nights before `oldest` knew.
fn sweep(db: &Connection, oldest: i64) -> Result<u64, StoreError> {
    run(db, sql::DROP_OLD_VIOLATIONS, params![oldest])?;
    run(db, sql::DROP_BILL_BEFORE, params![oldest])?;
    run(db, sql::DROP_KNOWN_BEFORE, params![oldest])?;
    let resources = run(db, sql::DROP_FORGOTTEN_RESOURCES, [])?;
    run(db, sql::DROP_UNUSED_TAG_SETS, [])?;
    run(db, sql::DROP_UNUSED_LINK_SETS, [])?;
    let counted = all(db, sql::COUNTED_TAGS, |row| row.get(0))?;
    sweep_members(db, counted, [sql::TAG_SETS, sql::TAG_IDS, sql::DROP_TAG])?;
    sweep_members(db, Vec::new(), [sql::LINK_SETS, sql::LINK_IDS, sql::DROP_LINK])?;
    Ok(resources)
}

/// Deletes what stands in no set and is not used otherwise: the statements read the sets, read all ids, and delete one.
fn sweep_members(db: &Connection, used: Vec<i64>, [sets, ids, drop]: [&'static str; 3]) -> Result<(), StoreError> {
    let mut used: HashSet<i64> = used.into_iter().collect();
    for blob in all(db, sets, |row| row.get::<_, Vec<u8>>(0))? {
        used.extend(varints(&blob));
    }
    for id in all(db, ids, |row| row.get(0))? {
        if !used.contains(&id) {
            run(db, drop, params![id])?;
        }
    }
    Ok(())
}

fn run(db: &Connection, text: &str, parameters: impl rusqlite::Params) -> Result<u64, StoreError> {
    statement(db, text)?.execute(parameters).attempt(FAILED).map(|rows| rows as u64)
}
