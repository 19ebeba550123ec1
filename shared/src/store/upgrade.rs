//! Brings a ledger of an earlier schema version to this one.
//!
//! Every step runs in one transaction with the version number that ends it: a process that is killed leaves the file as
//! it was, and the next one begins the step again. `schema.sql` says how the newest version looks; what stands here of
//! earlier ones is frozen.

use std::ops::ControlFlow;

use rusqlite::{Connection, TransactionBehavior};

use super::{Attempt, SCHEMA_VERSION, StoreError, rows::all, sql};

const FAILED: &str = "be upgraded";

/// How far an upgrade has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpgradeProgress {
    /// The version that the file had.
    pub from: i64,
    /// The version it gets.
    pub to: i64,
    /// Nights done.
    pub done: u64,
    /// Of so many.
    pub of: u64,
}

/// Upgrades step by step from version `from`.
pub(super) fn upgrade(
    connection: &mut Connection,
    from: i64,
    mut progress: impl FnMut(UpgradeProgress) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    // Ended versions in the order of the nights that ended them, with what ended them; narrowed scans; retention.
    if from < 2 {
        let by_night = [sql::VERSION_2_TABLES, sql::VERSION_2_NIGHT, sql::VERSION_2_END];
        run_nights(connection, by_night, |done, of| progress(UpgradeProgress { from, to: SCHEMA_VERSION, done, of }))?;
    }
    // Room for the bill.
    if from < 3 {
        run_step(connection, sql::VERSION_3)?;
    }
    // Room for the costs of single resources, and what began and ended in each night, counted from all violations at once.
    if from < 4 {
        let of = all(connection, sql::SNAPSHOT_IDS, |row| row.get::<_, i64>(0))?.len() as u64;
        if progress(UpgradeProgress { from, to: SCHEMA_VERSION, done: 0, of }).is_break() {
            return Err(StoreError::UpgradeEnded);
        }
        run_step(connection, sql::VERSION_4)?;
    }
    // Room for what resources stand in, and for what follows from it.
    if from < 5 {
        run_step(connection, sql::VERSION_5)?;
    }
    // Room for what was known of the bill in earlier nights.
    if from < 6 {
        run_step(connection, sql::VERSION_6)?;
    }
    // Ended versions in another order within their night.
    if from < 7 {
        let by_night = [sql::VERSION_7_TABLE, sql::VERSION_7_NIGHT, sql::VERSION_7_END];
        run_nights(connection, by_night, |done, of| progress(UpgradeProgress { from, to: SCHEMA_VERSION, done, of }))?;
    }
    // Room for what is told of nights.
    if from < 8 {
        run_step(connection, sql::VERSION_8)?;
    }
    Ok(())
}

fn run_step(connection: &mut Connection, tables: &str) -> Result<(), StoreError> {
    let step = connection.transaction_with_behavior(TransactionBehavior::Immediate).attempt(FAILED)?;
    step.execute_batch(tables).attempt(FAILED)?;
    step.commit().attempt(FAILED)
}

/// A step that takes time: a beginning, a statement for each night, and an end.
fn run_nights(
    connection: &mut Connection,
    [begin, night, end]: [&str; 3],
    mut progress: impl FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    // Other tables go on to refer to the table of that name, not to the one that is renamed out of its way.
    connection.execute_batch(sql::RENAME_ALONE).attempt(FAILED)?;
    let step = connection.transaction_with_behavior(TransactionBehavior::Immediate).attempt(FAILED)?;
    step.execute_batch(begin).attempt(FAILED)?;
    let nights: Vec<i64> = all(&step, sql::SNAPSHOT_IDS, |row| row.get(0))?;
    for (done, id) in (0_u64..).zip(&nights) {
        if progress(done, nights.len() as u64).is_break() {
            return Err(StoreError::UpgradeEnded);
        }
        step.execute(night, [id]).attempt(FAILED)?;
    }
    step.execute_batch(end).attempt(FAILED)?;
    step.commit().attempt(FAILED)?;
    connection.execute_batch(sql::RENAME_WITH_REFERENCES).attempt(FAILED)
}
