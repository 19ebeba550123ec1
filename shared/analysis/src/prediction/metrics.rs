//! Metrics of predictions for cases whose correct value is known.

use serde::Serialize;
use tagledger_model::float::to_f64;

/// One prediction, compared with the correct value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GradedPrediction {
    /// The confidence of the predicted value, 0 to 1.
    pub confidence: f64,
    /// Whether the predicted value is correct.
    pub is_correct: bool,
}

/// The metrics of a set of predictions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReliabilityReport {
    /// The number of cases.
    pub cases: u64,
    /// The share of all cases in which the predicted value is correct; null without cases.
    pub accuracy: Option<f64>,
    /// The share of all cases with a suggestion, which means a confidence of at least the threshold.
    pub coverage: Option<f64>,
    /// The share of suggestions that are correct.
    pub precision: Option<f64>,
    /// The Brier score: the mean squared difference between confidence and outcome. 0 is perfect.
    pub brier: Option<f64>,
    /// The mean difference between confidence and accuracy over 15 bins of equal size.
    pub expected_calibration_error: Option<f64>,
    /// The precision at several minimum confidences.
    #[serde(rename = "at_least")]
    pub at_thresholds: Vec<PrecisionAtThreshold>,
    /// Confidence and accuracy for each tenth of the confidence.
    pub reliability: Vec<ReliabilityBin>,
}

/// The precision of suggestions with a minimum confidence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PrecisionAtThreshold {
    /// The minimum confidence.
    pub confidence: f64,
    /// The number of suggestions.
    pub suggestions: u64,
    /// The share that is correct; null when there are none.
    pub precision: Option<f64>,
    /// The lower bound of the Wilson score interval of the precision, at 95 %.
    pub lower_bound: Option<f64>,
}

/// Suggestions within a range of confidence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReliabilityBin {
    /// The lower end of the range.
    pub from: f64,
    /// The upper end of the range.
    pub to: f64,
    /// The number of suggestions.
    pub suggestions: u64,
    /// The mean confidence.
    pub confidence: f64,
    /// The share that is correct.
    pub right: f64,
}

/// The number of bins of the calibration error.
const CALIBRATION_BINS: usize = 15;

/// Computes the metrics. Predictions with a confidence below `threshold` count as no suggestion.
pub fn evaluate_predictions(graded: &[GradedPrediction], threshold: f64) -> ReliabilityReport {
    let suggestions: Vec<GradedPrediction> = graded.iter().copied().filter(|one| one.confidence >= threshold).collect();
    let squared = |one: &GradedPrediction| (one.confidence - f64::from(u8::from(one.is_correct))).powi(2);
    ReliabilityReport {
        cases: graded.len() as u64,
        accuracy: accuracy(graded),
        coverage: mean(graded.iter().map(|one| f64::from(u8::from(one.confidence >= threshold)))),
        precision: accuracy(&suggestions),
        brier: mean(graded.iter().map(squared)),
        expected_calibration_error: calibration_error(graded),
        at_thresholds: [0.6, 0.8, 0.9, 0.95].map(|confidence| precision_at(graded, confidence)).to_vec(),
        reliability: reliability_bins(graded),
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> Option<f64> {
    let n = to_f64(values.len() as u64);
    (n > 0.0).then(|| values.sum::<f64>() / n)
}

fn accuracy(graded: &[GradedPrediction]) -> Option<f64> {
    mean(graded.iter().map(|one| f64::from(u8::from(one.is_correct))))
}

fn precision_at(graded: &[GradedPrediction], confidence: f64) -> PrecisionAtThreshold {
    let suggestions: Vec<GradedPrediction> =
        graded.iter().copied().filter(|one| one.confidence >= confidence).collect();
    let precision = accuracy(&suggestions);
    let lower_bound = precision.map(|precision| wilson_lower_bound(precision, to_f64(suggestions.len() as u64)));
    PrecisionAtThreshold { confidence, suggestions: suggestions.len() as u64, precision, lower_bound }
}

/// The lower bound of the Wilson score interval of a share of `n` cases, at 95 %.
pub fn wilson_lower_bound(share: f64, n: f64) -> f64 {
    const Z: f64 = 1.959_964;
    let (center, margin) = (share + Z * Z / (2.0 * n), Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt());
    (center - margin) / (1.0 + Z * Z / n)
}

fn calibration_error(graded: &[GradedPrediction]) -> Option<f64> {
    let mut sorted = graded.to_vec();
    sorted.sort_by(|a, b| a.confidence.total_cmp(&b.confidence));
    let size = sorted.len().div_ceil(CALIBRATION_BINS).max(1);
    let weighted_error = |bin: &[GradedPrediction]| {
        let confidence = mean(bin.iter().map(|one| one.confidence))?;
        Some((confidence - accuracy(bin)?).abs() * to_f64(bin.len() as u64))
    };
    let n = to_f64(sorted.len() as u64);
    (n > 0.0).then(|| sorted.chunks(size).filter_map(weighted_error).sum::<f64>() / n)
}

fn reliability_bins(graded: &[GradedPrediction]) -> Vec<ReliabilityBin> {
    let bin = |tenth: u8| {
        let (from, to) = (f64::from(tenth) / 10.0, f64::from(tenth + 1) / 10.0);
        let in_range = |one: &&GradedPrediction| one.confidence >= from && (one.confidence < to || tenth == 9);
        let inside: Vec<GradedPrediction> = graded.iter().filter(in_range).copied().collect();
        let confidence = mean(inside.iter().map(|one| one.confidence))?;
        Some(ReliabilityBin { from, to, suggestions: inside.len() as u64, confidence, right: accuracy(&inside)? })
    };
    (0..10).filter_map(bin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: Option<f64>, b: f64) -> bool {
        a.is_some_and(|a| (a - b).abs() < 1e-6)
    }

    /// Accuracy, coverage, precision, Brier score, calibration error and the Wilson lower bound of four predictions
    /// equal values calculated by hand.
    #[test]
    fn metrics_match_hand_calculation() {
        let graded = [(0.95, true), (0.9, true), (0.8, false), (0.3, false)]
            .map(|(confidence, is_correct)| GradedPrediction { confidence, is_correct });
        let grades = evaluate_predictions(&graded, 0.6);
        assert!(close(grades.accuracy, 0.5) && close(grades.coverage, 0.75) && close(grades.precision, 2.0 / 3.0));
        assert!(close(grades.brier, (0.0025 + 0.01 + 0.64 + 0.09) / 4.0), "{:?}", grades.brier);
        // Each case has a bin of its own.
        assert!(close(grades.expected_calibration_error, (0.05 + 0.1 + 0.8 + 0.3) / 4.0));
        let sure = &grades.at_thresholds[2];
        assert_eq!((sure.suggestions, sure.precision), (2, Some(1.0)));
        // 2 of 2: 2 / (2 + 1.96^2).
        assert!(close(sure.lower_bound, 2.0 / (2.0 + 1.959_964_f64.powi(2))));
        assert_eq!(grades.reliability.iter().map(|bin| bin.suggestions).collect::<Vec<_>>(), [1, 1, 2]);
    }

    /// Without any predictions, the accuracy and the Brier score are undefined and there are no reliability bins.
    #[test]
    fn metrics_without_cases_are_undefined() {
        let grades = evaluate_predictions(&[], 0.6);
        assert_eq!((grades.cases, grades.accuracy, grades.brier), (0, None, None));
        assert!(grades.reliability.is_empty());
    }
}
