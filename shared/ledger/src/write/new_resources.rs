//! Writes the resources that the previous snapshot does not have in the scope where they were listed.

use rusqlite::params;

use crate::{
    db::{sql, statements::prepare},
    error::{ErrorContext, LedgerError, Operation},
    model::history::Cause,
    write::{
        pending_inserts::PendingInsert,
        snapshot_state::{SnapshotState, check_same_arn},
        transaction::SnapshotTransaction,
        transitions::{close_previous_scope, open_violations, put_state, record_arrival, update_violations},
    },
};

/// Writes the pending resources when a batch is full. To be called after each scope. After the first snapshot, every scope is a batch,
/// because a scope that is recorded later may have to close the state of a resource that has moved.
pub(crate) fn flush_if_full(state: &mut SnapshotState<'_>) -> Result<(), LedgerError> {
    let is_first_snapshot = state.snapshot.previous == 0;
    if is_first_snapshot && !state.pending.is_batch_full() { Ok(()) } else { flush(state) }
}

/// Writes all pending resources.
pub(crate) fn flush(state: &mut SnapshotState<'_>) -> Result<(), LedgerError> {
    let SnapshotState { snapshot, pending, changes, .. } = state;
    let mut inserts = pending.drain_sorted();
    let mut added = add_resources(snapshot, &inserts)?.into_iter();
    let returned: Vec<_> = inserts.extract_if(.., |_| added.next() == Some(false)).collect();
    add_states(snapshot, &inserts)?;
    for insert in &inserts {
        record_arrival(snapshot, changes, insert.key, false)?;
        open_violations(snapshot, changes, insert.ids, insert.key, &insert.findings.ids)?;
    }
    returned.iter().try_for_each(|insert| write_again(state, insert))
}

/// Adds rows to `resource`. Returns for each insert whether the ledger did not have the resource.
fn add_resources(snapshot: &SnapshotTransaction<'_>, inserts: &[PendingInsert]) -> Result<Vec<bool>, LedgerError> {
    let mut add = prepare(snapshot.connection(), sql::ADD_RESOURCE)?;
    let mut add_one = |PendingInsert { ids, key, local, created, .. }: &PendingInsert| {
        let columns = params![key, ids.account, ids.region, ids.resource_type, local, created, snapshot.id];
        add.execute(columns).map(|rows| rows == 1)
    };
    inserts.iter().map(&mut add_one).collect::<Result<_, _>>().context(Operation::WriteSnapshot)
}

fn add_states(snapshot: &SnapshotTransaction<'_>, inserts: &[PendingInsert]) -> Result<(), LedgerError> {
    let mut add = prepare(snapshot.connection(), sql::ADD_CURRENT)?;
    inserts.iter().try_for_each(|PendingInsert { ids, key, state, .. }| state.write(&mut add, snapshot.id, *ids, *key))
}

/// Writes a resource that the ledger already has: it returned, it moved, or it was listed in another scope of this snapshot.
fn write_again(state: &mut SnapshotState<'_>, insert: &PendingInsert) -> Result<(), LedgerError> {
    let SnapshotState { snapshot, prior, rollups, scopes, changes, .. } = state;
    let PendingInsert { ids, key, created, .. } = *insert;
    check_stored_arn(snapshot, key, &insert.local)?;
    snapshot.run(sql::REPLACE_RESOURCE, params![key, ids.account, ids.region, ids.resource_type, created])?;
    if !close_previous_scope(snapshot, prior, rollups, scopes, changes, key, ids)? {
        record_arrival(snapshot, changes, key, true)?;
    }
    put_state(snapshot, ids, key, &insert.state)?;
    update_violations(snapshot, changes, ids, key, &insert.findings.ids, Cause::Removed)
}

fn check_stored_arn(snapshot: &SnapshotTransaction<'_>, key: i64, local: &str) -> Result<(), LedgerError> {
    let stored: String = prepare(snapshot.connection(), sql::LOCAL_OF_RESOURCE)?
        .query_row([key], |row| row.get(0))
        .context(Operation::WriteSnapshot)?;
    check_same_arn(key, &stored, local)
}
