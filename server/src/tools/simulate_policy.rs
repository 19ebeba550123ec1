//! simulate_policy: the estate judged by a draft that is not in force.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::{
    ResourceType,
    day::day_of,
    inventory::Tags,
    policy::{Policy, Severity, Subject},
    store::{DraftNight, Filter, Rejudged, Rejudging, Row, Snapshot, Standing, View},
};

use super::{
    ToolFailure,
    answer::{Answer, AsOf, Coverage, PolicyUsed, rounded, score, units},
    arguments::{Filters, covered, earlier, listed, nullable_number, type_list, which},
    draft::{changes, draft},
    identity::Identity,
    period::Day,
    resource_cost,
};
use crate::{ledger::Ledger, reach::bounded, text::visible};

/// Types, accounts, reasons and changes told.
const MOST_GROUPS: usize = 10;

/// Examples told at most, and when nobody says otherwise.
const EXAMPLES: [i64; 2] = [50, 5];

/// Earlier nights at most: each costs a comparison of two nights.
const MOST_NIGHTS: i64 = 30;

#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The draft, in the form of get_tagging_policy's file: `version`, `last_updated`, `required_tags` and so on.
    #[schemars(schema_with = "object")]
    #[serde(default)]
    policy: Option<Value>,
    /// Instead of `policy`: the name of a file in the folder of the policy file in force, such as `draft.json`.
    #[schemars(with = "String")]
    #[serde(default)]
    policy_file: Option<String>,
    /// Resource types to judge; leave out for all.
    #[schemars(schema_with = "type_list")]
    #[serde(default)]
    resource_types: Option<Vec<ResourceType>>,
    /// One region, one account, or both.
    #[schemars(with = "Filters")]
    #[serde(default)]
    filters: Option<Filters>,
    /// Also judges so many earlier nights, 0 to 30; 0 when left out.
    #[schemars(with = "i64", range(min = 0, max = 30))]
    #[serde(default)]
    nights: Option<i64>,
    /// Resources that would newly fail to tell, 0 to 50; 5 when left out.
    #[schemars(with = "i64", range(min = 0, max = 50))]
    #[serde(default)]
    limit: Option<i64>,
    /// As of the end of that day (UTC), such as `2026-10-31`; now when left out.
    #[schemars(with = "String")]
    #[serde(default)]
    as_of: Option<Day>,
}

bounded!(filters);

fn object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object" })
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Body {
    draft: Draft,
    /// By the policy that judged the snapshot.
    now: Scores,
    /// By the draft.
    with_draft: Scores,
    totals: Totals,
    /// Types with most that newly fail.
    by_type: Vec<Group>,
    /// Accounts with most that newly fail.
    by_account: Vec<Group>,
    /// Why they do.
    reasons: Vec<Reason>,
    /// Those that would cost most.
    examples: Vec<Example>,
    /// Earlier nights, the newest first. Absent when not asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    nights: Vec<NightScore>,
}

/// The draft beside the policy in force.
#[derive(Debug, Serialize, JsonSchema)]
struct Draft {
    version: String,
    /// The first 12 digits of the SHA-256 of its content.
    digest: String,
    /// What it does otherwise, a line each.
    changes: Vec<String>,
    /// What is no fault in it but probably not meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Scores {
    /// Compliant of all judged; null when nothing is judged.
    #[schemars(schema_with = "nullable_number")]
    compliance_score: Option<f64>,
    /// The same by what resources cost; null when no cost is known.
    #[schemars(schema_with = "nullable_number")]
    compliance_score_by_cost: Option<f64>,
    compliant: u64,
    non_compliant: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Totals {
    /// Compliant now, and not with the draft.
    newly_failing: u64,
    /// Not judged now, and not compliant with the draft.
    newly_judged_failing: u64,
    /// Not compliant now, and with the draft.
    newly_passing: u64,
    /// What those that newly fail, judged now or not, cost a month, as far as that is known; null when it is known of none.
    #[schemars(schema_with = "nullable_number")]
    newly_failing_monthly_cost: Option<f64>,
    /// Tags could not be read: judged by neither.
    unknown: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Group {
    name: String,
    newly_failing: u64,
    newly_judged_failing: u64,
    newly_passing: u64,
    #[schemars(schema_with = "nullable_number")]
    score_now: Option<f64>,
    #[schemars(schema_with = "nullable_number")]
    score_with_draft: Option<f64>,
    /// What those that newly fail cost a month; null when that is known of none.
    #[schemars(schema_with = "nullable_number")]
    newly_failing_monthly_cost: Option<f64>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Reason {
    /// Stable code, such as `MISSING`.
    code: &'static str,
    tag: String,
    /// Of those that newly fail.
    resources: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Example {
    #[serde(flatten)]
    identity: Identity,
    #[schemars(schema_with = "nullable_number")]
    monthly_cost: Option<f64>,
    /// Code and tag of each error by the draft, at most five.
    errors: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct NightScore {
    date: String,
    snapshot_id: i64,
    /// By the policy of that night.
    #[schemars(schema_with = "nullable_number")]
    compliance_score: Option<f64>,
    #[schemars(schema_with = "nullable_number")]
    with_draft: Option<f64>,
}

/// The answer, from the newest snapshot, or that of a day. The policy in force is not touched.
pub(crate) fn answer(ledger: &Ledger, arguments: Arguments) -> Result<Answer<Body>, ToolFailure> {
    let [most, usual] = EXAMPLES;
    let limit = bounded("limit", arguments.limit.unwrap_or(usual), most)?;
    let nights = bounded("nights", arguments.nights.unwrap_or(0), MOST_NIGHTS)?;
    let draft = draft(ledger, arguments.policy.as_ref(), arguments.policy_file.as_deref())?;
    if nights > 0 && draft.depends_on_the_day() {
        let why = "`nights`: the draft has dates that expire, so that earlier nights cannot be judged by it as a whole; ask without";
        return Err(ToolFailure::Caller(why.to_owned()));
    }
    let place = arguments.filters.unwrap_or_default();
    let filter = place.filter(listed("resource_types", arguments.resource_types)?);
    ledger.ask_about(which(arguments.as_of), |view, snapshot| {
        covered(view, &snapshot, &filter)?;
        let earlier = earlier(view, &snapshot, arguments.as_of)?;
        let in_force = view.policy(&snapshot)?;
        let found = view.rejudge(&snapshot, &filter, &draft, limit)?;
        let mut all = Rejudged::default();
        found.scopes.iter().for_each(|(_, sums)| all += *sums);
        let costs = earlier.is_none() && view.cost_basis(&snapshot)?.is_some_and(|basis| !basis.types.is_empty());
        let told = told_nights(view, &snapshot, &filter, &draft, all.draft, nights)?;
        let body = body(&draft, &in_force, &snapshot, &found, &all, costs, told);
        let told_of = || resource_cost::note(view, &snapshot, &filter, "newly_failing_monthly_cost");
        let mut notes = vec![earlier.map_or_else(told_of, Ok)?];
        notes.push("A simulation: nothing is changed, and the policy in force stays in force.".to_owned());
        let (as_of, policy) = (AsOf::of(&snapshot), PolicyUsed::of(&in_force));
        Ok(Answer { body, as_of, policy, coverage: Coverage::of(view, &snapshot, &filter)?, notes })
    })
}

fn bounded(name: &str, given: i64, most: i64) -> Result<usize, ToolFailure> {
    let within = usize::try_from(given).ok().filter(|_| given <= most);
    within.ok_or_else(|| ToolFailure::Caller(format!("`{name}` must be 0 to {most}, not {given}")))
}

fn told_nights(
    view: &View<'_>,
    newest: &Snapshot,
    filter: &Filter,
    draft: &Policy,
    now: Standing,
    most: usize,
) -> Result<Vec<NightScore>, ToolFailure> {
    if most == 0 {
        return Ok(Vec::new());
    }
    let mut nights = view.nights_since(jiff::Timestamp::MIN)?;
    nights.retain(|night| night.id < newest.id);
    nights.sort_by_key(|night| std::cmp::Reverse(night.id));
    nights.truncate(most);
    let told = view.rejudge_nights(newest, filter, draft, now, &nights)?;
    let night = |DraftNight { snapshot, draft }: &DraftNight| -> Result<NightScore, ToolFailure> {
        Ok(NightScore {
            date: day_of(snapshot.started_at).to_string(),
            snapshot_id: snapshot.id,
            compliance_score: score(&view.night_totals(snapshot, filter)?.tally),
            with_draft: draft.score().map(rounded),
        })
    };
    told.iter().map(night).collect()
}

fn body(
    draft: &Policy,
    in_force: &Policy,
    snapshot: &Snapshot,
    found: &Rejudging,
    all: &Rejudged,
    costs: bool,
    nights: Vec<NightScore>,
) -> Body {
    let mut warnings: Vec<String> = draft.warnings(day_of(snapshot.started_at)).iter().map(|w| visible(w)).collect();
    warnings.truncate(MOST_GROUPS);
    let PolicyUsed { version, digest } = PolicyUsed::of(draft);
    let mut reasons: Vec<Reason> = found
        .reasons
        .iter()
        .map(|((code, tag), resources)| Reason { code: code.as_str(), tag: visible(tag), resources: *resources })
        .collect();
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.resources));
    reasons.truncate(MOST_GROUPS);
    Body {
        draft: Draft { version, digest, changes: changes(in_force, draft), warnings },
        now: Scores::of(&all.now, costs),
        with_draft: Scores::of(&all.draft, costs),
        totals: Totals {
            newly_failing: all.newly_failing,
            newly_judged_failing: all.newly_judged_failing,
            newly_passing: all.newly_passing,
            newly_failing_monthly_cost: cost(all),
            unknown: found.unknown,
        },
        by_type: groups(found, |scope| scope.resource_type.as_str().to_owned()),
        by_account: groups(found, |scope| scope.account.to_string()),
        reasons,
        examples: found.failing.iter().map(|row| Example::of(row, draft, snapshot, costs)).collect(),
        nights,
    }
}

fn cost(sums: &Rejudged) -> Option<f64> {
    (sums.newly_failing_with_cost > 0).then(|| units(sums.newly_failing_cost.cents()))
}

fn groups(found: &Rejudging, name: impl Fn(&shared::inventory::Scope) -> String) -> Vec<Group> {
    let mut groups: BTreeMap<String, Rejudged> = BTreeMap::new();
    for (scope, sums) in &found.scopes {
        *groups.entry(name(scope)).or_default() += *sums;
    }
    let group = |(name, sums): (String, Rejudged)| Group {
        name,
        newly_failing: sums.newly_failing,
        newly_judged_failing: sums.newly_judged_failing,
        newly_passing: sums.newly_passing,
        score_now: sums.now.score().map(rounded),
        score_with_draft: sums.draft.score().map(rounded),
        newly_failing_monthly_cost: cost(&sums),
    };
    let mut groups: Vec<Group> = groups.into_iter().map(group).collect();
    groups.retain(|group| group.newly_failing + group.newly_judged_failing + group.newly_passing > 0);
    groups.sort_by_key(|group| std::cmp::Reverse(group.newly_failing + group.newly_judged_failing));
    groups.truncate(MOST_GROUPS);
    groups
}

impl Scores {
    fn of(standing: &Standing, costs: bool) -> Self {
        Self {
            compliance_score: standing.score().map(rounded),
            compliance_score_by_cost: standing.score_by_cost().filter(|_| costs).map(rounded),
            compliant: standing.compliant,
            non_compliant: standing.non_compliant,
        }
    }
}

impl Example {
    fn of(row: &Row, draft: &Policy, snapshot: &Snapshot, costs: bool) -> Self {
        let tags = Tags::Known(row.tags.clone());
        let subject = Subject { resource_type: row.scope.resource_type, arn: &row.arn, tags: &tags };
        let verdict = draft.judge(&subject, day_of(snapshot.started_at));
        let errors = verdict.findings.iter().filter(|finding| finding.severity == Severity::Error);
        Self {
            identity: Identity::of(row),
            monthly_cost: resource_cost::told(row, costs).0,
            errors: errors.take(5).map(|finding| format!("{} {}", finding.code, visible(finding.tag))).collect(),
        }
    }
}
