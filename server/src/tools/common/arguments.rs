//! Arguments that several tools share, and their validation against the scopes of a snapshot.

use std::collections::BTreeSet;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use tagledger_ledger::{
    Filter, PageStart, ReadSession, ResourcePage, ResourceRow, ScopeRow, Snapshot,
    page_token::{InvalidPageToken, PageToken},
    query::compliance,
};
use tagledger_model::{AccountId, Region, ResourceType, epoch_day::day_of};

use crate::{
    auth::account_scope::AccountScope, error::ToolFailure, snapshot_ref::SnapshotSelector,
    tools::common::time_period::Day,
};

/// The default number of rows of a page. With it, an answer stays under 4,000 tokens.
pub(crate) const DEFAULT_ROWS: i64 = 10;

/// The maximum number of rows of a page.
pub(crate) const MAX_ROWS: i64 = 100;

/// A region, an account, or both.
#[derive(Debug, Clone, Default, serde::Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filters {
    /// An AWS region, such as `eu-west-1`.
    #[schemars(with = "String")]
    #[serde(default)]
    pub(crate) region: Option<Region>,
    /// A 12-digit AWS account ID.
    #[schemars(with = "String")]
    #[serde(default)]
    pub(crate) account_id: Option<AccountId>,
    /// The accounts of the caller's key. Clients cannot set it.
    #[serde(skip)]
    #[schemars(skip)]
    pub(crate) scope: AccountScope,
}

impl Filters {
    /// The filter of a ledger query: these filters and the resource types.
    pub(crate) fn filter(self, types: Vec<ResourceType>) -> Filter {
        let Self { region, account_id, scope } = self;
        let mut filter = Filter { types, regions: region.into_iter().collect(), ..scope.filter() };
        if let Some(account) = account_id {
            filter.accounts = vec![account];
        }
        filter
    }
}

/// The JSON schema of a list of resource types.
pub(crate) fn type_list(_: &mut SchemaGenerator) -> Schema {
    let names: Vec<&str> = ResourceType::ALL.iter().map(|t| t.as_str()).collect();
    json_schema!({ "type": "array", "items": { "type": "string", "enum": names }, "minItems": 1 })
}

/// The JSON schema of a list of regions.
pub(crate) fn region_list(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": { "type": "string" }, "minItems": 1 })
}

/// The JSON schema of a number or null.
pub(crate) fn nullable_number(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [{ "type": "number" }, { "type": "null" }] })
}

/// The JSON schema of a boolean or null.
pub(crate) fn nullable_bool(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [{ "type": "boolean" }, { "type": "null" }] })
}

/// The JSON schema of a string or null.
pub(crate) fn nullable_text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [{ "type": "string" }, { "type": "null" }] })
}

/// The maximum size in bytes of the rows of a page, when the call has no `limit`. Tags can be so long that ten rows exceed the
/// context of a client's model.
const DEFAULT_MAX_BYTES: usize = 8_000;

/// The same, when the call has a `limit`.
const MAX_BYTES_WITH_LIMIT: usize = 60_000;

/// The page that a call requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageRequest {
    pub(crate) limit: usize,
    max_bytes: usize,
    /// The snapshot of the previous pages.
    pub(crate) snapshot: Option<i64>,
    pub(crate) start: PageStart,
    /// The number of rows on the previous pages.
    pub(crate) shown: u64,
    /// The list to which the previous pages belong.
    list: Option<&'static str>,
}

/// The error when costs have changed between two pages of a list.
const COSTS_CHANGED: &str =
    "a newer scan has changed the costs by which this list is sorted; call the tool again without `cursor`";

impl PageRequest {
    /// Reads `limit` and `cursor`. A page token is valid for one set of arguments and for one of `lists`, the lists of the tool: one
    /// for each sort order.
    ///
    /// # Errors
    ///
    /// When `limit` is out of range, or when `cursor` belongs to other arguments.
    pub(crate) fn parse(
        limit: Option<i64>,
        cursor: Option<&str>,
        lists: &[&'static str],
        arguments: &impl Serialize,
    ) -> Result<Self, ToolFailure> {
        let max_bytes = if limit.is_some() { MAX_BYTES_WITH_LIMIT } else { DEFAULT_MAX_BYTES };
        let limit = limit.unwrap_or(DEFAULT_ROWS);
        let out_of_range = || format!("`limit` must be 1 to {MAX_ROWS}, not {limit}; use `cursor` to get more rows");
        let limit = usize::try_from(limit).ok().filter(|_| (1..=MAX_ROWS).contains(&limit));
        let limit = limit.ok_or_else(|| ToolFailure::Caller(out_of_range()))?;
        let first = Self { limit, max_bytes, snapshot: None, start: PageStart::FIRST, shown: 0, list: None };
        let Some(text) = cursor else { return Ok(first) };
        let mut tokens = lists.iter().filter_map(|list| Some((*list, PageToken::decode(text, list, arguments).ok()?)));
        let (list, PageToken { snapshot, start, shown }) = tokens.next().ok_or(InvalidPageToken)?;
        Ok(Self { snapshot: Some(snapshot), start, shown, list: Some(list), ..first })
    }

    /// # Errors
    ///
    /// When the previous pages belong to another list, whose order is different.
    pub(crate) fn check_list(&self, list: &'static str) -> Result<(), ToolFailure> {
        if self.list.is_some_and(|before| before != list) { Err(Self::costs_changed()) } else { Ok(()) }
    }

    /// The error when the order of the previous pages can no longer be computed.
    pub(crate) fn costs_changed() -> ToolFailure {
        ToolFailure::Caller(COSTS_CHANGED.to_owned())
    }

    /// The maximum size of the rows, in bytes.
    pub(crate) fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// Selects the snapshot of the page: that of the previous pages, else that of the day `as_of`, else the latest.
    pub(crate) fn select_snapshot(&self, as_of: Option<Day>) -> SnapshotSelector {
        self.snapshot.map_or_else(|| select_snapshot(as_of), SnapshotSelector::Id)
    }
}

/// Selects the snapshot of a day, or the latest snapshot without a day.
pub(crate) fn select_snapshot(as_of: Option<Day>) -> SnapshotSelector {
    as_of.map_or(SnapshotSelector::Latest, |Day(day)| SnapshotSelector::AsOf(day))
}

/// The note of an answer from an earlier snapshot: the date of the snapshot, and that costs are left out. `None` for the latest
/// snapshot.
pub(crate) fn earlier_snapshot_note(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    as_of: Option<Day>,
) -> Result<Option<String>, ToolFailure> {
    let prefix = earlier_snapshot_date(session, snapshot, as_of)?;
    Ok(prefix.map(|prefix| {
        format!(
            "{prefix}Costs are not available for an earlier snapshot; get_violation_history returns them by period."
        )
    }))
}

/// `None` for the latest snapshot. For an earlier snapshot, a sentence with its date if it is not of the requested day, else an
/// empty text.
pub(crate) fn earlier_snapshot_date(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    as_of: Option<Day>,
) -> Result<Option<String>, ToolFailure> {
    let Some(Day(day)) = as_of else { return Ok(None) };
    let is_latest = session.newest()?.is_some_and(|latest| latest.id == snapshot.id);
    let snapshot_day = day_of(snapshot.started_at);
    let text = if snapshot_day == day {
        String::new()
    } else {
        format!("No snapshot was taken on {day}; this answer is from the snapshot of {snapshot_day}. ")
    };
    Ok((!is_latest).then_some(text))
}

/// The rows of a page in the form of the answer, and the token of the next page.
pub(crate) struct RenderedPage<T> {
    pub(crate) rows: Vec<T>,
    /// The number of rows on this page and the previous pages.
    pub(crate) shown: u64,
    /// The token of the next page. `None` on the last page.
    pub(crate) cursor: Option<PageToken>,
}

impl PageRequest {
    /// Renders as many rows as fit into the maximum size, at least one. The next page begins after the last rendered row.
    pub(crate) fn render<T: Serialize>(
        &self,
        page: &ResourcePage,
        snapshot: &Snapshot,
        render: impl Fn(&ResourceRow) -> T,
    ) -> RenderedPage<T> {
        let (mut rows, mut bytes, mut next) = (Vec::new(), 0, page.next);
        let mut last = None;
        for row in &page.rows {
            let rendered = render(row);
            bytes += serde_json::to_vec(&rendered).map_or(0, |json| json.len());
            if bytes > self.max_bytes && !rows.is_empty() {
                next = last;
                break;
            }
            rows.push(rendered);
            last = Some(row.position);
        }
        let shown = self.shown + rows.len() as u64;
        RenderedPage { rows, shown, cursor: next.map(|start| PageToken { snapshot: snapshot.id, start, shown }) }
    }
}

/// # Errors
///
/// When the list is empty, which could mean nothing or everything.
pub(crate) fn require_non_empty<T>(name: &str, list: Option<Vec<T>>) -> Result<Vec<T>, ToolFailure> {
    match list {
        Some(list) if list.is_empty() => {
            Err(ToolFailure::Caller(format!("`{name}` is empty; omit it to include everything")))
        }
        list => Ok(list.unwrap_or_default()),
    }
}

/// Checks that the snapshot contains scopes of the filter.
///
/// # Errors
///
/// When it has none. An empty answer would look like an answer without violations.
pub(crate) fn check_coverage(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    filter: &Filter,
) -> Result<(), ToolFailure> {
    let all = compliance::list_scopes(session, snapshot)?;
    // Only a key names several accounts, and some of them may not have been scanned yet. The errors list only scopes of these
    // accounts, because the caller may not read the others.
    let within = |row: &&ScopeRow| filter.accounts.is_empty() || filter.accounts.contains(&row.scope.account);
    let rows: Vec<&ScopeRow> = all.iter().filter(within).collect();
    if let (Some(account), true) = (filter.accounts.first(), rows.is_empty()) {
        let reason = format!(
            "account {account} was not scanned; check_tag_compliance lists the scanned accounts in `by_account`"
        );
        return Err(ToolFailure::Caller(reason));
    }
    let regions: BTreeSet<&Region> = rows.iter().map(|row| &row.scope.region).collect();
    if let Some(region) = filter.regions.iter().find(|region| !regions.contains(region)) {
        return Err(not_scanned("region", region.as_str(), regions.iter().map(|r| r.as_str())));
    }
    let types: BTreeSet<ResourceType> = rows.iter().map(|row| row.scope.resource_type).collect();
    if let Some(unscanned) = filter.types.iter().find(|wanted| !types.contains(wanted)) {
        return Err(not_scanned("resource type", unscanned.as_str(), types.iter().map(|t| t.as_str())));
    }
    if !rows.iter().any(|row| filter.admits(&row.scope)) {
        let reason = "this combination of type, region and account was not scanned; use fewer filters";
        return Err(ToolFailure::Caller(reason.to_owned()));
    }
    Ok(())
}

fn not_scanned<'a>(what: &str, given: &str, scanned: impl Iterator<Item = &'a str>) -> ToolFailure {
    let scanned: Vec<&str> = scanned.collect();
    let listed = scanned.iter().take(20).copied().collect::<Vec<_>>().join(", ");
    let more = if scanned.len() > 20 { format!(" and {} more", scanned.len() - 20) } else { String::new() };
    ToolFailure::Caller(format!("{what} {given} was not scanned; the scan covers {listed}{more}"))
}

/// The findings to list. Counts and score do not depend on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SeverityFilter {
    ErrorsOnly,
    WarningsOnly,
    #[default]
    All,
}
