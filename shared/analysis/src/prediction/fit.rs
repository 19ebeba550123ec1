//! Trains the model: fits its weights and calibrates its confidence on resources with valid tags.

use tagledger_model::float::to_f64;

use crate::prediction::model::{Calibration, Candidate, FEATURE_COUNT, FeatureVector, KeyModel, Model, logit};

/// The number of steps of gradient ascent.
const STEPS: usize = 120;

/// The learning rate.
const LEARNING_RATE: f64 = 0.08;

/// The initial weights of the frequency of a value, and of each source. Regularization pulls the weights to them.
const INITIAL_WEIGHTS: [f64; 2] = [0.8, 0.5];

/// The strength of the regularization, in cases.
const REGULARIZATION: f64 = 2.0;

/// The minimum numbers of cases for a tag to have weights, and a calibration, of its own.
const MIN_CASES_PER_KEY: [usize; 2] = [80, 150];

/// The minimum number of cases in a bin of the calibration.
const MIN_BIN_CASES: usize = 20;

/// A training case: a resource with a valid tag, and the evidence that remains when the tag is masked.
#[derive(Debug, Clone)]
pub struct TrainingCase {
    /// The index of the tag in the policy.
    pub key: usize,
    /// The evidence.
    pub features: FeatureVector,
    /// The correct value.
    pub label: u32,
}

/// A training case with its candidates.
struct PreparedCase {
    key: usize,
    candidates: Vec<Candidate>,
    /// The index of the correct value among the candidates, if it is one of them.
    label: Option<usize>,
    calibration: usize,
}

impl PreparedCase {
    fn new(case: &TrainingCase) -> Self {
        let candidates = case.features.candidates();
        let label = candidates.iter().position(|candidate| candidate.value == case.label);
        Self { key: case.key, candidates, label, calibration: case.features.calibration_index() }
    }
}

/// Trains a model of these tags. The weights are fitted on `training`, and the confidence is calibrated on
/// `validation`, whose resources must not be in `training`.
pub fn fit(keys: &[&str], training: &[TrainingCase], validation: &[TrainingCase]) -> Model {
    let [training, validation] =
        [training, validation].map(|cases| cases.iter().map(PreparedCase::new).collect::<Vec<_>>());
    let all = |cases: &[PreparedCase]| -> Vec<usize> { (0..cases.len()).collect() };
    let mut shared = initial_model("");
    fit_weights(&mut shared, &training, &all(&training));
    let of_calibration = |indexes: &[usize], calibration: usize| -> Vec<usize> {
        let matches = |index: &usize| validation.get(*index).is_some_and(|case| case.calibration == calibration);
        indexes.iter().copied().filter(matches).collect()
    };
    for calibration in 0..2 {
        calibrate(&mut shared, &validation, &of_calibration(&all(&validation), calibration), calibration);
    }
    let of_key = |cases: &[PreparedCase], key: usize| -> Vec<usize> {
        cases.iter().enumerate().filter(|(_, case)| case.key == key).map(|(index, _)| index).collect()
    };
    let [min_training, min_validation] = MIN_CASES_PER_KEY;
    let model = |(index, key): (usize, &&str)| {
        let mut model = KeyModel { key: (*key).to_owned(), ..shared.clone() };
        let (own_training, own_validation) = (of_key(&training, index), of_key(&validation, index));
        if own_training.len() >= min_training {
            fit_weights(&mut model, &training, &own_training);
        }
        for calibration in 0..2 {
            let own = of_calibration(&own_validation, calibration);
            if own.len() >= min_validation {
                calibrate(&mut model, &validation, &own, calibration);
            }
        }
        KeyModel { cases: own_training.len() as u64, ..model }
    };
    Model { keys: keys.iter().enumerate().map(model).collect() }
}

/// The model before training: its weights are [`INITIAL_WEIGHTS`].
fn initial_model(key: &str) -> KeyModel {
    let [frequency, source] = INITIAL_WEIGHTS;
    let weights = std::iter::once(frequency).chain(std::iter::repeat_n(source, FEATURE_COUNT - 1)).collect();
    let calibrations = [Calibration::default(), Calibration::default()];
    KeyModel { key: key.to_owned(), weights, none_score: -3.0, calibrations, variant_counts: (0, 0), cases: 0 }
}

/// Gradient ascent on the likelihood of the correct values, with a step size for each weight (Adam).
fn fit_weights(model: &mut KeyModel, cases: &[PreparedCase], indexes: &[usize]) {
    if indexes.is_empty() {
        return;
    }
    let start: Vec<f64> = model.weights.iter().copied().chain([model.none_score]).collect();
    let (mut means, mut variances) = (vec![0.0; start.len()], vec![0.0; start.len()]);
    for step in 1..=STEPS {
        let mut gradient = vec![0.0; start.len()];
        indexes.iter().filter_map(|index| cases.get(*index)).for_each(|case| add_gradient(model, case, &mut gradient));
        let step = i32::try_from(step).unwrap_or(i32::MAX);
        let case_count = to_f64(indexes.len() as u64);
        let weights = model.weights.iter_mut().chain([&mut model.none_score]);
        let moments = means.iter_mut().zip(&mut variances);
        for (((weight, start), gradient), (mean, variance)) in weights.zip(&start).zip(gradient).zip(moments) {
            let gradient = (gradient - REGULARIZATION * (*weight - start)) / case_count;
            *mean = 0.9 * *mean + 0.1 * gradient;
            *variance = 0.99 * *variance + 0.01 * gradient * gradient;
            let (mean, variance) = (*mean / (1.0 - 0.9_f64.powi(step)), *variance / (1.0 - 0.99_f64.powi(step)));
            *weight += LEARNING_RATE * mean / (variance.sqrt() + 1e-9);
        }
        // Evidence for a value must not lower its probability.
        model.weights.iter_mut().for_each(|weight| *weight = weight.max(0.0));
    }
}

/// Adds the gradient of one case: the features of the correct candidate minus their expected values.
fn add_gradient(model: &KeyModel, case: &PreparedCase, gradient: &mut [f64]) {
    let probabilities = model.probabilities(&case.candidates);
    let Some((none, weights)) = gradient.split_last_mut() else { return };
    for (index, (candidate, probability)) in case.candidates.iter().zip(&probabilities).enumerate() {
        let residual = f64::from(u8::from(case.label == Some(index))) - probability;
        weights.iter_mut().zip(candidate.features).for_each(|(gradient, feature)| *gradient += residual * feature);
    }
    let expected = 1.0 - probabilities.iter().sum::<f64>();
    *none += f64::from(u8::from(case.label.is_none())) - expected;
}

/// Calibrates the confidence by isotonic regression: bins of cases with similar probabilities are merged until the
/// accuracy does not decrease with the probability.
fn calibrate(model: &mut KeyModel, cases: &[PreparedCase], indexes: &[usize], calibration: usize) {
    let mut scored: Vec<(f64, f64)> =
        indexes.iter().filter_map(|index| cases.get(*index)).filter_map(|case| score_case(model, case)).collect();
    scored.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let mut bins: Vec<CalibrationBin> = Vec::new();
    for chunk in scored.chunks(MIN_BIN_CASES) {
        bins.push(CalibrationBin::new(chunk));
        while let [.., previous, last] = bins.as_slice() {
            if previous.accuracy() < last.accuracy() {
                break;
            }
            let merged = previous.merge(last);
            bins.truncate(bins.len() - 2);
            bins.push(merged);
        }
    }
    if let Some(calibration) = model.calibrations.get_mut(calibration) {
        *calibration = Calibration(bins.iter().map(|bin| (bin.logit_sum / bin.cases, bin.accuracy())).collect());
    }
}

/// Cases with similar probabilities.
struct CalibrationBin {
    cases: f64,
    logit_sum: f64,
    correct: f64,
}

impl CalibrationBin {
    fn new(scored: &[(f64, f64)]) -> Self {
        let add = |(logits, correct), (logit, is_correct): &(f64, f64)| (logits + logit, correct + is_correct);
        let (logit_sum, correct) = scored.iter().fold((0.0, 0.0), add);
        Self { cases: to_f64(scored.len() as u64), logit_sum, correct }
    }

    fn merge(&self, other: &Self) -> Self {
        Self {
            cases: self.cases + other.cases,
            logit_sum: self.logit_sum + other.logit_sum,
            correct: self.correct + other.correct,
        }
    }

    /// The share of correct cases with half a correct and half a wrong case added, because few cases do not prove
    /// certainty.
    fn accuracy(&self) -> f64 {
        (self.correct + 0.5) / (self.cases + 1.0)
    }
}

/// The logit of the probability of the most probable candidate, and 1 if it is correct, else 0.
fn score_case(model: &KeyModel, case: &PreparedCase) -> Option<(f64, f64)> {
    let probabilities = model.probabilities(&case.candidates);
    let by_probability = |(i, a): &(usize, &f64), (j, b): &(usize, &f64)| a.total_cmp(b).then(j.cmp(i));
    let (index, probability) = probabilities.iter().enumerate().max_by(by_probability)?;
    Some((logit(*probability), f64::from(u8::from(case.label == Some(index)))))
}
