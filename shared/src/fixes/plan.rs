//! The fewest tag changes that reach a target.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use crate::money::Amount;

/// What is counted on the way to the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Compliant resources of all judged.
    Count,
    /// What compliant resources cost of what all judged ones cost, as far as that is known.
    Cost,
}

/// Resources that could be fixed with as many tag changes each, and that cost as much each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Tag changes of each of them.
    pub changes: u32,
    /// What each of them costs a month; none when that is not known. Not written: it is known of the newest snapshot alone.
    #[serde(skip)]
    pub cost: Option<Amount>,
    /// How many they are.
    pub resources: u64,
}

/// So many resources of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// The place of the step in the list that was given.
    pub step: usize,
    /// How many of its resources, one at least.
    pub resources: u64,
}

/// How many resources of which steps to fix, in the order in which each change gains most.
///
/// By count this is the fewest changes there can be. By cost it is at most one resource's changes away from that: it takes the most
/// cost a change first, and then leaves out what turns out not to be needed.
///
/// `have`: what is compliant; `all`: what is judged; both in resources, or in millionths of the currency. None when all of them
/// together do not reach the target.
pub fn fewest(steps: &[Step], measure: Measure, have: i64, all: i64, target: f64) -> Option<Vec<Taken>> {
    let needed = needed(have, all, target);
    let gain = |one: &Step| match measure {
        Measure::Count => 1,
        Measure::Cost => one.cost.map_or(0, Amount::micros),
    };
    let a_change = |one: &Step| i128::from(gain(one)) * 1_000_000 / i128::from(one.changes.max(1));
    let mut order: Vec<(usize, &Step)> = steps.iter().enumerate().filter(|(_, one)| gain(one) > 0).collect();
    order.sort_by_key(|(place, one)| (Reverse(a_change(one)), Reverse(one.cost), *place));
    let (mut gained, mut taken) = (0_i64, Vec::new());
    for (step, one) in order {
        if gained >= needed {
            break;
        }
        let enough = (needed - gained - 1) / gain(one) + 1;
        let resources = one.resources.min(enough.unsigned_abs());
        gained = gained.saturating_add(gain(one).saturating_mul(count(resources)));
        taken.push((Taken { step, resources }, gain(one)));
    }
    if gained < needed {
        return None;
    }
    // What gains least a change first, as long as the rest is enough. By count nothing is spare.
    for (one, gain) in taken.iter_mut().rev() {
        let spare = one.resources.min(((gained - needed) / *gain).unsigned_abs());
        one.resources -= spare;
        gained -= *gain * count(spare);
    }
    Some(taken.into_iter().map(|(one, _)| one).filter(|one| one.resources > 0).collect())
}

fn count(resources: u64) -> i64 {
    i64::try_from(resources).unwrap_or(i64::MAX)
}

/// What is still to be gained: the least whole amount with which the share is reached.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "both are far below 2^52")]
fn needed(have: i64, all: i64, target: f64) -> i64 {
    let share = |amount: i64| amount as f64 >= target * all as f64 - 1e-9 * all as f64;
    let mut least = ((target * all as f64).ceil() as i64).clamp(0, all);
    while least > 0 && share(least - 1) {
        least -= 1;
    }
    (least - have).max(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// One resource of each kind, with the step that it is in: alike ones are one step.
    fn steps(of: &[(u32, i64)]) -> Vec<Step> {
        let mut counted: BTreeMap<(u32, i64), u64> = BTreeMap::new();
        of.iter().for_each(|kind| *counted.entry(*kind).or_default() += 1);
        let step = |((changes, cost), resources)| Step { changes, cost: Some(Amount::from_micros(cost)), resources };
        counted.into_iter().map(step).collect()
    }

    /// Changes and micros of what was taken.
    fn sums(steps: &[Step], taken: &[Taken]) -> (u64, i64) {
        let one = |taken: &Taken| {
            let step = steps[taken.step];
            assert!(taken.resources > 0 && taken.resources <= step.resources, "{taken:?} of {step:?}");
            (u64::from(step.changes) * taken.resources, step.cost.unwrap().micros() * count(taken.resources))
        };
        taken.iter().map(one).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// The fewest changes, by trying all sets of single resources.
    fn truly_fewest(all: &[(u32, i64)], measure: Measure, have: i64, judged: i64, target: f64) -> Option<u64> {
        let sets = (0_u32..1 << all.len()).map(|bits| {
            let chosen = all.iter().enumerate().filter(move |(n, _)| bits >> n & 1 == 1).map(|(_, one)| *one);
            chosen.fold((0, have), |(changes, gained), (more, cost)| {
                (changes + u64::from(more), gained + if measure == Measure::Count { 1 } else { cost })
            })
        });
        let enough = sets.filter(|(_, gained)| *gained as f64 >= target * judged as f64 - 1e-9);
        enough.map(|(changes, _)| changes).min()
    }

    proptest! {
        #[test]
        fn by_count_no_fewer_changes_reach_the_target(
            of in prop::collection::vec((1_u32..5, 1_i64..4), 0..9), have in 0_i64..20, target in 0.0_f64..1.0,
        ) {
            let (steps, judged) = (steps(&of), have + i64::try_from(of.len()).unwrap());
            let taken = fewest(&steps, Measure::Count, have, judged, target);
            let changes = taken.map(|taken| sums(&steps, &taken).0);
            prop_assert_eq!(changes, truly_fewest(&of, Measure::Count, have, judged, target));
        }

        #[test]
        fn by_cost_the_target_is_reached_with_at_most_one_resources_changes_too_many(
            of in prop::collection::vec((1_u32..5, 1_i64..30), 0..9), have in 0_i64..100, target in 0.0_f64..1.0,
        ) {
            let (steps, judged) = (steps(&of), have + of.iter().map(|(_, cost)| cost).sum::<i64>());
            let best = truly_fewest(&of, Measure::Cost, have, judged, target);
            let taken = fewest(&steps, Measure::Cost, have, judged, target);
            prop_assert_eq!(taken.is_some(), best.is_some());
            if let (Some(taken), Some(best)) = (taken, best) {
                let (changes, gained) = sums(&steps, &taken);
                prop_assert!((have + gained) as f64 >= target * judged as f64 - 1e-6);
                prop_assert!(changes <= best + 4, "{} for {}", changes, best);
                // Nothing of it can be left out.
                let least = taken.iter().map(|one| steps[one.step].cost.unwrap().micros()).min();
                let without = least.map(|least| (have + gained - least) as f64);
                prop_assert!(without.is_none_or(|without| without < target * judged as f64));
            }
        }
    }

    #[test]
    fn what_is_needed_is_the_least_that_reaches_the_share() {
        assert_eq!(needed(7, 10, 0.9), 2);
        assert_eq!(needed(9, 10, 0.9), 0);
        assert_eq!(needed(0, 3, 1.0), 3);
        assert_eq!(needed(5, 10, 0.55), 1);
    }
}
