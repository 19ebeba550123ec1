//! Tags that are there, told as if they were missing: what weights are learnt from, and examined on.

use tagledger_analysis::prediction::{
    Feature, FeatureVector, Model, Source, TrainingCase,
    counts::{FOLDS, LeaveOut, ValueTally},
    features, fit,
    missingness::{MissingnessPattern, PeerGroup},
};

use crate::learn::dataset::{Sample, TrainingData};

/// Where the folds begin when none is withheld.
const FIRST: usize = 2;

/// Samples below which two folds are too few to learn from.
const FEW: usize = 1_000;

impl TrainingData {
    /// The cases of samples of a fold: each of their tags as if it were missing.
    fn lessons(&self, fold: usize, withheld: &[usize], hidden: &[usize]) -> Vec<TrainingCase> {
        let of_fold = self.samples.iter().enumerate().filter(|(_, sample)| sample.fold == fold);
        let mut cases = Vec::new();
        for (number, sample) in of_fold {
            for (key, right) in self.right(sample).iter().copied() {
                let reading = self.as_if_missing(sample, key, right, number, (withheld, hidden));
                cases.push(TrainingCase { key, features: reading, label: right });
            }
        }
        cases
    }

    /// What is known of a tag of a sample if it lacks that tag, and with it what resources that do lack it lack.
    ///
    /// Where nobody of its kin would have the tag, a sample is told without all of its fold, and so without its kin.
    fn as_if_missing(
        &self,
        sample: &Sample,
        key: usize,
        right: u32,
        number: usize,
        (withheld, hidden): (&[usize], &[usize]),
    ) -> FeatureVector {
        let pattern = self.lacks.get(key).map_or(MissingnessPattern::COMPLETE, |lacks| lacks.sample(number));
        let has_kin = self.sets.get(&sample.set).is_some_and(|facts| facts.group.is_some());
        let withheld = withheld.iter().copied();
        let without = if pattern.peers == PeerGroup::Unlabeled && has_kin {
            LeaveOut::folds(withheld.chain(hidden.iter().copied()).chain([sample.fold]))
        } else {
            LeaveOut { value: Some(right), ..LeaveOut::folds(withheld) }
        };
        self.reading(sample, key, without, pattern)
    }

    /// The same for whoever withholds nothing else.
    pub(crate) fn as_missing(&self, sample: &Sample, key: usize, right: u32, number: usize) -> FeatureVector {
        self.as_if_missing(sample, key, right, number, (&[], &[]))
    }

    /// What is known of a tag of a sample without its group, but with its other tags.
    pub(crate) fn without_group(&self, sample: &Sample, key: usize, without: LeaveOut) -> FeatureVector {
        self.reading(sample, key, without, MissingnessPattern::COMPLETE)
    }

    /// The tags that a sample has rightly.
    pub(crate) fn right(&self, sample: &Sample) -> &[(usize, u32)] {
        self.sets.get(&sample.set).map(|facts| facts.right.as_slice()).unwrap_or_default()
    }

    /// What a sample shares with others by this source.
    pub(crate) fn feature(&self, sample: &Sample, source: Source) -> Option<i64> {
        let links = sample.links.and_then(|links| self.neighbours.get(&links));
        let mut all = links.into_iter().flatten().chain([&sample.account]);
        all.find(|feature| feature.source == source).map(|feature| feature.hash)
    }

    fn reading(&self, sample: &Sample, key: usize, without: LeaveOut, pattern: MissingnessPattern) -> FeatureVector {
        let facts = self.sets.get(&sample.set);
        let own = facts.map(|facts| facts.features.as_slice()).unwrap_or_default();
        let links = sample.links.and_then(|links| self.neighbours.get(&links));
        let creator = sample.creator.and_then(|creator| self.creators.get(&creator)).into_iter().flatten();
        let around = links.into_iter().flatten().chain(creator);
        let all = own.iter().chain(around).chain(&sample.name).chain([&sample.account]);
        let told = all.filter(|feature| feature.is_evidence_for(key) && pattern.is_observed(feature));
        let tally = |feature: &Feature| (feature.source, self.table.tally(feature.hash, key, without));
        let mut evidence: Vec<(Source, ValueTally)> = told.map(tally).filter(|(_, tally)| tally.total > 0).collect();
        // A parent is kin, and as silent.
        let parent = sample.parent.filter(|_| without.value.is_some()).and_then(|set| self.sets.get(&set));
        let known = parent.and_then(|facts| facts.right.iter().find(|(of, _)| *of == key));
        evidence.extend(known.map(|(_, value)| (Source::Parent, ValueTally::single(*value))));
        FeatureVector { prior: self.table.tally(features::estate_feature(), key, without), evidence }
    }

    /// The model that samples of one fold teach and those of another check, knowing nothing of the fold that is withheld. Where
    /// there are few samples, every other fold teaches and the rest checks: of a handful of groups none may be in a single one.
    pub(crate) fn model(&self, withheld: Option<usize>) -> Model {
        let keys: Vec<&str> = self.policy.keys().collect();
        let start = withheld.unwrap_or(FIRST);
        let folds = (1..=FOLDS).map(|step| (start + step) % FOLDS).filter(|fold| Some(*fold) != withheld);
        let taken = if self.samples.len() < FEW { FOLDS } else { 2 };
        let (teach, check): (Vec<_>, Vec<_>) =
            folds.take(taken).enumerate().partition(|(place, _)| place.is_multiple_of(2));
        let withheld: Vec<usize> = withheld.into_iter().collect();
        let hidden: Vec<usize> = if taken == 2 { check.iter().map(|(_, fold)| *fold).collect() } else { Vec::new() };
        let lessons = |folds: Vec<(usize, usize)>, hidden: &[usize]| -> Vec<TrainingCase> {
            folds.into_iter().flat_map(|(_, fold)| self.lessons(fold, &withheld, hidden)).collect()
        };
        let mut model = fit(&keys, &lessons(teach, &hidden), &lessons(check, &[]));
        for (key, spelt) in model.keys.iter_mut().zip(&self.spelt) {
            key.variant_counts = *spelt;
        }
        model
    }
}
