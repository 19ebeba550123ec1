//! Attribution of a change of the compliance score to causes by Shapley values.
//!
//! Each cause changes the numbers of compliant and non-compliant resources. Its effect on the score depends on the
//! causes that are applied before it. Its contribution is the mean effect over all orders (the Shapley value): no order
//! is preferred, and the contributions add up to the change.

use serde::{Deserialize, Serialize};

/// The maximum number of causes.
const MAX_CAUSES: usize = 16;

/// Numbers of resources, or changes of these numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Compliant resources.
    pub compliant: i64,
    /// Non-compliant resources.
    pub non_compliant: i64,
}

impl Counts {
    /// The share of compliant resources, 0 to 1; none when there are no resources.
    pub fn score(self) -> Option<f64> {
        let (compliant, non_compliant) = (self.compliant.max(0), self.non_compliant.max(0));
        let total = compliant + non_compliant;
        (total > 0).then(|| compliant as f64 / total as f64)
    }

    fn plus(self, other: Self) -> Self {
        Self { compliant: self.compliant + other.compliant, non_compliant: self.non_compliant + other.non_compliant }
    }
}

/// The contribution of each cause to the change of the score, in the order of the causes. They add up to the change.
/// None when there is no score before or after. Only the first 16 causes are used, because the time is exponential in
/// their number.
pub fn shapley_contributions(before: Counts, causes: &[Counts]) -> Option<Vec<f64>> {
    let n = causes.len().min(MAX_CAUSES);
    let score_before = before.score()?;
    // A set of causes has a bit for each of them.
    let score_with = |set: usize| {
        let applied = causes.iter().take(n).enumerate().filter(|(index, _)| set >> index & 1 == 1);
        applied.fold(before, |sum, (_, cause)| sum.plus(*cause)).score()
    };
    score_with((1 << n) - 1)?;
    let scores: Vec<f64> = (0..1 << n).map(|set| score_with(set).unwrap_or(score_before)).collect();
    let mut contributions = vec![0.0; causes.len()];
    for (set, without) in scores.iter().enumerate() {
        let size = usize::try_from(set.count_ones()).unwrap_or_default();
        for (index, sum) in contributions.iter_mut().take(n).enumerate().filter(|(index, _)| set >> index & 1 == 0) {
            let with = scores.get(set | 1 << index).copied().unwrap_or(*without);
            *sum += permutation_weight(size, n) * (with - without);
        }
    }
    Some(contributions)
}

/// The fraction of all orders of `all` causes in which exactly a given set of `before` causes precedes a given cause.
fn permutation_weight(before: usize, all: usize) -> f64 {
    let factorial = |n: usize| (1..=n).map(|k| k as f64).product::<f64>();
    factorial(before) * factorial(all - before - 1) / factorial(all)
}

/// Rounds contributions to multiples of `unit` that add up to the rounded change. The largest remainders are rounded
/// up. The change is an argument, because a rounding error can move the sum of the contributions across a half.
pub fn round_contributions(contributions: &[f64], change: f64, unit: f64) -> Vec<i64> {
    let exact: Vec<f64> = contributions.iter().map(|contribution| contribution / unit).collect();
    let total = to_integer((change / unit).round());
    let mut units: Vec<i64> = exact.iter().map(|value| to_integer(value.floor())).collect();
    let mut by_remainder: Vec<usize> = (0..units.len()).collect();
    let remainder = |index: usize| exact.get(index).map_or(0.0, |value| value - value.floor());
    by_remainder.sort_by(|a, b| remainder(*b).total_cmp(&remainder(*a)));
    let missing = usize::try_from(total - units.iter().sum::<i64>()).unwrap_or_default();
    for index in by_remainder.into_iter().take(missing) {
        if let Some(unit) = units.get_mut(index) {
            *unit += 1;
        }
    }
    units
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a contribution to a score, which is at most 1, in its smallest unit"
)]
fn to_integer(number: f64) -> i64 {
    number as i64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(compliant: i64, non_compliant: i64) -> Counts {
        Counts { compliant, non_compliant }
    }

    /// When only one of the causes changes any counts, its contribution equals the entire change in the score and the
    /// other contribution is zero.
    #[test]
    fn single_cause_gets_entire_change() {
        let parts = shapley_contributions(counts(50, 50), &[counts(25, -25), Counts::default()]).unwrap();
        assert!((parts[0] - 0.25).abs() < 1e-12 && parts[1] == 0.0, "{parts:?}");
    }

    /// Two causes with identical effects get equal contributions. For unequal causes, each contribution is the mean
    /// over both orders of application, compared here with values calculated by hand.
    #[test]
    fn equal_causes_contribute_equally() {
        let parts = shapley_contributions(counts(0, 100), &[counts(10, -10), counts(10, -10)]).unwrap();
        assert!(parts.iter().all(|part| (part - 0.1).abs() < 1e-12), "{parts:?}");
        // By hand: with the new resources first, they change 0.5 to 0.6 and the removal changes 0.6 to about 2/3; in
        // the other order, the removal changes 0.5 to about 4/7.
        let parts = super::shapley_contributions(counts(50, 50), &[counts(25, 0), counts(0, -12)]).unwrap();
        let expected = [
            ((75.0 / 125.0 - 0.5) + (75.0 / 113.0 - 50.0 / 88.0)) / 2.0,
            ((50.0 / 88.0 - 0.5) + (75.0 / 113.0 - 75.0 / 125.0)) / 2.0,
        ];
        assert!(parts.iter().zip(expected).all(|(part, expected)| (part - expected).abs() < 1e-12), "{parts:?}");
    }

    /// A change of 0.09375 lies exactly between two units of 0.0001. The rounded contributions still add up to the
    /// rounded change although their floating-point sum differs from it.
    #[test]
    fn rounded_contributions_match_half_unit_total() {
        // The change from 80 of 240 to 82 of 192 is 0.09375. The sum of the contributions differs from it by a rounding
        // error.
        let (before, causes) = (counts(80, 160), [(19, 36), (34, -31), (-41, -45), (-10, -10)]);
        let causes = causes.map(|(compliant, non_compliant)| counts(compliant, non_compliant));
        let parts = shapley_contributions(before, &causes).unwrap();
        assert_eq!(round_contributions(&parts, 82.0 / 192.0 - 80.0 / 240.0, 0.0001).iter().sum::<i64>(), 938);
    }

    /// No contributions are returned when the score before or after the change is undefined because no resource was
    /// evaluated.
    #[test]
    fn no_contributions_without_both_scores() {
        assert_eq!(shapley_contributions(counts(0, 0), &[counts(5, 0)]), None);
        assert_eq!(shapley_contributions(counts(5, 0), &[counts(-5, 0)]), None);
    }

    proptest! {
        /// For arbitrary counts and causes, the contributions add up to the change in the score, both as floating-point
        /// values and after rounding to units of 0.0001.
        #[test]
        fn contributions_always_sum_to_change(
            before in (0_i64..500, 0_i64..500),
            causes in prop::collection::vec((-60_i64..60, -60_i64..60), 0..7),
        ) {
            let before = counts(before.0, before.1);
            let causes: Vec<Counts> = causes.into_iter().map(|(c, n)| counts(c, n)).collect();
            let after = causes.iter().fold(before, |sum, cause| sum.plus(*cause));
            match (before.score(), after.score()) {
                (Some(first), Some(last)) => {
                    let parts = shapley_contributions(before, &causes).unwrap();
                    prop_assert!((parts.iter().sum::<f64>() - (last - first)).abs() < 1e-9);
                    let units = round_contributions(&parts, last - first, 0.0001);
                    prop_assert_eq!(units.iter().sum::<i64>(), to_integer(((last - first) / 0.0001).round()));
                }
                _ => prop_assert_eq!(shapley_contributions(before, &causes), None),
            }
        }
    }
}
