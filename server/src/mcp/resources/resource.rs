//! The resource `tagledger://resource/{arn}`: one resource in the newest snapshot.

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
    /// The violations; empty when the resource was not evaluated.
    findings: Vec<Problem>,
    /// Monthly cost; null when it is not known.
    monthly_cost: Option<f64>,
    /// `resource_charges`, `share_of_instance_hours` or `share_of_volume_size`; null when it is not known.
    cost_source: Option<&'static str>,
    /// Untrusted text, keys and values.
    tags: BTreeMap<String, String>,
    /// Time of creation; null when AWS does not report it.
    created_at: Option<String>,
    /// The principal that created it, from CloudTrail. Untrusted text; null when it is not known.
    created_by: Option<String>,
    /// Date of the first snapshot that contains it.
    first_seen: String,
}

/// None when the snapshot has no such resource, or the caller may not read its account.
pub(crate) fn answer(
    view: &ReadSession<'_>,
    snapshot: &Snapshot,
    arn: &Arn,
    account_scope: &AccountScope,
) -> Result<Option<Answer<McpResource>>, ToolFailure> {
    let found = resource_by_arn::find_resources(view, snapshot, std::slice::from_ref(arn))?;
    let Some(row) = found.into_iter().find(|row| account_scope.contains(&row.scope.account)) else { return Ok(None) };
    let filter = Filter {
        types: vec![row.scope.resource_type],
        regions: vec![row.scope.region.clone()],
        accounts: vec![row.scope.account.clone()],
    };
    let policy = view.policy(snapshot)?;
    let costs = spend::find_cost_basis(view, snapshot)?.is_some_and(|basis| !basis.types.is_empty());
    let (monthly_cost, cost_source) = resource_cost::monthly_cost(&row, costs);
    let is_evaluated = matches!(row.state, State::Compliant | State::NonCompliant);
    let body = McpResource {
        identity: Identity::from_row(&row),
        state: row.state,
        findings: if is_evaluated { list_problems(&row, &policy, snapshot) } else { Vec::new() },
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
        coverage: Coverage::load(view, snapshot, &filter)?,
        notes: vec![resource_cost::describe_basis(view, snapshot, &filter, "monthly_cost")?],
    }))
}
