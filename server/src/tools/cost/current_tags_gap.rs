//! The attribution gap by the current tags, in addition to the billed gap. A corrected tag affects the next bill, not the last one.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use tagledger_cost::{Amount, Days, TagScope, TaggableSpend, services_of};
use tagledger_ledger::{BilledMonth, ReadSession, RemediatedSpend, ScopeSpend, Snapshot, query::spend};
use tagledger_model::{epoch_day::day_of, inventory::Scope};
use tagledger_policy::Policy;

use crate::{
    error::ToolFailure,
    tools::common::{arguments::nullable_number, envelope::to_units},
};

/// The taggable spend by the tags that current resources have in the snapshot. The first three amounts add up to `taggable_spend`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CurrentTagsGap {
    /// The spend of resources that have every required tag in the snapshot.
    attributable_spend: f64,
    /// The spend of resources with a missing or invalid required tag in the snapshot.
    attribution_gap: f64,
    /// The spend of resources that no longer exist or are not evaluated, and spend that no resource can be assigned to.
    not_judged_spend: f64,
    /// The spend of resources that was not attributable at the end of the period and is now. The next bill will include it as
    /// attributable. Null when the ledger has no snapshot of that time.
    #[schemars(schema_with = "nullable_number")]
    fixed_shows_in_next_bill: Option<f64>,
    /// The spend of resources that was attributable at the end of the period and is not now. Null when the ledger has no snapshot of that
    /// time.
    #[schemars(schema_with = "nullable_number")]
    spoilt_since: Option<f64>,
    /// The date of the snapshot for this comparison. Absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    compared_with: Option<String>,
}

/// The spend of current resources, by scope.
pub(crate) struct CurrentTagsSpend {
    scopes: Vec<ScopeSpend>,
    remediated: Option<RemediatedSpend>,
}

/// Loads the spend of current resources. `None` if `days` is not the month of the resource costs, or if the bill was read with
/// another policy.
pub(crate) fn load_current_tags_spend(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    days: Days,
    currency: &str,
    months: &[BilledMonth],
) -> Result<Option<CurrentTagsSpend>, ToolFailure> {
    let Some(basis) = spend::find_cost_basis(session, snapshot)? else { return Ok(None) };
    let same_policy = months.iter().all(|month| month.month.policy_digest == snapshot.policy_digest);
    if basis.days != days || basis.currency != currency || !same_policy {
        return Ok(None);
    }
    let (mut scopes, mut remediated) = spend::sum_current_spend(session, snapshot)?;
    let policy = session.policy(snapshot)?;
    scopes.retain(|spend| is_taggable(&policy, &spend.scope));
    if let Some(remediated) = &mut remediated {
        remediated.fixed.retain(|(scope, _)| is_taggable(&policy, scope));
        remediated.regressed.retain(|(scope, _)| is_taggable(&policy, scope));
    }
    Ok((!scopes.is_empty()).then_some(CurrentTagsSpend { scopes, remediated }))
}

/// Whether the spend of the scope must carry required tags.
fn is_taggable(policy: &Policy, scope: &Scope) -> bool {
    let tag_scope = TagScope::from_policy(policy);
    services_of(scope.resource_type).any(|service| !tag_scope.required_keys(service).is_empty())
}

impl CurrentTagsSpend {
    /// The gap by the current tags of the billed spend.
    pub(crate) fn compute_gap(&self, billed: TaggableSpend) -> CurrentTagsGap {
        let sum = |of: fn(&ScopeSpend) -> Amount| self.scopes.iter().map(of).sum::<Amount>().cents();
        let (attributable, gap) = (sum(|scope| scope.spend.attributable), sum(|scope| scope.spend.unattributable));
        let total =
            |parts: &[(Scope, Amount)]| to_units(parts.iter().map(|(_, amount)| *amount).sum::<Amount>().cents());
        CurrentTagsGap {
            attributable_spend: to_units(attributable),
            attribution_gap: to_units(gap),
            not_judged_spend: to_units(billed.taggable.cents() - attributable - gap),
            fixed_shows_in_next_bill: self.remediated.as_ref().map(|remediated| total(&remediated.fixed)),
            spoilt_since: self.remediated.as_ref().map(|remediated| total(&remediated.regressed)),
            compared_with: self.remediated.as_ref().map(|remediated| day_of(remediated.since).to_string()),
        }
    }

    /// The unattributable spend by the current tags, grouped by `name`.
    pub(crate) fn unattributable_by(&self, name: impl Fn(&Scope) -> String) -> BTreeMap<String, f64> {
        let mut sums: BTreeMap<String, Amount> = BTreeMap::new();
        for ScopeSpend { scope, spend } in &self.scopes {
            *sums.entry(name(scope)).or_default() += spend.unattributable;
        }
        sums.into_iter().map(|(name, amount)| (name, to_units(amount.cents()))).collect()
    }
}
