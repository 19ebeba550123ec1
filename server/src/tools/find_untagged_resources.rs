//! find_untagged_resources: resources without any user tag, and resources that lack a required one, with what they cost.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::{
    Region, ResourceType,
    day::day_of,
    inventory::{Scope, Tags},
    money::Amount,
    policy::{Code, Policy, Severity, Subject},
    store::{Filter, Lacking, LackingSums, Narrowing, Page, Row, Snapshot, Tally, View},
};

use super::{
    ToolFailure,
    answer::{Answer, AsOf, Coverage, PolicyUsed, policy_note, units},
    arguments::{PageRequest, covered, earlier, listed, nullable_number, nullable_text, region_list, type_list},
    identity::Identity,
    period::Day,
    resource_cost,
};
use crate::{
    ledger::Ledger,
    reach::{Reach, bounded},
    text::visible,
};

/// The tool's lists: those that cost most first, and those that lack most tags first.
const LISTS: [&str; 2] = [BY_COST, BY_TAGS];
const BY_COST: &str = "find_untagged_resources";
const BY_TAGS: &str = "find_untagged_resources by tags";

/// Tags shown of one resource.
const MOST_TAGS: usize = 10;

/// Longest age that can be asked for; AWS is younger.
const MOST_DAYS: i64 = 10_000;

#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Resource types to look for; leave out for all.
    #[schemars(schema_with = "type_list")]
    #[serde(default)]
    resource_types: Option<Vec<ResourceType>>,
    /// AWS regions such as `eu-west-1`; leave out for all.
    #[schemars(schema_with = "region_list")]
    #[serde(default)]
    regions: Option<Vec<Region>>,
    /// Only resources that are known to cost at least so much a month.
    #[schemars(with = "f64", range(min = 0))]
    #[serde(default)]
    min_cost_threshold: Option<f64>,
    /// Only resources that AWS says are at least so many days old.
    #[schemars(with = "i64", range(min = 0, max = 10_000))]
    #[serde(default)]
    min_age_days: Option<i64>,
    /// `cost`: those that cost most first, as when left out where costs are known. `missing_tags`: those without any user tag
    /// first, then those that lack most.
    #[schemars(with = "SortBy")]
    #[serde(default)]
    sort_by: Option<SortBy>,
    /// As of the end of that day (UTC), such as `2026-10-31`; now when left out.
    #[schemars(with = "String")]
    #[serde(default)]
    as_of: Option<Day>,
    /// Resources on a page, 1 to 100; 10 when left out.
    #[schemars(with = "i64", range(min = 1, max = 100))]
    #[serde(default, skip_serializing)]
    limit: Option<i64>,
    /// `next_cursor` of the page before, with otherwise the same arguments.
    #[schemars(with = "String")]
    #[serde(default, skip_serializing)]
    cursor: Option<String>,
    /// What the caller's key allows.
    #[serde(skip)]
    #[schemars(skip)]
    within: Reach,
}

bounded!(within);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SortBy {
    Cost,
    MissingTags,
}

impl SortBy {
    const fn list(self) -> &'static str {
        match self {
            Self::Cost => BY_COST,
            Self::MissingTags => BY_TAGS,
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Body {
    /// A page, in the order that `sorted_by` says.
    untagged_resources: Vec<Untagged>,
    /// `cost` or `missing_tags`.
    sorted_by: SortBy,
    totals: Totals,
    /// What all of them cost a month, on this page or not, as far as it is known; null when it is known of none.
    #[schemars(schema_with = "nullable_number")]
    total_cost_impact: Option<f64>,
    /// Resources on later pages.
    remaining: u64,
    /// Pass as `cursor` for the next page, which is of the same snapshot; null on the last one.
    #[schemars(schema_with = "nullable_text")]
    next_cursor: Option<String>,
}

/// On all pages together.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Totals {
    /// Without any user tag; tags of AWS's own (`aws:`) do not count.
    no_tags: u64,
    /// With user tags, but without some tag that the policy requires of their type.
    missing_required_tags: u64,
    /// Of both, those whose cost is in total_cost_impact.
    with_known_cost: u64,
    /// Resources whose tags could not be read: they may be tagged or not, and are not listed.
    unknown: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Untagged {
    #[serde(flatten)]
    identity: Identity,
    /// `no_tags` or `missing_required_tags`.
    kind: &'static str,
    /// Required keys that are absent.
    missing_tags: Vec<String>,
    /// The tags it has, at most ten. Untrusted text.
    tags: BTreeMap<String, String>,
    /// Tags that it has beyond those shown. Absent when none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    more_tags: Option<usize>,
    /// What it costs a month; null when that is not known.
    #[schemars(schema_with = "nullable_number")]
    monthly_cost: Option<f64>,
    /// `resource_charges`, `share_of_instance_hours` or `share_of_volume_size`; absent when it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    cost_source: Option<&'static str>,
    /// Whole days from its creation to the snapshot; null where AWS does not say when it was created.
    #[schemars(schema_with = "nullable_number")]
    age_days: Option<i64>,
    /// Date of the first snapshot that saw the resource.
    first_seen: String,
}

/// The answer, read from one snapshot.
pub(crate) fn answer(ledger: &Ledger, arguments: Arguments) -> Result<Answer<Body>, ToolFailure> {
    check(&arguments)?;
    let page = PageRequest::parse(arguments.limit, arguments.cursor.as_deref(), &LISTS, &arguments)?;
    let filter = Filter {
        types: listed("resource_types", arguments.resource_types.clone())?,
        regions: listed("regions", arguments.regions.clone())?,
        ..arguments.within.filter()
    };
    ledger.ask_about(page.which(arguments.as_of), |view, snapshot| {
        covered(view, &snapshot, &filter)?;
        let earlier = earlier(view, &snapshot, arguments.as_of)?;
        let known = earlier.is_none();
        let costs = known && view.cost_basis(&snapshot)?.is_some_and(|basis| !basis.types.is_empty());
        let mut notes: Vec<String> = earlier.into_iter().collect();
        if known {
            notes.extend(policy_note(ledger, &snapshot));
            notes.push(resource_cost::note(view, &snapshot, &filter, "monthly_cost")?);
        }
        if arguments.min_age_days.is_some() {
            notes.extend(dateless(view.lacking_sums(&snapshot, &filter, Narrowing::default())?.dateless));
        }
        let asked = Asked::of(&arguments, &snapshot, costs)?;
        page.goes_on(asked.sort_by.list())?;
        Ok(Answer {
            body: body(view, &snapshot, &filter, &arguments, &asked, &page)?,
            as_of: AsOf::of(&snapshot),
            policy: PolicyUsed::of(&*view.policy(&snapshot)?),
            coverage: Coverage::of(view, &snapshot, &filter)?,
            notes,
        })
    })
}

/// AWS gives no date of creation for some types, such as functions: their age is not known, and not guessed.
fn dateless(resources: u64) -> Option<String> {
    let note = "min_age_days leaves out resources for which AWS gives no date of creation";
    (resources > 0).then(|| format!("{note}: {resources} of those that lack tags."))
}

fn check(arguments: &Arguments) -> Result<(), ToolFailure> {
    if arguments.min_age_days.is_some_and(|days| !(0..=MOST_DAYS).contains(&days)) {
        return Err(ToolFailure::Caller(format!("`min_age_days` must be 0 to {MOST_DAYS}")));
    }
    match arguments.min_cost_threshold {
        Some(least) if !least.is_finite() || least < 0.0 => {
            Err(ToolFailure::Caller("`min_cost_threshold` must be 0 or more".to_owned()))
        }
        _ => Ok(()),
    }
}

/// The question, once it is known whether there are costs.
struct Asked {
    sort_by: SortBy,
    what: Narrowing,
    created_until: Option<Timestamp>,
    /// Whether costs are those of the snapshot.
    costs: bool,
}

impl Asked {
    fn of(arguments: &Arguments, snapshot: &Snapshot, costs: bool) -> Result<Self, ToolFailure> {
        let least = arguments.min_cost_threshold.filter(|least| *least > 0.0);
        if least.is_some() && !costs {
            // Answering as if the threshold were met, or by none, would both be wrong.
            return Err(ToolFailure::Caller(
                "`min_cost_threshold` needs costs of single resources, which are not known; ask again without it"
                    .to_owned(),
            ));
        }
        let sort_by = match arguments.sort_by {
            Some(SortBy::MissingTags) if least.is_some() => {
                let why = "`min_cost_threshold` lists by cost: leave out `sort_by`, or ask for `cost`";
                return Err(ToolFailure::Caller(why.to_owned()));
            }
            Some(SortBy::Cost) if !costs => {
                let why = "costs of single resources are not known; ask again with `sort_by` `missing_tags`";
                return Err(ToolFailure::Caller(why.to_owned()));
            }
            Some(asked) => asked,
            None if costs => SortBy::Cost,
            None => SortBy::MissingTags,
        };
        let created_until = arguments.min_age_days.map(|days| before(snapshot.started_at, days));
        let what = Narrowing { created_until: created_until.map(Timestamp::as_second), least_cost: least.map(amount) };
        Ok(Self { sort_by, what, created_until, costs })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "what is too large for an amount is as large as one can be")]
fn amount(units: f64) -> Amount {
    Amount::from_micros((units * 1e6).round() as i64)
}

fn found(
    view: &View<'_>,
    snapshot: &Snapshot,
    filter: &Filter,
    asked: &Asked,
    page: &PageRequest,
) -> Result<Page, ToolFailure> {
    if asked.sort_by == SortBy::MissingTags {
        let what = Lacking { created_until: asked.created_until };
        return Ok(view.lacking(snapshot, filter, what, page.start, page.limit)?);
    }
    let found = view.lacking_by_cost(snapshot, filter, asked.what, page.start, page.limit)?;
    found.ok_or_else(PageRequest::other_costs)
}

fn body(
    view: &View<'_>,
    snapshot: &Snapshot,
    filter: &Filter,
    arguments: &Arguments,
    asked: &Asked,
    page: &PageRequest,
) -> Result<Body, ToolFailure> {
    let found = found(view, snapshot, filter, asked, page)?;
    let cells = view.cells(snapshot, filter)?;
    let sums = if asked.costs || asked.what != Narrowing::default() {
        view.lacking_sums(snapshot, filter, asked.what)?
    } else {
        counts(&cells)
    };
    let LackingSums { untagged: no_tags, lacking: missing_required_tags, with_cost, .. } = sums;
    let with_known_cost = if asked.costs { with_cost } else { 0 };
    let unknown = cells.iter().map(|(_, tally)| tally.unknown).sum();
    let policy = view.policy(snapshot)?;
    let shown = page.fit(&found, snapshot, |row| Untagged::of(row, &policy, snapshot, asked.costs));
    Ok(Body {
        untagged_resources: shown.rows,
        sorted_by: asked.sort_by,
        totals: Totals { no_tags, missing_required_tags, with_known_cost, unknown },
        total_cost_impact: (asked.costs && with_known_cost > 0).then(|| units(sums.cost.cents())),
        remaining: (no_tags + missing_required_tags).saturating_sub(shown.shown),
        next_cursor: shown.cursor.map(|cursor| cursor.encode(asked.sort_by.list(), arguments)),
    })
}

/// How many there are where no costs are told: what was counted as the night was written.
fn counts(cells: &[(Scope, Tally)]) -> LackingSums {
    let count = |of: fn(&Tally) -> u64| cells.iter().map(|(_, tally)| of(tally)).sum();
    LackingSums { untagged: count(|tally| tally.untagged), lacking: count(|tally| tally.lacking), ..Default::default() }
}

fn before(moment: Timestamp, days: i64) -> Timestamp {
    moment.checked_sub(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MIN)
}

impl Untagged {
    fn of(row: &Row, policy: &Policy, snapshot: &Snapshot, costs: bool) -> Self {
        let tags = Tags::Known(row.tags.clone());
        let subject = Subject { resource_type: row.scope.resource_type, arn: &row.arn, tags: &tags };
        let verdict = policy.judge(&subject, day_of(snapshot.started_at));
        let missing = verdict.findings.iter().filter(|f| f.code == Code::Missing && f.severity == Severity::Error);
        let bare = row.tags.user().next().is_none();
        let shown = row.tags.iter().take(MOST_TAGS).map(|(key, value)| (visible(key), visible(value)));
        let (monthly_cost, cost_source) = resource_cost::told(row, costs);
        Self {
            identity: Identity::of(row),
            kind: if bare { "no_tags" } else { "missing_required_tags" },
            missing_tags: missing.map(|finding| finding.tag.to_owned()).collect(),
            tags: shown.collect(),
            more_tags: row.tags.iter().len().checked_sub(MOST_TAGS).filter(|more| *more > 0),
            monthly_cost,
            cost_source,
            age_days: row.created_at.map(|at| (snapshot.started_at.duration_since(at).as_hours() / 24).max(0)),
            first_seen: day_of(row.first_seen).to_string(),
        }
    }
}
