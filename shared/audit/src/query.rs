//! Reads the audit log.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, params};

use crate::{
    connection::{BUSY_TIMEOUT, check_identity},
    entry::AuditEntry,
    error::{AuditError, Operation},
    sql,
};

/// A filter for entries. The default selects all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Only calls that began at this time or later.
    pub since: Option<Timestamp>,
    /// Only calls of this caller.
    pub caller: Option<String>,
    /// Only calls of this tool.
    pub tool: Option<String>,
    /// At most this many entries, the newest.
    pub limit: Option<u32>,
}

/// Reads the selected entries and passes each to `each`, the oldest first.
///
/// # Errors
///
/// When the file does not exist, cannot be read, or is not an audit log.
pub fn read_audit(path: &Path, query: &AuditQuery, mut each: impl FnMut(AuditEntry)) -> Result<(), AuditError> {
    let failed = |source| AuditError::Failed { path: path.to_owned(), operation: Operation::Read, source };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    check_identity(&connection, path)?;
    let AuditQuery { since, caller, tool, limit } = query;
    let since = since.map_or(i64::MIN, Timestamp::as_millisecond);
    let limit = limit.map_or(-1, i64::from);
    let mut select = connection.prepare(sql::READ).map_err(failed)?;
    let found = select.query_map(params![since, caller, tool, limit], AuditEntry::from_row).map_err(failed)?;
    for entry in found {
        each(entry.map_err(failed)?);
    }
    Ok(())
}
