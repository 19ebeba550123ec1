//! What follows from tags and sets of tags, each read once.

use std::{collections::HashMap, hash::BuildHasherDefault};

use jiff::civil::Date;
use rusqlite::Connection;

use super::{StoreError, intern::tag_ids, page::tag};
use crate::{
    inventory::is_reserved,
    policy::{Policy, TagRule, ValueType},
    suggest::{
        Feature,
        counts::{Counter, Folds, Mixer},
        features::{self, Namer},
    },
};

/// What follows from a set of tags.
#[derive(Default)]
pub(super) struct SetFacts {
    /// The policy's tags that stand in it rightly, with the number of the value.
    pub(super) right: Vec<(usize, u32)>,
    /// Tags that it has in two spellings, and whether with one value.
    pub(super) twice: Vec<(usize, bool)>,
    pub(super) features: Vec<Feature>,
    pub(super) group: Option<i64>,
    /// The counter's number of what is right.
    pub(super) kind: u32,
    /// Living resources that have these tags.
    pub(super) folds: Folds,
}

impl SetFacts {
    pub(super) fn resources(&self) -> u64 {
        self.folds.iter().map(|count| u64::from(*count)).sum()
    }
}

/// Values with numbers in the order in which they were met.
#[derive(Default)]
pub(super) struct Values {
    numbers: HashMap<String, u32>,
    pub(super) texts: Vec<String>,
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
pub(super) fn shared_tags(policy: &Policy) -> impl Iterator<Item = usize> + '_ {
    let text = |(place, rule): (usize, &TagRule)| (rule.value_type() == ValueType::Text).then_some(place);
    policy.tags().iter().enumerate().filter_map(text)
}

/// What follows from one tag.
#[derive(Debug, Clone, Copy)]
struct TagFacts {
    feature: Option<Feature>,
    of: Option<Meant>,
}

/// A tag that is one of the policy's, or was probably meant to be.
#[derive(Debug, Clone, Copy)]
struct Meant {
    place: usize,
    /// Whether the key is the policy's to the letter.
    exact: bool,
    /// The number of the value as it should be; none where that is not clear.
    right: Option<u32>,
}

/// What is known while all resources are read.
pub(super) struct Gathering<'p> {
    policy: &'p Policy,
    on: Date,
    shared: Vec<usize>,
    keys: HashMap<String, Option<usize>>,
    tags: ByNumber<TagFacts>,
    pub(super) values: Values,
    pub(super) counter: Counter,
    pub(super) namer: Namer,
}

/// By local ids.
pub(super) type ByNumber<T> = HashMap<i64, T, BuildHasherDefault<Mixer>>;

/// Numbers by local ids, which are given out without holes: a tenth of what a map of them takes.
#[derive(Default)]
pub(super) struct ById(Vec<u32>);

impl ById {
    /// Of an id that was not seen yet.
    const UNSEEN: u32 = u32::MAX;

    pub(super) fn get(&self, id: i64) -> Option<u32> {
        let known = usize::try_from(id).ok().and_then(|at| self.0.get(at)).copied();
        known.filter(|number| *number != Self::UNSEEN)
    }

    pub(super) fn set(&mut self, id: i64, number: u32) {
        let Ok(at) = usize::try_from(id) else { return };
        if self.0.len() <= at {
            self.0.resize(at + 1, Self::UNSEEN);
        }
        if let Some(place) = self.0.get_mut(at) {
            *place = number;
        }
    }
}

impl<'p> Gathering<'p> {
    pub(super) fn new(policy: &'p Policy, on: Date) -> Self {
        Self {
            policy,
            on,
            shared: shared_tags(policy).collect(),
            keys: HashMap::new(),
            tags: ByNumber::default(),
            values: Values::default(),
            counter: Counter::default(),
            namer: Namer::default(),
        }
    }

    fn meant(&mut self, key: &str) -> Option<usize> {
        if let Some(known) = self.keys.get(key) {
            return *known;
        }
        let meant = self.policy.meant(key);
        self.keys.insert(key.to_owned(), meant);
        meant
    }

    fn tag(&mut self, db: &Connection, id: i64) -> Result<TagFacts, StoreError> {
        if let Some(known) = self.tags.get(&id) {
            return Ok(*known);
        }
        let (key, value) = tag(db, id)?;
        let place = self.meant(&key);
        let rule = place.filter(|place| self.shared.contains(place)).and_then(|place| self.policy.tags().get(place));
        let of = rule.zip(place).filter(|_| !is_reserved(&key)).map(|(rule, place)| {
            let right = rule.right_value(&value, self.on).map(|right| self.values.number(&right));
            Meant { place, exact: rule.name() == key, right }
        });
        let facts = TagFacts { feature: features::of_tag(&key, &value, place), of };
        self.tags.insert(id, facts);
        Ok(facts)
    }

    pub(super) fn set(&mut self, db: &Connection, set: i64) -> Result<SetFacts, StoreError> {
        let mut facts = SetFacts::default();
        let mut others = Vec::new();
        for id in tag_ids(db, set)? {
            let TagFacts { feature, of } = self.tag(db, id)?;
            facts.features.extend(feature);
            match of {
                Some(Meant { place, exact: true, right }) => facts.right.extend(right.map(|right| (place, right))),
                Some(Meant { place, exact: false, right }) => others.push((place, right)),
                None => {}
            }
        }
        facts.right.sort_unstable();
        let right = |place: usize| facts.right.iter().find(|(of, _)| *of == place).map(|(_, right)| *right);
        facts.twice = others
            .into_iter()
            .filter_map(|(place, other)| right(place).map(|right| (place, other == Some(right))))
            .collect();
        facts.features = features::each_once(facts.features);
        facts.group = features::group(&facts.features);
        facts.kind = self.counter.kind(&facts.right);
        Ok(facts)
    }
}
