//! What the evidence of others says of single resources.

use std::{cell::RefCell, rc::Rc};

use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension, Row};
use tagledger_analysis::prediction::{
    Feature, FeatureVector, Model, Posterior, Source, SupportCount, counts::ValueTally, features,
};
use tagledger_model::{
    Arn,
    inventory::{RelatedResource, Scope, TagSet},
};
use tagledger_policy::Policy;

use crate::{
    db::{
        id_map::HashIdMap,
        interned::{InternedLookup, NAME},
        sql,
        statements::{rows, statement},
        varint::take_word,
    },
    error::{ErrorContext, LedgerError, Operation},
    learn::dataset::{last_part, link_set, set_of},
    model::snapshot::Snapshot,
    read::session::ReadSession,
    write::creators,
};

/// A resource of which values are missing, as it is known now.
#[derive(Debug, Clone, Copy)]
pub struct TargetResource<'a> {
    /// Its type and account.
    pub scope: &'a Scope,
    /// Its name.
    pub arn: &'a Arn,
    /// Its tags.
    pub tags: &'a TagSet,
    /// What it stands in.
    pub neighbours: &'a [RelatedResource],
    /// The key of the resource that it is a part of.
    pub parent: Option<i64>,
    /// The ARN of who created it.
    pub creator: Option<&'a str>,
}

/// What the ledger knows of where a resource is, and where it comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LocatedPrediction {
    /// What it stands in.
    pub neighbours: Vec<RelatedResource>,
    /// The key of the resource that it is a part of.
    pub parent: Option<i64>,
    /// The ARN of who created it.
    pub creator: Option<String>,
}

impl LocatedPrediction {
    /// A resource that is there.
    pub fn suspect<'a>(&'a self, scope: &'a Scope, arn: &'a Arn, tags: &'a TagSet) -> TargetResource<'a> {
        let Self { neighbours, parent, creator } = self;
        TargetResource { scope, arn, tags, neighbours, parent: *parent, creator: creator.as_deref() }
    }
}

/// The likeliest value of a tag, with what speaks for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The value.
    pub value: String,
    /// In how many of such cases it is right, 0 to 1.
    pub confidence: f64,
    /// What speaks for it, the weightiest first.
    pub support: Vec<SupportCount>,
    /// Other values with their confidence.
    pub alternatives: Vec<(String, f64)>,
}

/// How evidence is weighed in the ledger as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainedModel {
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
pub(crate) struct FeatureCache(RefCell<HashIdMap<FeatureVotes>>);

/// What is known of a feature, by tag of the policy.
type FeatureVotes = Rc<[(usize, ValueTally)]>;

/// A question that comes to more features forgets those it has heard of: each may tell of hundreds of values.
const MAX_CACHED_FEATURES: usize = 1_024;

/// How evidence is weighed by the policy of a snapshot; none before the first scan by a version that learns, and none as long
/// as only what was learnt by another policy is there.
///
/// # Errors
///
/// When the ledger cannot be read; so for every question below.
pub fn load_model(session: &ReadSession<'_>, snapshot: &Snapshot) -> Result<Option<TrainedModel>, LedgerError> {
    Ok(load_stored_model(session)?.filter(|weighing| weighing.policy_digest == snapshot.policy_digest))
}

fn load_stored_model(session: &ReadSession<'_>) -> Result<Option<TrainedModel>, LedgerError> {
    let columns = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get(2)?));
    let found = statement(session.db(), sql::FEATURE_COUNTS_MODEL)?.query_row([], columns).optional();
    let Some((snapshot, text, policy_digest)) = found.context(Operation::ReadModel)? else { return Ok(None) };
    let unreadable = |_| LedgerError::Content { what: "what was learnt", given: text.clone() };
    Ok(Some(TrainedModel { snapshot, policy_digest, model: serde_json::from_str(&text).map_err(unreadable)? }))
}

/// What a living resource stands in, the key of its parent, and who created it, as the scan saw them.
pub fn locate(session: &ReadSession<'_>, arn: &Arn) -> Result<LocatedPrediction, LedgerError> {
    let columns = |row: &Row<'_>| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?));
    let found = statement(session.db(), sql::PLACE_OF)?.query_row([arn.key()], columns).optional();
    let Some((links, parent)) = found.context(Operation::ReadRelationships)? else {
        return Ok(LocatedPrediction::default());
    };
    let neighbours = links.map(|links| link_set(session.db(), links)).transpose()?.unwrap_or_default();
    Ok(LocatedPrediction { neighbours, parent, creator: creators::find_creator(session, arn)? })
}

/// The likeliest value of each of these tags, by their places in the policy of the snapshot that was learnt from; none where
/// nothing is known of any.
pub fn predict(
    session: &ReadSession<'_>,
    suspect: &TargetResource<'_>,
    weighing: &TrainedModel,
    policy: &Policy,
    keys: &[usize],
    on: Date,
) -> Result<Vec<Option<Prediction>>, LedgerError> {
    let db = session.db();
    let prior = load_votes(session, features::estate_feature())?;
    let parent = suspect.parent.map(|key| load_tags(session, key)).transpose()?.flatten();
    let mut told: Vec<(Feature, FeatureVotes)> = Vec::new();
    for feature in features_of(suspect, policy) {
        told.push((feature, load_votes(session, feature.hash)?));
    }
    let mut guesses = Vec::with_capacity(keys.len());
    for key in keys {
        let of_key =
            |tallies: &[(usize, ValueTally)]| tallies.iter().find(|(of, _)| of == key).map(|(_, tally)| tally.clone());
        let heard = told.iter().filter(|(feature, _)| feature.is_evidence_for(*key));
        let mut evidence: Vec<(Source, ValueTally)> =
            heard.filter_map(|(feature, tallies)| Some((feature.source, of_key(tallies)?))).collect();
        let prior = of_key(&prior).unwrap_or_default();
        if let Some(value) = parent.as_ref().and_then(|tags| right_of(tags, policy, *key, on)) {
            evidence.push((Source::Parent, ValueTally::single(number_of(db, &value)?)));
        }
        let likely = weighing.model.keys.get(*key).and_then(|model| model.predict(&FeatureVector { prior, evidence }));
        guesses.push(likely.map(|likely| guess(db, likely)).transpose()?.flatten());
    }
    Ok(guesses)
}

fn load_votes(session: &ReadSession<'_>, feature: i64) -> Result<FeatureVotes, LedgerError> {
    if let Some(told) = session.local::<FeatureCache>().0.borrow().get(&feature) {
        return Ok(Rc::clone(told));
    }
    let found =
        statement(session.db(), sql::FEATURE_COUNTS)?.query_row([feature], |row| row.get::<_, Vec<u8>>(0)).optional();
    let told: FeatureVotes =
        found.context(Operation::ReadModel)?.map(|blob| decode_tallies(&blob)).transpose()?.unwrap_or_default().into();
    let cache = session.local::<FeatureCache>();
    let mut heard = cache.0.borrow_mut();
    if heard.len() >= MAX_CACHED_FEATURES {
        heard.clear();
    }
    heard.insert(feature, Rc::clone(&told));
    Ok(told)
}

fn load_tags(session: &ReadSession<'_>, key: i64) -> Result<Option<TagSet>, LedgerError> {
    let set = set_of(session.db(), key)?;
    set.map(|set| session.local::<RefCell<InternedLookup>>().borrow_mut().tags(session.db(), Some(set), None))
        .transpose()
}

fn features_of(suspect: &TargetResource<'_>, policy: &Policy) -> Vec<Feature> {
    let TargetResource { scope, arn, tags, neighbours, creator, .. } = suspect;
    let name = features::display_name(scope.resource_type, tags.get(NAME), last_part(arn.resource()));
    let mut all = features::tag_features(tags, policy);
    all.extend(features::relationship_features(neighbours));
    all.extend(creator.map(features::creator_features).unwrap_or_default());
    all.extend(name.map(features::name_features).unwrap_or_default());
    all.push(features::account_feature(&scope.account));
    all
}

fn right_of(tags: &TagSet, policy: &Policy, key: usize, on: Date) -> Option<String> {
    let rule = policy.tags().get(key)?;
    rule.corrected_value(tags.get(rule.name())?, on).map(std::borrow::Cow::into_owned)
}

/// The number of a value of the estate; one that nobody had when all were counted stands for none.
fn number_of(db: &Connection, value: &str) -> Result<u32, LedgerError> {
    let found = rows(db, sql::FEATURE_COUNTS_VALUE_NAMED, [value], |row| row.get::<_, u32>(0))?;
    Ok(found.into_iter().next().unwrap_or(u32::MAX))
}

fn text_of(db: &Connection, number: u32) -> Result<Option<String>, LedgerError> {
    let found = statement(db, sql::FEATURE_COUNTS_VALUE)?.query_row([number], |row| row.get(0)).optional();
    found.context(Operation::ReadModel)
}

fn guess(db: &Connection, likely: Posterior) -> Result<Option<Prediction>, LedgerError> {
    let Posterior { value, confidence, support, alternatives } = likely;
    let Some(value) = text_of(db, value)? else { return Ok(None) };
    let mut others = Vec::with_capacity(alternatives.len());
    for (number, confidence) in alternatives {
        others.extend(text_of(db, number)?.map(|value| (value, confidence)));
    }
    Ok(Some(Prediction { value, confidence, support, alternatives: others }))
}

/// The tallies of a feature, as training encoded them.
fn decode_tallies(blob: &[u8]) -> Result<Vec<(usize, ValueTally)>, LedgerError> {
    let (mut rest, mut tallies) = (blob, Vec::new());
    let broken = || LedgerError::Content { what: "the counts of a feature", given: format!("{blob:02x?}") };
    while !rest.is_empty() {
        tallies.push(take_tally(&mut rest).ok_or_else(broken)?);
    }
    Ok(tallies)
}

fn take_tally(rest: &mut &[u8]) -> Option<(usize, ValueTally)> {
    let key = usize::try_from(take_word(rest)?).ok()?;
    let mut tally = ValueTally { total: take_word(rest)?, values: Vec::new() };
    for _ in 0..take_word(rest)? {
        tally.values.push((u32::try_from(take_word(rest)?).ok()?, take_word(rest)?));
    }
    Some((key, tally))
}
