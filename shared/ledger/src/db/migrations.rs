//! Migrates a ledger of an earlier schema version to this one.
//!
//! Each step runs in one transaction, which also sets the version number. When the process is killed, the file stays as it was, and the
//! next process begins the step again. `schema.sql` has the newest version. The statements for earlier versions never change.

use std::ops::ControlFlow;

use rusqlite::{Connection, TransactionBehavior};

use crate::{
    db::{sql, statements::query_all},
    error::{ErrorContext, LedgerError, Operation},
    file_format::SCHEMA_VERSION,
};

/// The progress of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MigrationProgress {
    /// The schema version of the file.
    pub from: i64,
    /// The schema version after the migration.
    pub to: i64,
    /// Snapshots that are done.
    pub done: u64,
    /// All snapshots.
    pub of: u64,
}

/// Migrates step by step from version `from`.
pub(crate) fn migrate(
    connection: &mut Connection,
    from: i64,
    mut progress: impl FnMut(MigrationProgress) -> ControlFlow<()>,
) -> Result<(), LedgerError> {
    // `history` in the order of the snapshots that ended the states, with the reason; narrowed scans; retention.
    if from < 2 {
        let statements = [sql::VERSION_2_TABLES, sql::VERSION_2_HISTORY, sql::VERSION_2_END];
        run_by_snapshot(connection, statements, |done, of| {
            progress(MigrationProgress { from, to: SCHEMA_VERSION, done, of })
        })?;
    }
    // Tables for the bill.
    if from < 3 {
        run_step(connection, sql::VERSION_3)?;
    }
    // Tables for the costs of resources. Counts of opened and closed violations, computed from all violations in one statement.
    if from < 4 {
        let of = query_all(connection, sql::SNAPSHOT_IDS, |row| row.get::<_, i64>(0))?.len() as u64;
        if progress(MigrationProgress { from, to: SCHEMA_VERSION, done: 0, of }).is_break() {
            return Err(LedgerError::MigrationCancelled);
        }
        run_step(connection, sql::VERSION_4)?;
    }
    // Tables for relationships and for predictions.
    if from < 5 {
        run_step(connection, sql::VERSION_5)?;
    }
    // Tables for the bill as of earlier snapshots.
    if from < 6 {
        run_step(connection, sql::VERSION_6)?;
    }
    // `history` in another order within each snapshot.
    if from < 7 {
        let statements = [sql::VERSION_7_TABLE, sql::VERSION_7_SNAPSHOTS, sql::VERSION_7_END];
        run_by_snapshot(connection, statements, |done, of| {
            progress(MigrationProgress { from, to: SCHEMA_VERSION, done, of })
        })?;
    }
    // A table for the insights of snapshots.
    if from < 8 {
        run_step(connection, sql::VERSION_8)?;
    }
    // Separate columns for the number of missing required tags and for resources without user tags; plain column names.
    if from < 9 {
        let of = query_all(connection, sql::SNAPSHOT_IDS, |row| row.get::<_, i64>(0))?.len() as u64;
        if progress(MigrationProgress { from, to: SCHEMA_VERSION, done: 0, of }).is_break() {
            return Err(LedgerError::MigrationCancelled);
        }
        run_step(connection, sql::VERSION_9)?;
    }
    Ok(())
}

fn run_step(connection: &mut Connection, tables: &str) -> Result<(), LedgerError> {
    let step = connection.transaction_with_behavior(TransactionBehavior::Immediate).context(Operation::Migrate)?;
    step.execute_batch(tables).context(Operation::Migrate)?;
    step.commit().context(Operation::Migrate)
}

/// Runs a long step: a script, a statement for each snapshot, and a script.
fn run_by_snapshot(
    connection: &mut Connection,
    [begin, each, end]: [&str; 3],
    mut progress: impl FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<(), LedgerError> {
    // With `legacy_alter_table`, the references of other tables keep the name, and so refer to the new table.
    connection.execute_batch(sql::RENAME_WITHOUT_REFERENCES).context(Operation::Migrate)?;
    let step = connection.transaction_with_behavior(TransactionBehavior::Immediate).context(Operation::Migrate)?;
    step.execute_batch(begin).context(Operation::Migrate)?;
    let snapshots: Vec<i64> = query_all(&step, sql::SNAPSHOT_IDS, |row| row.get(0))?;
    for (done, id) in (0_u64..).zip(&snapshots) {
        if progress(done, snapshots.len() as u64).is_break() {
            return Err(LedgerError::MigrationCancelled);
        }
        step.execute(each, [id]).context(Operation::Migrate)?;
    }
    step.execute_batch(end).context(Operation::Migrate)?;
    step.commit().context(Operation::Migrate)?;
    connection.execute_batch(sql::RENAME_WITH_REFERENCES).context(Operation::Migrate)
}
