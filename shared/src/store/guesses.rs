//! What the evidence of others says of single resources.

use std::{cell::RefCell, rc::Rc};

use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension, Row};

use super::{
    Attempt, Snapshot, StoreError, View,
    gathering::ByNumber,
    intern::{NAME, statement, varints},
    lore::{last_part, link_set, set_of},
    rows::rows,
    sql,
};
use crate::{
    Arn,
    inventory::{Neighbour, Scope, TagSet},
    policy::Policy,
    suggest::{Feature, Likely, Model, Reading, Source, Support, counts::Tally, features},
};

/// A resource of which values are missing, as it is known now.
#[derive(Debug, Clone, Copy)]
pub struct Suspect<'a> {
    /// Its type and account.
    pub scope: &'a Scope,
    /// Its name.
    pub arn: &'a Arn,
    /// Its tags.
    pub tags: &'a TagSet,
    /// What it stands in.
    pub neighbours: &'a [Neighbour],
    /// The key of the resource that it is a part of.
    pub parent: Option<i64>,
    /// The ARN of who created it.
    pub creator: Option<&'a str>,
}

/// What the ledger knows of where a resource is, and where it comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placed {
    /// What it stands in.
    pub neighbours: Vec<Neighbour>,
    /// The key of the resource that it is a part of.
    pub parent: Option<i64>,
    /// The ARN of who created it.
    pub creator: Option<String>,
}

impl Placed {
    /// A resource that is there.
    pub fn suspect<'a>(&'a self, scope: &'a Scope, arn: &'a Arn, tags: &'a TagSet) -> Suspect<'a> {
        let Self { neighbours, parent, creator } = self;
        Suspect { scope, arn, tags, neighbours, parent: *parent, creator: creator.as_deref() }
    }
}

/// The likeliest value of a tag, with what speaks for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Guess {
    /// The value.
    pub value: String,
    /// In how many of such cases it is right, 0 to 1.
    pub confidence: f64,
    /// What speaks for it, the weightiest first.
    pub support: Vec<Support>,
    /// Other values with their confidence.
    pub alternatives: Vec<(String, f64)>,
}

/// How evidence is weighed in the ledger as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct Weighing {
    /// The snapshot that it was learnt from.
    pub snapshot: i64,
    /// The digest of that snapshot's policy, by whose places the tags are known.
    pub policy_digest: String,
    /// For each tag of that policy.
    pub model: Model,
}

/// What was heard in the course of a question. Resources have most features in common, and each is asked for every tag that is
/// missing.
#[derive(Default)]
pub(super) struct Heard(RefCell<ByNumber<Told>>);

/// What is known of a feature, by tag of the policy.
type Told = Rc<[(usize, Tally)]>;

/// A question that comes to more features forgets those it has heard of: each may tell of hundreds of values.
const MOST_HEARD: usize = 1_024;

impl View<'_> {
    /// How evidence is weighed by the policy of a snapshot; none before the first scan by a version that learns, and none as long
    /// as only what was learnt by another policy is there.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read; so for every question below.
    pub fn weighing(&self, snapshot: &Snapshot) -> Result<Option<Weighing>, StoreError> {
        Ok(self.learnt()?.filter(|weighing| weighing.policy_digest == snapshot.policy_digest))
    }

    fn learnt(&self) -> Result<Option<Weighing>, StoreError> {
        let columns = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get(2)?));
        let found = statement(self.db(), sql::EVIDENCE_MODEL)?.query_row([], columns).optional();
        let Some((snapshot, text, policy_digest)) = found.attempt("read what was learnt")? else { return Ok(None) };
        let unreadable = |_| StoreError::Content { what: "what was learnt", given: text.clone() };
        Ok(Some(Weighing { snapshot, policy_digest, model: serde_json::from_str(&text).map_err(unreadable)? }))
    }

    /// What a living resource stands in, the key of its parent, and who created it, as the scan saw them.
    pub fn placed(&self, arn: &Arn) -> Result<Placed, StoreError> {
        let columns = |row: &Row<'_>| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?));
        let found = statement(self.db(), sql::PLACE_OF)?.query_row([arn.key()], columns).optional();
        let Some((links, parent)) = found.attempt("read where a resource stands")? else {
            return Ok(Placed::default());
        };
        let neighbours = links.map(|links| link_set(self.db(), links)).transpose()?.unwrap_or_default();
        Ok(Placed { neighbours, parent, creator: self.creator(arn)? })
    }

    /// The likeliest value of each of these tags, by their places in the policy of the snapshot that was learnt from; none where
    /// nothing is known of any.
    pub fn guesses(
        &self,
        suspect: &Suspect<'_>,
        weighing: &Weighing,
        policy: &Policy,
        keys: &[usize],
        on: Date,
    ) -> Result<Vec<Option<Guess>>, StoreError> {
        let db = self.db();
        let prior = self.evidence(features::estate())?;
        let parent = suspect.parent.map(|key| self.tags_of(key)).transpose()?.flatten();
        let mut told: Vec<(Feature, Told)> = Vec::new();
        for feature in features_of(suspect, policy) {
            told.push((feature, self.evidence(feature.hash)?));
        }
        let mut guesses = Vec::with_capacity(keys.len());
        for key in keys {
            let of_key =
                |tallies: &[(usize, Tally)]| tallies.iter().find(|(of, _)| of == key).map(|(_, tally)| tally.clone());
            let heard = told.iter().filter(|(feature, _)| feature.tells(*key));
            let mut evidence: Vec<(Source, Tally)> =
                heard.filter_map(|(feature, tallies)| Some((feature.source, of_key(tallies)?))).collect();
            let prior = of_key(&prior).unwrap_or_default();
            if let Some(value) = parent.as_ref().and_then(|tags| right_of(tags, policy, *key, on)) {
                evidence.push((Source::Parent, Tally::one(number_of(db, &value)?)));
            }
            let likely = weighing.model.keys.get(*key).and_then(|model| model.likely(&Reading { prior, evidence }));
            guesses.push(likely.map(|likely| guess(db, likely)).transpose()?.flatten());
        }
        Ok(guesses)
    }

    fn evidence(&self, feature: i64) -> Result<Told, StoreError> {
        if let Some(told) = self.memory.heard.0.borrow().get(&feature) {
            return Ok(Rc::clone(told));
        }
        let found =
            statement(self.db(), sql::EVIDENCE)?.query_row([feature], |row| row.get::<_, Vec<u8>>(0)).optional();
        let told: Told = found.attempt("read evidence")?.map(|blob| unpacked(&blob)).unwrap_or_default().into();
        let mut heard = self.memory.heard.0.borrow_mut();
        if heard.len() >= MOST_HEARD {
            heard.clear();
        }
        heard.insert(feature, Rc::clone(&told));
        Ok(told)
    }

    fn tags_of(&self, key: i64) -> Result<Option<TagSet>, StoreError> {
        let set = set_of(self.db(), key)?;
        set.map(|set| self.memory.tags.borrow_mut().tags(self.db(), Some(set), None)).transpose()
    }
}

fn features_of(suspect: &Suspect<'_>, policy: &Policy) -> Vec<Feature> {
    let Suspect { scope, arn, tags, neighbours, creator, .. } = suspect;
    let name = features::name(scope.resource_type, tags.get(NAME), last_part(arn.resource()));
    let mut all = features::of_tags(tags, policy);
    all.extend(features::of_neighbours(neighbours));
    all.extend(creator.map(features::of_creator).unwrap_or_default());
    all.extend(name.map(features::of_name).unwrap_or_default());
    all.push(features::of_account(&scope.account));
    all
}

fn right_of(tags: &TagSet, policy: &Policy, key: usize, on: Date) -> Option<String> {
    let rule = policy.tags().get(key)?;
    rule.right_value(tags.get(rule.name())?, on).map(std::borrow::Cow::into_owned)
}

/// The number of a value of the estate; one that nobody had when all were counted stands for none.
fn number_of(db: &Connection, value: &str) -> Result<u32, StoreError> {
    let found = rows(db, sql::EVIDENCE_VALUE_NAMED, [value], |row| row.get::<_, u32>(0))?;
    Ok(found.into_iter().next().unwrap_or(u32::MAX))
}

fn text_of(db: &Connection, number: u32) -> Result<Option<String>, StoreError> {
    let found = statement(db, sql::EVIDENCE_VALUE)?.query_row([number], |row| row.get(0)).optional();
    found.attempt("read a value")
}

fn guess(db: &Connection, likely: Likely) -> Result<Option<Guess>, StoreError> {
    let Likely { value, confidence, support, alternatives } = likely;
    let Some(value) = text_of(db, value)? else { return Ok(None) };
    let mut others = Vec::with_capacity(alternatives.len());
    for (number, confidence) in alternatives {
        others.extend(text_of(db, number)?.map(|value| (value, confidence)));
    }
    Ok(Some(Guess { value, confidence, support, alternatives: others }))
}

fn unpacked(blob: &[u8]) -> Vec<(usize, Tally)> {
    let (mut numbers, mut tallies) = (varints(blob).into_iter(), Vec::new());
    while let (Some(key), Some(total), Some(values)) = (numbers.next(), numbers.next(), numbers.next()) {
        let mut tally = Tally { total: total.unsigned_abs(), values: Vec::new() };
        for _ in 0..values {
            if let (Some(value), Some(count)) = (numbers.next(), numbers.next()) {
                tally.values.push((u32::try_from(value).unwrap_or(u32::MAX), count.unsigned_abs()));
            }
        }
        tallies.push((usize::try_from(key).unwrap_or(usize::MAX), tally));
    }
    tallies
}
