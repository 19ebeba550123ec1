//! Finds snapshots by time.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use crate::{
    db::{
        columns::{read_snapshot, with_times},
        sql,
        statements::prepare,
    },
    error::{ErrorContext, LedgerError, Operation},
    model::snapshot::Snapshot,
};

/// The newest retained snapshot that began before a time.
pub(crate) fn load_snapshot_before(db: &Connection, moment: Timestamp) -> Result<Option<Snapshot>, LedgerError> {
    let found = prepare(db, sql::SNAPSHOT_BEFORE)?.query_row([moment.as_second()], read_snapshot).optional();
    found.context(Operation::ReadSnapshots)?.map(with_times).transpose()
}
