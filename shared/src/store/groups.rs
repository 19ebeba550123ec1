//! Resources of a snapshot that are tagged alike, as far as the policy asks: what advice is made from.

use std::collections::{BTreeMap, HashMap, hash_map::Entry};

use rusqlite::{Connection, Row};

use super::{
    Attempt, Snapshot, StoreError, View,
    cost::CostBook,
    halves::Half,
    intern::{NAME, statement, tag_ids, varints},
    page::{rule, tag},
    rows::{ScopeIds, rows},
    sql,
    version::UsageIds,
};
use crate::{
    advice::{Advised, TagGroup},
    day::day_of,
    money::Amount,
    policy::{Code, Policy, Severity},
};

/// Type, tags that the policy names, and findings: by local numbers.
type Kind = (i64, u32, Option<i64>);

/// How many resources are alike, what they cost, and of how many that is known.
#[derive(Default)]
struct Sum {
    resources: u64,
    cost: Amount,
    with_cost: u64,
}

/// Numbers by local ids, which are given out without holes: a tenth of what a map of them takes.
#[derive(Default)]
struct ById(Vec<u32>);

impl ById {
    /// Of an id that was not seen yet.
    const UNSEEN: u32 = u32::MAX;

    fn get(&self, id: i64) -> Option<u32> {
        let known = usize::try_from(id).ok().and_then(|at| self.0.get(at)).copied();
        known.filter(|number| *number != Self::UNSEEN)
    }

    fn set(&mut self, id: i64, number: u32) {
        let Ok(at) = usize::try_from(id) else { return };
        if self.0.len() <= at {
            self.0.resize(at + 1, Self::UNSEEN);
        }
        if let Some(place) = self.0.get_mut(at) {
            *place = number;
        }
    }
}

/// Tags of keys that the policy names, each list of them once.
struct Named<'p> {
    keys: Vec<&'p str>,
    by_set: ById,
    lists: Vec<Vec<(String, String)>>,
    numbers: HashMap<Vec<(String, String)>, u32>,
    /// Places in `tags`, from 1; 0 for tags of other keys.
    by_tag: ById,
    tags: Vec<(String, String)>,
}

impl<'p> Named<'p> {
    /// Keys with more values than this tell single resources apart, not groups; so does a name.
    const MOST_VALUES: i64 = 2_000;

    fn by(db: &Connection, policy: &'p Policy) -> Result<Self, StoreError> {
        let values = rows(db, sql::TAG_VALUES, [], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
        let many = |key: &str| values.iter().any(|(known, n)| known == key && *n > Self::MOST_VALUES);
        let keys = policy.keys().filter(|key| *key != NAME && !many(key)).collect();
        let (by_set, by_tag) = (ById::default(), ById::default());
        Ok(Self { keys, by_set, lists: Vec::new(), numbers: HashMap::new(), by_tag, tags: Vec::new() })
    }

    fn number(&mut self, db: &Connection, set: Option<i64>) -> Result<u32, StoreError> {
        // No set has the number 0: it stands for having none.
        if let Some(known) = self.by_set.get(set.unwrap_or(0)) {
            return Ok(known);
        }
        let mut tags = Vec::new();
        for id in set.map(|set| tag_ids(db, set)).transpose()?.unwrap_or_default() {
            tags.extend(self.tag(db, id)?);
        }
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

    fn tag(&mut self, db: &Connection, id: i64) -> Result<Option<(String, String)>, StoreError> {
        let place = match self.by_tag.get(id) {
            Some(known) => known,
            None => {
                let found = Some(tag(db, id)?).filter(|(key, _)| self.keys.contains(&key.as_str()));
                self.tags.extend(found.clone());
                let place = if found.is_some() { u32::try_from(self.tags.len()).unwrap_or(0) } else { 0 };
                self.by_tag.set(id, place);
                place
            }
        };
        Ok(place.checked_sub(1).and_then(|at| self.tags.get(usize::try_from(at).ok()?)).cloned())
    }
}

impl View<'_> {
    /// What there is to fix in a snapshot: from its judged resources, together where they are tagged alike as far as the policy
    /// asks. Costs are told of the newest alone. Reads all resources, once a snapshot.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub fn advised<T>(&self, snapshot: &Snapshot, tell: impl FnOnce(&Advised) -> T) -> Result<T, StoreError> {
        let whole = self.whole(snapshot);
        let book = self.costs_told(&whole, snapshot)?;
        let advised = whole.advised(|| {
            let groups = self.in_halves(|view, half| view.read_groups(half, snapshot, book))?.concat();
            Ok(Advised::of(&groups, &*self.policy(snapshot)?, day_of(snapshot.started_at)))
        })?;
        Ok(tell(advised))
    }

    /// Of a half. What is alike in both halves is a group of each: advice adds them up.
    fn read_groups(
        &self,
        half: Half,
        snapshot: &Snapshot,
        book: Option<&CostBook>,
    ) -> Result<Vec<TagGroup>, StoreError> {
        let policy = self.policy(snapshot)?;
        let mut named = Named::by(self.db(), &policy)?;
        let mut sums: HashMap<Kind, Sum> = HashMap::new();
        let mut statement = statement(self.db(), sql::JUDGED_WITH_TAGS)?;
        let mut rows = statement.query(half.of(snapshot)).attempt("read resources")?;
        while let Some(row) = rows.next().attempt("read resources")? {
            let (ids, tags, findings, usage, charged) = columns(row).attempt("read resources")?;
            let number = named.number(self.db(), tags)?;
            let sum = sums.entry((ids.resource_type, number, findings)).or_default();
            sum.resources += 1;
            if let Some(cost) = book.and_then(|book| book.of(ids, usage, charged)) {
                sum.cost += cost.monthly;
                sum.with_cost += 1;
            }
        }
        drop(rows);
        self.groups_of(sums, &named)
    }

    fn groups_of(&self, sums: HashMap<Kind, Sum>, named: &Named<'_>) -> Result<Vec<TagGroup>, StoreError> {
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
                    None => wrong.entry(set).or_insert(faults_of(self.db(), set)?).clone(),
                },
            };
            groups.push(TagGroup {
                resource_type: *self.dimensions().types.get(&kind).ok_or_else(outsider)?,
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
    let usage = row.get::<_, Option<i64>>(5)?.zip(row.get::<_, Option<u32>>(6)?);
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
