//! How right suggestions are, on cases whose answer is known.

use serde::Serialize;

use super::model::count;

/// One suggestion beside the truth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Graded {
    /// Of the likeliest value, 0 to 1.
    pub confidence: f64,
    /// Whether that value is the right one.
    pub right: bool,
}

/// What suggestions come to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Grades {
    /// Cases.
    pub cases: u64,
    /// Of all, in how many the likeliest value is right; null without cases.
    pub accuracy: Option<f64>,
    /// Of all, how many are answered: are as confident as the tool must be.
    pub coverage: Option<f64>,
    /// Of those answered, in how many the value is right.
    pub precision: Option<f64>,
    /// The mean squared difference of confidence and outcome: 0 is perfect.
    pub brier: Option<f64>,
    /// The mean difference of confidence and outcome over fifteen bins of as many cases each.
    pub expected_calibration_error: Option<f64>,
    /// Of suggestions that are at least so confident, how many are right.
    pub at_least: Vec<AtLeast>,
    /// Confidence beside outcome, tenth by tenth.
    pub reliability: Vec<Bin>,
}

/// Suggestions of some confidence and more.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AtLeast {
    /// The confidence.
    pub confidence: f64,
    /// How many there are.
    pub suggestions: u64,
    /// Of these, in how many the value is right; null when there are none.
    pub precision: Option<f64>,
    /// The lower bound of that by Wilson, at 95 %.
    pub lower_bound: Option<f64>,
}

/// Suggestions of about one confidence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bin {
    /// From this confidence.
    pub from: f64,
    /// To that.
    pub to: f64,
    /// How many.
    pub suggestions: u64,
    /// Their mean confidence.
    pub confidence: f64,
    /// How many of them are right.
    pub right: f64,
}

/// Bins of the calibration error.
const BINS: usize = 15;

/// Grades suggestions; those below `threshold` are not made.
pub fn grades(graded: &[Graded], threshold: f64) -> Grades {
    let answered: Vec<Graded> = graded.iter().copied().filter(|one| one.confidence >= threshold).collect();
    let squared = |one: &Graded| (one.confidence - f64::from(u8::from(one.right))).powi(2);
    Grades {
        cases: graded.len() as u64,
        accuracy: share(graded),
        coverage: mean(graded.iter().map(|one| f64::from(u8::from(one.confidence >= threshold)))),
        precision: share(&answered),
        brier: mean(graded.iter().map(squared)),
        expected_calibration_error: calibration_error(graded),
        at_least: [0.6, 0.8, 0.9, 0.95].map(|confidence| at_least(graded, confidence)).to_vec(),
        reliability: reliability(graded),
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> Option<f64> {
    let n = count(values.len() as u64);
    (n > 0.0).then(|| values.sum::<f64>() / n)
}

fn share(graded: &[Graded]) -> Option<f64> {
    mean(graded.iter().map(|one| f64::from(u8::from(one.right))))
}

fn at_least(graded: &[Graded], confidence: f64) -> AtLeast {
    let sure: Vec<Graded> = graded.iter().copied().filter(|one| one.confidence >= confidence).collect();
    let precision = share(&sure);
    let lower_bound = precision.map(|precision| wilson(precision, count(sure.len() as u64)));
    AtLeast { confidence, suggestions: sure.len() as u64, precision, lower_bound }
}

/// Wilson's lower bound of a share of `n`, at 95 %.
pub fn wilson(share: f64, n: f64) -> f64 {
    const Z: f64 = 1.959_964;
    let (middle, width) = (share + Z * Z / (2.0 * n), Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt());
    (middle - width) / (1.0 + Z * Z / n)
}

fn calibration_error(graded: &[Graded]) -> Option<f64> {
    let mut sorted = graded.to_vec();
    sorted.sort_by(|a, b| a.confidence.total_cmp(&b.confidence));
    let size = sorted.len().div_ceil(BINS).max(1);
    let off = |bin: &[Graded]| {
        let confidence = mean(bin.iter().map(|one| one.confidence))?;
        Some((confidence - share(bin)?).abs() * count(bin.len() as u64))
    };
    let n = count(sorted.len() as u64);
    (n > 0.0).then(|| sorted.chunks(size).filter_map(off).sum::<f64>() / n)
}

fn reliability(graded: &[Graded]) -> Vec<Bin> {
    let bin = |tenth: u8| {
        let (from, to) = (f64::from(tenth) / 10.0, f64::from(tenth + 1) / 10.0);
        let within = |one: &&Graded| one.confidence >= from && (one.confidence < to || tenth == 9);
        let inside: Vec<Graded> = graded.iter().filter(within).copied().collect();
        let confidence = mean(inside.iter().map(|one| one.confidence))?;
        Some(Bin { from, to, suggestions: inside.len() as u64, confidence, right: share(&inside)? })
    };
    (0..10).filter_map(bin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: Option<f64>, b: f64) -> bool {
        a.is_some_and(|a| (a - b).abs() < 1e-6)
    }

    #[test]
    fn grades_are_those_worked_out_by_hand() {
        let graded = [(0.95, true), (0.9, true), (0.8, false), (0.3, false)]
            .map(|(confidence, right)| Graded { confidence, right });
        let grades = grades(&graded, 0.6);
        assert!(close(grades.accuracy, 0.5) && close(grades.coverage, 0.75) && close(grades.precision, 2.0 / 3.0));
        assert!(close(grades.brier, (0.0025 + 0.01 + 0.64 + 0.09) / 4.0), "{:?}", grades.brier);
        // Each case is a bin of its own.
        assert!(close(grades.expected_calibration_error, (0.05 + 0.1 + 0.8 + 0.3) / 4.0));
        let sure = &grades.at_least[2];
        assert_eq!((sure.suggestions, sure.precision), (2, Some(1.0)));
        // 2 of 2: 2 / (2 + 1.96^2).
        assert!(close(sure.lower_bound, 2.0 / (2.0 + 1.959_964_f64.powi(2))));
        assert_eq!(grades.reliability.iter().map(|bin| bin.suggestions).collect::<Vec<_>>(), [1, 1, 2]);
    }

    #[test]
    fn without_cases_nothing_is_claimed() {
        let grades = grades(&[], 0.6);
        assert_eq!((grades.cases, grades.accuracy, grades.brier), (0, None, None));
        assert!(grades.reliability.is_empty());
    }
}
