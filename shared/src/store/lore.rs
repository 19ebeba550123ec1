//! All that living resources tell of each other, for whoever learns or examines.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::BuildHasherDefault,
};

use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension, Row};

use super::{
    Attempt, StoreError,
    gathering::{ByNumber, Gathering, SetFacts},
    intern::{statement, varints},
    rows::{all, int},
    sql,
};
use crate::{
    ResourceType,
    inventory::{Neighbour, NeighbourKind},
    policy::Policy,
    suggest::{
        Feature, Source,
        counts::{Counter, FOLDS, Folds, Mixer, Table, Without},
        features,
        lacks::{Kin, Lacks, Pattern},
    },
};

pub(super) const FAILED: &str = "learn from resources";

/// Resources that weights and confidence are learnt from, about.
const SAMPLES: i64 = 6_000;

/// All that is known of the living, for whoever learns or examines.
pub(super) struct Lore {
    pub(super) policy: Policy,
    pub(super) table: Table,
    pub(super) samples: Vec<Sample>,
    pub(super) values: Vec<String>,
    pub(super) sets: ByNumber<SetFacts>,
    pub(super) neighbours: ByNumber<Vec<Feature>>,
    pub(super) creators: ByNumber<Vec<Feature>>,
    pub(super) spelt: Vec<(u64, u64)>,
    /// For each tag, what else is known of the resources that lack it.
    pub(super) lacks: Vec<Lacks>,
}

/// A resource that is learnt from.
pub(super) struct Sample {
    pub(super) fold: usize,
    pub(super) set: i64,
    pub(super) links: Option<i64>,
    pub(super) creator: Option<i64>,
    pub(super) account: Feature,
    pub(super) name: Vec<Feature>,
    /// The tag set of the resource that it is a part of.
    pub(super) parent: Option<i64>,
}

struct Living {
    key: i64,
    set: i64,
    name: Option<String>,
    account: i64,
    resource_type: i64,
    links: Option<i64>,
    parent: Option<i64>,
    creator: Option<i64>,
}

fn living(row: &Row<'_>) -> rusqlite::Result<Living> {
    Ok(Living {
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

/// Resources by whom they share something with, and by kind of what is right.
type ByKind = HashMap<(i64, u32), Folds, BuildHasherDefault<Mixer>>;

impl Lore {
    /// Reads all living resources whose tags are known.
    pub(super) fn gather(db: &Connection, policy: Policy, on: Date) -> Result<Self, StoreError> {
        let living_now: i64 = statement(db, sql::COUNT_LIVING)?.query_row([], |row| row.get(0)).attempt(FAILED)?;
        let stride = living_now.saturating_add(SAMPLES - 1) / SAMPLES;
        let stride = stride.max(1);
        let accounts = accounts(db)?;
        let unnamed = unnamed_types(db)?;
        let spelt = vec![(0, 0); policy.tags().len()];
        let mut lore = Self { spelt, creators: creators(db)?, ..Self::empty(policy.clone()) };
        let mut gathering = Gathering::new(&policy, on);
        let mut by_links = ByKind::default();
        let mut by_creator = ByKind::default();
        let mut by_account = ByKind::default();
        let mut read = statement(db, sql::LIVING_TAGGED)?;
        let found = read.query_map([format!("{unnamed:?}")], living).attempt(FAILED)?;
        for one in found {
            let one = one.attempt(FAILED)?;
            lore.meet(db, &one, &mut gathering)?;
            let Some(facts) = lore.sets.get_mut(&one.set) else { continue };
            let fold = fold(facts.group.or(one.parent).unwrap_or(one.key));
            bump(&mut facts.folds, fold);
            if facts.right.is_empty() {
                continue;
            }
            bump(by_account.entry((one.account, facts.kind)).or_default(), fold);
            if let Some(links) = one.links {
                bump(by_links.entry((links, facts.kind)).or_default(), fold);
            }
            if let Some(creator) = one.creator {
                bump(by_creator.entry((creator, facts.kind)).or_default(), fold);
            }
            let is_id = !unnamed.contains(&one.resource_type);
            let named = one.name.as_deref().map(|name| if is_id { last_part(name) } else { name });
            let name = named.map(|name| gathering.namer.features(name)).unwrap_or_default();
            let mut single = Folds::default();
            bump(&mut single, fold);
            name.iter().for_each(|feature| gathering.counter.add(feature.hash, facts.kind, single));
            if let (0, Some(account)) = (one.key % stride, accounts.get(&one.account)) {
                let Living { set, links, parent, creator, .. } = one;
                lore.samples.push(Sample { fold, set, links, creator, account: *account, name, parent });
            }
        }
        drop(read);
        lore.meet_parents(db, &mut gathering)?;
        let Gathering { values, mut counter, .. } = gathering;
        for ((account, kind), folds) in by_account {
            accounts.get(&account).into_iter().for_each(|feature| counter.add(feature.hash, kind, folds));
        }
        for ((links, kind), folds) in by_links {
            let neighbours = lore.neighbours.get(&links).into_iter().flatten();
            neighbours.for_each(|feature| counter.add(feature.hash, kind, folds));
        }
        for ((creator, kind), folds) in by_creator {
            let creators = lore.creators.get(&creator).into_iter().flatten();
            creators.for_each(|feature| counter.add(feature.hash, kind, folds));
        }
        lore.count_sets(&mut counter);
        lore.table = counter.table(|feature| Feature::source_of(feature).map_or(1, Source::fewest));
        lore.lacks = (0..lore.policy.tags().len()).map(|key| lore.lacks(key)).collect();
        lore.values = values.texts;
        Ok(lore)
    }

    fn empty(policy: Policy) -> Self {
        Self {
            policy,
            table: Table::default(),
            samples: Vec::new(),
            values: Vec::new(),
            sets: ByNumber::default(),
            neighbours: ByNumber::default(),
            creators: ByNumber::default(),
            spelt: Vec::new(),
            lacks: Vec::new(),
        }
    }

    /// Reads what a resource's sets say, unless that is known.
    fn meet(&mut self, db: &Connection, one: &Living, gathering: &mut Gathering<'_>) -> Result<(), StoreError> {
        if let Entry::Vacant(unknown) = self.sets.entry(one.set) {
            unknown.insert(gathering.set(db, one.set)?);
        }
        if let Some(links) = one.links.filter(|links| !self.neighbours.contains_key(links)) {
            self.neighbours.insert(links, features::of_neighbours(&link_set(db, links)?));
        }
        Ok(())
    }

    /// Adds up resources that have the same tags.
    fn count_sets(&mut self, counter: &mut Counter) {
        for facts in self.sets.values() {
            if !facts.right.is_empty() {
                counter.add(features::estate(), facts.kind, facts.folds);
                facts.features.iter().for_each(|feature| counter.add(feature.hash, facts.kind, facts.folds));
            }
            let resources = facts.resources();
            for (key, same) in &facts.twice {
                if let Some((both, agree)) = self.spelt.get_mut(*key) {
                    *both += resources;
                    *agree += u64::from(*same) * resources;
                }
            }
        }
    }

    /// What else is known of resources that lack a tag.
    fn lacks(&self, key: usize) -> Lacks {
        let mut patterns: HashMap<Pattern, u64> = HashMap::new();
        for facts in self.sets.values().filter(|facts| facts.right.iter().all(|(of, _)| *of != key)) {
            let kin = match facts.group {
                None => Kin::None,
                Some(group) if self.table.tally(group, key, Without::default()).total > 0 => Kin::Tells,
                Some(_) => Kin::Silent,
            };
            *patterns.entry(Pattern::of(&facts.features, kin)).or_default() += facts.resources();
        }
        Lacks::of(patterns)
    }

    /// Puts the tag set of each sample's parent in the place of its key.
    fn meet_parents(&mut self, db: &Connection, gathering: &mut Gathering<'_>) -> Result<(), StoreError> {
        let mut samples = std::mem::take(&mut self.samples);
        for sample in &mut samples {
            let set = sample.parent.map(|key| set_of(db, key)).transpose()?.flatten();
            sample.parent = set;
            if let Some(Entry::Vacant(unknown)) = set.map(|set| self.sets.entry(set)) {
                let facts = gathering.set(db, *unknown.key())?;
                unknown.insert(facts);
            }
        }
        self.samples = samples;
        Ok(())
    }
}

fn bump(folds: &mut Folds, fold: usize) {
    if let Some(count) = folds.get_mut(fold) {
        *count = count.saturating_add(1);
    }
}

/// Resources of one group are of one fold.
fn fold(group: i64) -> usize {
    usize::try_from((group >> 8) % int(FOLDS)).unwrap_or_default()
}

/// The name behind the last mark of what stands in `resource.local`.
pub(super) fn last_part(local: &str) -> &str {
    local.rsplit([':', '/']).next().unwrap_or(local)
}

fn accounts(db: &Connection) -> Result<ByNumber<Feature>, StoreError> {
    let found = all(db, sql::ACCOUNTS, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
    let feature = |(id, account): (i64, String)| Some((id, features::of_account(&account.parse().ok()?)));
    Ok(found.into_iter().filter_map(feature).collect())
}

fn creators(db: &Connection) -> Result<ByNumber<Vec<Feature>>, StoreError> {
    let found = all(db, sql::PRINCIPALS, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
    Ok(found.into_iter().map(|(id, arn)| (id, features::of_creator(&arn))).collect())
}

/// Local ids of the types whose ids are no names.
fn unnamed_types(db: &Connection) -> Result<Vec<i64>, StoreError> {
    let types = all(db, sql::TYPES, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
    let unnamed = |name: &String| name.parse().is_ok_and(|of: ResourceType| features::name(of, None, "x").is_none());
    Ok(types.into_iter().filter(|(_, name)| unnamed(name)).map(|(id, _)| id).collect())
}

/// The tag set of a living resource.
pub(super) fn set_of(db: &Connection, key: i64) -> Result<Option<i64>, StoreError> {
    let found = statement(db, sql::TAG_SET_OF)?.query_row([key], |row| row.get(0)).optional();
    Ok(found.attempt(FAILED)?.flatten())
}

pub(super) fn link_set(db: &Connection, id: i64) -> Result<Vec<Neighbour>, StoreError> {
    let blob: Vec<u8> = statement(db, sql::LINK_SET)?.query_row([id], |row| row.get(0)).attempt("read neighbours")?;
    varints(&blob).into_iter().map(|link| neighbour(db, link)).collect()
}

fn neighbour(db: &Connection, id: i64) -> Result<Neighbour, StoreError> {
    let text: String = statement(db, sql::LINK)?.query_row([id], |row| row.get(0)).attempt("read a neighbour")?;
    let named = text.split_once(' ').and_then(|(kind, name)| {
        let kind = NeighbourKind::ALL.iter().copied().find(|known| known.as_str() == kind)?;
        Some(Neighbour { kind, name: name.to_owned() })
    });
    named.ok_or(StoreError::Content { what: "a neighbour", given: text })
}
