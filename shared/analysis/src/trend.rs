//! The trend of a series of scores, robust against outliers.

/// The direction of a score over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trend {
    /// The score rises.
    Improving,
    /// The score falls.
    Declining,
    /// The score changes by less than [`STABLE_THRESHOLD`].
    Stable,
}

/// A score is stable when it changes by less than this along the slope from the first point to the last: half a
/// percentage point.
pub const STABLE_THRESHOLD: f64 = 0.005;

/// The slope of scores by day: the median of the slopes of all pairs of points (the Theil-Sen estimator), which
/// tolerates outliers up to a quarter of the points. None for fewer than two distinct days.
pub fn theil_sen_slope(points: &[(i64, f64)]) -> Option<f64> {
    let pairs = points.iter().enumerate().flat_map(|(index, a)| points.iter().skip(index + 1).map(move |b| (a, b)));
    let slopes = pairs.filter(|(a, b)| a.0 != b.0).map(|(a, b)| (b.1 - a.1) / (b.0 - a.0) as f64);
    median(slopes.collect())
}

/// The median: the middle value, or the mean of the two middle values. None without values.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (lower, upper) = (values.get((values.len().checked_sub(1)?) / 2)?, values.get(values.len() / 2)?);
    Some(f64::midpoint(*lower, *upper))
}

/// The trend of a slope over a number of days.
pub fn classify_trend(slope: f64, days: i64) -> Trend {
    match slope * days as f64 {
        change if change >= STABLE_THRESHOLD => Trend::Improving,
        change if change <= -STABLE_THRESHOLD => Trend::Declining,
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

    /// Two outliers among twelve points change the estimated slope by less than 0.002 per day, and the trend is still
    /// improving.
    #[test]
    fn slope_resists_outliers() {
        let mut points: Vec<(i64, f64)> = (0..12).map(|day| (day, 0.5 + 0.01 * day as f64)).collect();
        points[5].1 = 0.0;
        points[9].1 = 1.0;
        let found = theil_sen_slope(&points).unwrap();
        assert!((found - 0.01).abs() < 0.002, "{found}");
        assert_eq!(classify_trend(found, 11), Trend::Improving);
    }

    /// A total change of less than 0.005 over the period is a stable trend. Fewer than two distinct days have no slope.
    #[test]
    fn change_below_half_point_is_stable() {
        assert_eq!(classify_trend(0.0004, 12), Trend::Stable);
        assert_eq!(classify_trend(0.0005, 10), Trend::Improving);
        assert_eq!(classify_trend(-0.0005, 10), Trend::Declining);
        assert_eq!(
            (theil_sen_slope(&[]), theil_sen_slope(&[(3, 0.7)]), theil_sen_slope(&[(3, 0.7), (3, 0.8)])),
            (None, None, None)
        );
    }

    proptest! {
        /// The estimated slope of points on a straight line is the slope of that line, and reversing time negates it.
        #[test]
        fn slope_of_line_is_exact_and_antisymmetric(rise in -0.01_f64..0.01, days in prop::collection::btree_set(0_i64..400, 2..40)) {
            let points: Vec<(i64, f64)> = days.iter().map(|day| (*day, 0.5 + rise * *day as f64)).collect();
            prop_assert!((theil_sen_slope(&points).unwrap() - rise).abs() < 1e-9);
            let reversed: Vec<(i64, f64)> = points.iter().map(|(day, score)| (-day, *score)).collect();
            prop_assert!((theil_sen_slope(&reversed).unwrap() + rise).abs() < 1e-9);
        }
    }
}
