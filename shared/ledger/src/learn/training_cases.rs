//! Labeled training cases: a tag of a resource is masked, and the model predicts it.

use tagledger_analysis::prediction::{
    Feature, FeatureVector, Model, Source, TrainingCase,
    counts::{FOLDS, LeaveOut, ValueTally},
    features, fit,
    missingness::{MissingnessPattern, PeerGroup},
};

use crate::learn::dataset::{Sample, TrainingData};

/// The first fold when no fold is left out.
const FIRST_FOLD: usize = 2;

/// With fewer samples, two folds are not enough to train on.
const MIN_SAMPLES_FOR_TWO_FOLDS: usize = 1_000;

impl TrainingData {
    /// The cases of a fold: one for each correct tag of each sample.
    fn cases_of_fold(&self, fold: usize, left_out: &[usize], held_out: &[usize]) -> Vec<TrainingCase> {
        let of_fold = self.samples.iter().enumerate().filter(|(_, sample)| sample.fold == fold);
        let mut cases = Vec::new();
        for (number, sample) in of_fold {
            for (key, label) in self.correct_tags(sample).iter().copied() {
                let features = self.mask_tag_without(sample, key, label, number, (left_out, held_out));
                cases.push(TrainingCase { key, features, label });
            }
        }
        cases
    }

    /// The features of a sample with one tag masked, and with it the features that resources without that tag do not have.
    ///
    /// When no peer of such a resource has the tag, the counts leave out the whole fold of the sample, which contains its peers.
    fn mask_tag_without(
        &self,
        sample: &Sample,
        key: usize,
        label: u32,
        number: usize,
        (left_out, held_out): (&[usize], &[usize]),
    ) -> FeatureVector {
        let pattern =
            self.missingness.get(key).map_or(MissingnessPattern::COMPLETE, |missingness| missingness.sample(number));
        let has_peers = self.sets.get(&sample.set).is_some_and(|facts| facts.group.is_some());
        let left_out = left_out.iter().copied();
        let without = if pattern.peers == PeerGroup::Unlabeled && has_peers {
            LeaveOut::folds(left_out.chain(held_out.iter().copied()).chain([sample.fold]))
        } else {
            LeaveOut { value: Some(label), ..LeaveOut::folds(left_out) }
        };
        self.feature_vector(sample, key, without, pattern)
    }

    /// The features of a sample with one tag masked.
    pub(crate) fn mask_tag(&self, sample: &Sample, key: usize, label: u32, number: usize) -> FeatureVector {
        self.mask_tag_without(sample, key, label, number, (&[], &[]))
    }

    /// The features of a sample whose whole group is masked. Its other tags are not.
    pub(crate) fn mask_group(&self, sample: &Sample, key: usize, without: LeaveOut) -> FeatureVector {
        self.feature_vector(sample, key, without, MissingnessPattern::COMPLETE)
    }

    /// The correct tags of a sample.
    pub(crate) fn correct_tags(&self, sample: &Sample) -> &[(usize, u32)] {
        self.sets.get(&sample.set).map(|facts| facts.correct.as_slice()).unwrap_or_default()
    }

    /// The feature of a sample from one source.
    pub(crate) fn feature(&self, sample: &Sample, source: Source) -> Option<i64> {
        let links = sample.links.and_then(|links| self.neighbours.get(&links));
        let mut all = links.into_iter().flatten().chain([&sample.account]);
        all.find(|feature| feature.source == source).map(|feature| feature.hash)
    }

    fn feature_vector(
        &self,
        sample: &Sample,
        key: usize,
        without: LeaveOut,
        pattern: MissingnessPattern,
    ) -> FeatureVector {
        let facts = self.sets.get(&sample.set);
        let own = facts.map(|facts| facts.features.as_slice()).unwrap_or_default();
        let links = sample.links.and_then(|links| self.neighbours.get(&links));
        let creator = sample.creator.and_then(|creator| self.creators.get(&creator)).into_iter().flatten();
        let related = links.into_iter().flatten().chain(creator);
        let all = own.iter().chain(related).chain(&sample.name).chain([&sample.account]);
        let observed = all.filter(|feature| feature.is_evidence_for(key) && pattern.is_observed(feature));
        let tally = |feature: &Feature| (feature.source, self.table.tally(feature.hash, key, without));
        let mut evidence: Vec<(Source, ValueTally)> =
            observed.map(tally).filter(|(_, tally)| tally.total > 0).collect();
        // A parent is a peer, so it is left out with the fold.
        let parent = sample.parent.filter(|_| without.value.is_some()).and_then(|set| self.sets.get(&set));
        let parent_tag = parent.and_then(|facts| facts.correct.iter().find(|(index, _)| *index == key));
        evidence.extend(parent_tag.map(|(_, value)| (Source::Parent, ValueTally::single(*value))));
        FeatureVector { prior: self.table.tally(features::estate_feature(), key, without), evidence }
    }

    /// A model whose weights are trained on one fold and calibrated on another, without the fold that is left out. With few samples, the
    /// remaining folds are used alternately for training and for calibration, because a single fold may have none of a few groups.
    pub(crate) fn model(&self, left_out: Option<usize>) -> Model {
        let keys: Vec<&str> = self.policy.keys().collect();
        let start = left_out.unwrap_or(FIRST_FOLD);
        let folds = (1..=FOLDS).map(|step| (start + step) % FOLDS).filter(|fold| Some(*fold) != left_out);
        let used_folds = if self.samples.len() < MIN_SAMPLES_FOR_TWO_FOLDS { FOLDS } else { 2 };
        let (training, calibration): (Vec<_>, Vec<_>) =
            folds.take(used_folds).enumerate().partition(|(position, _)| position.is_multiple_of(2));
        let left_out: Vec<usize> = left_out.into_iter().collect();
        let held_out: Vec<usize> =
            if used_folds == 2 { calibration.iter().map(|(_, fold)| *fold).collect() } else { Vec::new() };
        let cases = |folds: Vec<(usize, usize)>, held_out: &[usize]| -> Vec<TrainingCase> {
            folds.into_iter().flat_map(|(_, fold)| self.cases_of_fold(fold, &left_out, held_out)).collect()
        };
        let mut model = fit(&keys, &cases(training, &held_out), &cases(calibration, &[]));
        for (key, two_spellings) in model.keys.iter_mut().zip(&self.two_spellings) {
            key.variant_counts = *two_spellings;
        }
        model
    }
}
