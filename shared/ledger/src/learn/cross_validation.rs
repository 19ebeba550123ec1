//! Cross-validation of tag predictions on the current resources: each correct tag is masked and predicted.

use serde::Serialize;
use tagledger_analysis::prediction::{
    self, Model, Source,
    counts::{FOLDS, LeaveOut},
    features,
    metrics::{GradedPrediction, ReliabilityReport, evaluate_predictions},
};

use crate::{
    error::LedgerError,
    learn::{
        dataset::{Sample, TrainingData},
        tag_features,
        train::load_newest,
    },
    read::session::LedgerReader,
};

/// The accuracy of tag predictions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvaluationReport {
    /// The snapshot with the resources.
    pub snapshot_id: i64,
    /// Resources whose tags were masked, one at a time.
    pub resources: u64,
    /// The confidence below which nothing is suggested.
    pub threshold: f64,
    /// All required tags together.
    pub overall: TagEvaluation,
    /// Each required tag, in the policy's order.
    pub tags: Vec<TagEvaluation>,
}

/// The accuracy of predictions for one tag, or for all.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TagEvaluation {
    /// The tag key; null for all tags together.
    pub tag_key: Option<String>,
    /// With a fifth of all groups (stacks, scaling groups, clusters) masked: the accuracy for a resource whose own group does not have the
    /// tag. All other tags of the resource are shown.
    pub whole_groups_hidden: ReliabilityReport,
    /// With the features masked that resources without the tag do not have: the accuracy in this estate.
    pub as_tags_are_missing: ReliabilityReport,
    /// The accuracy of the most frequent value in the estate, in the account, and in the VPC. With whole groups masked.
    pub baselines: Baselines,
}

/// The accuracy of simple rules; null without cases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Baselines {
    /// The value that most resources have.
    pub estate_majority: Option<f64>,
    /// The value that most resources in the account have.
    pub account_majority: Option<f64>,
    /// The value that most resources in the VPC have, or in the account when there is no VPC.
    pub vpc_majority: Option<f64>,
}

/// The result for one masked tag.
struct CrossValidation {
    /// The index of the tag in the policy.
    key: usize,
    /// The prediction with the whole group masked.
    group_masked: Option<GradedPrediction>,
    /// The prediction with the features masked that resources without the tag do not have.
    tag_masked: Option<GradedPrediction>,
    /// Whether the estate, account and VPC majorities are correct.
    baselines: [bool; 3],
}

impl LedgerReader {
    /// Masks each required tag of the newest snapshot's resources and predicts it, with a model that is trained without the fold of the
    /// resource (a fifth of the estate). None without a snapshot.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub fn cross_validate(&self, threshold: f64) -> Result<Option<EvaluationReport>, LedgerError> {
        let data = self.read_without_deadline(load_newest)?;
        Ok(data.map(|(snapshot, data)| cross_validate(snapshot, &data, threshold)))
    }
}

fn cross_validate(snapshot_id: i64, data: &TrainingData, threshold: f64) -> EvaluationReport {
    let required = data.policy.required().len();
    let mut results = Vec::new();
    for fold in 0..FOLDS {
        let model = data.model(Some(fold));
        let samples = data.samples.iter().enumerate().filter(|(_, sample)| sample.fold == fold);
        samples.for_each(|(number, sample)| results.extend(validate_sample(data, &model, sample, number)));
    }
    results.retain(|result| result.key < required);
    let tag = |index: usize| {
        let name = data.policy.required().get(index).map(|rule| rule.name().to_owned());
        summarize(name, results.iter().filter(|result| result.key == index), threshold)
    };
    EvaluationReport {
        snapshot_id,
        resources: data.samples.len() as u64,
        threshold,
        overall: summarize(None, results.iter(), threshold),
        tags: tag_features::shared_tags(&data.policy).filter(|index| *index < required).map(tag).collect(),
    }
}

/// Masks each correct tag of one resource in turn.
fn validate_sample(data: &TrainingData, model: &Model, sample: &Sample, number: usize) -> Vec<CrossValidation> {
    let left_out = LeaveOut::folds([sample.fold]);
    let result = |(key, correct): (usize, u32)| {
        let predict = |features| {
            let posterior = model.keys.get(key).and_then(|model| model.predict(&features));
            posterior.map(|posterior| GradedPrediction {
                confidence: posterior.confidence,
                is_correct: posterior.value == correct,
            })
        };
        let majority = |feature: Option<i64>| {
            let tally = feature.map(|feature| data.table.tally(feature, key, left_out));
            tally.and_then(|tally| tally.values.first().map(|(value, _)| *value == correct)).unwrap_or(false)
        };
        let account = data.feature(sample, Source::Account);
        let vpc = data.feature(sample, Source::Vpc).or(account);
        CrossValidation {
            key,
            group_masked: predict(data.mask_group(sample, key, left_out)),
            tag_masked: predict(data.mask_tag(sample, key, correct, number)),
            baselines: [majority(Some(features::estate_feature())), majority(account), majority(vpc)],
        }
    };
    data.correct_tags(sample).iter().copied().map(result).collect()
}

fn summarize<'e>(
    tag_key: Option<String>,
    results: impl Iterator<Item = &'e CrossValidation>,
    threshold: f64,
) -> TagEvaluation {
    let results: Vec<&CrossValidation> = results.collect();
    let graded = |of: fn(&CrossValidation) -> Option<GradedPrediction>| -> Vec<GradedPrediction> {
        // Without a prediction, the case counts as one below the threshold.
        results
            .iter()
            .map(|result| of(result).unwrap_or(GradedPrediction { confidence: 0.0, is_correct: false }))
            .collect()
    };
    let share = |baseline: usize| {
        let correct = results.iter().filter(|result| result.baselines.get(baseline) == Some(&true)).count();
        (!results.is_empty()).then(|| prediction::ratio(correct, results.len()))
    };
    TagEvaluation {
        tag_key,
        whole_groups_hidden: evaluate_predictions(&graded(|result| result.group_masked), threshold),
        as_tags_are_missing: evaluate_predictions(&graded(|result| result.tag_masked), threshold),
        baselines: Baselines { estate_majority: share(0), account_majority: share(1), vpc_majority: share(2) },
    }
}
