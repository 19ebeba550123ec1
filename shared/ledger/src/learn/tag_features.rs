//! What follows from tags and sets of tags, each read once.

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
        interned::{tag, tag_ids},
    },
    error::LedgerError,
};

/// What follows from a set of tags.
#[derive(Default)]
pub(crate) struct SetFacts {
    /// The policy's tags that stand in it rightly, with the number of the value.
    pub(crate) right: Vec<(usize, u32)>,
    /// Tags that it has in two spellings, and whether with one value.
    pub(crate) twice: Vec<(usize, bool)>,
    pub(crate) features: Vec<Feature>,
    pub(crate) group: Option<i64>,
    /// The counter's number of what is right.
    pub(crate) kind: u32,
    /// Living resources that have these tags.
    pub(crate) folds: Folds,
}

impl SetFacts {
    pub(crate) fn resources(&self) -> u64 {
        self.folds.iter().map(|count| u64::from(*count)).sum()
    }
}

/// Values with numbers in the order in which they were met.
#[derive(Default)]
pub(crate) struct Values {
    numbers: HashMap<String, u32>,
    pub(crate) texts: Vec<String>,
}

impl Values {
    fn number(&mut self, value: &str) -> u32 {
        if let Some(number) = self.numbers.get(value) {
            return *number;
        }
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.numbers.insert(value.to_owned(), number);
        self.texts.push(value.to_owned());
        number
    }
}

/// The tags of a policy whose values others can know: the day on which something expires is its own.
pub(crate) fn shared_tags(policy: &Policy) -> impl Iterator<Item = usize> + '_ {
    let text = |(place, rule): (usize, &TagRule)| (rule.value_type() == ValueType::Text).then_some(place);
    policy.tags().iter().enumerate().filter_map(text)
}

/// What follows from one tag.
#[derive(Debug, Clone, Copy)]
struct TagFacts {
    feature: Option<Feature>,
    of: Option<IntendedTag>,
}

/// A tag that is one of the policy's, or was probably meant to be.
#[derive(Debug, Clone, Copy)]
struct IntendedTag {
    place: usize,
    /// Whether the key is the policy's to the letter.
    exact: bool,
    /// The number of the value as it should be; none where that is not clear.
    right: Option<u32>,
}

/// What is known while all resources are read.
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

    fn meant(&mut self, key: &str) -> Option<usize> {
        if let Some(known) = self.keys.get(key) {
            return *known;
        }
        let meant = self.policy.find_intended_tag(key);
        self.keys.insert(key.to_owned(), meant);
        meant
    }

    fn tag(&mut self, db: &Connection, id: i64) -> Result<TagFacts, LedgerError> {
        if let Some(known) = self.tags.get(&id) {
            return Ok(*known);
        }
        let (key, value) = tag(db, id)?;
        let place = self.meant(&key);
        let rule = place.filter(|place| self.shared.contains(place)).and_then(|place| self.policy.tags().get(place));
        let of = rule.zip(place).filter(|_| !is_reserved(&key)).map(|(rule, place)| {
            let right = rule.corrected_value(&value, self.on).map(|right| self.values.number(&right));
            IntendedTag { place, exact: rule.name() == key, right }
        });
        let facts = TagFacts { feature: features::tag_feature(&key, &value, place), of };
        self.tags.insert(id, facts);
        Ok(facts)
    }

    pub(crate) fn set(&mut self, db: &Connection, set: i64) -> Result<SetFacts, LedgerError> {
        let mut facts = SetFacts::default();
        let mut others = Vec::new();
        for id in tag_ids(db, set)? {
            let TagFacts { feature, of } = self.tag(db, id)?;
            facts.features.extend(feature);
            match of {
                Some(IntendedTag { place, exact: true, right }) => {
                    facts.right.extend(right.map(|right| (place, right)))
                }
                Some(IntendedTag { place, exact: false, right }) => others.push((place, right)),
                None => {}
            }
        }
        facts.right.sort_unstable();
        let right = |place: usize| facts.right.iter().find(|(of, _)| *of == place).map(|(_, right)| *right);
        facts.twice = others
            .into_iter()
            .filter_map(|(place, other)| right(place).map(|right| (place, other == Some(right))))
            .collect();
        facts.features = features::dedup_features(facts.features);
        facts.group = features::group_feature(&facts.features);
        facts.kind = self.counter.label_set(&facts.right);
        Ok(facts)
    }
}
