//! The training data: tags, features and relationships of the current resources.

use std::collections::{HashMap, hash_map::Entry};

use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension, Row};
use rustc_hash::FxBuildHasher;
use tagledger_analysis::prediction::{
    Feature, Source,
    counts::{FOLDS, FeatureCounter, FeatureTable, Folds, LeaveOut},
    features,
    missingness::{Missingness, MissingnessPattern, PeerGroup},
};
use tagledger_model::{
    ResourceType,
    inventory::{RelatedResource, RelationshipKind},
};
use tagledger_policy::Policy;

use crate::{
    db::{
        id_map::HashIdMap,
        sql,
        statements::{prepare, query_all},
        values::parse,
        varint::try_decode_varints,
    },
    error::{ErrorContext, LedgerError, Operation},
    learn::tag_features::{SetFacts, TagFeatureExtractor},
};

/// Approximate number of resources that the weights and the calibration are trained on.
const SAMPLE_SIZE: i64 = 6_000;

/// The training data of one snapshot, for training and for evaluation.
pub(crate) struct TrainingData {
    pub(crate) policy: Policy,
    pub(crate) table: FeatureTable,
    pub(crate) samples: Vec<Sample>,
    pub(crate) values: Vec<String>,
    pub(crate) sets: HashIdMap<SetFacts>,
    pub(crate) neighbours: HashIdMap<Vec<Feature>>,
    pub(crate) creators: HashIdMap<Vec<Feature>>,
    /// For each tag, the resources that have it in two spellings, and those of them with the same value in both.
    pub(crate) two_spellings: Vec<(u64, u64)>,
    /// For each tag, which other features the resources without it have.
    pub(crate) missingness: Vec<Missingness>,
}

/// A resource of the training sample.
pub(crate) struct Sample {
    pub(crate) fold: usize,
    pub(crate) set: i64,
    pub(crate) links: Option<i64>,
    pub(crate) creator: Option<i64>,
    pub(crate) account: Feature,
    pub(crate) name: Vec<Feature>,
    /// The tag set of the resource that contains it.
    pub(crate) parent: Option<i64>,
}

struct TaggedResource {
    key: i64,
    set: i64,
    name: Option<String>,
    account: i64,
    resource_type: i64,
    links: Option<i64>,
    parent: Option<i64>,
    creator: Option<i64>,
}

fn read_resource(row: &Row<'_>) -> rusqlite::Result<TaggedResource> {
    Ok(TaggedResource {
        key: row.get(0)?,
        set: row.get(1)?,
        name: row.get(2)?,
        account: row.get(3)?,
        resource_type: row.get(4)?,
        links: row.get(5)?,
        parent: row.get(6)?,
        creator: row.get(7)?,
    })
}

/// Numbers of resources by the row id of a related set, creator or account, and by the number of their set of correct tags.
type CountsByLabels = HashMap<(i64, u32), Folds, FxBuildHasher>;

impl TrainingData {
    /// Loads all current resources whose tags are known.
    pub(crate) fn load(db: &Connection, policy: Policy, on: Date) -> Result<Self, LedgerError> {
        let current: i64 =
            prepare(db, sql::COUNT_CURRENT)?.query_row([], |row| row.get(0)).context(Operation::Train)?;
        let stride = current.saturating_add(SAMPLE_SIZE - 1) / SAMPLE_SIZE;
        let stride = stride.max(1);
        let accounts = load_accounts(db)?;
        let unnamed = find_unnamed_types(db)?;
        let two_spellings = vec![(0, 0); policy.tags().len()];
        let mut data = Self { two_spellings, creators: load_creators(db)?, ..Self::empty(policy.clone()) };
        let mut extractor = TagFeatureExtractor::new(&policy, on);
        let mut by_links = CountsByLabels::default();
        let mut by_creator = CountsByLabels::default();
        let mut by_account = CountsByLabels::default();
        let mut read = prepare(db, sql::CURRENT_FOR_TRAINING)?;
        let found = read.query_map([format!("{unnamed:?}")], read_resource).context(Operation::Train)?;
        for one in found {
            let one = one.context(Operation::Train)?;
            data.load_sets(db, &one, &mut extractor)?;
            let Some(facts) = data.sets.get_mut(&one.set) else { continue };
            let fold = choose_fold(facts.group.or(one.parent).unwrap_or(one.key));
            increment(&mut facts.folds, fold);
            if facts.correct.is_empty() {
                continue;
            }
            increment(by_account.entry((one.account, facts.labels)).or_default(), fold);
            if let Some(links) = one.links {
                increment(by_links.entry((links, facts.labels)).or_default(), fold);
            }
            if let Some(creator) = one.creator {
                increment(by_creator.entry((creator, facts.labels)).or_default(), fold);
            }
            let is_id = !unnamed.contains(&one.resource_type);
            let display_name = one.name.as_deref().map(|name| if is_id { last_part(name) } else { name });
            let name = display_name.map(|name| extractor.namer.features(name)).unwrap_or_default();
            let mut one_resource = Folds::default();
            increment(&mut one_resource, fold);
            name.iter().for_each(|feature| extractor.counter.add(feature.hash, facts.labels, one_resource));
            if let (0, Some(account)) = (one.key % stride, accounts.get(&one.account)) {
                let TaggedResource { set, links, parent, creator, .. } = one;
                data.samples.push(Sample { fold, set, links, creator, account: *account, name, parent });
            }
        }
        drop(read);
        data.load_parents(db, &mut extractor)?;
        let TagFeatureExtractor { values, mut counter, .. } = extractor;
        for ((account, labels), folds) in by_account {
            accounts.get(&account).into_iter().for_each(|feature| counter.add(feature.hash, labels, folds));
        }
        for ((links, labels), folds) in by_links {
            let neighbours = data.neighbours.get(&links).into_iter().flatten();
            neighbours.for_each(|feature| counter.add(feature.hash, labels, folds));
        }
        for ((creator, labels), folds) in by_creator {
            let creators = data.creators.get(&creator).into_iter().flatten();
            creators.for_each(|feature| counter.add(feature.hash, labels, folds));
        }
        data.count_sets(&mut counter);
        data.table = counter.into_table(|feature| Feature::source_from_hash(feature).map_or(1, Source::min_resources));
        data.missingness = (0..data.policy.tags().len()).map(|key| data.missingness(key)).collect();
        data.values = values.texts;
        Ok(data)
    }

    fn empty(policy: Policy) -> Self {
        Self {
            policy,
            table: FeatureTable::default(),
            samples: Vec::new(),
            values: Vec::new(),
            sets: HashIdMap::default(),
            neighbours: HashIdMap::default(),
            creators: HashIdMap::default(),
            two_spellings: Vec::new(),
            missingness: Vec::new(),
        }
    }

    /// Loads the tag set and the relationships of a resource, unless they are loaded.
    fn load_sets(
        &mut self,
        db: &Connection,
        one: &TaggedResource,
        extractor: &mut TagFeatureExtractor<'_>,
    ) -> Result<(), LedgerError> {
        if let Entry::Vacant(entry) = self.sets.entry(one.set) {
            entry.insert(extractor.load_set(db, one.set)?);
        }
        if let Some(links) = one.links.filter(|links| !self.neighbours.contains_key(links)) {
            self.neighbours.insert(links, features::relationship_features(&load_link_set(db, links)?));
        }
        Ok(())
    }

    /// Adds the features of each tag set, for all resources that have it.
    fn count_sets(&mut self, counter: &mut FeatureCounter) {
        for facts in self.sets.values() {
            if !facts.correct.is_empty() {
                counter.add(features::estate_feature(), facts.labels, facts.folds);
                facts.features.iter().for_each(|feature| counter.add(feature.hash, facts.labels, facts.folds));
            }
            let resources = facts.count_resources();
            for (key, same) in &facts.two_spellings {
                if let Some((both, agree)) = self.two_spellings.get_mut(*key) {
                    *both += resources;
                    *agree += u64::from(*same) * resources;
                }
            }
        }
    }

    /// Which other features the resources without a tag have.
    fn missingness(&self, key: usize) -> Missingness {
        let mut patterns: HashMap<MissingnessPattern, u64> = HashMap::new();
        for facts in self.sets.values().filter(|facts| facts.correct.iter().all(|(of, _)| *of != key)) {
            let peers = match facts.group {
                None => PeerGroup::None,
                Some(group) if self.table.tally(group, key, LeaveOut::default()).total > 0 => PeerGroup::Labeled,
                Some(_) => PeerGroup::Unlabeled,
            };
            *patterns.entry(MissingnessPattern::from_features(&facts.features, peers)).or_default() +=
                facts.count_resources();
        }
        Missingness::from_counts(patterns)
    }

    /// Replaces the key of each sample's parent by the parent's tag set.
    fn load_parents(&mut self, db: &Connection, extractor: &mut TagFeatureExtractor<'_>) -> Result<(), LedgerError> {
        let mut samples = std::mem::take(&mut self.samples);
        for sample in &mut samples {
            let set = sample.parent.map(|key| find_tag_set(db, key)).transpose()?.flatten();
            sample.parent = set;
            if let Some(Entry::Vacant(entry)) = set.map(|set| self.sets.entry(set)) {
                let facts = extractor.load_set(db, *entry.key())?;
                entry.insert(facts);
            }
        }
        self.samples = samples;
        Ok(())
    }
}

fn increment(folds: &mut Folds, fold: usize) {
    if let Some(count) = folds.get_mut(fold) {
        *count = count.saturating_add(1);
    }
}

/// The fold of a group. All resources of one group are in one fold.
fn choose_fold(group: i64) -> usize {
    usize::try_from(group >> 8).map_or(0, |group| group % FOLDS)
}

/// The part of the column `resource.local` after the last `:` or `/`.
pub(crate) fn last_part(local: &str) -> &str {
    local.rsplit([':', '/']).next().unwrap_or(local)
}

fn load_accounts(db: &Connection) -> Result<HashIdMap<Feature>, LedgerError> {
    let found = query_all(db, sql::ACCOUNTS, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
    let feature = |(id, account): (i64, String)| Ok((id, features::account_feature(&parse("an account", &account)?)));
    found.into_iter().map(feature).collect()
}

fn load_creators(db: &Connection) -> Result<HashIdMap<Vec<Feature>>, LedgerError> {
    let found = query_all(db, sql::PRINCIPALS, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
    Ok(found.into_iter().map(|(id, arn)| (id, features::creator_features(&arn))).collect())
}

/// Row ids of the resource types whose ids are not names.
fn find_unnamed_types(db: &Connection) -> Result<Vec<i64>, LedgerError> {
    let types = query_all(db, sql::TYPES, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
    let unnamed =
        |name: &String| name.parse().is_ok_and(|of: ResourceType| features::display_name(of, None, "x").is_none());
    Ok(types.into_iter().filter(|(_, name)| unnamed(name)).map(|(id, _)| id).collect())
}

/// The tag set of a current resource.
pub(crate) fn find_tag_set(db: &Connection, key: i64) -> Result<Option<i64>, LedgerError> {
    let found = prepare(db, sql::TAG_SET_OF)?.query_row([key], |row| row.get(0)).optional();
    Ok(found.context(Operation::Train)?.flatten())
}

pub(crate) fn load_link_set(db: &Connection, id: i64) -> Result<Vec<RelatedResource>, LedgerError> {
    let blob: Vec<u8> =
        prepare(db, sql::LINK_SET)?.query_row([id], |row| row.get(0)).context(Operation::ReadRelationships)?;
    try_decode_varints(&blob)?.into_iter().map(|link| load_related_resource(db, link)).collect()
}

fn load_related_resource(db: &Connection, id: i64) -> Result<RelatedResource, LedgerError> {
    let text: String =
        prepare(db, sql::LINK)?.query_row([id], |row| row.get(0)).context(Operation::ReadRelationships)?;
    let parsed = text.split_once(' ').and_then(|(kind, name)| {
        let kind = RelationshipKind::ALL.iter().copied().find(|one| one.as_str() == kind)?;
        Some(RelatedResource { kind, name: name.to_owned() })
    });
    parsed.ok_or(LedgerError::Content { what: "a related resource", given: text })
}
