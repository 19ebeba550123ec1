//! Arguments that several tools have, checked against what the snapshot covers.

use std::collections::BTreeSet;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use shared::{
    AccountId, Region, ResourceType,
    cursor::{Cursor, ForeignCursor},
    day::day_of,
    store::{Filter, Page, PageStart, Row, ScopeRow, Snapshot, View},
};

use super::{ToolFailure, period::Day};
use crate::{ledger::Which, reach::Reach};

/// Rows a page has when nobody says otherwise: an answer stays under 4,000 tokens.
pub(crate) const ROWS: i64 = 10;

/// Most rows a page may have.
pub(crate) const MOST_ROWS: i64 = 100;

/// One region, one account, or both.
#[derive(Debug, Clone, Default, serde::Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filters {
    /// An AWS region such as `eu-west-1`.
    #[schemars(with = "String")]
    #[serde(default)]
    pub(crate) region: Option<Region>,
    /// A 12-digit account id.
    #[schemars(with = "String")]
    #[serde(default)]
    pub(crate) account_id: Option<AccountId>,
    /// What the caller's key allows.
    #[serde(skip)]
    #[schemars(skip)]
    pub(crate) within: Reach,
}

impl Filters {
    /// With types, as the ledger is asked.
    pub(crate) fn filter(self, types: Vec<ResourceType>) -> Filter {
        let Self { region, account_id, within } = self;
        let mut filter = Filter { types, regions: region.into_iter().collect(), ..within.filter() };
        if let Some(account) = account_id {
            filter.accounts = vec![account];
        }
        filter
    }
}

/// The schema of a list of resource types.
pub(crate) fn type_list(_: &mut SchemaGenerator) -> Schema {
    let names: Vec<&str> = ResourceType::ALL.iter().map(|t| t.as_str()).collect();
    json_schema!({ "type": "array", "items": { "type": "string", "enum": names }, "minItems": 1 })
}

/// The schema of a list of regions.
pub(crate) fn region_list(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": { "type": "string" }, "minItems": 1 })
}

/// The schema of an amount that may not be known.
pub(crate) fn nullable_number(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [{ "type": "number" }, { "type": "null" }] })
}

/// The schema of a yes or no that may not be known.
pub(crate) fn nullable_bool(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [{ "type": "boolean" }, { "type": "null" }] })
}

/// The schema of a text that may not be there.
pub(crate) fn nullable_text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [{ "type": "string" }, { "type": "null" }] })
}

/// Bytes that the rows of a page may take when nobody asked for a number of rows, and when somebody did. Tags may be
/// long: without a bound, ten rows of legal ones are more than a client's model can take in.
const BYTES: [usize; 2] = [8_000, 60_000];

/// A page asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageRequest {
    pub(crate) limit: usize,
    bytes: usize,
    /// The snapshot of the pages before.
    pub(crate) snapshot: Option<i64>,
    pub(crate) start: PageStart,
    pub(crate) shown: u64,
    /// The list that the pages before were of.
    list: Option<&'static str>,
}

/// Why a list does not go on.
const OTHER_COSTS: &str =
    "a newer scan has other costs, so that this list cannot go on in its order; ask again without cursor";

impl PageRequest {
    /// From `limit` and `cursor`, which belong to the question and to one of the tool's lists: one for each order.
    pub(crate) fn parse(
        limit: Option<i64>,
        cursor: Option<&str>,
        lists: &[&'static str],
        question: &impl Serialize,
    ) -> Result<Self, ToolFailure> {
        let [unasked, asked] = BYTES;
        let bytes = if limit.is_some() { asked } else { unasked };
        let limit = limit.unwrap_or(ROWS);
        let out_of_bounds = || format!("`limit` must be 1 to {MOST_ROWS}, not {limit}; page on with `cursor`");
        let limit = usize::try_from(limit).ok().filter(|_| (1..=MOST_ROWS).contains(&limit));
        let limit = limit.ok_or_else(|| ToolFailure::Caller(out_of_bounds()))?;
        let first = Self { limit, bytes, snapshot: None, start: PageStart::FIRST, shown: 0, list: None };
        let Some(text) = cursor else { return Ok(first) };
        let mut of = lists.iter().filter_map(|list| Some((*list, Cursor::decode(text, list, question).ok()?)));
        let (list, Cursor { snapshot, start, shown }) = of.next().ok_or(ForeignCursor)?;
        Ok(Self { snapshot: Some(snapshot), start, shown, list: Some(list), ..first })
    }

    /// Refuses to go on with a list in another order than that of the pages before.
    pub(crate) fn goes_on(&self, list: &'static str) -> Result<(), ToolFailure> {
        if self.list.is_some_and(|before| before != list) { Err(Self::other_costs()) } else { Ok(()) }
    }

    /// What costs were when the pages before were told is known no more.
    pub(crate) fn other_costs() -> ToolFailure {
        ToolFailure::Caller(OTHER_COSTS.to_owned())
    }

    /// Bytes that its rows may take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Which snapshot the page is of: that of the pages before, else that of a day, else the newest.
    pub(crate) fn which(&self, as_of: Option<Day>) -> Which {
        self.snapshot.map_or_else(|| which(as_of), Which::Numbered)
    }
}

/// The snapshot of a day; the newest when none is named.
pub(crate) fn which(as_of: Option<Day>) -> Which {
    as_of.map_or(Which::Newest, |Day(day)| Which::AsOf(day))
}

/// What to know of an answer about an earlier day: which night it is of, and that costs are those of today.
pub(crate) fn earlier(view: &View<'_>, snapshot: &Snapshot, as_of: Option<Day>) -> Result<Option<String>, ToolFailure> {
    let of = earlier_night(view, snapshot, as_of)?;
    Ok(of.map(|of| format!("{of}Costs of an earlier night are not told; get_violation_history has them by period.")))
}

/// None of the newest night; else which night it is, where it is not one of that very day.
pub(crate) fn earlier_night(
    view: &View<'_>,
    snapshot: &Snapshot,
    as_of: Option<Day>,
) -> Result<Option<String>, ToolFailure> {
    let Some(Day(day)) = as_of else { return Ok(None) };
    let newest = view.newest()?.is_some_and(|newest| newest.id == snapshot.id);
    let night = day_of(snapshot.started_at);
    let of =
        if night == day { String::new() } else { format!("There is no night of {day}: this is the one of {night}. ") };
    Ok((!newest).then_some(of))
}

/// The rows of a page as they are handed out, and what comes after them.
pub(crate) struct Shown<T> {
    pub(crate) rows: Vec<T>,
    /// Rows on this page and those before.
    pub(crate) shown: u64,
    /// For the next page; none on the last one.
    pub(crate) cursor: Option<Cursor>,
}

impl PageRequest {
    /// As many of the rows as fit, one at least; the next page begins behind the last that did.
    pub(crate) fn fit<T: Serialize>(&self, page: &Page, snapshot: &Snapshot, as_told: impl Fn(&Row) -> T) -> Shown<T> {
        let (mut rows, mut bytes, mut next) = (Vec::new(), 0, page.next);
        let mut last = None;
        for row in &page.rows {
            let told = as_told(row);
            bytes += serde_json::to_vec(&told).map_or(0, |json| json.len());
            if bytes > self.bytes && !rows.is_empty() {
                next = last;
                break;
            }
            rows.push(told);
            last = Some(row.place);
        }
        let shown = self.shown + rows.len() as u64;
        Shown { rows, shown, cursor: next.map(|start| Cursor { snapshot: snapshot.id, start, shown }) }
    }
}

/// Refuses an empty list: it could be read as none or as all.
pub(crate) fn listed<T>(name: &str, list: Option<Vec<T>>) -> Result<Vec<T>, ToolFailure> {
    match list {
        Some(list) if list.is_empty() => {
            Err(ToolFailure::Caller(format!("`{name}` is empty; leave it out to ask about all of them")))
        }
        list => Ok(list.unwrap_or_default()),
    }
}

/// Refuses regions and accounts that the snapshot did not ask AWS about: an empty answer would look like a clean one.
pub(crate) fn covered(view: &View<'_>, snapshot: &Snapshot, filter: &Filter) -> Result<(), ToolFailure> {
    let all = view.scopes(snapshot)?;
    // Of several accounts, which only a key names, some may not have been scanned yet. No others are told: they may be none of
    // the caller's business.
    let within = |row: &&ScopeRow| filter.accounts.is_empty() || filter.accounts.contains(&row.scope.account);
    let rows: Vec<&ScopeRow> = all.iter().filter(within).collect();
    if let (Some(account), true) = (filter.accounts.first(), rows.is_empty()) {
        let reason = format!("account {account} was not scanned; check_tag_compliance tells by account what was");
        return Err(ToolFailure::Caller(reason));
    }
    let regions: BTreeSet<&Region> = rows.iter().map(|row| &row.scope.region).collect();
    if let Some(region) = filter.regions.iter().find(|region| !regions.contains(region)) {
        return Err(uncovered("region", region.as_str(), regions.iter().map(|r| r.as_str())));
    }
    let types: BTreeSet<ResourceType> = rows.iter().map(|row| row.scope.resource_type).collect();
    if let Some(unscanned) = filter.types.iter().find(|wanted| !types.contains(wanted)) {
        return Err(uncovered("resource type", unscanned.as_str(), types.iter().map(|t| t.as_str())));
    }
    if !rows.iter().any(|row| filter.admits(&row.scope)) {
        let reason = "no such combination of type, region and account was scanned; ask about each alone";
        return Err(ToolFailure::Caller(reason.to_owned()));
    }
    Ok(())
}

fn uncovered<'a>(what: &str, given: &str, known: impl Iterator<Item = &'a str>) -> ToolFailure {
    let known: Vec<&str> = known.collect();
    let listed = known.iter().take(20).copied().collect::<Vec<_>>().join(", ");
    let more = if known.len() > 20 { format!(" and {} more", known.len() - 20) } else { String::new() };
    ToolFailure::Caller(format!("{what} {given} was not scanned; scanned are {listed}{more}"))
}

/// Which findings are listed. Counts and score are the same whatever is listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SeverityFilter {
    ErrorsOnly,
    WarningsOnly,
    #[default]
    All,
}
