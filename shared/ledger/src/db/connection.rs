//! Opens the file, and checks that it is a ledger of this schema version.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig};

use crate::{
    db::sql,
    error::{LedgerError, is_full},
    file_format::{APPLICATION_ID, SCHEMA_VERSION},
};

pub(crate) const UNWRITABLE: &str = "it cannot be written; check the permissions of the file and its folder";

/// More than the number of statements in `sql`, so that none is prepared twice.
const STATEMENT_CACHE_CAPACITY: usize = 256;

/// Opens an existing ledger for reading only.
pub(crate) fn open_read_only(path: &Path) -> Result<Connection, LedgerError> {
    refuse_folder(path)?;
    if !path.exists() {
        return Err(LedgerError::Missing { path: path.to_owned() });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|e| classify(path, e))?;
    configure_statements(&connection).map_err(|e| classify(path, e))?;
    connection.execute_batch(sql::READER_PRAGMAS).map_err(|e| classify(path, e))?;
    check_identity(&connection, path)?;
    Ok(connection)
}

/// Prevents that a statement is prepared twice. The cache has room for all statements, and the query planner does not use the values of
/// parameters, which would make it prepare a statement again.
pub(crate) fn configure_statements(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE_CAPACITY);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

pub(crate) fn refuse_folder(path: &Path) -> Result<(), LedgerError> {
    let remedy = "it is a folder; name a file, such as tagledger.sqlite in that folder";
    if path.is_dir() { Err(LedgerError::Open { path: path.to_owned(), remedy, source: None }) } else { Ok(()) }
}

fn check_identity(connection: &Connection, path: &Path) -> Result<(), LedgerError> {
    let found = schema_version(connection, path)?;
    if found == SCHEMA_VERSION { Ok(()) } else { Err(LedgerError::Older { path: path.to_owned(), found }) }
}

/// The schema version of a ledger, which this build can read or migrate.
pub(crate) fn schema_version(connection: &Connection, path: &Path) -> Result<i64, LedgerError> {
    let pragma = |name: &str| -> Result<i64, LedgerError> {
        connection.pragma_query_value(None, name, |row| row.get(0)).map_err(|e| classify(path, e))
    };
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    match version {
        _ if application != APPLICATION_ID => {
            let remedy = "it is the database of another program; name another file with --store";
            Err(LedgerError::Open { path: path.to_owned(), remedy, source: None })
        }
        1..=SCHEMA_VERSION => Ok(version),
        found => Err(LedgerError::Newer { path: path.to_owned(), found }),
    }
}

/// Adds to an error of SQLite what the operator can do.
pub(crate) fn classify(path: &Path, source: rusqlite::Error) -> LedgerError {
    let path = path.to_owned();
    let open = |remedy, source| LedgerError::Open { path: path.clone(), remedy, source: Some(source) };
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => LedgerError::Busy { path },
        Some(ErrorCode::NotADatabase) => open("it is not a ledger; name another file with --store", source),
        Some(ErrorCode::DatabaseCorrupt) => LedgerError::Damaged { path, source },
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => open(UNWRITABLE, source),
        Some(ErrorCode::CannotOpen) => open("check that its folder exists and can be written", source),
        _ if is_full(&source) => LedgerError::Full(source),
        _ => open("SQLite reports an error", source),
    }
}
