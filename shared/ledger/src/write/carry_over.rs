//! Carries over the scopes that a narrowed scan did not scan.

use tagledger_model::inventory::{Relationships, Resource, Scope, Tags};
use tagledger_policy::State;

use crate::{
    db::{
        dimensions::{build_arn, read_scope},
        interned, sql,
        statements::query_rows,
    },
    error::LedgerError,
    model::{attributable::Attributable, scope_ids::ScopeIds, snapshot::ScopeRow},
    write::{
        prior_state::RecordedResource,
        snapshot_state::{ListedResource, SnapshotState, apply_observation},
    },
};

/// Carries over every scope of the previous snapshot that this one did not record. Findings stay the same, or are evaluated again
/// from the stored tags when the policy or the program is another one, or when the policy depends on the day.
pub(crate) fn carry_over(state: &mut SnapshotState<'_>) -> Result<(), LedgerError> {
    state.scopes.mark_narrowed();
    for columns in query_rows(state.snapshot.connection(), sql::SCOPES, [state.snapshot.previous], read_scope)? {
        let ids = columns.ids;
        if state.scopes.mark_recorded(ids) {
            let row = state.scopes.dimensions().scope_row(columns)?;
            carry_over_scope(state, ids, &row)?;
            state.scopes.add(&state.snapshot, ids, row)?;
        }
    }
    Ok(())
}

fn carry_over_scope(state: &mut SnapshotState<'_>, ids: ScopeIds, row: &ScopeRow) -> Result<(), LedgerError> {
    let mut resources = state.prior.take(ids)?;
    let unchanged = state.snapshot.policy_unchanged;
    if !unchanged {
        state.rollups.usage.begin(ids);
    }
    for key in resources.keys() {
        let Some(recorded) = resources.remove(key)? else { continue };
        if unchanged || recorded.state.state == State::Unknown {
            if !unchanged {
                state.rollups.usage.count(ids, recorded.state.context.usage, Attributable::NotEvaluated)?;
            }
            state.rollups.count_recorded(state.snapshot.connection(), ids, key, recorded.state)?;
        } else {
            let resource = restore_resource(state, ids, &row.scope, &recorded)?;
            let listed = ListedResource { key, resource: &resource, context: recorded.state.context };
            apply_observation(state, ids, &row.scope, &listed, Some(recorded))?;
        }
    }
    Ok(())
}

/// A resource as the ledger has it, to be evaluated again.
fn restore_resource(
    state: &SnapshotState<'_>,
    ids: ScopeIds,
    scope: &Scope,
    recorded: &RecordedResource<'_>,
) -> Result<Resource, LedgerError> {
    let before = &recorded.state;
    let tags = match before.tag_set {
        Some(set) => Tags::Known(interned::read_tags(state.snapshot.connection(), Some(set), before.name.clone())?),
        None => Tags::Untaggable,
    };
    Ok(Resource {
        arn: build_arn(recorded.local, scope, state.scopes.partition(ids, scope)?)?,
        created_at: None,
        tags,
        usage: None,
        links: Relationships::default(),
    })
}
