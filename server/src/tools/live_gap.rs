//! The gap by the tags of today, beside the gap as billed: what was put right shows in the next bill, not in the last one.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use shared::{
    day::day_of,
    inventory::Scope,
    money::{Amount, Days, Spend, Terms, service_of},
    policy::Policy,
    store::{BilledMonth, ScopeSpend, Snapshot, Turned, View},
};

use super::{ToolFailure, answer::units, arguments::nullable_number};

/// The same spend, by the tags that the living resources have in the snapshot. The three sums are `taggable_spend`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LiveGap {
    /// Of resources that carry every required tag now.
    attributable_spend: f64,
    /// Of resources that lack one now, or have a value that is not allowed.
    attribution_gap: f64,
    /// Of what is there no more, is not judged, or stands on no single resource.
    not_judged_spend: f64,
    /// Spend of resources that could not be attributed when the period ended, and can now: it will show in the next bill. Null
    /// when the ledger does not reach back so far.
    #[schemars(schema_with = "nullable_number")]
    fixed_shows_in_next_bill: Option<f64>,
    /// Spend of resources that could be attributed then, and cannot now.
    #[schemars(schema_with = "nullable_number")]
    spoilt_since: Option<f64>,
    /// Date of the scan that is compared with. Absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    compared_with: Option<String>,
}

/// What there is to tell of living resources.
pub(crate) struct Live {
    scopes: Vec<ScopeSpend>,
    turned: Option<Turned>,
}

/// Of the month on which the costs of single resources are based, as far as the policy is the one that the bill was asked by.
pub(crate) fn live(
    view: &View<'_>,
    snapshot: &Snapshot,
    days: Days,
    currency: &str,
    months: &[BilledMonth],
) -> Result<Option<Live>, ToolFailure> {
    let Some(basis) = view.cost_basis(snapshot)? else { return Ok(None) };
    let same_policy = months.iter().all(|month| month.month.policy_digest == snapshot.policy_digest);
    if basis.days != days || basis.currency != currency || !same_policy {
        return Ok(None);
    }
    let (mut scopes, mut turned) = view.live_spend(snapshot)?;
    let policy = view.policy(snapshot)?;
    scopes.retain(|spend| taggable(&policy, &spend.scope));
    if let Some(turned) = &mut turned {
        turned.fixed.retain(|(scope, _)| taggable(&policy, scope));
        turned.spoilt.retain(|(scope, _)| taggable(&policy, scope));
    }
    Ok((!scopes.is_empty()).then_some(Live { scopes, turned }))
}

/// Whether what resources of the scope cost is among the spend that must carry tags.
fn taggable(policy: &Policy, scope: &Scope) -> bool {
    let terms = Terms::of(policy);
    service_of(scope.resource_type).any(|service| !terms.required_of(service).is_empty())
}

impl Live {
    /// Beside the spend as it was billed.
    pub(crate) fn gap(&self, billed: Spend) -> LiveGap {
        let sum = |of: fn(&ScopeSpend) -> Amount| self.scopes.iter().map(of).sum::<Amount>().cents();
        let (yes, no) = (sum(|scope| scope.spend.attributable), sum(|scope| scope.spend.unattributable));
        let all = |parts: &[(Scope, Amount)]| units(parts.iter().map(|(_, amount)| *amount).sum::<Amount>().cents());
        LiveGap {
            attributable_spend: units(yes),
            attribution_gap: units(no),
            not_judged_spend: units(billed.taggable.cents() - yes - no),
            fixed_shows_in_next_bill: self.turned.as_ref().map(|turned| all(&turned.fixed)),
            spoilt_since: self.turned.as_ref().map(|turned| all(&turned.spoilt)),
            compared_with: self.turned.as_ref().map(|turned| day_of(turned.since).to_string()),
        }
    }

    /// What cannot be attributed now, by whatever `name` takes of a scope.
    pub(crate) fn unattributable_by(&self, name: impl Fn(&Scope) -> String) -> BTreeMap<String, f64> {
        let mut sums: BTreeMap<String, Amount> = BTreeMap::new();
        for ScopeSpend { scope, spend } in &self.scopes {
            *sums.entry(name(scope)).or_default() += spend.unattributable;
        }
        sums.into_iter().map(|(name, amount)| (name, units(amount.cents()))).collect()
    }
}
