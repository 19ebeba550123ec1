//! How right suggestions are on the ledger's own resources: each tag that is there hidden, and guessed.

use serde::Serialize;

use super::{
    Reader, StoreError,
    evidence::newest_lore,
    lore::{Lore, Sample},
};
use crate::suggest::{
    Model, Source,
    counts::{FOLDS, Without},
    evaluate::{Graded, Grades, grades},
};

/// How right suggestions are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Examination {
    /// The snapshot whose resources were asked about.
    pub snapshot_id: i64,
    /// Resources whose tags were hidden, one at a time.
    pub resources: u64,
    /// Below this confidence nothing is suggested.
    pub threshold: f64,
    /// All required tags together.
    pub overall: TagExamination,
    /// Each required tag by itself, in the policy's order.
    pub tags: Vec<TagExamination>,
}

/// How right suggestions are for one tag, or for all.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TagExamination {
    /// Its key; null for all together.
    pub tag_key: Option<String>,
    /// With a fifth of all groups (stacks, scaling groups, clusters) hidden whole: what suggestions are worth where nobody of the
    /// resource's own group has the tag. All other tags of the resource are shown.
    pub whole_groups_hidden: Grades,
    /// With as much hidden as resources that do lack the tag lack: what suggestions are worth here.
    pub as_tags_are_missing: Grades,
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
struct Exam {
    key: usize,
    hidden: Option<Graded>,
    missing: Option<Graded>,
    baselines: [bool; 3],
}

impl Reader {
    /// Hides each required tag of the newest snapshot's resources and guesses it, with models that never saw the fifth of the
    /// estate that the resource is in. None without a snapshot.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub fn examine_suggestions(&self, threshold: f64) -> Result<Option<Examination>, StoreError> {
        let lore = self.read_unhurried(newest_lore)?;
        Ok(lore.map(|(snapshot, lore)| examine(snapshot, &lore, threshold)))
    }
}

fn examine(snapshot_id: i64, lore: &Lore, threshold: f64) -> Examination {
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
    Examination {
        snapshot_id,
        resources: lore.samples.len() as u64,
        threshold,
        overall: summed(None, exams.iter(), threshold),
        tags: super::gathering::shared_tags(&lore.policy).filter(|place| *place < required).map(tag).collect(),
    }
}

/// All tags of one resource, each hidden in turn.
fn sit(lore: &Lore, model: &Model, sample: &Sample, number: usize) -> Vec<Exam> {
    let without = Without::folds([sample.fold]);
    let exam = |(key, right): (usize, u32)| {
        let guess = |reading| {
            let likely = model.keys.get(key).and_then(|model| model.likely(&reading));
            likely.map(|likely| Graded { confidence: likely.confidence, right: likely.value == right })
        };
        let majority = |feature: Option<i64>| {
            let tally = feature.map(|feature| lore.table.tally(feature, key, without));
            tally.and_then(|tally| tally.values.first().map(|(value, _)| *value == right)).unwrap_or(false)
        };
        let account = lore.feature(sample, Source::Account);
        let vpc = lore.feature(sample, Source::Vpc).or(account);
        Exam {
            key,
            hidden: guess(lore.without_group(sample, key, without)),
            missing: guess(lore.as_missing(sample, key, right, number)),
            baselines: [majority(Some(crate::suggest::features::estate())), majority(account), majority(vpc)],
        }
    };
    lore.right(sample).iter().copied().map(exam).collect()
}

fn summed<'e>(tag_key: Option<String>, exams: impl Iterator<Item = &'e Exam>, threshold: f64) -> TagExamination {
    let exams: Vec<&Exam> = exams.collect();
    let graded = |of: fn(&Exam) -> Option<Graded>| -> Vec<Graded> {
        // What nothing is known of is as little answered as what is not known well enough.
        exams.iter().map(|exam| of(exam).unwrap_or(Graded { confidence: 0.0, right: false })).collect()
    };
    let share = |place: usize| {
        let right = exams.iter().filter(|exam| exam.baselines.get(place) == Some(&true)).count();
        (!exams.is_empty()).then(|| crate::suggest::share_of(right, exams.len()))
    };
    TagExamination {
        tag_key,
        whole_groups_hidden: grades(&graded(|exam| exam.hidden), threshold),
        as_tags_are_missing: grades(&graded(|exam| exam.missing), threshold),
        baselines: Baselines { estate_majority: share(0), account_majority: share(1), vpc_majority: share(2) },
    }
}
