//! Predicts tag values of individual resources from the feature counts of the estate.

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
        statements::{prepare, query_rows},
        varint::take_word,
    },
    error::{ErrorContext, LedgerError, Operation},
    learn::dataset::{find_tag_set, last_part, load_link_set},
    model::snapshot::Snapshot,
    read::session::ReadSession,
    write::creators,
};

/// A resource whose tag values are predicted.
#[derive(Debug, Clone, Copy)]
pub struct TargetResource<'a> {
    /// The scope.
    pub scope: &'a Scope,
    /// The ARN.
    pub arn: &'a Arn,
    /// The current tags.
    pub tags: &'a TagSet,
    /// The related resources.
    pub neighbours: &'a [RelatedResource],
    /// The key of the resource that contains it.
    pub parent: Option<i64>,
    /// The ARN of the principal that created it.
    pub creator: Option<&'a str>,
}

/// Relationships and creator of a resource, as the ledger has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetContext {
    /// The related resources.
    pub neighbours: Vec<RelatedResource>,
    /// The key of the resource that contains it.
    pub parent: Option<i64>,
    /// The ARN of the principal that created it.
    pub creator: Option<String>,
}

impl TargetContext {
    /// A target with these relationships.
    pub fn to_target<'a>(&'a self, scope: &'a Scope, arn: &'a Arn, tags: &'a TagSet) -> TargetResource<'a> {
        let Self { neighbours, parent, creator } = self;
        TargetResource { scope, arn, tags, neighbours, parent: *parent, creator: creator.as_deref() }
    }
}

/// The most probable value of a tag, with its support.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The value.
    pub value: String,
    /// The share of such predictions that are correct, 0 to 1.
    pub confidence: f64,
    /// The features that support it, the one with the largest weight first.
    pub support: Vec<SupportCount>,
    /// Other values, each with its confidence.
    pub alternatives: Vec<(String, f64)>,
}

/// The trained model of the ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainedModel {
    /// The snapshot that it was trained on.
    pub snapshot: i64,
    /// The digest of that snapshot's policy. The model numbers the tags as this policy does.
    pub policy_digest: String,
    /// For each tag of that policy.
    pub model: Model,
}

/// A cache of feature counts for one session. Resources share most features, and each feature is needed for every missing tag.
#[derive(Default)]
pub(crate) struct FeatureCache(RefCell<HashIdMap<FeatureTallies>>);

/// The counts of a feature, by tag of the policy.
type FeatureTallies = Rc<[(usize, ValueTally)]>;

/// The cache is cleared when it has this many features: each can have hundreds of values.
const MAX_CACHED_FEATURES: usize = 1_024;

/// The trained model for the policy of a snapshot; none before the first training, or when the model was trained with another policy.
///
/// # Errors
///
/// When the ledger cannot be read. The same applies to all functions below.
pub fn load_model(session: &ReadSession<'_>, snapshot: &Snapshot) -> Result<Option<TrainedModel>, LedgerError> {
    Ok(load_stored_model(session)?.filter(|model| model.policy_digest == snapshot.policy_digest))
}

fn load_stored_model(session: &ReadSession<'_>) -> Result<Option<TrainedModel>, LedgerError> {
    let columns = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get(2)?));
    let found = prepare(session.db(), sql::FEATURE_COUNTS_MODEL)?.query_row([], columns).optional();
    let Some((snapshot, text, policy_digest)) = found.context(Operation::ReadModel)? else { return Ok(None) };
    let unreadable = |_| LedgerError::Content { what: "a trained model", given: text.clone() };
    Ok(Some(TrainedModel { snapshot, policy_digest, model: serde_json::from_str(&text).map_err(unreadable)? }))
}

/// Relationships and creator of a current resource, as the last scan recorded them.
pub fn locate(session: &ReadSession<'_>, arn: &Arn) -> Result<TargetContext, LedgerError> {
    let columns = |row: &Row<'_>| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?));
    let found = prepare(session.db(), sql::RELATIONSHIPS_OF)?.query_row([arn.key()], columns).optional();
    let Some((links, parent)) = found.context(Operation::ReadRelationships)? else {
        return Ok(TargetContext::default());
    };
    let neighbours = links.map(|links| load_link_set(session.db(), links)).transpose()?.unwrap_or_default();
    Ok(TargetContext { neighbours, parent, creator: creators::find_creator(session, arn)? })
}

/// Predicts the value of each tag in `keys`, which are indexes in the policy of the trained model. None where no feature has counts.
pub fn predict(
    session: &ReadSession<'_>,
    target: &TargetResource<'_>,
    model: &TrainedModel,
    policy: &Policy,
    keys: &[usize],
    on: Date,
) -> Result<Vec<Option<Prediction>>, LedgerError> {
    let db = session.db();
    let prior = load_tallies(session, features::estate_feature())?;
    let parent = target.parent.map(|key| load_tags(session, key)).transpose()?.flatten();
    let mut features: Vec<(Feature, FeatureTallies)> = Vec::new();
    for feature in extract_features(target, policy) {
        features.push((feature, load_tallies(session, feature.hash)?));
    }
    let mut predictions = Vec::with_capacity(keys.len());
    for key in keys {
        let of_key =
            |tallies: &[(usize, ValueTally)]| tallies.iter().find(|(of, _)| of == key).map(|(_, tally)| tally.clone());
        let relevant = features.iter().filter(|(feature, _)| feature.is_evidence_for(*key));
        let mut evidence: Vec<(Source, ValueTally)> =
            relevant.filter_map(|(feature, tallies)| Some((feature.source, of_key(tallies)?))).collect();
        let prior = of_key(&prior).unwrap_or_default();
        if let Some(value) = parent.as_ref().and_then(|tags| correct_value(tags, policy, *key, on)) {
            evidence.push((Source::Parent, ValueTally::single(find_value_number(db, &value)?)));
        }
        let posterior = model.model.keys.get(*key).and_then(|model| model.predict(&FeatureVector { prior, evidence }));
        predictions.push(posterior.map(|posterior| describe(db, posterior)).transpose()?.flatten());
    }
    Ok(predictions)
}

fn load_tallies(session: &ReadSession<'_>, feature: i64) -> Result<FeatureTallies, LedgerError> {
    if let Some(tallies) = session.local::<FeatureCache>().0.borrow().get(&feature) {
        return Ok(Rc::clone(tallies));
    }
    let found =
        prepare(session.db(), sql::FEATURE_COUNTS)?.query_row([feature], |row| row.get::<_, Vec<u8>>(0)).optional();
    let tallies: FeatureTallies =
        found.context(Operation::ReadModel)?.map(|blob| decode_tallies(&blob)).transpose()?.unwrap_or_default().into();
    let local = session.local::<FeatureCache>();
    let mut cache = local.0.borrow_mut();
    if cache.len() >= MAX_CACHED_FEATURES {
        cache.clear();
    }
    cache.insert(feature, Rc::clone(&tallies));
    Ok(tallies)
}

fn load_tags(session: &ReadSession<'_>, key: i64) -> Result<Option<TagSet>, LedgerError> {
    let set = find_tag_set(session.db(), key)?;
    set.map(|set| session.local::<RefCell<InternedLookup>>().borrow_mut().load_tags(session.db(), Some(set), None))
        .transpose()
}

fn extract_features(target: &TargetResource<'_>, policy: &Policy) -> Vec<Feature> {
    let TargetResource { scope, arn, tags, neighbours, creator, .. } = target;
    let name = features::display_name(scope.resource_type, tags.get(NAME), last_part(arn.resource()));
    let mut all = features::tag_features(tags, policy);
    all.extend(features::relationship_features(neighbours));
    all.extend(creator.map(features::creator_features).unwrap_or_default());
    all.extend(name.map(features::name_features).unwrap_or_default());
    all.push(features::account_feature(&scope.account));
    all
}

fn correct_value(tags: &TagSet, policy: &Policy, key: usize, on: Date) -> Option<String> {
    let rule = policy.tags().get(key)?;
    rule.corrected_value(tags.get(rule.name())?, on).map(std::borrow::Cow::into_owned)
}

/// The number of a value. A value that no resource had during training gets a number that no value has.
fn find_value_number(db: &Connection, value: &str) -> Result<u32, LedgerError> {
    let found = query_rows(db, sql::FEATURE_COUNTS_VALUE_ID, [value], |row| row.get::<_, u32>(0))?;
    Ok(found.into_iter().next().unwrap_or(u32::MAX))
}

fn load_value_text(db: &Connection, number: u32) -> Result<Option<String>, LedgerError> {
    let found = prepare(db, sql::FEATURE_COUNTS_VALUE)?.query_row([number], |row| row.get(0)).optional();
    found.context(Operation::ReadModel)
}

fn describe(db: &Connection, posterior: Posterior) -> Result<Option<Prediction>, LedgerError> {
    let Posterior { value, confidence, support, alternatives } = posterior;
    let Some(value) = load_value_text(db, value)? else { return Ok(None) };
    let mut others = Vec::with_capacity(alternatives.len());
    for (number, confidence) in alternatives {
        others.extend(load_value_text(db, number)?.map(|value| (value, confidence)));
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
