//! Which values resources have that share something, counted so that any of them can be left out again.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasherDefault, Hasher},
};

/// Parts of the estate of which each can be left out: whole groups of resources stand in one.
pub const FOLDS: usize = 5;

/// Values kept of what some resources share, and of what all do: those that most have.
const MOST_VALUES: [usize; 2] = [12, 256];

/// Resources by fold.
pub type Folds = [u32; FOLDS];

/// Counts while they are made. Resources with the same right values are counted as one kind, whatever the tags are.
#[derive(Debug, Default)]
pub struct Counter {
    kinds: HashMap<Vec<(usize, u32)>, u32>,
    counts: HashMap<(i64, u32), Folds, BuildHasherDefault<Mixer>>,
}

impl Counter {
    /// The number of a kind of resources: those that have these tags of the policy rightly, with these values.
    pub fn kind(&mut self, right: &[(usize, u32)]) -> u32 {
        if let Some(kind) = self.kinds.get(right) {
            return *kind;
        }
        let kind = u32::try_from(self.kinds.len()).unwrap_or(u32::MAX);
        self.kinds.insert(right.to_vec(), kind);
        kind
    }

    /// So many resources of a kind, by fold, share `feature`.
    pub fn add(&mut self, feature: i64, kind: u32, folds: Folds) {
        let counted = self.counts.entry((feature, kind)).or_default();
        counted.iter_mut().zip(folds).for_each(|(count, more)| *count = count.saturating_add(more));
    }

    /// The counts in order. What fewer resources share than say anything is left out, by the rule given.
    pub fn table(self, fewest: impl Fn(i64) -> u64) -> Table {
        let mut kinds: Vec<(Vec<(usize, u32)>, u32)> = self.kinds.into_iter().collect();
        kinds.sort_unstable_by_key(|(_, kind)| *kind);
        let mut counts: Vec<((i64, u32), Folds)> = self.counts.into_iter().collect();
        counts.sort_unstable_by_key(|(place, _)| *place);
        let mut table = Table::default();
        let mut values: BTreeMap<(u16, u32), Folds> = BTreeMap::new();
        for alike in counts.chunk_by(|((a, _), _), ((b, _), _)| a == b) {
            let Some(((feature, _), _)) = alike.first() else { continue };
            values.clear();
            for ((_, kind), folds) in alike {
                let right = usize::try_from(*kind).ok().and_then(|kind| kinds.get(kind));
                for (key, value) in right.map(|(right, _)| right.as_slice()).unwrap_or_default() {
                    let Ok(key) = u16::try_from(*key) else { continue };
                    let sum = values.entry((key, *value)).or_default();
                    sum.iter_mut().zip(folds).for_each(|(sum, more)| *sum = sum.saturating_add(*more));
                }
            }
            table.keep(*feature, &values, fewest(*feature));
        }
        table
    }
}

/// Counts when they are made, in order.
#[derive(Debug, Default)]
pub struct Table {
    /// Where the values of a feature and a tag begin; they end where the next ones do.
    index: Vec<((i64, u16), u32)>,
    entries: Vec<(u32, Folds)>,
}

impl Table {
    fn keep(&mut self, feature: i64, values: &BTreeMap<(u16, u32), Folds>, fewest: u64) {
        let entries: Vec<(&(u16, u32), &Folds)> = values.iter().collect();
        for of_key in entries.chunk_by(|((a, _), _), ((b, _), _)| a == b) {
            let Some(((key, _), _)) = of_key.first() else { continue };
            let total: u64 = of_key.iter().flat_map(|(_, folds)| folds.iter()).map(|n| u64::from(*n)).sum();
            if total >= fewest {
                self.index.push(((feature, *key), u32::try_from(self.entries.len()).unwrap_or(u32::MAX)));
                self.entries.extend(of_key.iter().map(|((_, value), folds)| (*value, **folds)));
            }
        }
    }

    fn entries(&self, feature: i64, key: usize) -> &[(u32, Folds)] {
        let Ok(key) = u16::try_from(key) else { return &[] };
        let Ok(place) = self.index.binary_search_by_key(&(feature, key), |(place, _)| *place) else { return &[] };
        let begins = |place: usize| self.index.get(place).and_then(|(_, first)| usize::try_from(*first).ok());
        let (first, end) = (begins(place).unwrap_or_default(), begins(place + 1).unwrap_or(self.entries.len()));
        self.entries.get(first..end).unwrap_or_default()
    }
}

/// What is not to be known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Without {
    /// Whole folds.
    pub folds: [bool; FOLDS],
    /// One resource with this value; it must be in a fold that is known.
    pub one: Option<u32>,
}

impl Without {
    /// Nothing but these folds.
    pub fn folds(folds: impl IntoIterator<Item = usize>) -> Self {
        let mut without = Self::default();
        for fold in folds {
            if let Some(left_out) = without.folds.get_mut(fold) {
                *left_out = true;
            }
        }
        without
    }
}

/// Values with how many resources have each, those that most have first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Resources that have the tag rightly, with whatever value.
    pub total: u64,
    /// Values, by the numbers that the counter was given; not all of them where there are many.
    pub values: Vec<(u32, u64)>,
}

impl Tally {
    /// How many have a value.
    pub fn of(&self, value: u32) -> u64 {
        self.values.iter().find(|(known, _)| *known == value).map_or(0, |(_, count)| *count)
    }

    /// One resource with one value.
    pub fn one(value: u32) -> Self {
        Self { total: 1, values: vec![(value, 1)] }
    }
}

impl Table {
    /// What is known of something shared.
    pub fn tally(&self, feature: i64, key: usize, without: Without) -> Tally {
        let entries = self.entries(feature, key);
        let known = |(value, folds): &(u32, Folds)| {
            let counted = folds.iter().zip(without.folds).filter(|(_, left_out)| !left_out);
            let count: u64 = counted.map(|(count, _)| u64::from(*count)).sum();
            (*value, count.saturating_sub(u64::from(without.one == Some(*value))))
        };
        let mut values: Vec<(u32, u64)> = entries.iter().map(known).filter(|(_, count)| *count > 0).collect();
        let total = values.iter().map(|(_, count)| count).sum();
        values.sort_unstable_by_key(|(value, count)| (std::cmp::Reverse(*count), *value));
        let [most, most_of_all] = MOST_VALUES;
        values.truncate(if feature == super::features::estate() { most_of_all } else { most });
        Tally { total, values }
    }

    /// Everything shared, in order, with what is known of it by tag of the policy.
    pub fn features(&self) -> impl Iterator<Item = (i64, Vec<(usize, Tally)>)> {
        let tally = |((feature, key), _): &((i64, u16), u32)| {
            let key = usize::from(*key);
            (key, self.tally(*feature, key, Without::default()))
        };
        let alike = self.index.chunk_by(|((a, _), _), ((b, _), _)| a == b);
        alike.filter_map(move |alike| Some((alike.first()?.0.0, alike.iter().map(tally).collect())))
    }
}

/// Hashes what is hashed already, and small numbers beside it.
#[derive(Debug, Default)]
pub struct Mixer(u64);

impl Mixer {
    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.mix(u64::from(*byte)));
    }

    fn write_i64(&mut self, word: i64) {
        self.mix(word.cast_unsigned());
    }

    fn write_u32(&mut self, word: u32) {
        self.mix(u64::from(word));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_as_if_it_had_never_been_counted() {
        let mut counter = Counter::default();
        let [seven, nine] = [7, 9].map(|value| counter.kind(&[(0, value)]));
        assert_eq!(counter.kind(&[(0, 7)]), seven);
        counter.add(1, seven, [3, 2, 0, 0, 0]);
        counter.add(1, nine, [0, 1, 0, 0, 0]);
        counter.add(1, nine, [0, 0, 6, 0, 0]);
        counter.add(2, seven, [1, 0, 0, 0, 0]);
        let table = counter.table(|feature| if feature == 2 { 2 } else { 1 });
        let tally = |without| table.tally(1, 0, without);
        assert_eq!(tally(Without::default()), Tally { total: 12, values: vec![(9, 7), (7, 5)] });
        assert_eq!(tally(Without::folds([2, 1])), Tally { total: 3, values: vec![(7, 3)] });
        assert_eq!(tally(Without { one: Some(7), ..Without::default() }).of(7), 4);
        assert_eq!(table.tally(2, 0, Without::default()), Tally::default(), "fewer than say anything");
        assert_eq!(table.tally(1, 1, Without::default()), Tally::default());
        assert_eq!(table.features().collect::<Vec<_>>(), [(1, vec![(0, tally(Without::default()))])]);
    }
}
