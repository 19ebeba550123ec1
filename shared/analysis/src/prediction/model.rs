//! The prediction model: computes the probability of each candidate value from the evidence.

use serde::{Deserialize, Serialize};
use tagledger_model::float::to_f64;

use crate::prediction::{counts::ValueTally, features::Source};

/// The number of features of a candidate: its overall frequency, and the evidence of each source.
pub(crate) const FEATURE_COUNT: usize = 1 + Source::ALL.len();

/// The number of pseudo-resources that are added to each feature, distributed as in the whole estate. Rare features
/// have less effect.
const SMOOTHING: f64 = 1.0;

/// The bounds of the log odds ratio of one feature, and of all features of one source.
const LOG_ODDS_BOUNDS: [(f64, f64); 2] = [(-3.0, 6.0), (-5.0, 8.0)];

/// The maximum numbers of candidates from each feature, and from the whole estate.
const MAX_CANDIDATES: [usize; 2] = [6, 12];

/// The maximum number of alternatives in a prediction.
const MAX_ALTERNATIVES: usize = 3;

/// The evidence for the value of one tag of one resource.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FeatureVector {
    /// The values of the tag in the whole estate.
    pub prior: ValueTally,
    /// For each feature of the resource, its source and the values of the resources that share it.
    pub evidence: Vec<(Source, ValueTally)>,
}

/// The model of one tag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyModel {
    /// The key of the tag.
    pub key: String,
    /// The weight of the overall frequency, then of each source in the order of
    /// [`crate::prediction::features::Source::ALL`]. Not negative.
    pub(crate) weights: Vec<f64>,
    /// The score of the outcome that no candidate is correct, as a logarithm.
    #[serde(rename = "none")]
    pub(crate) none_score: f64,
    /// The calibrations, by [`FeatureVector::calibration_index`].
    pub(crate) calibrations: [Calibration; 2],
    /// The number of resources with the tag and a variant of its key, and the number of those with the same value in
    /// both.
    #[serde(rename = "spelt_twice")]
    pub variant_counts: (u64, u64),
    /// The number of training cases of this tag.
    pub cases: u64,
}

/// Converts a probability to a confidence by linear interpolation: logits of probabilities in order, each with the
/// accuracy that was measured at it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Calibration(pub(crate) Vec<(f64, f64)>);

impl Calibration {
    /// The maximum confidence without any measurement.
    const UNMEASURED: f64 = 0.5;

    fn confidence(&self, probability: f64) -> f64 {
        let x = logit(probability);
        let after = self.0.iter().position(|(knot, _)| *knot >= x);
        let (before, after) = match after {
            Some(0) => (None, self.0.first()),
            Some(index) => (self.0.get(index - 1), self.0.get(index)),
            None => (self.0.last(), None),
        };
        match (before, after) {
            (Some((a, low)), Some((b, high))) => low + (high - low) * (x - a) / (b - a),
            (Some((_, only)), None) => *only,
            // Below all measurements: not more than the probability itself.
            (None, Some((_, only))) => only.min(probability),
            (None, None) => probability.min(Self::UNMEASURED),
        }
    }
}

/// The models of the tags of a policy, in its order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// The model of each tag.
    pub keys: Vec<KeyModel>,
}

/// The prediction of the value of a tag.
#[derive(Debug, Clone, PartialEq)]
pub struct Posterior {
    /// The most probable value, by the number that the counter was given.
    pub value: u32,
    /// The calibrated probability that the value is correct, 0 to 1.
    pub confidence: f64,
    /// The evidence for the value, the strongest first.
    pub support: Vec<SupportCount>,
    /// Other values with their confidence, the most probable first.
    pub alternatives: Vec<(u32, f64)>,
}

/// The evidence of one source for a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SupportCount {
    /// The source.
    pub source: Source,
    /// The number of resources that share the feature and have the value.
    pub with: u64,
    /// The number of resources that share the feature and have any valid value.
    pub of: u64,
}

/// A candidate value with its features.
pub(crate) struct Candidate {
    pub(crate) value: u32,
    pub(crate) features: [f64; FEATURE_COUNT],
}

impl FeatureVector {
    /// The calibration to use: 0 with evidence from peers or a parent, else 1. The same probability is correct more
    /// often with such evidence.
    pub(crate) fn calibration_index(&self) -> usize {
        usize::from(self.evidence.iter().all(|(source, _)| *source > Source::Parent))
    }

    pub(crate) fn candidates(&self) -> Vec<Candidate> {
        let [max_of_feature, max_of_estate] = MAX_CANDIDATES;
        let mut values: Vec<u32> = self.prior.values.iter().take(max_of_estate).map(|(value, _)| *value).collect();
        for (_, tally) in &self.evidence {
            values.extend(tally.values.iter().take(max_of_feature).map(|(value, _)| *value));
        }
        values.sort_unstable();
        values.dedup();
        values.into_iter().map(|value| Candidate { value, features: self.candidate_features(value) }).collect()
    }

    /// The smoothed relative frequency of a value in the estate, greater than 0.
    fn frequency(&self, value: u32) -> f64 {
        let value_count = self.prior.values.len() + 1;
        (to_f64(self.prior.count_of(value)) + 0.5) / (to_f64(self.prior.total) + 0.5 * to_f64(value_count as u64))
    }

    fn candidate_features(&self, value: u32) -> [f64; FEATURE_COUNT] {
        let frequency = self.frequency(value);
        let [feature_bounds, source_bounds] = LOG_ODDS_BOUNDS;
        let mut features = [0.0; FEATURE_COUNT];
        for (source, tally) in &self.evidence {
            if let Some(feature) = features.get_mut(1 + source.index()) {
                *feature += log_odds_ratio(tally, value, frequency).clamp(feature_bounds.0, feature_bounds.1);
            }
        }
        features.iter_mut().for_each(|feature| *feature = feature.clamp(source_bounds.0, source_bounds.1));
        if let Some(feature) = features.first_mut() {
            *feature = frequency.ln();
        }
        features
    }
}

/// The logarithm of the ratio of the frequency of a value among the resources that share a feature to its frequency in
/// the estate.
fn log_odds_ratio(tally: &ValueTally, value: u32, frequency: f64) -> f64 {
    if tally.total == 0 {
        return 0.0;
    }
    ((to_f64(tally.count_of(value)) + SMOOTHING * frequency) / ((to_f64(tally.total) + SMOOTHING) * frequency)).ln()
}

impl KeyModel {
    /// Predicts the value of the tag; none when there is no candidate.
    pub fn predict(&self, evidence: &FeatureVector) -> Option<Posterior> {
        let candidates = evidence.candidates();
        let probabilities = self.probabilities(&candidates);
        let mut ranked: Vec<(f64, &Candidate)> = probabilities.iter().copied().zip(&candidates).collect();
        ranked.sort_by(|(a, x), (b, y)| b.total_cmp(a).then(x.value.cmp(&y.value)));
        let ((probability, best), others) = ranked.split_first()?;
        let confidence = self.confidence(*probability, evidence.calibration_index());
        // The remaining confidence is distributed in proportion to the probabilities.
        let scale = if *probability < 1.0 { (1.0 - confidence) / (1.0 - probability) } else { 0.0 };
        let alternative = |(probability, candidate): &(f64, &Candidate)| (candidate.value, probability * scale);
        Some(Posterior {
            value: best.value,
            confidence,
            support: self.support(evidence, best),
            alternatives: others.iter().take(MAX_ALTERNATIVES).map(alternative).collect(),
        })
    }

    /// The probability of each candidate before calibration. They add up to 1 together with the probability that none
    /// is correct.
    pub(crate) fn probabilities(&self, candidates: &[Candidate]) -> Vec<f64> {
        let score = |candidate: &Candidate| {
            self.weights.iter().zip(candidate.features).map(|(weight, feature)| weight * feature).sum::<f64>()
        };
        let scores: Vec<f64> = candidates.iter().map(score).collect();
        // The maximum is subtracted so that the exponentials do not overflow.
        let max = scores.iter().copied().fold(self.none_score, f64::max);
        let exp = |score: f64| (score - max).exp();
        let total = exp(self.none_score) + scores.iter().copied().map(exp).sum::<f64>();
        scores.into_iter().map(|score| exp(score) / total).collect()
    }

    fn confidence(&self, probability: f64, calibration: usize) -> f64 {
        let calibration = self.calibrations.get(calibration);
        calibration.map_or(0.0, |calibration| calibration.confidence(probability))
    }

    fn support(&self, evidence: &FeatureVector, best: &Candidate) -> Vec<SupportCount> {
        let mut support: Vec<(f64, SupportCount)> = Vec::new();
        for (source, tally) in &evidence.evidence {
            let ratio = log_odds_ratio(tally, best.value, evidence.frequency(best.value));
            let weight = self.weights.get(1 + source.index()).copied().unwrap_or_default();
            let with = tally.count_of(best.value);
            if with > 0 && weight * ratio > 0.0 {
                support.push((weight * ratio, SupportCount { source: *source, with, of: tally.total }));
            }
        }
        support.sort_by(|(a, x), (b, y)| b.total_cmp(a).then(x.source.cmp(&y.source)));
        let mut seen = Vec::new();
        support.retain(|(_, support)| {
            !seen.contains(&support.source) && {
                seen.push(support.source);
                true
            }
        });
        support.into_iter().map(|(_, support)| support).collect()
    }

    /// The probability that the value of a variant of the key is the correct value.
    pub fn variant_confidence(&self) -> f64 {
        let (both, same) = self.variant_counts;
        // Without measurements, a variant has the correct value in 19 of 20 cases.
        (to_f64(same) + 19.0) / (to_f64(both) + 20.0)
    }
}

pub(crate) fn logit(probability: f64) -> f64 {
    let probability = probability.clamp(1e-6, 1.0 - 1e-6);
    (probability / (1.0 - probability)).ln()
}
