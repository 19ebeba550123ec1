//! Pages of the resources of a snapshot, in the order of severity or of missing tags.

use std::{cell::RefCell, cmp::Reverse, collections::HashMap, sync::Arc};

use jiff::Timestamp;
use rusqlite::{Connection, params};
use tagledger_model::inventory::TagSet;
use tagledger_policy::State;

use crate::{
    cost::resource_cost::{self, ResourceCostModel},
    db::{
        dimensions::{Dimensions, build_arn},
        id_map::HashIdMap,
        interned::{InternedLookup, get_or_read, read_rule, read_tag_ids},
        resource_state::{UsageIds, read_usage},
        sql,
        statements::{prepare, query_rows},
        values::{parse_reason, parse_state, parse_time},
        varint::decode_varints,
    },
    error::{ErrorContext, LedgerError, Operation},
    index::{
        ranked_by_scope::{self, RankedByScope},
        superseded, tag_sets,
    },
    model::{
        page::PageStart,
        resource_row::{Order, OrderByMissingTags, OrderBySeverity, ResourcePage, ResourceRow},
        scope_ids::ScopeIds,
        snapshot::{Rule, Snapshot},
    },
    read::{filter::Filter, session::ReadSession},
};

/// A resource of a page, without the columns of the table `resource`.
struct PageRow {
    start: PageStart,
    tag_set: Option<i64>,
    name: Option<String>,
    state: State,
    reason: Option<String>,
    ids: ScopeIds,
    usage: Option<UsageIds>,
}

fn read_page_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<PageRow> {
    Ok(PageRow {
        start: PageStart { key: row.get(0)?, rank: row.get(1)? },
        tag_set: row.get(3)?,
        name: row.get(4)?,
        state: parse_state(row.get(5)?)?,
        reason: row.get(6)?,
        ids: ScopeIds::read(row, 7)?,
        usage: read_usage(row, 10)?,
    })
}

impl Order {
    /// The statements for the rest of a rank and for the ranks below it.
    const fn statements(self) -> [&'static str; 2] {
        match self {
            Self::BySeverity(_) => [sql::FINDINGS_SAME_RANK, sql::FINDINGS_LOWER_RANKS],
            Self::ByMissingTags(_) => [sql::MISSING_TAGS_SAME_RANK, sql::MISSING_TAGS_LOWER_RANKS],
        }
    }

    /// The parameter that restricts the resources of an order.
    fn restriction(self) -> Option<i64> {
        match self {
            Self::BySeverity(order) => Some(i64::from(order.errors) + 2 * i64::from(order.warnings)),
            Self::ByMissingTags(created_until) => created_until,
        }
    }
}

/// Reads pages of one snapshot.
pub(crate) struct ResourcePages<'s> {
    session: &'s ReadSession<'s>,
    db: &'s Connection,
    dimensions: &'s Dimensions,
    snapshot: &'s Snapshot,
    costs: Arc<ResourceCostModel>,
    by_scope: Option<Arc<RankedByScope>>,
}

impl<'s> ResourcePages<'s> {
    pub(crate) fn open(session: &'s ReadSession<'_>, snapshot: &'s Snapshot) -> Result<Self, LedgerError> {
        Ok(Self {
            session,
            db: session.db(),
            dimensions: session.dimensions(),
            snapshot,
            costs: resource_cost::load_model(session, snapshot)?,
            by_scope: ranked_by_scope::cached(session, snapshot),
        })
    }

    pub(crate) fn list_by_severity(
        &self,
        filter: &Filter,
        order: OrderBySeverity,
        start: PageStart,
        limit: usize,
    ) -> Result<ResourcePage, LedgerError> {
        self.with_violations(self.list_ordered(filter, Order::BySeverity(order), start, limit)?)
    }

    pub(crate) fn with_violations(&self, mut page: ResourcePage) -> Result<ResourcePage, LedgerError> {
        let mut rules = HashIdMap::default();
        for row in &mut page.rows {
            row.violations = self.load_violations(row.position.key, &mut rules)?;
        }
        Ok(page)
    }

    pub(crate) fn list_missing_tags(
        &self,
        filter: &Filter,
        order: OrderByMissingTags,
        start: PageStart,
        limit: usize,
    ) -> Result<ResourcePage, LedgerError> {
        let created_until = order.created_until.map(Timestamp::as_second);
        self.list_ordered(filter, Order::ByMissingTags(created_until), start, limit)
    }

    /// A page of resources with the given keys. One key more than `limit` means that there is another page.
    pub(crate) fn list_given(&self, starts: &[PageStart], limit: usize) -> Result<ResourcePage, LedgerError> {
        let keys: Vec<i64> = starts.iter().map(|start| start.key).collect();
        // One statement for all keys, because for a past snapshot it reads all states that have ended since.
        let found = query_rows(
            self.db,
            sql::RESOURCES_AS_OF_BY_KEY,
            params![self.snapshot.id, format!("{keys:?}")],
            read_page_row,
        )?;
        let mut found: HashMap<i64, PageRow> = found.into_iter().map(|row| (row.start.key, row)).collect();
        let in_order = |start: &PageStart| Some(PageRow { start: *start, ..found.remove(&start.key)? });
        let resources = starts.iter().filter_map(in_order).collect();
        self.build_page(resources, limit)
    }

    /// The current and the superseded states after a start.
    fn list_ordered(
        &self,
        filter: &Filter,
        order: Order,
        start: PageStart,
        limit: usize,
    ) -> Result<ResourcePage, LedgerError> {
        if let Some(starts) = self.find_in_scopes(filter, order, start, limit + 1) {
            return self.list_given(&starts, limit);
        }
        let mut page = self.list_current(filter, order, start, limit + 1)?;
        for (start, state) in superseded::list_page(self.session, self.snapshot, filter, order, start, limit + 1)? {
            let key = params![state.until, state.since, start.key];
            let row = prepare(self.db, sql::SUPERSEDED_STATE)?
                .query_row(key, read_page_row)
                .context(Operation::ReadResources)?;
            page.push(PageRow { start, ..row });
        }
        page.sort_by_key(|row| Reverse((row.start.rank, row.start.key)));
        self.build_page(page, limit)
    }

    /// A page from the index; none when the filter admits many scopes or there is no index.
    fn find_in_scopes(&self, filter: &Filter, order: Order, start: PageStart, limit: usize) -> Option<Vec<PageStart>> {
        let [types, regions, accounts] = filter.ids(self.dimensions);
        let admits_id = |ids: &Option<Vec<i64>>, id: i64| ids.as_ref().is_none_or(|ids| ids.contains(&id));
        let admits = |scope: ScopeIds| {
            admits_id(&types, scope.resource_type)
                && admits_id(&regions, scope.region)
                && admits_id(&accounts, scope.account)
        };
        self.by_scope.as_ref()?.list_page(admits, order, start, limit)
    }

    /// The current states that the snapshot has: the rest of those with the rank of `start`, then those of lower ranks.
    fn list_current(
        &self,
        filter: &Filter,
        order: Order,
        start: PageStart,
        limit: usize,
    ) -> Result<Vec<PageRow>, LedgerError> {
        let [types, regions, accounts] = filter.parameters(self.dimensions);
        let [same_rank, lower_ranks] = order.statements();
        let read = |text, limit: usize| {
            let restriction = order.restriction();
            let PageStart { rank, key } = start;
            let parameters = params![self.snapshot.id, types, regions, accounts, rank, key, restriction, limit];
            query_rows(self.db, text, parameters, read_page_row)
        };
        let mut page = if start == PageStart::FIRST { Vec::new() } else { read(same_rank, limit)? };
        if page.len() < limit {
            page.extend(read(lower_ranks, limit - page.len())?);
        }
        Ok(page)
    }

    fn build_page(&self, mut page: Vec<PageRow>, limit: usize) -> Result<ResourcePage, LedgerError> {
        let has_more = page.len() > limit;
        page.truncate(limit);
        let next = page.last().filter(|_| has_more).map(|last| last.start);
        let rows = page.into_iter().map(|row| self.load_row(row)).collect::<Result<_, _>>()?;
        Ok(ResourcePage { rows, next })
    }

    fn load_row(&self, found: PageRow) -> Result<ResourceRow, LedgerError> {
        let scope = self.dimensions.scope(found.ids)?;
        let missing = || LedgerError::Content { what: "an account", given: scope.account.to_string() };
        let partition = &self.dimensions.accounts.get(&found.ids.account).ok_or_else(missing)?.partition;
        let columns = |row: &rusqlite::Row<'_>| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?, row.get(2)?, row.get(3)?))
        };
        let (local, created, first_seen, charged) = prepare(self.db, sql::RESOURCE_BY_KEY)?
            .query_row([found.start.key], columns)
            .context(Operation::ReadResources)?;
        Ok(ResourceRow {
            position: found.start,
            arn: build_arn(&local, &scope, partition)?,
            scope,
            state: found.state,
            unknown: found.reason.as_deref().map(parse_reason).transpose()?,
            tags: self.load_tags(found.tag_set, found.name)?,
            created_at: created.map(parse_time).transpose()?,
            first_seen: parse_time(first_seen)?,
            cost: self.costs.cost_of(found.ids, found.usage, charged),
            violations: Vec::new(),
        })
    }

    fn load_tags(&self, set: Option<i64>, name: Option<String>) -> Result<TagSet, LedgerError> {
        let index = tag_sets::cached(self.session)?;
        let cached = set.and_then(|set| index.as_ref()?.get(set)).map(decode_varints);
        let ids = match (cached, set) {
            (None, Some(set)) => read_tag_ids(self.db, set)?,
            (cached, _) => cached.unwrap_or_default(),
        };
        self.session.local::<RefCell<InternedLookup>>().borrow_mut().load_pairs(self.db, &ids, name)
    }

    fn load_violations(&self, key: i64, rules: &mut HashIdMap<Rule>) -> Result<Vec<(Rule, Timestamp)>, LedgerError> {
        let open: Vec<(i64, i64)> = query_rows(self.db, sql::VIOLATIONS_OPEN_AS_OF, [key, self.snapshot.id], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        let resolve = |(id, opened)| Ok((get_or_read(rules, id, || read_rule(self.db, id))?, parse_time(opened)?));
        open.into_iter().map(resolve).collect()
    }
}
