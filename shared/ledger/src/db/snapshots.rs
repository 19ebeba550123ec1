//! Finds snapshots by time.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use crate::{
    db::{
        columns::{dated, snapshot_columns},
        sql,
        statements::statement,
    },
    error::{ErrorContext, LedgerError, Operation},
    model::snapshot::Snapshot,
};

/// The newest retained snapshot that began before a time.
pub(crate) fn snapshot_before(db: &Connection, moment: Timestamp) -> Result<Option<Snapshot>, LedgerError> {
    let found = statement(db, sql::SNAPSHOT_BEFORE)?.query_row([moment.as_second()], snapshot_columns).optional();
    found.context(Operation::ReadSnapshots)?.map(dated).transpose()
}
