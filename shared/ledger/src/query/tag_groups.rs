//! Groups of resources with the same type, the same tags of the policy's keys, and the same findings; and recommendations from them.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::Arc,
};

use rusqlite::{Connection, Row};
use tagledger_analysis::recommendations::{RecommendationSet, TagGroup};
use tagledger_cost::Amount;
use tagledger_model::epoch_day::day_of;
use tagledger_policy::{Code, Policy, Severity};

use crate::{
    cost::resource_cost::{self, ResourceCostModel},
    db::interned::NAME,
    db::{
        id_map::IdMap,
        interned::{read_rule, read_tag_ids},
        resource_state::{UsageIds, read_usage},
        sql,
        statements::{prepare, query_rows},
        varint::decode_varints,
    },
    error::{ErrorContext, LedgerError, Operation},
    index::tag_sets::{self, TagSetIndex},
    model::{scope_ids::ScopeIds, snapshot::Snapshot},
    query::stored_insights,
    read::{
        memo::CacheValue,
        partition::{self, Partition},
        session::ReadSession,
    },
};

/// A key with more values identifies individual resources, like the Name tag, and is not used for groups.
const MAX_VALUES: i64 = 2_000;

/// Row id of the type, number of the tag list, row id of the finding set.
type GroupKey = (i64, u32, Option<i64>);

/// The resources of a group: their number, their cost, and how many have a known cost.
#[derive(Default)]
struct Sum {
    resources: u64,
    cost: Amount,
    with_cost: u64,
}

/// Numbers the distinct lists of tags with the grouping keys.
struct TagLists {
    /// Without the index, a hundred thousand tag sets are read from the file.
    index: Option<Arc<TagSetIndex>>,
    /// The number of a list, by row id of the tag set.
    by_set: IdMap,
    lists: Vec<Vec<(String, String)>>,
    numbers: HashMap<Vec<(String, String)>, u32>,
    /// Positions in `tags`, by row id of the tag.
    by_tag: IdMap,
    tags: Vec<(String, String)>,
}

/// The keys of the policy by whose tags resources are grouped.
pub(crate) fn find_grouping_keys(db: &Connection, policy: &Policy) -> Result<Vec<String>, LedgerError> {
    let values =
        query_rows(db, sql::COUNT_TAG_VALUES, [], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
    let has_many_values = |key: &str| values.iter().any(|(counted, n)| counted == key && *n > MAX_VALUES);
    Ok(policy.keys().filter(|key| *key != NAME && !has_many_values(key)).map(str::to_owned).collect())
}

impl TagLists {
    fn load(db: &Connection, keys: &[String], index: Option<Arc<TagSetIndex>>) -> Result<Self, LedgerError> {
        let (mut by_tag, mut tags) = (IdMap::default(), Vec::new());
        let mut query = prepare(db, sql::ALL_TAGS)?;
        let mut all = query.query([]).context(Operation::ReadTags)?;
        while let Some(row) = all.next().context(Operation::ReadTags)? {
            let key = row
                .get_ref(1)
                .context(Operation::ReadTags)?
                .as_str()
                .map_err(rusqlite::Error::from)
                .context(Operation::ReadTags)?;
            if keys.iter().any(|one| one == key) {
                tags.push((key.to_owned(), row.get(2).context(Operation::ReadTags)?));
                by_tag.set(row.get(0).context(Operation::ReadTags)?, u32::try_from(tags.len() - 1).unwrap_or(u32::MAX));
            }
        }
        Ok(Self { index, by_set: IdMap::default(), lists: Vec::new(), numbers: HashMap::new(), by_tag, tags })
    }

    fn number_set(&mut self, db: &Connection, set: Option<i64>) -> Result<u32, LedgerError> {
        // Row ids begin at 1, so 0 stands for no set.
        if let Some(number) = self.by_set.get(set.unwrap_or(0)) {
            return Ok(number);
        }
        let ids = match set {
            None => Vec::new(),
            Some(set) => match self.index.as_ref().and_then(|index| index.get(set)) {
                Some(ids) => decode_varints(ids),
                None => read_tag_ids(db, set)?,
            },
        };
        let relevant = ids.into_iter().filter_map(|id| self.tags.get(usize::try_from(self.by_tag.get(id)?).ok()?));
        let mut tags: Vec<(String, String)> = relevant.cloned().collect();
        tags.sort();
        let next = u32::try_from(self.lists.len()).unwrap_or(u32::MAX);
        let number = match self.numbers.entry(tags) {
            Entry::Occupied(number) => *number.get(),
            Entry::Vacant(entry) => {
                self.lists.push(entry.key().clone());
                *entry.insert(next)
            }
        };
        self.by_set.set(set.unwrap_or(0), number);
        Ok(number)
    }
}

/// Recommendations for a snapshot, from its evaluated resources grouped by type, relevant tags and findings. Costs are known only for the
/// newest snapshot. Those for a past snapshot come from its stored insights if it has any.
///
/// # Errors
///
/// When the ledger cannot be read.
pub fn find_recommendations(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
) -> Result<Arc<RecommendationSet>, LedgerError> {
    let costs = resource_cost::load_model_if_newest(session, snapshot)?;
    let cached = session.memo(snapshot).get::<Recommendations>().filter(|set| set.with_costs == costs.is_some());
    if let Some(cached) = cached {
        return Ok(Arc::clone(&cached.set));
    }
    let stored = if costs.is_some() { None } else { stored_insights::load(session, snapshot)? };
    let set = match stored {
        Some(insights) => insights.advised,
        None => load_recommendations(session, snapshot, costs.as_deref())?,
    };
    let loaded = Recommendations { with_costs: costs.is_some(), set: Arc::new(set) };
    Ok(Arc::clone(&session.memo(snapshot).put(loaded).set))
}

struct Recommendations {
    with_costs: bool,
    set: Arc<RecommendationSet>,
}

impl CacheValue for Recommendations {
    fn weight(&self) -> usize {
        /// A recommendation with its texts.
        const ENTRY_BYTES: usize = 512;
        ENTRY_BYTES * (self.set.violations.len() + self.set.recommendations.len() + 1)
    }
}

fn load_recommendations(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    costs: Option<&ResourceCostModel>,
) -> Result<RecommendationSet, LedgerError> {
    let policy = session.policy(snapshot)?;
    let keys = find_grouping_keys(session.db(), &policy)?;
    let load = |session: &ReadSession<'_>, part| load_partition(session, part, snapshot, costs, &keys);
    let groups = partition::par_partitions(session, load)?.concat();
    Ok(RecommendationSet::from_groups(&groups, &policy, day_of(snapshot.started_at)))
}

/// The groups of a partition. A group that is in both partitions is returned by each; recommendations add them up.
fn load_partition(
    session: &ReadSession<'_>,
    part: Partition,
    snapshot: &Snapshot,
    costs: Option<&ResourceCostModel>,
    keys: &[String],
) -> Result<Vec<TagGroup>, LedgerError> {
    let mut sums = GroupSums::new(session, keys)?;
    let mut statement = prepare(session.db(), sql::EVALUATED_WITH_TAGS)?;
    let mut rows = statement.query(part.parameters(snapshot)).context(Operation::ReadTags)?;
    while let Some(row) = rows.next().context(Operation::ReadTags)? {
        let (ids, tags, findings, usage, charged) = read_columns(row).context(Operation::ReadTags)?;
        let cost = costs.and_then(|costs| costs.cost_of(ids, usage, charged)).map(|cost| cost.monthly);
        sums.add(ids.resource_type, tags, findings, cost)?;
    }
    sums.into_groups()
}

/// Adds resources to groups.
pub(crate) struct GroupSums<'s> {
    session: &'s ReadSession<'s>,
    tag_lists: TagLists,
    sums: HashMap<GroupKey, Sum>,
}

impl<'s> GroupSums<'s> {
    pub(crate) fn new(session: &'s ReadSession<'s>, keys: &[String]) -> Result<Self, LedgerError> {
        let tag_lists = TagLists::load(session.db(), keys, tag_sets::cached(session)?)?;
        Ok(Self { session, tag_lists, sums: HashMap::new() })
    }

    /// Adds a resource, by the row ids of its type, its tag set and its finding set, with its monthly cost if known.
    pub(crate) fn add(
        &mut self,
        kind: i64,
        tags: Option<i64>,
        findings: Option<i64>,
        cost: Option<Amount>,
    ) -> Result<(), LedgerError> {
        let number = self.tag_lists.number_set(self.session.db(), tags)?;
        let sum = self.sums.entry((kind, number, findings)).or_default();
        sum.resources += 1;
        if let Some(cost) = cost {
            sum.cost += cost;
            sum.with_cost += 1;
        }
        Ok(())
    }

    pub(crate) fn into_groups(self) -> Result<Vec<TagGroup>, LedgerError> {
        let Self { session, tag_lists, sums } = self;
        let mut errors: BTreeMap<i64, Vec<(String, Code)>> = BTreeMap::new();
        let mut groups = Vec::with_capacity(sums.len());
        let mut sums: Vec<(GroupKey, Sum)> = sums.into_iter().collect();
        sums.sort_by_key(|(kind, _)| *kind);
        for ((kind, number, set), Sum { resources, cost, with_cost }) in sums {
            let missing = || LedgerError::Content { what: "a resource type", given: kind.to_string() };
            let violations = match set {
                None => Vec::new(),
                Some(set) => match errors.get(&set) {
                    Some(cached) => cached.clone(),
                    None => errors.entry(set).or_insert(load_errors(session.db(), set)?).clone(),
                },
            };
            groups.push(TagGroup {
                resource_type: *session.dimensions().types.get(&kind).ok_or_else(missing)?,
                tags: usize::try_from(number).ok().and_then(|at| tag_lists.lists.get(at)).cloned().unwrap_or_default(),
                violations,
                resources,
                cost,
                with_cost,
            });
        }
        Ok(groups)
    }
}

type Columns = (ScopeIds, Option<i64>, Option<i64>, Option<UsageIds>, Option<i64>);

fn read_columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    let usage = read_usage(row, 5)?;
    Ok((ScopeIds::read(row, 0)?, row.get(3)?, row.get(4)?, usage, row.get(7)?))
}

/// The required keys with an error in a finding set.
fn load_errors(db: &Connection, set: i64) -> Result<Vec<(String, Code)>, LedgerError> {
    let blob: Vec<u8> =
        prepare(db, sql::FINDING_SET_RULES)?.query_row([set], |row| row.get(0)).context(Operation::ReadFindings)?;
    let mut errors: Vec<(String, Code)> = Vec::new();
    for id in decode_varints(&blob) {
        let found = read_rule(db, id)?;
        if found.severity == Severity::Error && !errors.iter().any(|(tag, _)| *tag == found.tag) {
            errors.push((found.tag, found.code));
        }
    }
    Ok(errors)
}
