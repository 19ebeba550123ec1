//! Checks that a SQLite file is an audit log.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, ErrorCode};

use crate::error::{AuditError, Operation};

/// Marks a file as an audit log, as SQLite's `application_id`: "TAGA".
pub(crate) const APPLICATION_ID: i32 = 0x5441_4741;

/// The version of the schema, as SQLite's `user_version`.
pub(crate) const SCHEMA_VERSION: i32 = 1;

/// How long a statement waits for another process that has locked the file.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// Checks application id and schema version.
pub(crate) fn check_identity(connection: &Connection, path: &Path) -> Result<(), AuditError> {
    let read = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let found = read("application_id").and_then(|id| Ok((id, read("user_version")?)));
    match found {
        Ok((APPLICATION_ID, SCHEMA_VERSION)) => Ok(()),
        Ok(_) => Err(AuditError::Foreign { path: path.to_owned() }),
        Err(source) => Err(classify_open_error(path, source)),
    }
}

/// SQLite reports a file of another format only when it reads the file for the first time.
pub(crate) fn classify_open_error(path: &Path, source: rusqlite::Error) -> AuditError {
    if source.sqlite_error_code() == Some(ErrorCode::NotADatabase) {
        return AuditError::Foreign { path: path.to_owned() };
    }
    AuditError::Failed { path: path.to_owned(), operation: Operation::Open, source }
}
