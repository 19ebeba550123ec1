//! Whether a row of figures rises or falls, whatever a few odd ones among them do.

/// How a score moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trend {
    /// It rises.
    Improving,
    /// It falls.
    Declining,
    /// It does neither.
    Stable,
}

/// A score that moves by less than this from the first point to the last, along the slope, is stable: half a percentage point.
pub const STABLE_WITHIN: f64 = 0.005;

/// The slope of scores by day: the median of the slopes between any two of them (Theil and Sen), which up to a quarter of odd
/// points does not move. None of fewer than two days.
pub fn slope(points: &[(i64, f64)]) -> Option<f64> {
    let pairs = points.iter().enumerate().flat_map(|(place, a)| points.iter().skip(place + 1).map(move |b| (a, b)));
    let slopes = pairs.filter(|(a, b)| a.0 != b.0).map(|(a, b)| (b.1 - a.1) / (b.0 - a.0) as f64);
    median(slopes.collect())
}

/// The middle one, or the mean of the two in the middle.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (lower, upper) = (values.get((values.len().checked_sub(1)?) / 2)?, values.get(values.len() / 2)?);
    Some(f64::midpoint(*lower, *upper))
}

/// What a slope means over so many days.
pub fn trend(slope: f64, days: i64) -> Trend {
    match slope * days as f64 {
        moved if moved >= STABLE_WITHIN => Trend::Improving,
        moved if moved <= -STABLE_WITHIN => Trend::Declining,
        _ => Trend::Stable,
    }
}

impl Trend {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Improving => "improving",
            Self::Declining => "declining",
            Self::Stable => "stable",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_odd_night_moves_no_slope() {
        let mut points: Vec<(i64, f64)> = (0..12).map(|day| (day, 0.5 + 0.01 * day as f64)).collect();
        points[5].1 = 0.0;
        points[9].1 = 1.0;
        let found = slope(&points).unwrap();
        assert!((found - 0.01).abs() < 0.002, "{found}");
        assert_eq!(trend(found, 11), Trend::Improving);
    }

    #[test]
    fn a_score_that_moves_by_less_than_half_a_point_in_all_is_stable() {
        assert_eq!(trend(0.0004, 12), Trend::Stable);
        assert_eq!(trend(0.0005, 10), Trend::Improving);
        assert_eq!(trend(-0.0005, 10), Trend::Declining);
        assert_eq!((slope(&[]), slope(&[(3, 0.7)]), slope(&[(3, 0.7), (3, 0.8)])), (None, None, None));
    }

    proptest! {
        #[test]
        fn a_straight_line_has_its_own_slope_and_turned_round_the_opposite(rise in -0.01_f64..0.01, days in prop::collection::btree_set(0_i64..400, 2..40)) {
            let points: Vec<(i64, f64)> = days.iter().map(|day| (*day, 0.5 + rise * *day as f64)).collect();
            prop_assert!((slope(&points).unwrap() - rise).abs() < 1e-9);
            let turned: Vec<(i64, f64)> = points.iter().map(|(day, score)| (-day, *score)).collect();
            prop_assert!((slope(&turned).unwrap() + rise).abs() < 1e-9);
        }
    }
}
