//! Writes the audit log.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, params};

use crate::{
    connection::{APPLICATION_ID, BUSY_TIMEOUT, SCHEMA_VERSION, check_identity, classify_open_error},
    entry::AuditEntry,
    error::{AuditError, Operation},
    sql,
};

/// The audit log, open for writing.
#[derive(Debug)]
pub struct AuditLog {
    connection: Connection,
    path: PathBuf,
}

impl AuditLog {
    /// Opens the log. Creates it when the file does not exist.
    ///
    /// # Errors
    ///
    /// When the file cannot be written or is not an audit log.
    pub fn open(path: &Path) -> Result<Self, AuditError> {
        let failed = |source| AuditError::Failed { path: path.to_owned(), operation: Operation::Open, source };
        let connection = Connection::open(path).map_err(failed)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        let objects: i64 = connection
            .query_row(sql::COUNT_OBJECTS, [], |row| row.get(0))
            .map_err(|error| classify_open_error(path, error))?;
        if objects == 0 {
            connection.execute_batch(sql::PRAGMAS).map_err(failed)?;
            connection.execute_batch(sql::SCHEMA).map_err(failed)?;
            connection.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
            connection.pragma_update(None, "user_version", SCHEMA_VERSION).map_err(failed)?;
        }
        check_identity(&connection, path)?;
        connection.execute_batch(sql::PRAGMAS).map_err(failed)?;
        Ok(Self { connection, path: path.to_owned() })
    }

    /// Appends entries, all or none.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn append(&mut self, entries: &[AuditEntry]) -> Result<(), AuditError> {
        append(&mut self.connection, entries).map_err(|source| self.write_error(source))
    }

    /// Deletes the entries of calls that began before `time`. Returns how many.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn prune_before(&self, time: Timestamp) -> Result<usize, AuditError> {
        let deleted = self.connection.execute(sql::DELETE_BEFORE, [time.as_millisecond()]);
        deleted.map_err(|source| self.write_error(source))
    }

    fn write_error(&self, source: rusqlite::Error) -> AuditError {
        AuditError::Failed { path: self.path.clone(), operation: Operation::Write, source }
    }
}

fn append(connection: &mut Connection, entries: &[AuditEntry]) -> rusqlite::Result<()> {
    let batch = connection.transaction()?;
    let mut add = batch.prepare_cached(sql::ADD)?;
    for entry in entries {
        let AuditEntry { at, caller, tool, arguments, outcome, rows, bytes, micros, aws_lookups, trace_id } = entry;
        add.execute(params![
            at.as_millisecond(),
            caller,
            tool,
            arguments,
            outcome,
            rows,
            bytes,
            micros,
            aws_lookups,
            trace_id
        ])?;
    }
    drop(add);
    batch.commit()
}
