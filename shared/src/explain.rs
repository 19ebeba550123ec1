//! Why a score moved: its change shared out among causes, exactly.
//!
//! Each cause takes some resources out of the compliant or the non-compliant and puts others in. What it contributes depends on
//! which causes come before it; the share that each is told is the mean over all orders (Shapley's value), so that no order is
//! preferred and the shares add up to the change.

use serde::{Deserialize, Serialize};

/// Compliant and non-compliant resources.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Compliant.
    pub compliant: i64,
    /// Not.
    pub non_compliant: i64,
}

impl Counts {
    /// Compliant of all; none when there are none.
    pub fn score(self) -> Option<f64> {
        let (compliant, wrong) = (self.compliant.max(0), self.non_compliant.max(0));
        (compliant + wrong > 0).then(|| compliant as f64 / (compliant + wrong) as f64)
    }

    fn plus(self, other: Self) -> Self {
        Self { compliant: self.compliant + other.compliant, non_compliant: self.non_compliant + other.non_compliant }
    }
}

/// The parts of a score's change, in the order of the causes; they add up to it. None when there was no score before or
/// after. At most sixteen causes.
pub fn parts(before: Counts, causes: &[Counts]) -> Option<Vec<f64>> {
    let n = causes.len().min(16);
    let first = before.score()?;
    let value = |set: usize| {
        let chosen = causes.iter().take(n).enumerate().filter(|(place, _)| set >> place & 1 == 1);
        chosen.fold(before, |sum, (_, cause)| sum.plus(*cause)).score()
    };
    value((1 << n) - 1)?;
    let values: Vec<f64> = (0..1 << n).map(|set| value(set).unwrap_or(first)).collect();
    let mut parts = vec![0.0; causes.len()];
    for (set, without) in values.iter().enumerate() {
        let size = usize::try_from(set.count_ones()).unwrap_or_default();
        for (place, part) in parts.iter_mut().take(n).enumerate().filter(|(place, _)| set >> place & 1 == 0) {
            let with = values.get(set | 1 << place).copied().unwrap_or(*without);
            *part += weight(size, n) * (with - without);
        }
    }
    Some(parts)
}

/// In so large a part of all orders exactly these so many come before a given one.
fn weight(before: usize, all: usize) -> f64 {
    let factorial = |n: usize| (1..=n).map(|k| k as f64).product::<f64>();
    factorial(before) * factorial(all - before - 1) / factorial(all)
}

/// Parts in whole units that add up to the change in whole units: those that lose most by rounding are rounded up. The change is
/// given, for the sum of the parts may lie on the other side of a half by a rounding error.
pub fn in_units(parts: &[f64], change: f64, unit: f64) -> Vec<i64> {
    let exact: Vec<f64> = parts.iter().map(|part| part / unit).collect();
    let sum = whole((change / unit).round());
    let mut units: Vec<i64> = exact.iter().map(|part| whole(part.floor())).collect();
    let mut by_rest: Vec<usize> = (0..units.len()).collect();
    let rest = |place: usize| exact.get(place).map_or(0.0, |part| part - part.floor());
    by_rest.sort_by(|a, b| rest(*b).total_cmp(&rest(*a)));
    let missing = usize::try_from(sum - units.iter().sum::<i64>()).unwrap_or_default();
    for place in by_rest.into_iter().take(missing) {
        if let Some(unit) = units.get_mut(place) {
            *unit += 1;
        }
    }
    units
}

#[expect(clippy::cast_possible_truncation, reason = "a score's part in its smallest unit")]
fn whole(number: f64) -> i64 {
    number as i64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(compliant: i64, non_compliant: i64) -> Counts {
        Counts { compliant, non_compliant }
    }

    #[test]
    fn one_cause_has_all_of_the_change() {
        let parts = parts(counts(50, 50), &[counts(25, -25), Counts::default()]).unwrap();
        assert!((parts[0] - 0.25).abs() < 1e-12 && parts[1] == 0.0, "{parts:?}");
    }

    #[test]
    fn two_causes_that_do_the_same_share_alike() {
        let parts = parts(counts(0, 100), &[counts(10, -10), counts(10, -10)]).unwrap();
        assert!(parts.iter().all(|part| (part - 0.1).abs() < 1e-12), "{parts:?}");
        // Worked out by hand: new ones first, they take 0.5 to 0.6 and the removal 0.6 to 2/3; else 0.5 to 4/7 and on to 2/3.
        let parts = super::parts(counts(50, 50), &[counts(25, 0), counts(0, -12)]).unwrap();
        let expected = [
            ((75.0 / 125.0 - 0.5) + (75.0 / 113.0 - 50.0 / 88.0)) / 2.0,
            ((50.0 / 88.0 - 0.5) + (75.0 / 113.0 - 75.0 / 125.0)) / 2.0,
        ];
        assert!(parts.iter().zip(expected).all(|(part, expected)| (part - expected).abs() < 1e-12), "{parts:?}");
    }

    #[test]
    fn a_change_that_lies_on_a_half_adds_up_all_the_same() {
        // From 80 of 240 to 82 of 192 it is 0.09375, which the sum of the parts misses by a rounding error.
        let (before, causes) = (counts(80, 160), [(19, 36), (34, -31), (-41, -45), (-10, -10)]);
        let causes = causes.map(|(compliant, wrong)| counts(compliant, wrong));
        let parts = parts(before, &causes).unwrap();
        assert_eq!(in_units(&parts, 82.0 / 192.0 - 80.0 / 240.0, 0.0001).iter().sum::<i64>(), 938);
    }

    #[test]
    fn without_a_score_before_or_after_there_is_nothing_to_explain() {
        assert_eq!(parts(counts(0, 0), &[counts(5, 0)]), None);
        assert_eq!(parts(counts(5, 0), &[counts(-5, 0)]), None);
    }

    proptest! {
        #[test]
        fn the_parts_add_up_to_the_change_whatever_happened(
            before in (0_i64..500, 0_i64..500),
            causes in prop::collection::vec((-60_i64..60, -60_i64..60), 0..7),
        ) {
            let before = counts(before.0, before.1);
            let causes: Vec<Counts> = causes.into_iter().map(|(c, n)| counts(c, n)).collect();
            let after = causes.iter().fold(before, |sum, cause| sum.plus(*cause));
            match (before.score(), after.score()) {
                (Some(first), Some(last)) => {
                    let parts = parts(before, &causes).unwrap();
                    prop_assert!((parts.iter().sum::<f64>() - (last - first)).abs() < 1e-9);
                    let units = in_units(&parts, last - first, 0.0001);
                    prop_assert_eq!(units.iter().sum::<i64>(), whole(((last - first) / 0.0001).round()));
                }
                _ => prop_assert_eq!(parts(before, &causes), None),
            }
        }
    }
}
