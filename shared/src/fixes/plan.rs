//! The fewest tag changes that reach a target.

use crate::money::Amount;

/// What is counted on the way to the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Compliant resources of all judged.
    Count,
    /// What compliant resources cost of what all judged ones cost, as far as that is known.
    Cost,
}

/// A resource that could be fixed: its place, the tag changes that it takes, what it costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// In a list of the caller's.
    pub place: usize,
    /// Tag changes.
    pub changes: u32,
    /// A month; none when that is not known.
    pub cost: Option<Amount>,
}

/// Which resources to fix, in the order in which each change gains most.
///
/// By count this is the fewest changes there can be. By cost it is at most one resource's changes away from that: it takes the most
/// cost a change first, and then leaves out what turns out not to be needed.
///
/// `have`: what is compliant; `all`: what is judged; both in resources, or in millionths of the currency. None when all of them
/// together do not reach the target.
pub fn fewest(candidates: &[Candidate], measure: Measure, have: i64, all: i64, target: f64) -> Option<Vec<Candidate>> {
    let needed = needed(have, all, target);
    let gain = |one: &Candidate| match measure {
        Measure::Count => 1,
        Measure::Cost => one.cost.map_or(0, Amount::micros),
    };
    let mut sorted: Vec<Candidate> = candidates.iter().copied().filter(|one| gain(one) > 0).collect();
    let a_change = |one: &Candidate| i128::from(gain(one)) * 1_000_000 / i128::from(one.changes.max(1));
    sorted.sort_by_key(|one| (std::cmp::Reverse(a_change(one)), std::cmp::Reverse(one.cost), one.place));
    let (mut gained, mut chosen) = (0_i64, Vec::new());
    for one in sorted {
        if gained >= needed {
            break;
        }
        gained = gained.saturating_add(gain(&one));
        chosen.push(one);
    }
    if gained < needed {
        return None;
    }
    // What gains least a change first, as long as the rest is enough.
    for place in (0..chosen.len()).rev() {
        let Some(one) = chosen.get(place) else { continue };
        if gained - gain(one) >= needed {
            gained -= gain(one);
            chosen.remove(place);
        }
        // By count none can be left out, and by cost hardly any beyond the last few.
        if measure == Measure::Count || chosen.len() - place.min(chosen.len()) > 200 {
            break;
        }
    }
    Some(chosen)
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
    use proptest::prelude::*;

    use super::*;

    fn candidates(of: &[(u32, i64)]) -> Vec<Candidate> {
        let one = |(place, (changes, cost)): (usize, &(u32, i64))| Candidate {
            place,
            changes: *changes,
            cost: Some(Amount::from_micros(*cost)),
        };
        of.iter().enumerate().map(one).collect()
    }

    fn changes(chosen: &[Candidate]) -> u32 {
        chosen.iter().map(|one| one.changes).sum()
    }

    /// By trying all sets.
    fn truly_fewest(all: &[Candidate], measure: Measure, have: i64, judged: i64, target: f64) -> Option<u32> {
        let reaches = |set: &Vec<Candidate>| {
            let gained: i64 =
                set.iter().map(|c| if measure == Measure::Count { 1 } else { c.cost.unwrap().micros() }).sum();
            (have + gained) as f64 >= target * judged as f64 - 1e-9
        };
        let sets = (0_u32..1 << all.len())
            .map(|bits| all.iter().copied().enumerate().filter(|(n, _)| bits >> n & 1 == 1).map(|(_, c)| c).collect());
        sets.filter(reaches).map(|set| changes(&set)).min()
    }

    proptest! {
        #[test]
        fn by_count_no_fewer_changes_reach_the_target(
            of in prop::collection::vec((1_u32..5, 1_i64..100), 0..9), have in 0_i64..20, target in 0.0_f64..1.0,
        ) {
            let all = candidates(&of);
            let judged = have + i64::try_from(all.len()).unwrap();
            let chosen = fewest(&all, Measure::Count, have, judged, target);
            prop_assert_eq!(chosen.map(|c| changes(&c)), truly_fewest(&all, Measure::Count, have, judged, target));
        }

        #[test]
        fn by_cost_the_target_is_reached_with_at_most_one_resources_changes_too_many(
            of in prop::collection::vec((1_u32..5, 1_i64..100), 0..9), have in 0_i64..100, target in 0.0_f64..1.0,
        ) {
            let all = candidates(&of);
            let judged = have + of.iter().map(|(_, cost)| cost).sum::<i64>();
            let best = truly_fewest(&all, Measure::Cost, have, judged, target);
            let chosen = fewest(&all, Measure::Cost, have, judged, target);
            prop_assert_eq!(chosen.is_some(), best.is_some());
            if let (Some(chosen), Some(best)) = (chosen, best) {
                let gained: i64 = chosen.iter().map(|one| one.cost.unwrap().micros()).sum();
                prop_assert!((have + gained) as f64 >= target * judged as f64 - 1e-6);
                prop_assert!(changes(&chosen) <= best + 4, "{} for {}", changes(&chosen), best);
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
