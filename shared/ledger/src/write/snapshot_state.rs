//! Evaluates the listed resources of a scan, compares them with the previous snapshot, and stores the changes.

use std::{collections::HashSet, path::PathBuf, sync::Arc};

use jiff::Timestamp;
use rusqlite::Transaction;
use tagledger_model::inventory::{Resource, Scope, Tags};
use tagledger_policy::{Finding, Severity, State, Subject, ViolationType};

use crate::{
    db::{
        dimensions::strip_scope,
        interned::NAME,
        resource_state::{EvaluatedState, ResourceContext, ResourceState},
    },
    error::LedgerError,
    model::{attributable::Attributable, findings::Findings, scope_ids::ScopeIds},
    write::{
        change_log::ChangeLog,
        interner::{InternedTags, Interner},
        pending_inserts::{PendingInsert, PendingInserts},
        prior_state::{PriorState, RecordedResource},
        rollups::RollupBuilder,
        scope_log::ScopeLog,
        transaction::{SnapshotHeader, SnapshotTransaction},
        transitions, usage_totals,
    },
};

/// The transaction of a snapshot, the resources of the previous snapshot, and the changes so far.
pub(crate) struct SnapshotState<'w> {
    pub(crate) snapshot: SnapshotTransaction<'w>,
    pub(crate) prior: PriorState,
    pub(crate) rollups: RollupBuilder<'w>,
    pub(crate) pending: PendingInserts,
    pub(crate) scopes: ScopeLog,
    pub(crate) changes: ChangeLog,
}

/// A resource of a listing.
pub(crate) struct ListedResource<'r> {
    pub(crate) key: i64,
    pub(crate) resource: &'r Resource,
    pub(crate) context: ResourceContext,
}

impl<'w> SnapshotState<'w> {
    pub(crate) fn begin(
        transaction: Transaction<'w>,
        header: SnapshotHeader<'w>,
        path: PathBuf,
    ) -> Result<Self, LedgerError> {
        let snapshot = SnapshotTransaction::begin(transaction, header, path)?;
        let db = snapshot.connection();
        Ok(Self {
            prior: PriorState::load(db)?,
            rollups: RollupBuilder::new(header.policy, Interner::load(db)?),
            pending: PendingInserts::default(),
            scopes: ScopeLog::load(db)?,
            changes: ChangeLog::default(),
            snapshot,
        })
    }
}

/// Evaluates and counts a resource, and stores its changes since the previous snapshot.
pub(crate) fn apply_observation(
    snapshot_state: &mut SnapshotState<'_>,
    ids: ScopeIds,
    scope: &Scope,
    listed: &ListedResource<'_>,
    recorded: Option<RecordedResource<'_>>,
) -> Result<(), LedgerError> {
    let SnapshotState { snapshot, rollups, pending, scopes, changes, .. } = snapshot_state;
    let ListedResource { key, resource, context } = *listed;
    let local = strip_scope(&resource.arn, scope, scopes.partition(ids, scope)?);
    if let Some(recorded) = &recorded {
        check_same_arn(key, recorded.local, local)?;
    }
    let before = recorded.map(|recorded| recorded.state);
    let mut after = evaluate(snapshot, rollups, scope, resource, before.as_ref())?;
    after.state.context = context;
    rollups.count(snapshot.connection(), ids, key, &after)?;
    rollups.usage.count(ids, context.usage, after.attributable)?;
    if let (Tags::Known(tags), Some(set)) = (&resource.tags, after.state.tag_set) {
        rollups.count_tags(snapshot.connection(), set, tags, after.state.state)?;
    }
    match before {
        Some(before) if before.is_unchanged(&after.state) => {
            if before.context == context {
                Ok(())
            } else {
                usage_totals::update_context(snapshot, key, context)
            }
        }
        Some(before) => transitions::record_change(snapshot, changes, ids, key, &before, &after),
        None => {
            let created = resource.created_at.map(Timestamp::as_second);
            let EvaluatedState { state, findings, .. } = after;
            pending.push(PendingInsert { ids, key, local: local.to_owned(), created, state, findings });
            Ok(())
        }
    }
}

/// Evaluates a resource, or takes the findings of the previous snapshot when nothing that they depend on has changed.
fn evaluate(
    snapshot: &SnapshotTransaction<'_>,
    rollups: &mut RollupBuilder<'_>,
    scope: &Scope,
    resource: &Resource,
    before: Option<&ResourceState>,
) -> Result<EvaluatedState, LedgerError> {
    let db = snapshot.connection();
    let tags = match &resource.tags {
        Tags::Unknown(gap) => {
            return Ok(EvaluatedState::unevaluated(ResourceState::unknown(gap.reason, before)));
        }
        Tags::Known(tags) => Some(tags),
        Tags::Untaggable => None,
    };
    let previous = before.and_then(|before| before.tag_set);
    let interned = tags.map(|tags| rollups.interner.intern_tag_set(db, tags, previous)).transpose()?;
    let name = tags.and_then(|tags| tags.get(NAME));
    let is_reusable = |before: &&ResourceState| {
        let same_tags = before.tag_set == interned.map(|set| set.id) && before.name.as_deref() == name;
        snapshot.policy_unchanged && same_tags && before.state != State::Unknown
    };
    let (state, findings) = match before.filter(is_reusable) {
        Some(before) => (before.clone(), rollups.interner.load_findings(db, before.finding_set)?),
        None => evaluate_again(snapshot, &mut rollups.interner, scope, resource, interned)?,
    };
    let attributable = Attributable::from_findings(state.state, snapshot.header.policy, &findings.rules);
    Ok(EvaluatedState { state, tags_hash: interned.map(|set| set.hash), findings, attributable })
}

fn evaluate_again(
    snapshot: &SnapshotTransaction<'_>,
    interner: &mut Interner,
    scope: &Scope,
    resource: &Resource,
    interned: Option<InternedTags>,
) -> Result<(ResourceState, Arc<Findings>), LedgerError> {
    let tags = if let Tags::Known(tags) = &resource.tags { Some(tags) } else { None };
    let subject = Subject { resource_type: scope.resource_type, arn: &resource.arn, tags: &resource.tags };
    let evaluation = snapshot.header.policy.evaluate(&subject, snapshot.day);
    let mut found = evaluation.findings;
    let mut kinds = HashSet::new();
    found.retain(|finding| kinds.insert((finding.code, finding.severity, finding.tag)));
    let rules = interner.intern_rules(snapshot.connection(), &found)?;
    let findings = interner.intern_findings(snapshot.connection(), &rules)?;
    let untagged = tags.is_some_and(|tags| tags.user().next().is_none()) && evaluation.state != State::Exempt;
    let state = ResourceState {
        tag_set: interned.map(|set| set.id),
        name: tags.and_then(|tags| tags.get(NAME)).map(str::to_owned),
        state: evaluation.state,
        reason: None,
        finding_set: findings.id,
        errors: to_count(findings.errors())?,
        missing_required: to_count(count_missing_required(&found))?,
        untagged,
        context: ResourceContext::default(),
    };
    Ok((state, findings))
}

fn to_count(findings: usize) -> Result<u32, LedgerError> {
    u32::try_from(findings).map_err(|_| LedgerError::CountOutOfRange { what: "the number of findings of a resource" })
}

fn count_missing_required(findings: &[Finding<'_>]) -> usize {
    let is_missing = |finding: &&Finding<'_>| {
        finding.severity == Severity::Error && finding.code.violation_type() == ViolationType::MissingRequiredTag
    };
    findings.iter().filter(is_missing).count()
}

/// Checks that a key belongs to one ARN. The ledger would treat two ARNs with one key as one resource, so the snapshot fails.
///
/// # Errors
///
/// [`LedgerError::HashCollision`] when the ARNs differ.
pub(crate) fn check_same_arn(key: i64, stored: &str, listed: &str) -> Result<(), LedgerError> {
    if stored == listed {
        return Ok(());
    }
    Err(LedgerError::HashCollision { what: "resources", hash: key, given: format!("{stored} and {listed}") })
}
