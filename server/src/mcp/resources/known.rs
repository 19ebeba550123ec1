//! What the newest snapshot knows of one resource.

use std::collections::BTreeMap;

use serde::Serialize;
use shared::{
    Arn,
    day::day_of,
    policy::State,
    store::{Filter, Snapshot, View},
};

use crate::{
    reach::Reach,
    text::visible,
    tools::{
        ToolFailure,
        answer::{Answer, AsOf, Coverage, PolicyUsed},
        identity::Identity,
        resource_cost,
        violation::{Problem, problems},
    },
};

#[derive(Debug, Serialize)]
pub(super) struct Known {
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
pub(super) fn answer(
    view: &View<'_>,
    snapshot: &Snapshot,
    arn: &Arn,
    reach: &Reach,
) -> Result<Option<Answer<Known>>, ToolFailure> {
    let found = view.resources(snapshot, std::slice::from_ref(arn))?;
    let Some(row) = found.into_iter().find(|row| reach.has(&row.scope.account)) else { return Ok(None) };
    let here = Filter {
        types: vec![row.scope.resource_type],
        regions: vec![row.scope.region.clone()],
        accounts: vec![row.scope.account.clone()],
    };
    let policy = view.policy(snapshot)?;
    let costs = view.cost_basis(snapshot)?.is_some_and(|basis| !basis.types.is_empty());
    let (monthly_cost, cost_source) = resource_cost::told(&row, costs);
    let judged = matches!(row.state, State::Compliant | State::NonCompliant);
    let body = Known {
        identity: Identity::of(&row),
        state: row.state,
        findings: if judged { problems(&row, &policy, snapshot) } else { Vec::new() },
        monthly_cost,
        cost_source,
        tags: row.tags.iter().map(|(key, value)| (visible(key), visible(value))).collect(),
        created_at: row.created_at.map(|at| at.to_string()),
        created_by: view.creator(arn)?.map(|principal| visible(&principal)),
        first_seen: day_of(row.first_seen).to_string(),
    };
    Ok(Some(Answer {
        body,
        as_of: AsOf::of(snapshot),
        policy: PolicyUsed::of(&policy),
        coverage: Coverage::of(view, snapshot, &here)?,
        notes: vec![resource_cost::note(view, snapshot, &here, "monthly_cost")?],
    }))
}
