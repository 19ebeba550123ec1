//! find_untagged_resources: resources without any user tag, and resources that lack a required one.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::{
    Region, ResourceType,
    day::day_of,
    inventory::Tags,
    policy::{Code, Policy, Severity, Subject},
    store::{Filter, Lacking, Row, Snapshot, View},
};

use super::{
    ToolFailure,
    answer::{Answer, AsOf, Coverage, PolicyUsed, policy_note},
    arguments::{PageRequest, covered, listed, nullable_number, nullable_text, region_list, type_list},
    cost_compliance::by_cost,
    identity::Identity,
};
use crate::{ledger::Ledger, text::visible};

pub(crate) const NAME: &str = "find_untagged_resources";

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
    /// Only resources that cost at least so much a month. Needs cost data.
    #[schemars(with = "f64", range(min = 0))]
    #[serde(default)]
    min_cost_threshold: Option<f64>,
    /// Only resources that AWS says are at least so many days old.
    #[schemars(with = "i64", range(min = 0, max = 10_000))]
    #[serde(default)]
    min_age_days: Option<i64>,
    /// Resources on a page, 1 to 100; 10 when left out.
    #[schemars(with = "i64", range(min = 1, max = 100))]
    #[serde(default, skip_serializing)]
    limit: Option<i64>,
    /// `next_cursor` of the page before, with otherwise the same arguments.
    #[schemars(with = "String")]
    #[serde(default, skip_serializing)]
    cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Body {
    /// A page: resources without any user tag first, then those that lack most required tags.
    untagged_resources: Vec<Untagged>,
    totals: Totals,
    /// What they cost a month together; null while costs of single resources are not known.
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
    /// What it costs a month; null while costs of single resources are not known.
    #[schemars(schema_with = "nullable_number")]
    monthly_cost: Option<f64>,
    /// Whole days from its creation to the snapshot; null where AWS does not say when it was created.
    #[schemars(schema_with = "nullable_number")]
    age_days: Option<i64>,
    /// Date of the first snapshot that saw the resource.
    first_seen: String,
}

/// The answer, read from one snapshot.
pub(crate) fn answer(ledger: &Ledger, arguments: Arguments) -> Result<Answer<Body>, ToolFailure> {
    check(&arguments)?;
    let page = PageRequest::parse(arguments.limit, arguments.cursor.as_deref(), NAME, &arguments)?;
    let filter = Filter {
        types: listed("resource_types", arguments.resource_types.clone())?,
        regions: listed("regions", arguments.regions.clone())?,
        accounts: Vec::new(),
    };
    ledger.ask(page.snapshot, |view, snapshot| {
        covered(view, &snapshot, &filter)?;
        let mut notes: Vec<String> = policy_note(ledger, &snapshot).into_iter().collect();
        notes.push(by_cost(view, &snapshot, &filter, "monthly_cost, as total_cost_impact,")?.note);
        if arguments.min_age_days.is_some() {
            notes.extend(dateless(view.lacking_without_date(&snapshot, &filter)?));
        }
        Ok(Answer {
            body: body(view, &snapshot, &filter, &arguments, &page)?,
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
        // Answering as if the threshold were met, or by none, would both be wrong.
        Some(least) if least > 0.0 => Err(ToolFailure::Caller(
            "`min_cost_threshold` needs costs of single resources, which are not known; ask again without it"
                .to_owned(),
        )),
        _ => Ok(()),
    }
}

fn body(
    view: &View<'_>,
    snapshot: &Snapshot,
    filter: &Filter,
    arguments: &Arguments,
    page: &PageRequest,
) -> Result<Body, ToolFailure> {
    let created_until = arguments.min_age_days.map(|days| before(snapshot.started_at, days));
    let what = Lacking { created_until };
    let found = view.lacking(snapshot, filter, what, page.start, page.limit)?;
    let (no_tags, missing_required_tags) = view.lacking_counts(snapshot, filter, what)?;
    let unknown = view.cells(snapshot, filter)?.iter().map(|(_, tally)| tally.unknown).sum();
    let policy = view.policy(snapshot)?;
    let shown = page.fit(&found, snapshot, |row| Untagged::of(row, &policy, snapshot));
    Ok(Body {
        untagged_resources: shown.rows,
        totals: Totals { no_tags, missing_required_tags, unknown },
        total_cost_impact: None,
        remaining: (no_tags + missing_required_tags).saturating_sub(shown.shown),
        next_cursor: shown.cursor.map(|cursor| cursor.encode(NAME, arguments)),
    })
}

fn before(moment: Timestamp, days: i64) -> Timestamp {
    moment.checked_sub(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MIN)
}

impl Untagged {
    fn of(row: &Row, policy: &Policy, snapshot: &Snapshot) -> Self {
        let tags = Tags::Known(row.tags.clone());
        let subject = Subject { resource_type: row.scope.resource_type, arn: &row.arn, tags: &tags };
        let verdict = policy.judge(&subject, day_of(snapshot.started_at));
        let missing = verdict.findings.iter().filter(|f| f.code == Code::Missing && f.severity == Severity::Error);
        let bare = row.tags.user().next().is_none();
        let shown = row.tags.iter().take(MOST_TAGS).map(|(key, value)| (visible(key), visible(value)));
        Self {
            identity: Identity::of(row),
            kind: if bare { "no_tags" } else { "missing_required_tags" },
            missing_tags: missing.map(|finding| finding.tag.to_owned()).collect(),
            tags: shown.collect(),
            more_tags: row.tags.iter().len().checked_sub(MOST_TAGS).filter(|more| *more > 0),
            monthly_cost: None,
            age_days: row.created_at.map(|at| (snapshot.started_at.duration_since(at).as_hours() / 24).max(0)),
            first_seen: day_of(row.first_seen).to_string(),
        }
    }
}
