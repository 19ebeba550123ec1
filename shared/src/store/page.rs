//! Pages of resources, and the filter that all questions share.

use std::{
    cmp::Reverse,
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::{
    Attempt, ResourceCost, Rule, Snapshot, StoreError, View,
    at_hand::AtHand,
    ended::Order,
    gathering::ByNumber,
    intern::{NAME, statement, tag_ids, varints},
    rows::{Dimensions, ScopeIds, arn, int, parse, reason, rows, state, time},
    sql,
    version::{UsageIds, usage_ids},
    whole::Whole,
};
use crate::{
    AccountId, Arn, Region,
    inventory::{GapReason, Scope, TagSet},
    policy::State,
};

/// What a question is about; an empty list means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Resource types.
    pub types: Vec<crate::ResourceType>,
    /// Regions.
    pub regions: Vec<Region>,
    /// Accounts.
    pub accounts: Vec<AccountId>,
}

impl Filter {
    /// Whether a scope is asked about.
    pub fn admits(&self, scope: &Scope) -> bool {
        (self.types.is_empty() || self.types.contains(&scope.resource_type))
            && (self.regions.is_empty() || self.regions.contains(&scope.region))
            && (self.accounts.is_empty() || self.accounts.contains(&scope.account))
    }

    /// The local ids of one type, one region and one account, each none for all; nothing when a list has several.
    fn single(&self, dimensions: &Dimensions) -> Option<[Option<i64>; 3]> {
        let one = |ids: Vec<i64>, wanted: usize| match (wanted, ids.as_slice()) {
            (0, _) => Some(None),
            // What the ledger has never seen has no id, and no resource.
            (1, []) => Some(Some(-1)),
            (1, [id]) => Some(Some(*id)),
            _ => None,
        };
        Some([
            one(Dimensions::ids_of(&dimensions.types, &self.types), self.types.len())?,
            one(Dimensions::ids_of(&dimensions.regions, &self.regions), self.regions.len())?,
            one(dimensions.account_ids(&self.accounts), self.accounts.len())?,
        ])
    }

    /// As the three parameters of a statement: JSON arrays of local ids.
    pub(super) fn parameters(&self, dimensions: &Dimensions) -> [Option<String>; 3] {
        let types = (!self.types.is_empty()).then(|| Dimensions::ids_of(&dimensions.types, &self.types));
        let regions = (!self.regions.is_empty()).then(|| Dimensions::ids_of(&dimensions.regions, &self.regions));
        let accounts = (!self.accounts.is_empty()).then(|| dimensions.account_ids(&self.accounts));
        [types, regions, accounts].map(|ids| ids.map(|ids| format!("{ids:?}")))
    }
}

/// A place in an order of resources: behind which a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageStart {
    /// The last row's rank.
    pub rank: i64,
    /// Its key.
    pub key: i64,
}

impl PageStart {
    /// The beginning.
    pub const FIRST: Self = Self { rank: i64::MAX, key: i64::MAX };
}

/// Resources with findings, those with most errors first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worst {
    /// Those with errors.
    pub errors: bool,
    /// Those with warnings.
    pub warnings: bool,
}

/// Resources without user tags, then those that lack most required ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lacking {
    /// Only those that AWS says were created at that time or before it.
    pub created_until: Option<Timestamp>,
}

/// Some resources in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// At most as many as were asked for.
    pub rows: Vec<Row>,
    /// Where the next page begins; none on the last one.
    pub next: Option<PageStart>,
}

/// One resource as of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its place in the order: a page may be cut behind it.
    pub place: PageStart,
    /// Its ARN.
    pub arn: Arn,
    /// Its type, account and region.
    pub scope: Scope,
    /// Its state.
    pub state: State,
    /// Why it is unknown, when it is.
    pub unknown: Option<GapReason>,
    /// Its tags as last known.
    pub tags: TagSet,
    /// When it was made, as AWS says.
    pub created_at: Option<Timestamp>,
    /// The first snapshot that saw it.
    pub first_seen: Timestamp,
    /// What it costs a month; none when that is not known.
    pub cost: Option<ResourceCost>,
    /// Its open violations, each with the time of the snapshot that first saw it; not read for pages of
    /// resources that lack tags, which nobody asks for them.
    pub violations: Vec<(Rule, Timestamp)>,
}

struct Found {
    start: PageStart,
    tag_set: Option<i64>,
    name: Option<String>,
    state: State,
    reason: Option<String>,
    ids: ScopeIds,
    usage: Option<UsageIds>,
}

fn found(row: &rusqlite::Row<'_>) -> rusqlite::Result<Found> {
    Ok(Found {
        start: PageStart { key: row.get(0)?, rank: row.get(1)? },
        tag_set: row.get(3)?,
        name: row.get(4)?,
        state: state(row.get(5)?),
        reason: row.get(6)?,
        ids: ScopeIds::read(row, 7)?,
        usage: usage_ids(row, 10)?,
    })
}

impl Order {
    /// The statements of an order for the rest of a rank and for the ranks below it, by single values and by lists.
    const fn statements(self, single: bool) -> [&'static str; 2] {
        match (self, single) {
            (Self::Worst(_), true) => [sql::WORST_ONE_SAME, sql::WORST_ONE_BELOW],
            (Self::Worst(_), false) => [sql::WORST_SAME, sql::WORST_BELOW],
            (Self::Lacking(_), true) => [sql::LACKING_ONE_SAME, sql::LACKING_ONE_BELOW],
            (Self::Lacking(_), false) => [sql::LACKING_SAME, sql::LACKING_BELOW],
        }
    }

    /// The parameter by which they are narrowed.
    fn narrow(self) -> Option<i64> {
        match self {
            Self::Worst(what) => Some(i64::from(what.errors) + 2 * i64::from(what.warnings)),
            Self::Lacking(created_until) => created_until,
        }
    }
}

/// What a page is read from.
pub(super) struct Pages<'v> {
    view: &'v View<'v>,
    pub(super) sql: &'v Connection,
    pub(super) dimensions: &'v Dimensions,
    pub(super) snapshot: &'v Snapshot,
    pub(super) whole: Arc<Whole>,
    at_hand: Option<Arc<AtHand>>,
}

impl View<'_> {
    pub(super) fn pages<'p>(&'p self, snapshot: &'p Snapshot) -> Pages<'p> {
        let (whole, at_hand) = (self.whole(snapshot), self.at_hand(snapshot));
        Pages { view: self, sql: self.db(), dimensions: self.dimensions(), snapshot, whole, at_hand }
    }
}

impl Pages<'_> {
    pub(super) fn worst(&self, filter: &Filter, what: Worst, at: PageStart, limit: usize) -> Result<Page, StoreError> {
        self.with_violations(self.ranked(filter, Order::Worst(what), at, limit)?)
    }

    pub(super) fn with_violations(&self, mut page: Page) -> Result<Page, StoreError> {
        let mut rules = ByNumber::default();
        for row in &mut page.rows {
            row.violations = self.violations(row.place.key, &mut rules)?;
        }
        Ok(page)
    }

    pub(super) fn lacking(
        &self,
        filter: &Filter,
        what: Lacking,
        at: PageStart,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let created = what.created_until.map(Timestamp::as_second);
        self.ranked(filter, Order::Lacking(created), at, limit)
    }

    /// Resources by their keys, of which there may be one more than are wanted.
    pub(super) fn listed(&self, places: &[PageStart], limit: usize) -> Result<Page, StoreError> {
        let keys: Vec<i64> = places.iter().map(|place| place.key).collect();
        // In one: of an earlier night everything that ended since is looked through.
        let found = rows(self.sql, sql::AS_OF_KEYS, params![self.snapshot.id, format!("{keys:?}")], found)?;
        let mut found: HashMap<i64, Found> = found.into_iter().map(|one| (one.start.key, one)).collect();
        let placed = |place: &PageStart| Some(Found { start: *place, ..found.remove(&place.key)? });
        let resources = places.iter().filter_map(placed).collect();
        self.page(resources, limit)
    }

    /// Those that are as they were, and those that are not, behind a place.
    fn ranked(&self, filter: &Filter, order: Order, at: PageStart, limit: usize) -> Result<Page, StoreError> {
        if let Some(places) = self.of_scope(filter, order, at, limit + 1) {
            return self.listed(&places, limit);
        }
        let mut page = self.unchanged(filter, order, at, limit + 1)?;
        for (start, version) in self.view.ended_page(self.snapshot, filter, order, at, limit + 1)? {
            let place = params![version.until, version.since, start.key];
            let then = statement(self.sql, sql::ENDED_VERSION)?.query_row(place, found).attempt("read a resource")?;
            page.push(Found { start, ..then });
        }
        page.sort_by_key(|found| Reverse((found.start.rank, found.start.key)));
        self.page(page, limit)
    }

    /// Places of the newest snapshot's resources of one scope, if they are at hand.
    fn of_scope(&self, filter: &Filter, order: Order, at: PageStart, limit: usize) -> Option<Vec<PageStart>> {
        let [resource_type, region, account] = filter.single(self.dimensions)?;
        let scope = ScopeIds { account: account?, region: region?, resource_type: resource_type? };
        self.at_hand.as_ref()?.by_scope.page(scope, order, at, limit)
    }

    /// The rest of those with the rank of `at`, and then those of lower rank.
    fn unchanged(&self, filter: &Filter, order: Order, at: PageStart, wanted: usize) -> Result<Vec<Found>, StoreError> {
        let (single, narrow) = (filter.single(self.dimensions), order.narrow());
        let [same, below] = order.statements(single.is_some());
        let read = |text, wanted: usize| {
            let wanted = int(wanted);
            match single {
                Some([kind, region, account]) => {
                    let parameters = params![self.snapshot.id, kind, region, account, at.rank, at.key, narrow, wanted];
                    rows(self.sql, text, parameters, found)
                }
                None => {
                    let [types, regions, accounts] = filter.parameters(self.dimensions);
                    let parameters =
                        params![self.snapshot.id, types, regions, accounts, at.rank, at.key, narrow, wanted];
                    rows(self.sql, text, parameters, found)
                }
            }
        };
        let mut page = if at == PageStart::FIRST { Vec::new() } else { read(same, wanted)? };
        if page.len() < wanted {
            page.extend(read(below, wanted - page.len())?);
        }
        Ok(page)
    }

    fn page(&self, mut found: Vec<Found>, limit: usize) -> Result<Page, StoreError> {
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|last| last.start);
        let rows = found.into_iter().map(|found| self.row(found)).collect::<Result<_, _>>()?;
        Ok(Page { rows, next })
    }

    fn row(&self, found: Found) -> Result<Row, StoreError> {
        let scope = self.dimensions.scope(found.ids)?;
        let outsider = || StoreError::Content { what: "an account", given: scope.account.to_string() };
        let partition = &self.dimensions.accounts.get(&found.ids.account).ok_or_else(outsider)?.partition;
        let columns = |row: &rusqlite::Row<'_>| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?, row.get(2)?, row.get(3)?))
        };
        let (local, created, first_seen, charged) = statement(self.sql, sql::RESOURCE_BY_KEY)?
            .query_row([found.start.key], columns)
            .attempt("read a resource")?;
        let book = self.whole.costs(self.sql, self.dimensions)?;
        Ok(Row {
            place: found.start,
            arn: arn(&local, &scope, partition)?,
            scope,
            state: found.state,
            unknown: found.reason.as_deref().map(reason).transpose()?,
            tags: self.tags(found.tag_set, found.name)?,
            created_at: created.map(time).transpose()?,
            first_seen: time(first_seen)?,
            cost: book.and_then(|book| book.of(found.ids, found.usage, charged)),
            violations: Vec::new(),
        })
    }

    fn tags(&self, set: Option<i64>, name: Option<String>) -> Result<TagSet, StoreError> {
        let at_hand = set.and_then(|set| self.at_hand.as_ref()?.sets.get(set)).map(varints);
        let ids = match (at_hand, set) {
            (None, Some(set)) => tag_ids(self.sql, set)?,
            (at_hand, _) => at_hand.unwrap_or_default(),
        };
        self.view.memory.tags.borrow_mut().pairs(self.sql, &ids, name)
    }

    fn violations(&self, key: i64, rules: &mut ByNumber<Rule>) -> Result<Vec<(Rule, Timestamp)>, StoreError> {
        let open: Vec<(i64, i64)> =
            rows(self.sql, sql::VIOLATIONS_OF, [key, self.snapshot.id], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let known = |(id, opened)| Ok((remembered(rules, id, || rule(self.sql, id))?, time(opened)?));
        open.into_iter().map(known).collect()
    }
}

/// A question that comes to more tags forgets those it has read: some megabytes.
const MOST_REMEMBERED: usize = 1 << 14;

/// Tags that were read for a question. Most of a resource's are those of resources before it, and are not read again.
#[derive(Default)]
pub(super) struct Remembered(ByNumber<(String, String)>);

impl Remembered {
    pub(super) fn tags(
        &mut self,
        db: &Connection,
        tag_set: Option<i64>,
        name: Option<String>,
    ) -> Result<TagSet, StoreError> {
        let ids = tag_set.map(|set| tag_ids(db, set)).transpose()?.unwrap_or_default();
        self.pairs(db, &ids, name)
    }

    fn pairs(&mut self, db: &Connection, ids: &[i64], name: Option<String>) -> Result<TagSet, StoreError> {
        if self.0.len() >= MOST_REMEMBERED {
            self.0.clear();
        }
        let mut pairs = Vec::with_capacity(ids.len() + 1);
        for id in ids {
            pairs.push(remembered(&mut self.0, *id, || tag(db, *id))?);
        }
        pairs.extend(name.map(|name| (NAME.to_owned(), name)));
        Ok(pairs.into_iter().collect())
    }
}

fn remembered<T: Clone>(
    known: &mut ByNumber<T>,
    id: i64,
    read: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    match known.entry(id) {
        Entry::Occupied(known) => Ok(known.get().clone()),
        Entry::Vacant(place) => Ok(place.insert(read()?).clone()),
    }
}

/// The tags of an interned set, with the Name that stands beside it.
pub(super) fn tags(db: &Connection, tag_set: Option<i64>, name: Option<String>) -> Result<TagSet, StoreError> {
    Remembered::default().tags(db, tag_set, name)
}

pub(super) fn tag(db: &Connection, id: i64) -> Result<(String, String), StoreError> {
    let columns = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    statement(db, sql::TAG_BY_ID)?.query_row([id], columns).attempt("read a tag")
}

/// An interned rule.
pub(super) fn rule(sql: &Connection, id: i64) -> Result<Rule, StoreError> {
    let columns = |row: &rusqlite::Row<'_>| Ok([row.get::<_, String>(0)?, row.get(1)?, row.get(2)?]);
    let [code, severity, tag] = statement(sql, sql::RULE_BY_ID)?.query_row([id], columns).attempt("read a rule")?;
    Ok(Rule { code: parse("a finding code", &code)?, severity: parse("a severity", &severity)?, tag })
}
