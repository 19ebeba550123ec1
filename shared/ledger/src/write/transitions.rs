//! How resources and their violations change from the previous snapshot to the one that is being written.

use std::collections::BTreeSet;

use rusqlite::{Row, params};
use tagledger_model::resource_types::{ResourceType, arn_shape::ArnScope};
use tagledger_policy::{Severity, State};

use crate::{
    db::{
        interned,
        resource_state::{ChangeKind, EvaluatedState, ResourceState, read_state, with_reason},
        sql,
        statements::{prepare, query_rows},
    },
    error::{ErrorContext, LedgerError, Operation},
    model::{history::Cause, scope_ids::ScopeIds, snapshot::ScopeRow},
    write::{
        change_log::ChangeLog,
        prior_state::{PriorState, RecordedResources},
        rollups::RollupBuilder,
        scope_log::ScopeLog,
        transaction::SnapshotTransaction,
    },
};

pub(crate) fn record_arrival(
    snapshot: &SnapshotTransaction<'_>,
    changes: &mut ChangeLog,
    key: i64,
    returned: bool,
) -> Result<(), LedgerError> {
    changes.count_arrival(returned);
    // In the first snapshot every resource is new, so the rows are not needed.
    if snapshot.id == 1 { Ok(()) } else { snapshot.run(sql::ADD_ARRIVAL, params![snapshot.id, key, returned]) }
}

/// Closes the state of a resource in another scope, because the resource is now in scope `new`. Returns whether there was such a
/// state.
///
/// A bucket can be deleted and created again in another region or account. Its previous scope can be recorded before or after the new
/// one. When it was recorded before, the bucket was counted there as removed, or as stale because it was not listed.
pub(crate) fn close_previous_scope(
    snapshot: &SnapshotTransaction<'_>,
    prior: &mut PriorState,
    rollups: &mut RollupBuilder<'_>,
    scopes: &mut ScopeLog,
    changes: &mut ChangeLog,
    key: i64,
    new: ScopeIds,
) -> Result<bool, LedgerError> {
    prior.remove(key);
    // A regional ARN contains the region and the account, so the resource cannot move.
    let is_global = |kind: &ResourceType| kind.spec().arn.scope == ArnScope::Global;
    if !scopes.dimensions().types.get(&new.resource_type).is_some_and(is_global) {
        return Ok(false);
    }
    let columns = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, ScopeIds::read(row, 1)?, read_state(row, 4)?));
    let Some((since, ids, state)) = query_rows(snapshot.connection(), sql::CURRENT_STATE, [key], columns)?.pop() else {
        return correct_to_moved(snapshot, changes, key, ChangeKind::Removed);
    };
    if scopes.is_recorded(ids) {
        rollups.subtract(snapshot.connection(), ids, key, with_reason(state)?)?;
        scopes.decrement_stale(snapshot, ids)?;
    }
    if since < snapshot.id {
        close_state(snapshot, changes, key, ChangeKind::Moved)?;
        return Ok(true);
    }
    correct_to_moved(snapshot, changes, key, ChangeKind::Lost)
}

/// Changes the reason why a state ended in this snapshot to `Moved`. Returns whether there was such a state.
fn correct_to_moved(
    snapshot: &SnapshotTransaction<'_>,
    changes: &mut ChangeLog,
    key: i64,
    recorded: ChangeKind,
) -> Result<bool, LedgerError> {
    let columns = params![snapshot.id, key, recorded.number(), ChangeKind::Moved.number()];
    let changed =
        prepare(snapshot.connection(), sql::CORRECT_CHANGE_KIND)?.execute(columns).context(Operation::WriteSnapshot)?;
    if changed == 1 {
        changes.recount(recorded, ChangeKind::Moved);
    }
    Ok(changed == 1)
}

pub(crate) fn record_change(
    snapshot: &SnapshotTransaction<'_>,
    changes: &mut ChangeLog,
    ids: ScopeIds,
    key: i64,
    before: &ResourceState,
    after: &EvaluatedState,
) -> Result<(), LedgerError> {
    let state = &after.state;
    close_state(snapshot, changes, key, ChangeKind::between(before, state))?;
    put_state(snapshot, ids, key, state)?;
    if state.state == State::Unknown {
        return snapshot.run(sql::MARK_VIOLATIONS_UNSEEN, params![key, snapshot.previous]);
    }
    // With the same tags, only another policy or program can give another evaluation: the violation was not fixed.
    let cause = if before.same_tags(state) { Cause::Policy } else { Cause::Fixed };
    update_violations(snapshot, changes, ids, key, &after.findings.ids, cause)
}

/// Closes the violations whose rule is not among `rules`, and opens those that are not open yet.
pub(crate) fn update_violations(
    snapshot: &SnapshotTransaction<'_>,
    changes: &mut ChangeLog,
    ids: ScopeIds,
    key: i64,
    rules: &[i64],
    cause: Cause,
) -> Result<(), LedgerError> {
    let open = list_open_violations(snapshot, key)?;
    for violation in open.iter().filter(|(rule, _)| !rules.contains(rule)) {
        close_violation(snapshot, changes, ids, key, *violation, cause)?;
    }
    snapshot.run(sql::MARK_VIOLATIONS_SEEN, params![key])?;
    let new: BTreeSet<i64> =
        rules.iter().copied().filter(|rule| !open.iter().any(|(recorded, _)| recorded == rule)).collect();
    for rule in new {
        let reopened = prepare(snapshot.connection(), sql::VIOLATION_CLOSED_BEFORE)?
            .exists([key, rule])
            .context(Operation::WriteSnapshot)?;
        open_violation(snapshot, changes, ids, key, rule, reopened)?;
    }
    Ok(())
}

/// The rules that a resource violates, each with the snapshot that opened the violation.
fn list_open_violations(snapshot: &SnapshotTransaction<'_>, key: i64) -> Result<Vec<(i64, i64)>, LedgerError> {
    query_rows(snapshot.connection(), sql::OPEN_VIOLATIONS, [key], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Opens the violations of a resource that the ledger did not have before.
pub(crate) fn open_violations(
    snapshot: &SnapshotTransaction<'_>,
    changes: &mut ChangeLog,
    ids: ScopeIds,
    key: i64,
    rules: &[i64],
) -> Result<(), LedgerError> {
    let distinct: BTreeSet<i64> = rules.iter().copied().collect();
    distinct.into_iter().try_for_each(|rule| open_violation(snapshot, changes, ids, key, rule, false))
}

fn open_violation(
    snapshot: &SnapshotTransaction<'_>,
    changes: &mut ChangeLog,
    ids: ScopeIds,
    key: i64,
    rule: i64,
    reopened: bool,
) -> Result<(), LedgerError> {
    changes.violations.count_opened((rule, ids.resource_type), reopened);
    snapshot.run(sql::OPEN_VIOLATION, params![key, rule, snapshot.id])
}

fn close_violation(
    snapshot: &SnapshotTransaction<'_>,
    changes: &mut ChangeLog,
    ids: ScopeIds,
    key: i64,
    (rule, opened): (i64, i64),
    cause: Cause,
) -> Result<(), LedgerError> {
    changes.violations.count_closed((rule, ids.resource_type), cause);
    if cause == Cause::Fixed && interned::read_rule(snapshot.connection(), rule)?.severity == Severity::Error {
        changes.violations.count_days_to_fix(snapshot, opened)?;
    }
    snapshot.run(sql::CLOSE_VIOLATION, params![key, rule, snapshot.id, cause.as_str(), snapshot.previous])
}

/// Handles the resources that the ledger has in a scope and that the scan did not list. When the complete list was read, they were
/// removed; otherwise they stay in the ledger as stale.
pub(crate) fn mark_unseen(
    snapshot: &SnapshotTransaction<'_>,
    rollups: &mut RollupBuilder<'_>,
    changes: &mut ChangeLog,
    ids: ScopeIds,
    mut unseen: RecordedResources,
    row: &mut ScopeRow,
) -> Result<(), LedgerError> {
    let reason = if row.listed_all { None } else { row.gap.as_ref().map(|gap| gap.reason) };
    for key in unseen.keys() {
        let Some(reason) = reason else {
            end(snapshot, changes, ids, key, ChangeKind::Removed)?;
            continue;
        };
        let Some(resource) = unseen.remove(key)? else { continue };
        row.stale += 1;
        let before = resource.state;
        let after = EvaluatedState::unevaluated(ResourceState::unknown(reason, Some(&before)));
        rollups.count(snapshot.connection(), ids, key, &after)?;
        rollups.usage.count(ids, before.context.usage, after.attributable)?;
        if !before.is_unchanged(&after.state) {
            record_change(snapshot, changes, ids, key, &before, &after)?;
        }
    }
    Ok(())
}

/// Ends the current state of a resource without a new one.
pub(crate) fn end(
    snapshot: &SnapshotTransaction<'_>,
    changes: &mut ChangeLog,
    ids: ScopeIds,
    key: i64,
    kind: ChangeKind,
) -> Result<(), LedgerError> {
    close_state(snapshot, changes, key, kind)?;
    snapshot.run(sql::DROP_CURRENT, params![key])?;
    if kind == ChangeKind::LeftScope {
        // The scope was not scanned, so the violation may still be there.
        return snapshot.run(sql::MARK_VIOLATIONS_UNSEEN, params![key, snapshot.previous]);
    }
    let open = list_open_violations(snapshot, key)?;
    open.into_iter().try_for_each(|violation| close_violation(snapshot, changes, ids, key, violation, Cause::Removed))
}

fn close_state(
    snapshot: &SnapshotTransaction<'_>,
    changes: &mut ChangeLog,
    key: i64,
    kind: ChangeKind,
) -> Result<(), LedgerError> {
    changes.count(kind);
    snapshot.run(sql::ADD_ENDED_STATE, params![key, snapshot.id, kind.number()])
}

pub(crate) fn put_state(
    snapshot: &SnapshotTransaction<'_>,
    ids: ScopeIds,
    key: i64,
    state: &ResourceState,
) -> Result<(), LedgerError> {
    state.write(&mut *prepare(snapshot.connection(), sql::PUT_CURRENT)?, snapshot.id, ids, key)
}
