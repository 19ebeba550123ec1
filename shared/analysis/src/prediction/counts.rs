//! Counts of tag values by feature. The counts are kept by fold, so that folds or a single resource can be left out.

use std::collections::{BTreeMap, HashMap};

use rustc_hash::FxBuildHasher;

use crate::prediction::features;

/// The number of folds for cross-validation. All resources of a group are in one fold.
pub const FOLDS: usize = 5;

/// The maximum number of values of a feature, and of the feature that all resources share. The most frequent values are
/// kept.
const MAX_VALUES: [usize; 2] = [12, 256];

/// Numbers of resources by fold. A `u32` cannot overflow, because a ledger holds far fewer than 4,000 million
/// resources.
pub type Folds = [u32; FOLDS];

/// Counts values by feature. Resources with the same valid values have one label set, so that each feature is counted
/// once for all of their tags.
#[derive(Debug, Default)]
pub struct FeatureCounter {
    label_sets: HashMap<Vec<(usize, u32)>, u32>,
    counts: HashMap<(i64, u32), Folds, FxBuildHasher>,
}

impl FeatureCounter {
    /// The number of a label set: the policy tags that are valid, by index, with their values.
    pub fn label_set(&mut self, labels: &[(usize, u32)]) -> u32 {
        if let Some(label_set) = self.label_sets.get(labels) {
            return *label_set;
        }
        let label_set = u32::try_from(self.label_sets.len()).unwrap_or(u32::MAX);
        self.label_sets.insert(labels.to_vec(), label_set);
        label_set
    }

    /// Adds the numbers of resources by fold that have a label set and share `feature`.
    pub fn add(&mut self, feature: i64, label_set: u32, folds: Folds) {
        let counts = self.counts.entry((feature, label_set)).or_default();
        counts.iter_mut().zip(folds).for_each(|(count, added)| *count = count.saturating_add(added));
    }

    /// The table of the counts. Features that fewer resources share than `min_resources` of the feature are left out.
    pub fn into_table(self, min_resources: impl Fn(i64) -> u64) -> FeatureTable {
        let mut label_sets: Vec<(Vec<(usize, u32)>, u32)> = self.label_sets.into_iter().collect();
        label_sets.sort_unstable_by_key(|(_, label_set)| *label_set);
        let mut counts: Vec<((i64, u32), Folds)> = self.counts.into_iter().collect();
        counts.sort_unstable_by_key(|(entry, _)| *entry);
        let mut table = FeatureTable::default();
        let mut values: BTreeMap<(u16, u32), Folds> = BTreeMap::new();
        for same_feature in counts.chunk_by(|((a, _), _), ((b, _), _)| a == b) {
            let Some(((feature, _), _)) = same_feature.first() else { continue };
            values.clear();
            for ((_, label_set), folds) in same_feature {
                let labels = usize::try_from(*label_set).ok().and_then(|index| label_sets.get(index));
                for (key, value) in labels.map(|(labels, _)| labels.as_slice()).unwrap_or_default() {
                    let Ok(key) = u16::try_from(*key) else { continue };
                    let sum = values.entry((key, *value)).or_default();
                    sum.iter_mut().zip(folds).for_each(|(sum, added)| *sum = sum.saturating_add(*added));
                }
            }
            table.insert(*feature, &values, min_resources(*feature));
        }
        table
    }
}

/// Counts of values by feature and tag, sorted for binary search.
#[derive(Debug, Default)]
pub struct FeatureTable {
    /// The index of the first entry of each feature and tag. The entries end at the next index.
    index: Vec<((i64, u16), u32)>,
    entries: Vec<(u32, Folds)>,
}

impl FeatureTable {
    fn insert(&mut self, feature: i64, values: &BTreeMap<(u16, u32), Folds>, min_resources: u64) {
        let entries: Vec<(&(u16, u32), &Folds)> = values.iter().collect();
        for same_key in entries.chunk_by(|((a, _), _), ((b, _), _)| a == b) {
            let Some(((key, _), _)) = same_key.first() else { continue };
            let total: u64 = same_key.iter().flat_map(|(_, folds)| folds.iter()).map(|n| u64::from(*n)).sum();
            if total >= min_resources {
                self.index.push(((feature, *key), u32::try_from(self.entries.len()).unwrap_or(u32::MAX)));
                self.entries.extend(same_key.iter().map(|((_, value), folds)| (*value, **folds)));
            }
        }
    }

    fn entries(&self, feature: i64, key: usize) -> &[(u32, Folds)] {
        let Ok(key) = u16::try_from(key) else { return &[] };
        let Ok(position) = self.index.binary_search_by_key(&(feature, key), |(entry, _)| *entry) else { return &[] };
        let start = |position: usize| self.index.get(position).and_then(|(_, first)| usize::try_from(*first).ok());
        let (first, end) = (start(position).unwrap_or_default(), start(position + 1).unwrap_or(self.entries.len()));
        self.entries.get(first..end).unwrap_or_default()
    }
}

/// The resources that a tally leaves out.
#[derive(Debug, Clone, Copy, Default)]
pub struct LeaveOut {
    /// The folds to leave out.
    pub folds: [bool; FOLDS],
    /// One resource with this value to leave out. It must be in a fold that is not left out.
    pub value: Option<u32>,
}

impl LeaveOut {
    /// Leaves out these folds.
    pub fn folds(folds: impl IntoIterator<Item = usize>) -> Self {
        let mut leave_out = Self::default();
        for fold in folds {
            if let Some(left_out) = leave_out.folds.get_mut(fold) {
                *left_out = true;
            }
        }
        leave_out
    }
}

/// Numbers of resources by value, the most frequent value first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValueTally {
    /// The number of resources with any valid value of the tag.
    pub total: u64,
    /// The values, by the numbers that the counter was given, with their counts. Only the most frequent ones.
    pub values: Vec<(u32, u64)>,
}

impl ValueTally {
    /// The number of resources with a value.
    pub fn count_of(&self, value: u32) -> u64 {
        self.values.iter().find(|(other, _)| *other == value).map_or(0, |(_, count)| *count)
    }

    /// The tally of one resource.
    pub fn single(value: u32) -> Self {
        Self { total: 1, values: vec![(value, 1)] }
    }
}

impl FeatureTable {
    /// The tally of a feature for the policy tag with index `key`.
    pub fn tally(&self, feature: i64, key: usize, leave_out: LeaveOut) -> ValueTally {
        let entries = self.entries(feature, key);
        let counted = |(value, folds): &(u32, Folds)| {
            let included = folds.iter().zip(leave_out.folds).filter(|(_, left_out)| !left_out);
            let count: u64 = included.map(|(count, _)| u64::from(*count)).sum();
            (*value, count.saturating_sub(u64::from(leave_out.value == Some(*value))))
        };
        let mut values: Vec<(u32, u64)> = entries.iter().map(counted).filter(|(_, count)| *count > 0).collect();
        let total = values.iter().map(|(_, count)| count).sum();
        values.sort_unstable_by_key(|(value, count)| (std::cmp::Reverse(*count), *value));
        let [max_of_feature, max_of_estate] = MAX_VALUES;
        values.truncate(if feature == features::estate_feature() { max_of_estate } else { max_of_feature });
        ValueTally { total, values }
    }

    /// All features in order, with their tallies by the index of the policy tag.
    pub fn features(&self) -> impl Iterator<Item = (i64, Vec<(usize, ValueTally)>)> {
        let tally = |((feature, key), _): &((i64, u16), u32)| {
            let key = usize::from(*key);
            (key, self.tally(*feature, key, LeaveOut::default()))
        };
        let by_feature = self.index.chunk_by(|((a, _), _), ((b, _), _)| a == b);
        by_feature.filter_map(move |entries| Some((entries.first()?.0.0, entries.iter().map(tally).collect())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Leaving out folds or a single value gives the tally that would result if those resources had never been counted.
    /// Features shared by fewer resources than the minimum have no tally.
    #[test]
    fn left_out_folds_do_not_affect_tally() {
        let mut counter = FeatureCounter::default();
        let [seven, nine] = [7, 9].map(|value| counter.label_set(&[(0, value)]));
        assert_eq!(counter.label_set(&[(0, 7)]), seven);
        counter.add(1, seven, [3, 2, 0, 0, 0]);
        counter.add(1, nine, [0, 1, 0, 0, 0]);
        counter.add(1, nine, [0, 0, 6, 0, 0]);
        counter.add(2, seven, [1, 0, 0, 0, 0]);
        let table = counter.into_table(|feature| if feature == 2 { 2 } else { 1 });
        let tally = |leave_out| table.tally(1, 0, leave_out);
        assert_eq!(tally(LeaveOut::default()), ValueTally { total: 12, values: vec![(9, 7), (7, 5)] });
        assert_eq!(tally(LeaveOut::folds([2, 1])), ValueTally { total: 3, values: vec![(7, 3)] });
        assert_eq!(tally(LeaveOut { value: Some(7), ..LeaveOut::default() }).count_of(7), 4);
        assert_eq!(table.tally(2, 0, LeaveOut::default()), ValueTally::default(), "shared by fewer than the minimum");
        assert_eq!(table.tally(1, 1, LeaveOut::default()), ValueTally::default());
        assert_eq!(table.features().collect::<Vec<_>>(), [(1, vec![(0, tally(LeaveOut::default()))])]);
    }
}
