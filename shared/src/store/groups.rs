//! Resources of a snapshot that are tagged alike, as far as the policy asks: what advice is made from.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::Arc,
};

use rusqlite::{Connection, Row};

use super::{
    Attempt, Snapshot, StoreError, View,
    at_hand::AtHand,
    cost::CostBook,
    gathering::ById,
    halves::Half,
    intern::{NAME, statement, tag_ids, varints},
    page::rule,
    rows::{ScopeIds, rows},
    sql,
    version::{UsageIds, usage_ids},
};
use crate::{
    advice::{Advised, TagGroup},
    day::day_of,
    money::Amount,
    policy::{Code, Policy, Severity},
};

const FAILED: &str = "read how resources are tagged";

/// Keys with more values than this tell single resources apart, not groups; so does a name.
const MOST_VALUES: i64 = 2_000;

/// Type, tags that the policy names, and findings: by local numbers.
type Kind = (i64, u32, Option<i64>);

/// How many resources are alike, what they cost, and of how many that is known.
#[derive(Default)]
struct Sum {
    resources: u64,
    cost: Amount,
    with_cost: u64,
}

/// Tags of keys that the policy names, each list of them once.
struct Named {
    /// Has sets of tags: there are a hundred thousand to look up.
    at_hand: Option<Arc<AtHand>>,
    by_set: ById,
    lists: Vec<Vec<(String, String)>>,
    numbers: HashMap<Vec<(String, String)>, u32>,
    /// Places in `tags`.
    by_tag: ById,
    tags: Vec<(String, String)>,
}

/// The policy's keys whose tags tell groups of resources.
pub(super) fn told_by(db: &Connection, policy: &Policy) -> Result<Vec<String>, StoreError> {
    let values = rows(db, sql::TAG_VALUES, [], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
    let many = |key: &str| values.iter().any(|(known, n)| known == key && *n > MOST_VALUES);
    Ok(policy.keys().filter(|key| *key != NAME && !many(key)).map(str::to_owned).collect())
}

impl Named {
    fn by(db: &Connection, keys: &[String], at_hand: Option<Arc<AtHand>>) -> Result<Self, StoreError> {
        let (mut by_tag, mut tags) = (ById::default(), Vec::new());
        let mut asked = statement(db, sql::ALL_TAGS)?;
        let mut all = asked.query([]).attempt(FAILED)?;
        while let Some(row) = all.next().attempt(FAILED)? {
            let key = row.get_ref(1).attempt(FAILED)?.as_str().map_err(rusqlite::Error::from).attempt(FAILED)?;
            if keys.iter().any(|one| one == key) {
                tags.push((key.to_owned(), row.get(2).attempt(FAILED)?));
                by_tag.set(row.get(0).attempt(FAILED)?, u32::try_from(tags.len() - 1).unwrap_or(u32::MAX));
            }
        }
        Ok(Self { at_hand, by_set: ById::default(), lists: Vec::new(), numbers: HashMap::new(), by_tag, tags })
    }

    fn number(&mut self, db: &Connection, set: Option<i64>) -> Result<u32, StoreError> {
        // No set has the number 0: it stands for having none.
        if let Some(known) = self.by_set.get(set.unwrap_or(0)) {
            return Ok(known);
        }
        let ids = match set {
            None => Vec::new(),
            Some(set) => match self.at_hand.as_ref().and_then(|at_hand| at_hand.sets.get(set)) {
                Some(ids) => varints(ids),
                None => tag_ids(db, set)?,
            },
        };
        let named = ids.into_iter().filter_map(|id| self.tags.get(usize::try_from(self.by_tag.get(id)?).ok()?));
        let mut tags: Vec<(String, String)> = named.cloned().collect();
        tags.sort();
        let next = u32::try_from(self.lists.len()).unwrap_or(u32::MAX);
        let number = match self.numbers.entry(tags) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(place) => {
                self.lists.push(place.key().clone());
                *place.insert(next)
            }
        };
        self.by_set.set(set.unwrap_or(0), number);
        Ok(number)
    }
}

impl View<'_> {
    /// What there is to fix in a snapshot: from its judged resources, together where they are tagged alike as far as the policy
    /// asks. Costs are told of the newest alone, for which all resources are read, once; of an earlier night it is what was told
    /// when that was the newest.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub fn advised<T>(&self, snapshot: &Snapshot, tell: impl FnOnce(&Advised) -> T) -> Result<T, StoreError> {
        let whole = self.whole(snapshot);
        let book = self.costs_told(&whole, snapshot)?;
        let advised = whole.advised(book.is_some(), || {
            let told = if book.is_some() { None } else { self.told(snapshot)? };
            match told {
                Some(told) => Ok(told.advised),
                None => self.read_advised(snapshot, book, &told_by(self.db(), &*self.policy(snapshot)?)?),
            }
        })?;
        Ok(tell(advised))
    }

    /// From the facts, resources together by tags of these keys.
    fn read_advised(
        &self,
        snapshot: &Snapshot,
        book: Option<&CostBook>,
        keys: &[String],
    ) -> Result<Advised, StoreError> {
        let groups = self.in_halves(|view, half| view.read_groups(half, snapshot, book, keys))?.concat();
        Ok(Advised::of(&groups, &*self.policy(snapshot)?, day_of(snapshot.started_at)))
    }

    /// Of a half. What is alike in both halves is a group of each: advice adds them up.
    fn read_groups(
        &self,
        half: Half,
        snapshot: &Snapshot,
        book: Option<&CostBook>,
        keys: &[String],
    ) -> Result<Vec<TagGroup>, StoreError> {
        let mut sums = Sums::by(self, keys)?;
        let mut statement = statement(self.db(), sql::JUDGED_WITH_TAGS)?;
        let mut rows = statement.query(half.of(snapshot)).attempt(FAILED)?;
        while let Some(row) = rows.next().attempt(FAILED)? {
            let (ids, tags, findings, usage, charged) = columns(row).attempt(FAILED)?;
            let cost = book.and_then(|book| book.of(ids, usage, charged)).map(|cost| cost.monthly);
            sums.add(ids.resource_type, tags, findings, cost)?;
        }
        sums.groups()
    }
}

/// Resources in the course of being put together.
pub(super) struct Sums<'v> {
    view: &'v View<'v>,
    named: Named,
    sums: HashMap<Kind, Sum>,
}

impl<'v> Sums<'v> {
    pub(super) fn by(view: &'v View<'v>, keys: &[String]) -> Result<Self, StoreError> {
        let at_hand = view.newest()?.and_then(|newest| view.at_hand(&newest));
        Ok(Self { view, named: Named::by(view.db(), keys, at_hand)?, sums: HashMap::new() })
    }

    /// A resource: local ids of its type, its tags and its findings, and what it costs where that is known.
    pub(super) fn add(
        &mut self,
        kind: i64,
        tags: Option<i64>,
        findings: Option<i64>,
        cost: Option<Amount>,
    ) -> Result<(), StoreError> {
        let number = self.named.number(self.view.db(), tags)?;
        let sum = self.sums.entry((kind, number, findings)).or_default();
        sum.resources += 1;
        if let Some(cost) = cost {
            sum.cost += cost;
            sum.with_cost += 1;
        }
        Ok(())
    }

    pub(super) fn groups(self) -> Result<Vec<TagGroup>, StoreError> {
        let Self { view, named, sums } = self;
        let mut wrong: BTreeMap<i64, Vec<(String, Code)>> = BTreeMap::new();
        let mut groups = Vec::with_capacity(sums.len());
        let mut sums: Vec<(Kind, Sum)> = sums.into_iter().collect();
        sums.sort_by_key(|(kind, _)| *kind);
        for ((kind, number, set), Sum { resources, cost, with_cost }) in sums {
            let outsider = || StoreError::Content { what: "a resource type", given: kind.to_string() };
            let faults = match set {
                None => Vec::new(),
                Some(set) => match wrong.get(&set) {
                    Some(known) => known.clone(),
                    None => wrong.entry(set).or_insert(faults_of(view.db(), set)?).clone(),
                },
            };
            groups.push(TagGroup {
                resource_type: *view.dimensions().types.get(&kind).ok_or_else(outsider)?,
                tags: usize::try_from(number).ok().and_then(|at| named.lists.get(at)).cloned().unwrap_or_default(),
                wrong: faults,
                resources,
                cost,
                with_cost,
            });
        }
        Ok(groups)
    }
}

type Columns = (ScopeIds, Option<i64>, Option<i64>, Option<UsageIds>, Option<i64>);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    let usage = usage_ids(row, 5)?;
    Ok((ScopeIds::read(row, 0)?, row.get(3)?, row.get(4)?, usage, row.get(7)?))
}

/// The required keys that are wrong by a set of findings.
fn faults_of(db: &Connection, set: i64) -> Result<Vec<(String, Code)>, StoreError> {
    let blob: Vec<u8> =
        statement(db, sql::FINDING_SET_RULES)?.query_row([set], |row| row.get(0)).attempt("read findings")?;
    let mut faults: Vec<(String, Code)> = Vec::new();
    for id in varints(&blob) {
        let found = rule(db, id)?;
        if found.severity == Severity::Error && !faults.iter().any(|(tag, _)| *tag == found.tag) {
            faults.push((found.tag, found.code));
        }
    }
    Ok(faults)
}
