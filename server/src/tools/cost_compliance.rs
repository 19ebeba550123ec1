//! Compliance by cost, beside compliance by count: the figures of get_cost_attribution_gap for the last whole month.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use shared::{
    money::{Amount, Spend, category},
    store::{Filter, MonthSpend, Snapshot, View},
};

use super::{ToolFailure, answer::units, arguments::nullable_number, period::TimePeriod};
use crate::text::visible;

/// How much of the spend that must carry required tags does.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CostCompliance {
    /// attributable_spend / taggable_spend; null when nothing that must carry tags was spent.
    #[schemars(schema_with = "nullable_number")]
    score: Option<f64>,
    taggable_spend: f64,
    attributable_spend: f64,
    currency: String,
    /// The days that the figures are of, both included.
    time_period: TimePeriod,
}

/// What of a filter can be told by cost, and what to know of it. The bill tells types, regions and accounts apart, but not two
/// of them at once.
pub(crate) fn by_cost(
    view: &View<'_>,
    snapshot: &Snapshot,
    filter: &Filter,
) -> Result<(Option<CostCompliance>, Option<String>), ToolFailure> {
    let told = view.month_spend(snapshot, |month| {
        let month = month?;
        let compliance = spend(month, filter).map(|spend| CostCompliance::of(month, spend));
        let note = compliance.is_none().then(|| "There is no compliance_by_cost of this filter.".to_owned());
        Some((compliance, note))
    });
    Ok(told?.unwrap_or_default())
}

fn spend(month: &MonthSpend, filter: &Filter) -> Option<Spend> {
    let Filter { types, regions, accounts } = filter;
    match (types.as_slice(), regions.as_slice(), accounts.as_slice()) {
        ([], [], []) => Some(month.spend),
        // Database and ECS clusters stand on the bill of what runs in them, and on none of their own.
        (types, [], []) => sum(&month.by_service, |service| types.iter().any(|t| t.as_str() == category(service))),
        ([], regions, []) => sum(&month.by_region, |region| regions.iter().any(|r| r.as_str() == region)),
        ([], [], accounts) => sum(&month.by_account, |account| accounts.iter().any(|a| a.as_str() == account)),
        _ => None,
    }
}

fn sum(spends: &BTreeMap<String, Spend>, wanted: impl Fn(&str) -> bool) -> Option<Spend> {
    let of = |part: fn(&Spend) -> Amount| spends.iter().filter(|(name, _)| wanted(name)).map(|(_, s)| part(s)).sum();
    let any = spends.keys().any(|name| wanted(name));
    any.then(|| Spend { taggable: of(|s| s.taggable), unattributable: of(|s| s.unattributable) })
}

impl CostCompliance {
    fn of(month: &MonthSpend, spend: Spend) -> Self {
        let attributable = spend.taggable.cents() - spend.unattributable.cents();
        let share = (spend.taggable - spend.unattributable).share_of(spend.taggable);
        Self {
            score: share.map(|share| (share * 10_000.0).round() / 10_000.0),
            taggable_spend: units(spend.taggable.cents()),
            attributable_spend: units(attributable),
            currency: visible(&month.currency),
            time_period: TimePeriod::of(month.days),
        }
    }
}
