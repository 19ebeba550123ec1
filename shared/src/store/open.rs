//! Opening the file: pragmas, version, and errors that say what to do.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, config::DbConfig};

use super::{
    APPLICATION_ID, Attempt, Night, NightHeader, SCHEMA_VERSION, StoreError, UpgradeProgress, is_full, night, seal,
    sql, upgrade::upgrade,
};
use crate::inventory::Scope;

const UNWRITABLE: &str = "it cannot be written; check the permissions of the file and its folder";

/// More than there are in `sql`.
const STATEMENTS: usize = 256;

/// How long the log waits for those who read: longer than any question may take, so that only an operator's long reading
/// keeps it from being moved.
const PATIENCE: Duration = Duration::from_secs(8);

const SCHEMA: &str = include_str!("../../../schema.sql");

/// Appends nights. Belongs to the scanner.
#[derive(Debug)]
pub struct Writer {
    connection: Connection,
    path: PathBuf,
}

impl Writer {
    /// Opens the ledger, or makes it when there is none. One of an earlier schema version is upgraded.
    ///
    /// # Errors
    ///
    /// When the path is a folder, cannot be written, holds something else, a damaged or a newer ledger.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_upgrading(path, |_| ControlFlow::Continue(()))
    }

    /// The same, telling how far the upgrade of a ledger of an earlier version has come. Who hears it may end the upgrade;
    /// the ledger is then as it was.
    ///
    /// # Errors
    ///
    /// As [`Writer::open`]; [`StoreError::UpgradeEnded`].
    pub fn open_upgrading(
        path: &Path,
        progress: impl FnMut(UpgradeProgress) -> ControlFlow<()>,
    ) -> Result<Self, StoreError> {
        refuse_folder(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|e| classify(path, e))?;
        // SQLite opens for reading what it may not write, and would tell so only when the scan is over.
        if connection.is_readonly(rusqlite::MAIN_DB).map_err(|e| classify(path, e))? {
            return Err(StoreError::Open { path: path.to_owned(), remedy: UNWRITABLE, source: None });
        }
        keep_statements(&connection).map_err(|e| classify(path, e))?;
        let mut writer = Self { connection, path: path.to_owned() };
        writer.prepare(progress)?;
        Ok(writer)
    }

    fn prepare(&mut self, progress: impl FnMut(UpgradeProgress) -> ControlFlow<()>) -> Result<(), StoreError> {
        let fresh = self.is_fresh()?;
        let version = if fresh { SCHEMA_VERSION } else { schema_version(&self.connection, &self.path)? };
        // A copy has no log yet, and its header says so.
        if version < SCHEMA_VERSION || !self.has_log()? {
            seal::remove(&self.path)?;
        }
        self.connection.execute_batch(sql::WRITER_PRAGMAS).map_err(|e| classify(&self.path, e))?;
        if fresh {
            let script = format!("BEGIN IMMEDIATE; {SCHEMA} COMMIT;");
            return self.connection.execute_batch(&script).map_err(|e| classify(&self.path, e));
        }
        upgrade(&mut self.connection, version, progress).map_err(|error| error.at(&self.path))
    }

    /// Empty, or left without a schema by a process that was killed between making the file and filling it.
    fn is_fresh(&self) -> Result<bool, StoreError> {
        let unmarked = self.pragma("application_id")? == 0 && self.pragma("user_version")? == 0;
        let objects = self.connection.query_row(sql::COUNT_OBJECTS, [], |row| row.get::<_, i64>(0));
        Ok(unmarked && objects.map_err(|e| classify(&self.path, e))? == 0)
    }

    fn has_log(&self) -> Result<bool, StoreError> {
        let mode = self.connection.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0));
        mode.map(|mode| mode == "wal").map_err(|e| classify(&self.path, e))
    }

    fn pragma(&self, name: &str) -> Result<i64, StoreError> {
        self.connection.pragma_query_value(None, name, |row| row.get(0)).map_err(|e| classify(&self.path, e))
    }

    /// Begins a night; nothing of it is in the ledger until [`Night::finish`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] when another process is writing one.
    pub fn begin<'w>(&'w mut self, header: NightHeader<'w>) -> Result<Night<'w>, StoreError> {
        let path = &self.path;
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|e| classify(path, e))?;
        Night::begin(transaction, header, path.clone()).map_err(|error| error.at(path))
    }

    /// The scopes in which resources are known to live: what an account that cannot be reached today had.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub fn known_scopes(&self) -> Result<Vec<Scope>, StoreError> {
        night::known_scopes(&self.connection).map_err(|error| error.at(&self.path))
    }

    /// Moves the write-ahead log into the file, and seals the file. To be called after a night. Waits for questions under
    /// way; false when somebody reads for longer than that, and it is to be tried again later.
    ///
    /// # Errors
    ///
    /// When SQLite cannot write to the file, or the seal cannot be written.
    pub fn checkpoint(&self) -> Result<bool, StoreError> {
        let moved = |text| self.connection.query_row(text, [], |row| row.get::<_, i64>(0)).map(|busy| busy == 0);
        let patiently = || {
            moved(sql::CHECKPOINT)?;
            self.connection.busy_timeout(PATIENCE)?;
            let moved = moved(sql::TRUNCATE);
            self.connection.busy_timeout(Duration::ZERO)?;
            moved
        };
        let moved = patiently().attempt("move its log into the file").map_err(|error| error.at(&self.path))?;
        if moved {
            self.seal()?;
        }
        Ok(moved)
    }

    /// Seals the file while nobody can change it; not at all when somebody did since its log was moved.
    fn seal(&self) -> Result<(), StoreError> {
        if self.connection.execute_batch(sql::LOCK).is_err() {
            return Ok(()); // whoever has begun to write will seal it
        }
        let sealed = if seal::log_bytes(&self.path) == 0 { seal::put(&self.path) } else { Ok(()) };
        self.connection.execute_batch(sql::UNLOCK).map_err(|e| classify(&self.path, e))?;
        sealed
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) const fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn connection_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

/// Opens an existing ledger for reading only.
pub(super) fn open_read_only(path: &Path) -> Result<Connection, StoreError> {
    refuse_folder(path)?;
    if !path.exists() {
        return Err(StoreError::Missing { path: path.to_owned() });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|e| classify(path, e))?;
    keep_statements(&connection).map_err(|e| classify(path, e))?;
    connection.execute_batch(sql::READER_PRAGMAS).map_err(|e| classify(path, e))?;
    check_identity(&connection, path)?;
    Ok(connection)
}

/// No statement is prepared twice: neither because others were meanwhile, nor because its parameters are other ones, for
/// which SQLite would look for another plan.
fn keep_statements(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

fn refuse_folder(path: &Path) -> Result<(), StoreError> {
    let remedy = "it is a folder; name a file, such as tagledger.sqlite in that folder";
    if path.is_dir() { Err(StoreError::Open { path: path.to_owned(), remedy, source: None }) } else { Ok(()) }
}

fn check_identity(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let found = schema_version(connection, path)?;
    if found == SCHEMA_VERSION { Ok(()) } else { Err(StoreError::Older { path: path.to_owned(), found }) }
}

/// The version of a ledger that this build can read, perhaps after an upgrade.
fn schema_version(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    let pragma = |name: &str| -> Result<i64, StoreError> {
        connection.pragma_query_value(None, name, |row| row.get(0)).map_err(|e| classify(path, e))
    };
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    match version {
        _ if application != APPLICATION_ID => {
            let remedy = "it is some other program's database; name another file with --store";
            Err(StoreError::Open { path: path.to_owned(), remedy, source: None })
        }
        1..=SCHEMA_VERSION => Ok(version),
        found => Err(StoreError::Newer { path: path.to_owned(), found }),
    }
}

/// Turns what SQLite says about a file into what a person can do about it.
pub(super) fn classify(path: &Path, source: rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    let open = |remedy, source| StoreError::Open { path: path.clone(), remedy, source: Some(source) };
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy { path },
        Some(ErrorCode::NotADatabase) => open("it is not a ledger; name another file with --store", source),
        Some(ErrorCode::DatabaseCorrupt) => StoreError::Damaged { path, source },
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => open(UNWRITABLE, source),
        Some(ErrorCode::CannotOpen) => open("check that its folder exists and can be written", source),
        _ if is_full(&source) => StoreError::Full(source),
        _ => open("SQLite refuses it", source),
    }
}
