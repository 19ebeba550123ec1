//! Which values resources have that share something, counted so that any of them can be left out again.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    ops::Range,
};

/// Parts of the estate of which each can be left out: whole groups of resources stand in one.
pub const FOLDS: usize = 5;

/// Values kept of what some resources share, and of what all do: those that most have.
const MOST_VALUES: [usize; 2] = [12, 256];

/// Resources by fold.
type Folds = [u32; FOLDS];

/// What is counted: something shared, a tag of the policy, a value of it.
type Place = (i64, u16, u32);

/// Counts while they are made.
#[derive(Debug, Default)]
pub struct Counter {
    counts: HashMap<Place, Folds, BuildHasherDefault<Mixer>>,
}

impl Counter {
    /// So many resources of a fold that share `feature` have that value of the policy's tag number `key`.
    pub fn add(&mut self, feature: i64, key: usize, value: u32, fold: usize, resources: u32) {
        let Ok(key) = u16::try_from(key) else { return };
        let folds = self.counts.entry((feature, key, value)).or_default();
        if let Some(count) = folds.get_mut(fold) {
            *count = count.saturating_add(resources);
        }
    }

    /// The counts in order. What fewer resources share than say anything is left out, by the rule given.
    pub fn table(self, fewest: impl Fn(i64) -> u64) -> Table {
        let mut counts: Vec<(Place, Folds)> = self.counts.into_iter().collect();
        counts.sort_unstable_by_key(|(place, _)| *place);
        let mut table = Table { index: HashMap::default(), entries: Vec::with_capacity(counts.len()) };
        for alike in counts.chunk_by(|((a, m, _), _), ((b, n, _), _)| (a, m) == (b, n)) {
            let Some(((feature, key, _), _)) = alike.first() else { continue };
            let total: u64 = alike.iter().flat_map(|(_, folds)| folds).map(|n| u64::from(*n)).sum();
            if total >= fewest(*feature) {
                let first = table.entries.len();
                table.entries.extend(alike.iter().map(|((_, _, value), folds)| (*value, *folds)));
                table.index.insert((*feature, *key), first..table.entries.len());
            }
        }
        table
    }
}

/// Counts when they are made.
#[derive(Debug, Default)]
pub struct Table {
    index: HashMap<(i64, u16), Range<usize>, BuildHasherDefault<Mixer>>,
    entries: Vec<(u32, Folds)>,
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
        let place = u16::try_from(key).ok().and_then(|key| self.index.get(&(feature, key)));
        let entries = place.and_then(|range| self.entries.get(range.clone())).unwrap_or_default();
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
    pub fn features(&self) -> Vec<(i64, Vec<(usize, Tally)>)> {
        let mut places: Vec<(i64, u16)> = self.index.keys().copied().collect();
        places.sort_unstable();
        let tally = |(feature, key): &(i64, u16)| {
            let key = usize::from(*key);
            (key, self.tally(*feature, key, Without::default()))
        };
        let alike = places.chunk_by(|(a, _), (b, _)| a == b);
        alike.filter_map(|alike| Some((alike.first()?.0, alike.iter().map(tally).collect()))).collect()
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

    fn write_u16(&mut self, word: u16) {
        self.mix(u64::from(word));
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
        for (value, fold, resources) in [(7, 0, 3), (7, 1, 2), (9, 1, 1), (9, 2, 6)] {
            counter.add(1, 0, value, fold, resources);
        }
        counter.add(2, 0, 7, 0, 1);
        let table = counter.table(|feature| if feature == 2 { 2 } else { 1 });
        let tally = |without| table.tally(1, 0, without);
        assert_eq!(tally(Without::default()), Tally { total: 12, values: vec![(9, 7), (7, 5)] });
        assert_eq!(tally(Without::folds([2, 1])), Tally { total: 3, values: vec![(7, 3)] });
        assert_eq!(tally(Without { one: Some(7), ..Without::default() }).of(7), 4);
        assert_eq!(table.tally(2, 0, Without::default()), Tally::default(), "fewer than say anything");
        assert_eq!(table.tally(1, 1, Without::default()), Tally::default());
        assert_eq!(table.features(), [(1, vec![(0, tally(Without::default()))])]);
    }
}
