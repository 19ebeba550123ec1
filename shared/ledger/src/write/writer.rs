//! Opens the ledger for writing: creates it, migrates it, and moves its log into the file.

use std::{
    collections::HashMap,
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use tagledger_model::inventory::Scope;

use crate::{
    db::{
        checksum_file,
        connection::{UNWRITABLE, classify, configure_statements, refuse_folder, schema_version},
        migrations::{MigrationProgress, migrate},
        sql,
    },
    error::{ErrorContext, LedgerError, Operation},
    file_format::SCHEMA_VERSION,
    write::{
        creators,
        snapshot_writer::{self, SnapshotWriter},
        transaction::SnapshotHeader,
    },
};

/// The time that a checkpoint waits for readers. It is longer than the deadline of a query, so only a command such as `store check` can
/// prevent that the log is moved.
const CHECKPOINT_TIMEOUT: Duration = Duration::from_secs(8);

const SCHEMA: &str = include_str!("../../../../schema.sql");

/// Appends snapshots. Only the scanner writes.
#[derive(Debug)]
pub struct LedgerWriter {
    connection: Connection,
    path: PathBuf,
}

impl LedgerWriter {
    /// Opens the ledger. Creates it when the file does not exist, and migrates it when it has an earlier schema version.
    ///
    /// # Errors
    ///
    /// When the path is a folder or cannot be written, or when the file is not a ledger, is damaged, or has a newer schema version.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        Self::open_with_progress(path, |_| ControlFlow::Continue(()))
    }

    /// Opens the ledger and reports the progress of a migration. When the callback cancels the migration, the ledger stays as it was.
    ///
    /// # Errors
    ///
    /// As [`crate::write::writer::LedgerWriter::open`]; [`crate::error::LedgerError::MigrationCancelled`].
    pub fn open_with_progress(
        path: &Path,
        progress: impl FnMut(MigrationProgress) -> ControlFlow<()>,
    ) -> Result<Self, LedgerError> {
        refuse_folder(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|e| classify(path, e))?;
        // SQLite opens a file without write permission for reading, and reports an error only at the first write.
        if connection.is_readonly(rusqlite::MAIN_DB).map_err(|e| classify(path, e))? {
            return Err(LedgerError::Open { path: path.to_owned(), remedy: UNWRITABLE, source: None });
        }
        configure_statements(&connection).map_err(|e| classify(path, e))?;
        let mut writer = Self { connection, path: path.to_owned() };
        writer.prepare(progress)?;
        Ok(writer)
    }

    fn prepare(&mut self, progress: impl FnMut(MigrationProgress) -> ControlFlow<()>) -> Result<(), LedgerError> {
        let fresh = self.is_fresh()?;
        let version = if fresh { SCHEMA_VERSION } else { schema_version(&self.connection, &self.path)? };
        // A copy made by `store backup` is not in WAL mode. The pragmas below change its header, so its checksum would no longer match.
        if version < SCHEMA_VERSION || !self.has_log()? {
            checksum_file::remove(&self.path)?;
        }
        self.connection.execute_batch(sql::WRITER_PRAGMAS).map_err(|e| classify(&self.path, e))?;
        if fresh {
            let script = format!("BEGIN IMMEDIATE; {SCHEMA} COMMIT;");
            return self.connection.execute_batch(&script).map_err(|e| classify(&self.path, e));
        }
        migrate(&mut self.connection, version, progress).map_err(|error| error.at(&self.path))
    }

    /// Whether the file is empty, or a process was killed after it created the file and before it wrote the schema.
    fn is_fresh(&self) -> Result<bool, LedgerError> {
        let unmarked = self.pragma("application_id")? == 0 && self.pragma("user_version")? == 0;
        let objects = self.connection.query_row(sql::COUNT_OBJECTS, [], |row| row.get::<_, i64>(0));
        Ok(unmarked && objects.map_err(|e| classify(&self.path, e))? == 0)
    }

    fn has_log(&self) -> Result<bool, LedgerError> {
        let mode = self.connection.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0));
        mode.map(|mode| mode == "wal").map_err(|e| classify(&self.path, e))
    }

    fn pragma(&self, name: &str) -> Result<i64, LedgerError> {
        self.connection.pragma_query_value(None, name, |row| row.get(0)).map_err(|e| classify(&self.path, e))
    }

    /// Begins a snapshot. The ledger has nothing of it before [`crate::write::snapshot_writer::SnapshotWriter::finish`].
    ///
    /// # Errors
    ///
    /// [`crate::error::LedgerError::Busy`] when another process is writing one.
    pub fn begin_snapshot<'w>(&'w mut self, header: SnapshotHeader<'w>) -> Result<SnapshotWriter<'w>, LedgerError> {
        let path = &self.path;
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|e| classify(path, e))?;
        SnapshotWriter::begin(transaction, header, path.clone()).map_err(|error| error.at(path))
    }

    /// The scopes that have current resources. When an account cannot be reached, these are the scopes that it had.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub fn current_scopes(&self) -> Result<Vec<Scope>, LedgerError> {
        snapshot_writer::list_current_scopes(&self.connection).map_err(|error| error.at(&self.path))
    }

    /// For each scope, the time up to which its creation events were read from CloudTrail.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub fn creators_read_until(&self) -> Result<HashMap<Scope, Timestamp>, LedgerError> {
        creators::load_read_until(&self.connection).map_err(|error| error.at(&self.path))
    }

    /// Moves the write-ahead log into the file, and writes the checksum file. To be called after a snapshot. Waits for running queries;
    /// returns false when one takes too long, and the checkpoint must be tried again later.
    ///
    /// # Errors
    ///
    /// When SQLite cannot write to the file, or the checksum file cannot be written.
    pub fn checkpoint(&self) -> Result<bool, LedgerError> {
        let run = |text| self.connection.query_row(text, [], |row| row.get::<_, i64>(0)).map(|busy| busy == 0);
        let truncate = || {
            run(sql::CHECKPOINT)?;
            self.connection.busy_timeout(CHECKPOINT_TIMEOUT)?;
            let moved = run(sql::TRUNCATE);
            self.connection.busy_timeout(Duration::ZERO)?;
            moved
        };
        let moved = truncate().context(Operation::Checkpoint).map_err(|error| error.at(&self.path))?;
        if moved {
            self.write_checksum()?;
        }
        Ok(moved)
    }

    /// Writes the checksum file while the file is locked. Does nothing when another process has written since the log was moved.
    fn write_checksum(&self) -> Result<(), LedgerError> {
        if self.connection.execute_batch(sql::LOCK).is_err() {
            return Ok(()); // The other writer writes the checksum file.
        }
        let result = if checksum_file::log_bytes(&self.path) == 0 { checksum_file::write(&self.path) } else { Ok(()) };
        self.connection.execute_batch(sql::UNLOCK).map_err(|e| classify(&self.path, e))?;
        result
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) const fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn connection_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}
