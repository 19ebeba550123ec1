//! How right suggestions are on the ledger's own resources: each tag that is there hidden, and guessed.

use serde::Serialize;
use tagledger_analysis::prediction::{
    self, Model, Source,
    counts::{FOLDS, LeaveOut},
    evaluation::{GradedPrediction, ReliabilityReport, evaluate_predictions},
    features,
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

/// How right suggestions are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvaluationReport {
    /// The snapshot whose resources were asked about.
    pub snapshot_id: i64,
    /// Resources whose tags were hidden, one at a time.
    pub resources: u64,
    /// Below this confidence nothing is suggested.
    pub threshold: f64,
    /// All required tags together.
    pub overall: TagEvaluation,
    /// Each required tag by itself, in the policy's order.
    pub tags: Vec<TagEvaluation>,
}

/// How right suggestions are for one tag, or for all.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TagEvaluation {
    /// Its key; null for all together.
    pub tag_key: Option<String>,
    /// With a fifth of all groups (stacks, scaling groups, clusters) hidden whole: what suggestions are worth where nobody of the
    /// resource's own group has the tag. All other tags of the resource are shown.
    pub whole_groups_hidden: ReliabilityReport,
    /// With as much hidden as resources that do lack the tag lack: what suggestions are worth here.
    pub as_tags_are_missing: ReliabilityReport,
    /// In how many the value would be right that most have: in the estate, in the account, in the VPC. With whole groups hidden.
    pub baselines: Baselines,
}

/// How right simple rules are; null without cases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Baselines {
    /// The value that most resources have.
    pub estate_majority: Option<f64>,
    /// The value that most in the account have.
    pub account_majority: Option<f64>,
    /// The value that most in the VPC have; in the account where there is no VPC.
    pub vpc_majority: Option<f64>,
}

/// One hidden tag.
struct CrossValidation {
    key: usize,
    hidden: Option<GradedPrediction>,
    missing: Option<GradedPrediction>,
    baselines: [bool; 3],
}

impl LedgerReader {
    /// Hides each required tag of the newest snapshot's resources and guesses it, with models that never saw the fifth of the
    /// estate that the resource is in. None without a snapshot.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub fn examine_suggestions(&self, threshold: f64) -> Result<Option<EvaluationReport>, LedgerError> {
        let lore = self.read_without_deadline(load_newest)?;
        Ok(lore.map(|(snapshot, lore)| examine(snapshot, &lore, threshold)))
    }
}

fn examine(snapshot_id: i64, lore: &TrainingData, threshold: f64) -> EvaluationReport {
    let required = lore.policy.required().len();
    let mut exams = Vec::new();
    for fold in 0..FOLDS {
        let model = lore.model(Some(fold));
        let samples = lore.samples.iter().enumerate().filter(|(_, sample)| sample.fold == fold);
        samples.for_each(|(number, sample)| exams.extend(sit(lore, &model, sample, number)));
    }
    exams.retain(|exam| exam.key < required);
    let tag = |place: usize| {
        let name = lore.policy.required().get(place).map(|rule| rule.name().to_owned());
        summed(name, exams.iter().filter(|exam| exam.key == place), threshold)
    };
    EvaluationReport {
        snapshot_id,
        resources: lore.samples.len() as u64,
        threshold,
        overall: summed(None, exams.iter(), threshold),
        tags: tag_features::shared_tags(&lore.policy).filter(|place| *place < required).map(tag).collect(),
    }
}

/// All tags of one resource, each hidden in turn.
fn sit(lore: &TrainingData, model: &Model, sample: &Sample, number: usize) -> Vec<CrossValidation> {
    let without = LeaveOut::folds([sample.fold]);
    let exam = |(key, right): (usize, u32)| {
        let guess = |reading| {
            let likely = model.keys.get(key).and_then(|model| model.predict(&reading));
            likely.map(|likely| GradedPrediction { confidence: likely.confidence, is_correct: likely.value == right })
        };
        let majority = |feature: Option<i64>| {
            let tally = feature.map(|feature| lore.table.tally(feature, key, without));
            tally.and_then(|tally| tally.values.first().map(|(value, _)| *value == right)).unwrap_or(false)
        };
        let account = lore.feature(sample, Source::Account);
        let vpc = lore.feature(sample, Source::Vpc).or(account);
        CrossValidation {
            key,
            hidden: guess(lore.without_group(sample, key, without)),
            missing: guess(lore.as_missing(sample, key, right, number)),
            baselines: [majority(Some(features::estate_feature())), majority(account), majority(vpc)],
        }
    };
    lore.right(sample).iter().copied().map(exam).collect()
}

fn summed<'e>(
    tag_key: Option<String>,
    exams: impl Iterator<Item = &'e CrossValidation>,
    threshold: f64,
) -> TagEvaluation {
    let exams: Vec<&CrossValidation> = exams.collect();
    let graded = |of: fn(&CrossValidation) -> Option<GradedPrediction>| -> Vec<GradedPrediction> {
        // What nothing is known of is as little answered as what is not known well enough.
        exams.iter().map(|exam| of(exam).unwrap_or(GradedPrediction { confidence: 0.0, is_correct: false })).collect()
    };
    let share = |place: usize| {
        let right = exams.iter().filter(|exam| exam.baselines.get(place) == Some(&true)).count();
        (!exams.is_empty()).then(|| prediction::ratio(right, exams.len()))
    };
    TagEvaluation {
        tag_key,
        whole_groups_hidden: evaluate_predictions(&graded(|exam| exam.hidden), threshold),
        as_tags_are_missing: evaluate_predictions(&graded(|exam| exam.missing), threshold),
        baselines: Baselines { estate_majority: share(0), account_majority: share(1), vpc_majority: share(2) },
    }
}
