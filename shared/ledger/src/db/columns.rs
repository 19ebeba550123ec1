//! Columns of snapshots and of compliance counts.

use jiff::Timestamp;
use rusqlite::Row;

use crate::{
    db::values::parse_time,
    error::LedgerError,
    model::{counts::ComplianceCounts, snapshot::Snapshot},
};

pub(crate) fn read_snapshot(row: &Row<'_>) -> rusqlite::Result<(Snapshot, i64, i64)> {
    let snapshot = Snapshot {
        id: row.get(0)?,
        started_at: Timestamp::UNIX_EPOCH,
        finished_at: Timestamp::UNIX_EPOCH,
        complete: row.get::<_, String>(3)? == "complete",
        policy_digest: row.get(4)?,
        requests: row.get(5)?,
        fingerprint: row.get(6)?,
        narrowed: row.get(7)?,
    };
    Ok((snapshot, row.get(1)?, row.get(2)?))
}

/// Adds the parsed times to a snapshot from [`read_snapshot`].
pub(crate) fn with_times((snapshot, started, finished): (Snapshot, i64, i64)) -> Result<Snapshot, LedgerError> {
    Ok(Snapshot { started_at: parse_time(started)?, finished_at: parse_time(finished)?, ..snapshot })
}

/// Reads the counts of a row of `rollup_cell`. They follow the columns of the scope.
pub(crate) fn read_counts(row: &Row<'_>) -> rusqlite::Result<ComplianceCounts> {
    let mut columns = [0; 11];
    for (index, column) in (3..).zip(&mut columns) {
        *column = row.get(index)?;
    }
    Ok(ComplianceCounts::from_columns(columns))
}
