//! Prepared statements and their rows.

use rusqlite::{Connection, Row};

use crate::error::{ErrorContext, LedgerError, Operation};

/// A prepared statement from the cache.
pub(crate) fn prepare<'c>(sql: &'c Connection, text: &str) -> Result<rusqlite::CachedStatement<'c>, LedgerError> {
    sql.prepare_cached(text).context(Operation::PrepareStatement)
}

/// Reads every row of a statement without parameters.
pub(crate) fn query_all<T>(
    sql: &Connection,
    text: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, LedgerError> {
    query_rows(sql, text, [], read)
}

/// Reads every row of a statement.
pub(crate) fn query_rows<T>(
    sql: &Connection,
    text: &str,
    parameters: impl rusqlite::Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, LedgerError> {
    let mut statement = prepare(sql, text)?;
    let rows = statement.query_map(parameters, read).context(Operation::ReadResources)?;
    rows.collect::<Result<_, _>>().context(Operation::ReadResources)
}
