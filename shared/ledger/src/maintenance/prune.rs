//! Prunes old snapshots, and deletes what no retained snapshot refers to.

use std::collections::HashSet;

use jiff::civil::Date;
use rusqlite::{Connection, TransactionBehavior, params};
use tagledger_model::epoch_day::day_of;

use crate::{
    db::{
        checksum_file, connection, sql,
        statements::{prepare, query_all},
        values::parse_time,
        varint::try_decode_varints,
    },
    error::{ErrorContext, LedgerError, Operation},
    maintenance::retention::{RetentionPolicy, SnapshotMark},
    write::writer::LedgerWriter,
};

/// Deleting unreferenced rows reads the whole ledger, so it runs only once for this many pruned snapshots.
const SWEEP_INTERVAL: i64 = 7;

/// What was pruned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PruneReport {
    /// Pruned snapshots.
    pub snapshots: u64,
    /// Deleted states of resources, which no retained snapshot has.
    pub states: u64,
    /// Deleted resources, which no retained snapshot has.
    pub resources: u64,
}

impl LedgerWriter {
    /// Prunes the snapshots that `retention` does not retain as of `today`, in one transaction. Retained snapshots stay as they are.
    /// The file does not shrink; later snapshots use the free pages.
    ///
    /// # Errors
    ///
    /// [`crate::error::LedgerError::Busy`] when another process is writing a snapshot; when the ledger cannot be written.
    pub fn prune(&mut self, retention: &RetentionPolicy, today: Date) -> Result<PruneReport, LedgerError> {
        let path = self.path().to_owned();
        let is_empty = load_marks(self.connection_mut()).map(|retained| retention.surplus(&retained, today).is_empty());
        if is_empty.map_err(|error| error.at(&path))? {
            return Ok(PruneReport::default());
        }
        let report = self.change(Operation::Prune, |db| prune(db, retention, today));
        report.map_err(|error| error.at(&path))
    }

    /// Runs `change` in one transaction, and removes the checksum file before the commit.
    pub(crate) fn change<T>(
        &mut self,
        operation: Operation,
        change: impl FnOnce(&Connection) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let path = self.path().to_owned();
        let begun = self.connection_mut().transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = begun.map_err(|source| connection::classify(&path, source))?;
        let changed = change(&transaction)?;
        checksum_file::remove(&path)?;
        transaction.commit().context(operation)?;
        Ok(changed)
    }
}

fn prune(db: &Connection, retention: &RetentionPolicy, today: Date) -> Result<PruneReport, LedgerError> {
    let pruned_before = count_pruned(db)?;
    let retained = load_marks(db)?;
    let surplus: HashSet<i64> = retention.surplus(&retained, today).into_iter().collect();
    let mut report = PruneReport { snapshots: surplus.len() as u64, ..PruneReport::default() };
    let mut before = 0; // the newest retained snapshot before this one
    let mut gap = false;
    for mark in &retained {
        if surplus.contains(&mark.id) {
            prune_snapshot(db, mark.id)?;
            gap = true;
            continue;
        }
        if gap {
            report.states += run(db, sql::DROP_ENDED_STATES, params![before, mark.id])?;
            run(db, sql::DROP_LINES_BETWEEN, params![before, mark.id])?;
            run(db, sql::DROP_BILL_STATES_BETWEEN, params![before, mark.id])?;
        }
        (before, gap) = (mark.id, false);
    }
    let oldest = retained.iter().find(|mark| !surplus.contains(&mark.id));
    if let Some(oldest) = oldest
        && pruned_before / SWEEP_INTERVAL != count_pruned(db)? / SWEEP_INTERVAL
    {
        report.resources = sweep(db, oldest.id)?;
    }
    Ok(report)
}

fn count_pruned(db: &Connection) -> Result<i64, LedgerError> {
    prepare(db, sql::COUNT_PRUNED)?.query_row([], |row| row.get(0)).context(Operation::Prune)
}

fn load_marks(db: &Connection) -> Result<Vec<SnapshotMark>, LedgerError> {
    let columns = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?));
    let retained = query_all(db, sql::RETAINED_SNAPSHOTS, columns)?;
    let mark = |(id, started, status)| {
        Ok(SnapshotMark { id, day: day_of(parse_time(started)?), complete: status == "complete" })
    };
    retained.into_iter().map(mark).collect()
}

fn prune_snapshot(db: &Connection, id: i64) -> Result<(), LedgerError> {
    for text in [
        sql::DROP_SCOPES,
        sql::DROP_CELLS,
        sql::DROP_RULE_COUNTS,
        sql::DROP_TAG_COUNTS,
        sql::DROP_ARRIVALS,
        sql::DROP_INSIGHTS,
        sql::MARK_PRUNED,
    ] {
        run(db, text, params![id])?;
    }
    Ok(())
}

/// Deletes what only snapshots before `oldest` refer to.
fn sweep(db: &Connection, oldest: i64) -> Result<u64, LedgerError> {
    run(db, sql::DROP_OLD_VIOLATIONS, params![oldest])?;
    run(db, sql::DROP_BILL_BEFORE, params![oldest])?;
    run(db, sql::DROP_BILL_STATES_BEFORE, params![oldest])?;
    let resources = run(db, sql::DROP_UNREFERENCED_RESOURCES, [])?;
    run(db, sql::DROP_UNUSED_TAG_SETS, [])?;
    run(db, sql::DROP_UNUSED_LINK_SETS, [])?;
    let counted = query_all(db, sql::COUNTED_TAGS, |row| row.get(0))?;
    sweep_members(db, counted, [sql::TAG_SETS, sql::TAG_IDS, sql::DROP_TAG])?;
    sweep_members(db, Vec::new(), [sql::LINK_SETS, sql::LINK_IDS, sql::DROP_LINK])?;
    Ok(resources)
}

/// Deletes the members of no set, except those in `used`. The three statements read the sets, read all ids, and delete one id.
fn sweep_members(db: &Connection, used: Vec<i64>, [sets, ids, drop]: [&'static str; 3]) -> Result<(), LedgerError> {
    let mut used: HashSet<i64> = used.into_iter().collect();
    for blob in query_all(db, sets, |row| row.get::<_, Vec<u8>>(0))? {
        used.extend(try_decode_varints(&blob)?);
    }
    for id in query_all(db, ids, |row| row.get(0))? {
        if !used.contains(&id) {
            run(db, drop, params![id])?;
        }
    }
    Ok(())
}

fn run(db: &Connection, text: &str, parameters: impl rusqlite::Params) -> Result<u64, LedgerError> {
    prepare(db, text)?.execute(parameters).context(Operation::Prune).map(|rows| rows as u64)
}
