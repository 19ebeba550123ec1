//! A plan with few tag changes that reaches a compliance target.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};
use tagledger_cost::Amount;

/// What the target counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objective {
    /// The number of compliant resources, as a share of all evaluated ones.
    Count,
    /// The cost of compliant resources, as a share of the cost of all evaluated ones, as far as the costs are known.
    Cost,
}

/// Resources that need the same number of tag changes each and have the same cost each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemediationTier {
    /// Tag changes of each resource.
    pub changes: u32,
    /// The monthly cost of each resource; none if it is not known. It is not serialized, because it is known for the newest
    /// snapshot only.
    #[serde(skip)]
    pub cost: Option<Amount>,
    /// The number of resources.
    pub resources: u64,
}

/// The resources of one tier that a plan fixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppliedTier {
    /// The index of the tier in the given list.
    pub tier: usize,
    /// The number of its resources, at least one.
    pub resources: u64,
}

/// Chooses the resources to fix so that a target is reached with few changes. The order is that in which each change gains most.
///
/// By count, no plan has fewer changes. By cost, the plan has at most one resource's changes more than the best: it takes the
/// resources with the highest cost for each change first, and then omits those that are not needed.
///
/// `compliant` and `evaluated` are numbers of resources, or amounts in millionths of the currency. The result is none if all
/// resources together do not reach the target.
pub fn plan_fewest_changes(
    tiers: &[RemediationTier],
    objective: Objective,
    compliant: i64,
    evaluated: i64,
    target: f64,
) -> Option<Vec<AppliedTier>> {
    let missing = missing_gain(compliant, evaluated, target);
    let gain = |tier: &RemediationTier| match objective {
        Objective::Count => 1,
        Objective::Cost => tier.cost.map_or(0, Amount::micros),
    };
    let gain_per_change = |tier: &RemediationTier| i128::from(gain(tier)) * 1_000_000 / i128::from(tier.changes.max(1));
    let mut order: Vec<(usize, &RemediationTier)> =
        tiers.iter().enumerate().filter(|(_, tier)| gain(tier) > 0).collect();
    order.sort_by_key(|(index, tier)| (Reverse(gain_per_change(tier)), Reverse(tier.cost), *index));
    let (mut gained, mut applied) = (0_i64, Vec::new());
    for (index, tier) in order {
        if gained >= missing {
            break;
        }
        let enough = (missing - gained - 1) / gain(tier) + 1;
        let resources = tier.resources.min(enough.unsigned_abs());
        gained = gained.saturating_add(gain(tier).saturating_mul(to_i64(resources)));
        applied.push((AppliedTier { tier: index, resources }, gain(tier)));
    }
    if gained < missing {
        return None;
    }
    // Omit the resources that gain least for each change, as long as the rest is enough. By count, none can be omitted.
    for (tier, gain) in applied.iter_mut().rev() {
        let surplus = tier.resources.min(((gained - missing) / *gain).unsigned_abs());
        tier.resources -= surplus;
        gained -= *gain * to_i64(surplus);
    }
    Some(applied.into_iter().map(|(tier, _)| tier).filter(|tier| tier.resources > 0).collect())
}

fn to_i64(resources: u64) -> i64 {
    i64::try_from(resources).unwrap_or(i64::MAX)
}

/// The smallest gain with which the share of compliant resources reaches the target.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "both are far below 2^52")]
fn missing_gain(compliant: i64, evaluated: i64, target: f64) -> i64 {
    // The tolerance keeps a target that was computed from a share from missing it by a rounding error.
    let reaches = |amount: i64| amount as f64 >= target * evaluated as f64 - 1e-9 * evaluated as f64;
    let mut needed = ((target * evaluated as f64).ceil() as i64).clamp(0, evaluated);
    while needed > 0 && reaches(needed - 1) {
        needed -= 1;
    }
    (needed - compliant).max(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use tagledger_cost::Amount;

    use super::*;

    /// The tiers of single resources, each given by its changes and its cost. Equal resources are in one tier.
    fn tiers(resources: &[(u32, i64)]) -> Vec<RemediationTier> {
        let mut counts: BTreeMap<(u32, i64), u64> = BTreeMap::new();
        resources.iter().for_each(|kind| *counts.entry(*kind).or_default() += 1);
        let tier = |((changes, cost), resources)| RemediationTier {
            changes,
            cost: Some(Amount::from_micros(cost)),
            resources,
        };
        counts.into_iter().map(tier).collect()
    }

    /// The changes and the cost, in micros, of a plan.
    fn sum_plan(tiers: &[RemediationTier], plan: &[AppliedTier]) -> (u64, i64) {
        let sum = |applied: &AppliedTier| {
            let tier = tiers[applied.tier];
            assert!(applied.resources > 0 && applied.resources <= tier.resources, "{applied:?} of {tier:?}");
            (u64::from(tier.changes) * applied.resources, tier.cost.unwrap().micros() * to_i64(applied.resources))
        };
        plan.iter().map(sum).fold((0, 0), |total, one| (total.0 + one.0, total.1 + one.1))
    }

    /// The fewest changes, found by trying all sets of single resources.
    fn search_fewest(
        resources: &[(u32, i64)],
        objective: Objective,
        compliant: i64,
        evaluated: i64,
        target: f64,
    ) -> Option<u64> {
        let sets = (0_u32..1 << resources.len()).map(|bits| {
            let chosen = resources.iter().enumerate().filter(move |(n, _)| bits >> n & 1 == 1).map(|(_, one)| *one);
            chosen.fold((0, compliant), |(changes, gained), (more, cost)| {
                (changes + u64::from(more), gained + if objective == Objective::Count { 1 } else { cost })
            })
        });
        let enough = sets.filter(|(_, gained)| *gained as f64 >= target * evaluated as f64 - 1e-9);
        enough.map(|(changes, _)| changes).min()
    }

    proptest! {
        /// When the objective is the number of resources, the plan reaches the target with the minimum number of
        /// changes, compared with a search of all subsets.
        #[test]
        fn count_plan_is_minimal(
            resources in prop::collection::vec((1_u32..5, 1_i64..4), 0..9), compliant in 0_i64..20, target in 0.0_f64..1.0,
        ) {
            let (tiers, evaluated) = (tiers(&resources), compliant + i64::try_from(resources.len()).unwrap());
            let plan = plan_fewest_changes(&tiers, Objective::Count, compliant, evaluated, target);
            let changes = plan.map(|plan| sum_plan(&tiers, &plan).0);
            prop_assert_eq!(changes, search_fewest(&resources, Objective::Count, compliant, evaluated, target));
        }

        /// When the objective is the cost, the plan reaches the target with at most four changes more than the minimum,
        /// the changes of one resource, and no planned resource can be omitted.
        #[test]
        fn cost_plan_is_near_minimal(
            resources in prop::collection::vec((1_u32..5, 1_i64..30), 0..9), compliant in 0_i64..100, target in 0.0_f64..1.0,
        ) {
            let (tiers, evaluated) = (tiers(&resources), compliant + resources.iter().map(|(_, cost)| cost).sum::<i64>());
            let best = search_fewest(&resources, Objective::Cost, compliant, evaluated, target);
            let plan = plan_fewest_changes(&tiers, Objective::Cost, compliant, evaluated, target);
            prop_assert_eq!(plan.is_some(), best.is_some());
            if let (Some(plan), Some(best)) = (plan, best) {
                let (changes, gained) = sum_plan(&tiers, &plan);
                prop_assert!((compliant + gained) as f64 >= target * evaluated as f64 - 1e-6);
                prop_assert!(changes <= best + 4, "{} for {}", changes, best);
                // No resource can be omitted.
                let least = plan.iter().map(|one| tiers[one.tier].cost.unwrap().micros()).min();
                let without = least.map(|least| (compliant + gained - least) as f64);
                prop_assert!(without.is_none_or(|without| without < target * evaluated as f64));
            }
        }
    }

    /// The number of resources still needed is the smallest integer with which the compliant share reaches the target.
    #[test]
    fn needed_is_least_count_reaching_target() {
        assert_eq!(missing_gain(7, 10, 0.9), 2);
        assert_eq!(missing_gain(9, 10, 0.9), 0);
        assert_eq!(missing_gain(0, 3, 1.0), 3);
        assert_eq!(missing_gain(5, 10, 0.55), 1);
    }
}
