//! What the newest snapshot knows of one resource.

use std::collections::BTreeMap;

use serde::Serialize;
use tagledger_ledger::{
    Filter, ReadSession, Snapshot,
    query::{resource_by_arn, spend},
    write::creators,
};
use tagledger_model::{Arn, epoch_day::day_of};
use tagledger_policy::State;

use crate::{
    auth::account_scope::AccountScope,
    error::ToolFailure,
    tools::common::{
        envelope::{Answer, AsOf, Coverage, PolicyUsed},
        resource_cost,
        resource_identity::Identity,
        violation::{Problem, list_problems},
    },
    untrusted_text::escape,
};

#[derive(Debug, Serialize)]
pub(crate) struct McpResource {
    #[serde(flatten)]
    identity: Identity,
    state: State,
    /// What is wrong with it; nothing where it is not judged.
    findings: Vec<Problem>,
    /// What it costs a month; null when that is not known.
    monthly_cost: Option<f64>,
    /// `resource_charges`, `share_of_instance_hours` or `share_of_volume_size`; null when it is not known.
    cost_source: Option<&'static str>,
    /// Untrusted text, keys and values.
    tags: BTreeMap<String, String>,
    /// When AWS says it was created; null where AWS does not say.
    created_at: Option<String>,
    /// The principal that CloudTrail names as its creator. Untrusted text; null where that is not known.
    created_by: Option<String>,
    /// Date of the first snapshot that saw it.
    first_seen: String,
}

/// None when the snapshot has no such resource, or the caller may not know of it.
pub(crate) fn answer(
    view: &ReadSession<'_>,
    snapshot: &Snapshot,
    arn: &Arn,
    reach: &AccountScope,
) -> Result<Option<Answer<McpResource>>, ToolFailure> {
    let found = resource_by_arn::find_resources(view, snapshot, std::slice::from_ref(arn))?;
    let Some(row) = found.into_iter().find(|row| reach.has(&row.scope.account)) else { return Ok(None) };
    let here = Filter {
        types: vec![row.scope.resource_type],
        regions: vec![row.scope.region.clone()],
        accounts: vec![row.scope.account.clone()],
    };
    let policy = view.policy(snapshot)?;
    let costs = spend::find_cost_basis(view, snapshot)?.is_some_and(|basis| !basis.types.is_empty());
    let (monthly_cost, cost_source) = resource_cost::monthly_cost(&row, costs);
    let judged = matches!(row.state, State::Compliant | State::NonCompliant);
    let body = McpResource {
        identity: Identity::from_row(&row),
        state: row.state,
        findings: if judged { list_problems(&row, &policy, snapshot) } else { Vec::new() },
        monthly_cost,
        cost_source,
        tags: row.tags.iter().map(|(key, value)| (escape(key), escape(value))).collect(),
        created_at: row.created_at.map(|at| at.to_string()),
        created_by: creators::find_creator(view, arn)?.map(|principal| escape(&principal)),
        first_seen: day_of(row.first_seen).to_string(),
    };
    Ok(Some(Answer {
        body,
        as_of: AsOf::from_snapshot(snapshot),
        policy: PolicyUsed::from_policy(&policy),
        coverage: Coverage::load(view, snapshot, &here)?,
        notes: vec![resource_cost::describe_basis(view, snapshot, &here, "monthly_cost")?],
    }))
}
