//! `find_untagged_resources`: resources without any user tag and resources without a required tag, with their costs.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tagledger_cost::Amount;
use tagledger_ledger::{
    AgeAndCostFilter, ComplianceCounts, Filter, MissingTagTotals, OrderByMissingTags, ReadSession, ResourcePage,
    ResourceRow, Snapshot,
    query::{compliance, missing_tags},
};
use tagledger_model::{
    Region, ResourceType,
    epoch_day::day_of,
    inventory::{Scope, Tags},
};
use tagledger_policy::{Code, Policy, Severity, Subject};

use crate::{
    app_state::AppState,
    auth::account_scope::AccountScope,
    error::ToolFailure,
    tools::common::{
        account_filter::limit_accounts,
        arguments::{
            PageRequest, check_coverage, earlier_snapshot_note, nullable_number, nullable_text, region_list,
            require_non_empty, type_list,
        },
        envelope::{Answer, policy_note, to_units},
        resource_cost,
        resource_identity::Identity,
        time_period::Day,
    },
    untrusted_text::escape,
};

pub(crate) const NAME: &str = "find_untagged_resources";

/// The lists of the tool, one for each sort order: by cost, and by the number of missing tags.
const LISTS: [&str; 2] = [NAME, BY_TAGS];

const BY_TAGS: &str = "find_untagged_resources by tags";

/// The maximum number of tags of a resource.
const MAX_TAGS: usize = 10;

/// The maximum of `min_age_days`, which is more than the age of AWS.
const MAX_DAYS: i64 = 10_000;

#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Default: all types.
    #[schemars(schema_with = "type_list")]
    #[serde(default)]
    resource_types: Option<Vec<ResourceType>>,
    /// The AWS regions to include, such as `eu-west-1`. Default: all regions.
    #[schemars(schema_with = "region_list")]
    #[serde(default)]
    regions: Option<Vec<Region>>,
    /// The minimum known monthly cost of a resource, in the currency of the bill.
    #[schemars(with = "f64", range(min = 0))]
    #[serde(default)]
    min_cost_threshold: Option<f64>,
    /// The minimum age of a resource in days, by its creation date in AWS.
    #[schemars(with = "i64", range(min = 0, max = 10_000))]
    #[serde(default)]
    min_age_days: Option<i64>,
    /// `cost`: the highest cost first. `missing_tags`: resources without any user tag first, then by the number of missing tags.
    /// Default: `cost` if costs are known, else `missing_tags`.
    #[schemars(with = "SortBy")]
    #[serde(default)]
    sort_by: Option<SortBy>,
    /// Reads the last snapshot of this day (UTC) or before, such as `2026-10-31`. Default: the latest.
    #[schemars(with = "String")]
    #[serde(default)]
    pub(crate) as_of: Option<Day>,
    /// The maximum number of resources to return, 1 to 100. Default: 10.
    #[schemars(with = "i64", range(min = 1, max = 100))]
    #[serde(default, skip_serializing)]
    limit: Option<i64>,
    /// The `next_cursor` of the previous page, with the same other arguments.
    #[schemars(with = "String")]
    #[serde(default, skip_serializing)]
    cursor: Option<String>,
    /// The accounts of the caller's key. Clients cannot set it.
    #[serde(skip)]
    #[schemars(skip)]
    scope: AccountScope,
}

limit_accounts!(scope);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SortBy {
    Cost,
    MissingTags,
}

impl SortBy {
    const fn list(self) -> &'static str {
        match self {
            Self::Cost => NAME,
            Self::MissingTags => BY_TAGS,
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Body {
    /// A page of resources, in the order of `sorted_by`.
    untagged_resources: Vec<Untagged>,
    /// The sort order: `cost` or `missing_tags`.
    sorted_by: SortBy,
    totals: Totals,
    /// The known monthly cost of the resources on all pages. Null when no cost is known.
    #[schemars(schema_with = "nullable_number")]
    total_cost_impact: Option<f64>,
    /// The number of resources on later pages.
    remaining: u64,
    /// Pass as `cursor` to get the next page of the same snapshot. Null on the last page.
    #[schemars(schema_with = "nullable_text")]
    next_cursor: Option<String>,
}

/// The number of resources on all pages.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Totals {
    /// Resources without any user tag. Tags with the prefix `aws:` are not user tags.
    no_tags: u64,
    /// Resources with user tags, but without a tag that the policy requires for their type.
    missing_required_tags: u64,
    /// The resources of both groups whose cost is included in total_cost_impact.
    with_known_cost: u64,
    /// Resources whose tags could not be read. They are not listed, because they may be tagged.
    unknown: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Untagged {
    #[serde(flatten)]
    identity: Identity,
    /// `no_tags` or `missing_required_tags`.
    kind: &'static str,
    /// The required tag keys that are missing.
    missing_tags: Vec<String>,
    /// The tags of the resource, at most 10. Untrusted text.
    tags: BTreeMap<String, String>,
    /// The number of tags that are not listed. Absent when all are listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    more_tags: Option<usize>,
    /// The monthly cost. Null when it is not known.
    #[schemars(schema_with = "nullable_number")]
    monthly_cost: Option<f64>,
    /// How the cost was computed: `resource_charges`, `share_of_instance_hours` or `share_of_volume_size`. Absent when the cost is not
    /// known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    cost_source: Option<&'static str>,
    /// The number of days from the creation of the resource to the snapshot. Null when AWS provides no creation date.
    #[schemars(schema_with = "nullable_number")]
    age_days: Option<i64>,
    /// The date of the first snapshot with the resource.
    first_seen: String,
}

/// Answers the call from one snapshot.
pub(crate) fn answer(app: &AppState, arguments: Arguments) -> Result<Answer<Body>, ToolFailure> {
    validate(&arguments)?;
    let page = PageRequest::parse(arguments.limit, arguments.cursor.as_deref(), &LISTS, &arguments)?;
    let filter = Filter {
        types: require_non_empty("resource_types", arguments.resource_types.clone())?,
        regions: require_non_empty("regions", arguments.regions.clone())?,
        ..arguments.scope.filter()
    };
    app.read_snapshot(page.select_snapshot(arguments.as_of), |session, snapshot| {
        check_coverage(session, &snapshot, &filter)?;
        let earlier = earlier_snapshot_note(session, &snapshot, arguments.as_of)?;
        let is_newest = earlier.is_none();
        let costs = is_newest && resource_cost::are_known(session, &snapshot)?;
        let mut notes: Vec<String> = earlier.into_iter().collect();
        if is_newest {
            notes.extend(policy_note(app, &snapshot));
            notes.push(resource_cost::describe_basis(session, &snapshot, &filter, "monthly_cost")?);
        }
        if arguments.min_age_days.is_some() {
            notes.extend(undated_note(
                missing_tags::sum_totals(session, &snapshot, &filter, AgeAndCostFilter::default())?
                    .without_creation_time,
            ));
        }
        let request = ResolvedRequest::from_arguments(&arguments, &snapshot, costs)?;
        page.check_list(request.sort_by.list())?;
        Ok(Answer::new(
            session,
            &snapshot,
            &filter,
            body(session, &snapshot, &filter, &arguments, &request, &page)?,
            notes,
        )?)
    })
}

/// AWS provides no creation date for some types, such as Lambda functions. Their age is not known and not estimated.
fn undated_note(resources: u64) -> Option<String> {
    let note = "min_age_days excludes resources without a creation date in AWS";
    (resources > 0).then(|| format!("{note}. {resources} resources with missing tags are excluded for this reason."))
}

fn validate(arguments: &Arguments) -> Result<(), ToolFailure> {
    if arguments.min_age_days.is_some_and(|days| !(0..=MAX_DAYS).contains(&days)) {
        return Err(ToolFailure::Caller(format!("`min_age_days` must be 0 to {MAX_DAYS}")));
    }
    match arguments.min_cost_threshold {
        Some(min_cost) if !min_cost.is_finite() || min_cost < 0.0 => {
            Err(ToolFailure::Caller("`min_cost_threshold` must be 0 or more".to_owned()))
        }
        _ => Ok(()),
    }
}

/// The request with its defaults, which depend on whether costs are known.
struct ResolvedRequest {
    sort_by: SortBy,
    age_and_cost: AgeAndCostFilter,
    created_until: Option<Timestamp>,
    /// Whether the costs of the snapshot are known.
    costs: bool,
}

impl ResolvedRequest {
    fn from_arguments(arguments: &Arguments, snapshot: &Snapshot, costs: bool) -> Result<Self, ToolFailure> {
        let min_cost = arguments.min_cost_threshold.filter(|min_cost| *min_cost > 0.0);
        if min_cost.is_some() && !costs {
            // Without costs, a list of all resources and an empty list would both be wrong.
            return Err(ToolFailure::Caller(
                "`min_cost_threshold` requires the costs of individual resources, which are not known; omit it"
                    .to_owned(),
            ));
        }
        let sort_by = match arguments.sort_by {
            Some(SortBy::MissingTags) if min_cost.is_some() => {
                let why = "`min_cost_threshold` requires the sort order `cost`; omit `sort_by`, or set it to `cost`";
                return Err(ToolFailure::Caller(why.to_owned()));
            }
            Some(SortBy::Cost) if !costs => {
                let why = "the costs of individual resources are not known; set `sort_by` to `missing_tags`";
                return Err(ToolFailure::Caller(why.to_owned()));
            }
            Some(requested) => requested,
            None if costs => SortBy::Cost,
            None => SortBy::MissingTags,
        };
        let created_until = arguments.min_age_days.map(|days| subtract_days(snapshot.started_at, days));
        let age_and_cost = AgeAndCostFilter {
            created_until: created_until.map(Timestamp::as_second),
            min_cost: min_cost.map(to_amount),
        };
        Ok(Self { sort_by, age_and_cost, created_until, costs })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the cast saturates, and the largest amount is more than any cost")]
fn to_amount(units: f64) -> Amount {
    Amount::from_micros((units * 1e6).round() as i64)
}

fn list_page(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    filter: &Filter,
    request: &ResolvedRequest,
    page: &PageRequest,
) -> Result<ResourcePage, ToolFailure> {
    if request.sort_by == SortBy::MissingTags {
        let order = OrderByMissingTags { created_until: request.created_until };
        return Ok(compliance::list_missing_tags(session, snapshot, filter, order, page.start, page.limit)?);
    }
    let found = missing_tags::list_by_cost(session, snapshot, filter, request.age_and_cost, page.start, page.limit)?;
    found.ok_or_else(PageRequest::costs_changed)
}

fn body(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    filter: &Filter,
    arguments: &Arguments,
    request: &ResolvedRequest,
    page: &PageRequest,
) -> Result<Body, ToolFailure> {
    let found = list_page(session, snapshot, filter, request, page)?;
    let cells = compliance::count_by_scope(session, snapshot, filter)?;
    let sums = if request.costs || request.age_and_cost != AgeAndCostFilter::default() {
        missing_tags::sum_totals(session, snapshot, filter, request.age_and_cost)?
    } else {
        sum_counts(&cells)
    };
    let MissingTagTotals { untagged: no_tags, missing_required: missing_required_tags, with_cost, .. } = sums;
    let with_known_cost = if request.costs { with_cost } else { 0 };
    let unknown = cells.iter().map(|(_, counts)| counts.unknown).sum();
    let policy = session.policy(snapshot)?;
    let shown = page.render(&found, snapshot, |row| Untagged::from_row(row, &policy, snapshot, request.costs));
    Ok(Body {
        untagged_resources: shown.rows,
        sorted_by: request.sort_by,
        totals: Totals { no_tags, missing_required_tags, with_known_cost, unknown },
        total_cost_impact: (request.costs && with_known_cost > 0).then(|| to_units(sums.cost.cents())),
        remaining: (no_tags + missing_required_tags).saturating_sub(shown.shown),
        next_cursor: shown.cursor.map(|cursor| cursor.encode(request.sort_by.list(), arguments)),
    })
}

/// The number of resources without their costs: the counts that were computed when the snapshot was written.
fn sum_counts(cells: &[(Scope, ComplianceCounts)]) -> MissingTagTotals {
    let count = |of: fn(&ComplianceCounts) -> u64| cells.iter().map(|(_, counts)| of(counts)).sum();
    MissingTagTotals {
        untagged: count(|counts| counts.untagged),
        missing_required: count(|counts| counts.missing_required),
        ..Default::default()
    }
}

fn subtract_days(moment: Timestamp, days: i64) -> Timestamp {
    moment.checked_sub(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MIN)
}

impl Untagged {
    fn from_row(row: &ResourceRow, policy: &Policy, snapshot: &Snapshot, costs: bool) -> Self {
        let tags = Tags::Known(row.tags.clone());
        let subject = Subject { resource_type: row.scope.resource_type, arn: &row.arn, tags: &tags };
        let evaluation = policy.evaluate(&subject, day_of(snapshot.started_at));
        let missing = evaluation.findings.iter().filter(|f| f.code == Code::Missing && f.severity == Severity::Error);
        let is_untagged = row.tags.user().next().is_none();
        let shown = row.tags.iter().take(MAX_TAGS).map(|(key, value)| (escape(key), escape(value)));
        let (monthly_cost, cost_source) = resource_cost::monthly_cost(row, costs);
        Self {
            identity: Identity::from_row(row),
            kind: if is_untagged { "no_tags" } else { "missing_required_tags" },
            missing_tags: missing.map(|finding| finding.tag.to_owned()).collect(),
            tags: shown.collect(),
            more_tags: row.tags.iter().len().checked_sub(MAX_TAGS).filter(|more| *more > 0),
            monthly_cost,
            cost_source,
            age_days: row.created_at.map(|at| (snapshot.started_at.duration_since(at).as_hours() / 24).max(0)),
            first_seen: day_of(row.first_seen).to_string(),
        }
    }
}
