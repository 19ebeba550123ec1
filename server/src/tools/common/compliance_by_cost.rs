//! Compliance by cost: the figures of get_cost_attribution_gap for the last complete month, in answers about compliance by count.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use tagledger_cost::{Amount, TaggableSpend, service_category};
use tagledger_ledger::{Filter, MonthSpend, ReadSession, Snapshot, query::spend};

use crate::{
    error::ToolFailure,
    tools::common::{arguments::nullable_number, envelope::to_units, time_period::TimePeriod},
    untrusted_text::escape,
};

/// The share of the spend that must carry required tags and carries all of them.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CostCompliance {
    /// attributable_spend / taggable_spend, 0 to 1. Null when taggable_spend is 0.
    #[schemars(schema_with = "nullable_number")]
    score: Option<f64>,
    taggable_spend: f64,
    attributable_spend: f64,
    currency: String,
    /// The first and the last day of the figures, both included.
    time_period: TimePeriod,
}

/// Computes the compliance by cost of a filter, or a note that it is not available. The bill has sums by type, by region and by
/// account, but not by two of them together.
pub(crate) fn compute_cost_compliance(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    filter: &Filter,
) -> Result<(Option<CostCompliance>, Option<String>), ToolFailure> {
    let Some(month) = spend::find_month_spend(session, snapshot)? else { return Ok((None, None)) };
    let compliance = filtered_spend(&month, filter).map(|spend| CostCompliance::of(&month, spend));
    let note = compliance.is_none().then(|| "compliance_by_cost is not available for this filter.".to_owned());
    Ok((compliance, note))
}

fn filtered_spend(month: &MonthSpend, filter: &Filter) -> Option<TaggableSpend> {
    let Filter { types, regions, accounts } = filter;
    match (types.as_slice(), regions.as_slice(), accounts.as_slice()) {
        ([], [], []) => Some(month.spend),
        // The bill has no service of its own for database clusters and ECS clusters; their cost is part of what runs in them.
        (types, [], []) => {
            sum_matching(&month.by_service, |service| types.iter().any(|t| t.as_str() == service_category(service)))
        }
        ([], regions, []) => sum_matching(&month.by_region, |region| regions.iter().any(|r| r.as_str() == region)),
        ([], [], accounts) => sum_matching(&month.by_account, |account| accounts.iter().any(|a| a.as_str() == account)),
        _ => None,
    }
}

fn sum_matching(spends: &BTreeMap<String, TaggableSpend>, wanted: impl Fn(&str) -> bool) -> Option<TaggableSpend> {
    let of =
        |part: fn(&TaggableSpend) -> Amount| spends.iter().filter(|(name, _)| wanted(name)).map(|(_, s)| part(s)).sum();
    let any = spends.keys().any(|name| wanted(name));
    any.then(|| TaggableSpend { taggable: of(|s| s.taggable), unattributable: of(|s| s.unattributable) })
}

impl CostCompliance {
    fn of(month: &MonthSpend, spend: TaggableSpend) -> Self {
        let attributable = spend.taggable.cents() - spend.unattributable.cents();
        let share = (spend.taggable - spend.unattributable).share_of(spend.taggable);
        Self {
            score: share.map(|share| (share * 10_000.0).round() / 10_000.0),
            taggable_spend: to_units(spend.taggable.cents()),
            attributable_spend: to_units(attributable),
            currency: escape(&month.currency),
            time_period: TimePeriod::from_days(month.days),
        }
    }
}
