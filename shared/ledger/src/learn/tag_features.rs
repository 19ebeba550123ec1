//! Features of tags and tag sets. Each tag and each set is read once.

use std::collections::HashMap;

use jiff::civil::Date;
use rusqlite::Connection;
use tagledger_analysis::prediction::{
    Feature,
    counts::{FeatureCounter, Folds},
    features::{self, FeatureHasher},
};
use tagledger_model::inventory::is_reserved;
use tagledger_policy::{Policy, TagRule, ValueType};

use crate::{
    db::{
        id_map::HashIdMap,
        interned::{read_tag, read_tag_ids},
    },
    error::LedgerError,
};

/// The features and the correct tags of a tag set.
#[derive(Default)]
pub(crate) struct SetFacts {
    /// The policy's tags that the set has with a valid value, each with the number of the value.
    pub(crate) correct: Vec<(usize, u32)>,
    /// Tags that the set has in two spellings, and whether both have the same value.
    pub(crate) two_spellings: Vec<(usize, bool)>,
    pub(crate) features: Vec<Feature>,
    pub(crate) group: Option<i64>,
    /// The number of the set of correct tags, from the counter.
    pub(crate) labels: u32,
    /// Current resources with this tag set, by fold.
    pub(crate) folds: Folds,
}

impl SetFacts {
    pub(crate) fn count_resources(&self) -> u64 {
        self.folds.iter().map(|count| u64::from(*count)).sum()
    }
}

/// Tag values, numbered in the order in which they were added.
#[derive(Default)]
pub(crate) struct Values {
    numbers: HashMap<String, u32>,
    pub(crate) texts: Vec<String>,
}

impl Values {
    fn find_or_add(&mut self, value: &str) -> u32 {
        if let Some(number) = self.numbers.get(value) {
            return *number;
        }
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.numbers.insert(value.to_owned(), number);
        self.texts.push(value.to_owned());
        number
    }
}

/// The tags of a policy whose values can be predicted from other resources. An expiry date, for example, cannot.
pub(crate) fn shared_tags(policy: &Policy) -> impl Iterator<Item = usize> + '_ {
    let text = |(index, rule): (usize, &TagRule)| (rule.value_type() == ValueType::Text).then_some(index);
    policy.tags().iter().enumerate().filter_map(text)
}

/// The feature of one tag, and the tag of the policy that it is, or is probably intended to be.
#[derive(Debug, Clone, Copy)]
struct TagFacts {
    feature: Option<Feature>,
    intended: Option<IntendedTag>,
}

/// A tag of the policy, or a tag that is probably intended to be one.
#[derive(Debug, Clone, Copy)]
struct IntendedTag {
    index: usize,
    /// Whether the key is exactly the policy's key.
    exact: bool,
    /// The number of the valid value; none when the value is not valid and cannot be corrected.
    correct: Option<u32>,
}

/// Extracts features while all resources are read.
pub(crate) struct TagFeatureExtractor<'p> {
    policy: &'p Policy,
    on: Date,
    shared: Vec<usize>,
    keys: HashMap<String, Option<usize>>,
    tags: HashIdMap<TagFacts>,
    pub(crate) values: Values,
    pub(crate) counter: FeatureCounter,
    pub(crate) namer: FeatureHasher,
}

impl<'p> TagFeatureExtractor<'p> {
    pub(crate) fn new(policy: &'p Policy, on: Date) -> Self {
        Self {
            policy,
            on,
            shared: shared_tags(policy).collect(),
            keys: HashMap::new(),
            tags: HashIdMap::default(),
            values: Values::default(),
            counter: FeatureCounter::default(),
            namer: FeatureHasher::default(),
        }
    }

    fn find_intended_tag(&mut self, key: &str) -> Option<usize> {
        if let Some(cached) = self.keys.get(key) {
            return *cached;
        }
        let intended = self.policy.find_intended_tag(key);
        self.keys.insert(key.to_owned(), intended);
        intended
    }

    fn load_tag(&mut self, db: &Connection, id: i64) -> Result<TagFacts, LedgerError> {
        if let Some(cached) = self.tags.get(&id) {
            return Ok(*cached);
        }
        let (key, value) = read_tag(db, id)?;
        let index = self.find_intended_tag(&key);
        let rule = index.filter(|index| self.shared.contains(index)).and_then(|index| self.policy.tags().get(index));
        let intended = rule.zip(index).filter(|_| !is_reserved(&key)).map(|(rule, index)| {
            let correct = rule.corrected_value(&value, self.on).map(|value| self.values.find_or_add(&value));
            IntendedTag { index, exact: rule.name() == key, correct }
        });
        let facts = TagFacts { feature: features::tag_feature(&key, &value, index), intended };
        self.tags.insert(id, facts);
        Ok(facts)
    }

    pub(crate) fn load_set(&mut self, db: &Connection, set: i64) -> Result<SetFacts, LedgerError> {
        let mut facts = SetFacts::default();
        let mut others = Vec::new();
        for id in read_tag_ids(db, set)? {
            let TagFacts { feature, intended } = self.load_tag(db, id)?;
            facts.features.extend(feature);
            match intended {
                Some(IntendedTag { index, exact: true, correct }) => {
                    facts.correct.extend(correct.map(|value| (index, value)))
                }
                Some(IntendedTag { index, exact: false, correct }) => others.push((index, correct)),
                None => {}
            }
        }
        facts.correct.sort_unstable();
        let correct = |index: usize| facts.correct.iter().find(|(of, _)| *of == index).map(|(_, value)| *value);
        facts.two_spellings = others
            .into_iter()
            .filter_map(|(index, other)| correct(index).map(|value| (index, other == Some(value))))
            .collect();
        facts.features = features::dedup_features(facts.features);
        facts.group = features::group_feature(&facts.features);
        facts.labels = self.counter.label_set(&facts.correct);
        Ok(facts)
    }
}
