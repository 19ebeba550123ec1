//! `simulate_policy`: evaluates the estate by a draft policy.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tagledger_ledger::{
    ComplianceTotals, Filter, PolicySimulation, ReadSession, ResourceRow, SimulatedSnapshot, SimulatedTotals, Snapshot,
    query::{history, policy_simulation},
};
use tagledger_model::{
    ResourceType,
    epoch_day::day_of,
    inventory::{self, Tags},
};
use tagledger_policy::{Policy, Severity, Subject};

use crate::{
    app_state::AppState,
    error::ToolFailure,
    tools::{
        common::{
            account_filter::limit_accounts,
            arguments::{
                Filters, check_coverage, earlier_snapshot_note, nullable_number, require_non_empty, select_snapshot,
                type_list,
            },
            envelope::{Answer, PolicyUsed, round_score, score, to_units},
            resource_cost,
            resource_identity::Identity,
            time_period::Day,
        },
        policy::draft_policy::{list_changes, load_draft},
    },
    untrusted_text::escape,
};

pub(crate) const NAME: &str = "simulate_policy";

/// The maximum number of resource types, accounts, reasons and warnings.
const MAX_GROUPS: usize = 10;

/// The maximum of `limit`.
const MAX_EXAMPLES: i64 = 50;

/// The default of `limit`.
const DEFAULT_EXAMPLES: i64 = 5;

/// The maximum number of earlier snapshots. Each one requires a comparison of two snapshots.
const MAX_SNAPSHOTS: i64 = 30;

#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The draft policy, as a JSON object in the form of the policy file: `version`, `last_updated`, `required_tags` and so on.
    #[schemars(schema_with = "object")]
    #[serde(default)]
    policy: Option<Value>,
    /// In place of `policy`: the name of a file in the folder of the current policy file, such as `draft.json`.
    #[schemars(with = "String")]
    #[serde(default)]
    policy_file: Option<String>,
    /// The resource types to evaluate. Default: all types.
    #[schemars(schema_with = "type_list")]
    #[serde(default)]
    resource_types: Option<Vec<ResourceType>>,
    /// One region, one account, or both.
    #[schemars(with = "Filters")]
    #[serde(default)]
    pub(crate) filters: Option<Filters>,
    /// The number of earlier snapshots to evaluate also, 0 to 30. Default: 0.
    #[schemars(with = "i64", range(min = 0, max = 30))]
    #[serde(default)]
    nights: Option<i64>,
    /// The maximum number of newly failing resources to return as examples, 0 to 50. Default: 5.
    #[schemars(with = "i64", range(min = 0, max = 50))]
    #[serde(default)]
    limit: Option<i64>,
    /// Reads the last snapshot of this day (UTC) or before, such as `2026-10-31`. Default: the latest.
    #[schemars(with = "String")]
    #[serde(default)]
    pub(crate) as_of: Option<Day>,
}

limit_accounts!(filters);

fn object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object" })
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Body {
    draft: Draft,
    /// The scores by the policy of the snapshot.
    now: Scores,
    /// The scores by the draft.
    with_draft: Scores,
    totals: Totals,
    /// The resource types with the most newly failing resources, at most 10.
    by_type: Vec<Group>,
    /// The accounts with the most newly failing resources, at most 10.
    by_account: Vec<Group>,
    /// The errors of newly failing resources, the most frequent first, at most 10.
    reasons: Vec<Reason>,
    /// The newly failing resources with the highest costs.
    examples: Vec<Example>,
    /// The scores of earlier snapshots, the latest first. Absent when not requested.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    nights: Vec<SnapshotScore>,
}

/// The draft policy.
#[derive(Debug, Serialize, JsonSchema)]
struct Draft {
    version: String,
    /// The first 12 hexadecimal digits of the SHA-256 of its content.
    digest: String,
    /// The differences from the policy of the snapshot, one line for each.
    changes: Vec<String>,
    /// Parts of the draft that are valid but probably not intended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Scores {
    /// compliant / (compliant + non_compliant), 0 to 1. Null when no resource was evaluated.
    #[schemars(schema_with = "nullable_number")]
    compliance_score: Option<f64>,
    /// The same by the cost of resources. Null when no cost is known.
    #[schemars(schema_with = "nullable_number")]
    compliance_score_by_cost: Option<f64>,
    compliant: u64,
    non_compliant: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Totals {
    /// Resources that are compliant now and would not be compliant with the draft.
    newly_failing: u64,
    /// Resources that are not evaluated now and would not be compliant with the draft.
    newly_judged_failing: u64,
    /// Resources that are not compliant now and would be compliant with the draft.
    newly_passing: u64,
    /// The known monthly cost of the newly failing resources, evaluated now or not. Null when no cost is known.
    #[schemars(schema_with = "nullable_number")]
    newly_failing_monthly_cost: Option<f64>,
    /// Resources whose tags could not be read. Neither policy can evaluate them.
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
    /// The known monthly cost of the newly failing resources. Null when no cost is known.
    #[schemars(schema_with = "nullable_number")]
    newly_failing_monthly_cost: Option<f64>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Reason {
    /// The stable code of the error, such as `MISSING`.
    code: &'static str,
    tag: String,
    /// The number of newly failing resources with this error.
    resources: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Example {
    #[serde(flatten)]
    identity: Identity,
    #[schemars(schema_with = "nullable_number")]
    monthly_cost: Option<f64>,
    /// The code and tag key of each error by the draft, at most 5.
    errors: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct SnapshotScore {
    date: String,
    snapshot_id: i64,
    /// The score by the policy of that snapshot.
    #[schemars(schema_with = "nullable_number")]
    compliance_score: Option<f64>,
    #[schemars(schema_with = "nullable_number")]
    with_draft: Option<f64>,
}

/// Answers the call from the latest snapshot, or from that of a day. The current policy is not changed.
pub(crate) fn answer(app: &AppState, arguments: Arguments) -> Result<Answer<Body>, ToolFailure> {
    let limit = check_range("limit", arguments.limit.unwrap_or(DEFAULT_EXAMPLES), MAX_EXAMPLES)?;
    let nights = check_range("nights", arguments.nights.unwrap_or(0), MAX_SNAPSHOTS)?;
    let draft = load_draft(app, arguments.policy.as_ref(), arguments.policy_file.as_deref())?;
    if nights > 0 && draft.depends_on_date() {
        let why =
            "`nights`: the draft has expiration dates, so that it cannot evaluate earlier snapshots; omit `nights`";
        return Err(ToolFailure::Caller(why.to_owned()));
    }
    let filters = arguments.filters.unwrap_or_default();
    let filter = filters.filter(require_non_empty("resource_types", arguments.resource_types)?);
    app.read_snapshot(select_snapshot(arguments.as_of), |session, snapshot| {
        check_coverage(session, &snapshot, &filter)?;
        let earlier = earlier_snapshot_note(session, &snapshot, arguments.as_of)?;
        let in_force = session.policy(&snapshot)?;
        let found = policy_simulation::simulate(session, &snapshot, &filter, &draft, limit)?;
        let mut all = SimulatedTotals::default();
        found.scopes.iter().for_each(|(_, sums)| all += *sums);
        let costs = earlier.is_none() && resource_cost::are_known(session, &snapshot)?;
        let history = simulate_earlier_snapshots(session, &snapshot, &filter, &draft, all.draft, nights)?;
        let body = body(&draft, &in_force, &snapshot, &found, &all, costs, history);
        let cost_note = || resource_cost::describe_basis(session, &snapshot, &filter, "newly_failing_monthly_cost");
        let mut notes = vec![earlier.map_or_else(cost_note, Ok)?];
        notes.push("This is a simulation. It changes neither resources nor the current policy.".to_owned());
        Ok(Answer::new(session, &snapshot, &filter, body, notes)?)
    })
}

fn check_range(name: &str, given: i64, max: i64) -> Result<usize, ToolFailure> {
    let within = usize::try_from(given).ok().filter(|_| given <= max);
    within.ok_or_else(|| ToolFailure::Caller(format!("`{name}` must be 0 to {max}, not {given}")))
}

fn simulate_earlier_snapshots(
    session: &ReadSession<'_>,
    latest: &Snapshot,
    filter: &Filter,
    draft: &Policy,
    now: ComplianceTotals,
    max: usize,
) -> Result<Vec<SnapshotScore>, ToolFailure> {
    if max == 0 {
        return Ok(Vec::new());
    }
    let mut snapshots = history::list_snapshots_since(session, jiff::Timestamp::MIN)?;
    snapshots.retain(|snapshot| snapshot.id < latest.id);
    snapshots.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.id));
    snapshots.truncate(max);
    let simulated = policy_simulation::simulate_history(session, latest, filter, draft, now, &snapshots)?;
    let score_of = |SimulatedSnapshot { snapshot, draft }: &SimulatedSnapshot| -> Result<SnapshotScore, ToolFailure> {
        Ok(SnapshotScore {
            date: day_of(snapshot.started_at).to_string(),
            snapshot_id: snapshot.id,
            compliance_score: score(&history::find_snapshot_totals(session, snapshot, filter)?.tally),
            with_draft: draft.score().map(round_score),
        })
    };
    simulated.iter().map(score_of).collect()
}

fn body(
    draft: &Policy,
    in_force: &Policy,
    snapshot: &Snapshot,
    found: &PolicySimulation,
    all: &SimulatedTotals,
    costs: bool,
    nights: Vec<SnapshotScore>,
) -> Body {
    let mut warnings: Vec<String> = draft.warnings(day_of(snapshot.started_at)).iter().map(|w| escape(w)).collect();
    warnings.truncate(MAX_GROUPS);
    let PolicyUsed { version, digest } = PolicyUsed::from_policy(draft);
    let mut reasons: Vec<Reason> = found
        .reasons
        .iter()
        .map(|((code, tag), resources)| Reason { code: code.as_str(), tag: escape(tag), resources: *resources })
        .collect();
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.resources));
    reasons.truncate(MAX_GROUPS);
    Body {
        draft: Draft { version, digest, changes: list_changes(in_force, draft), warnings },
        now: Scores::from_totals(&all.now, costs),
        with_draft: Scores::from_totals(&all.draft, costs),
        totals: Totals {
            newly_failing: all.newly_failing,
            newly_judged_failing: all.newly_evaluated_failing,
            newly_passing: all.newly_passing,
            newly_failing_monthly_cost: failing_cost(all),
            unknown: found.unknown,
        },
        by_type: group_by(found, |scope| scope.resource_type.as_str().to_owned()),
        by_account: group_by(found, |scope| scope.account.to_string()),
        reasons,
        examples: found.failing.iter().map(|row| Example::from_row(row, draft, snapshot, costs)).collect(),
        nights,
    }
}

fn failing_cost(sums: &SimulatedTotals) -> Option<f64> {
    (sums.newly_failing_with_cost > 0).then(|| to_units(sums.newly_failing_cost.cents()))
}

fn group_by(found: &PolicySimulation, name: impl Fn(&inventory::Scope) -> String) -> Vec<Group> {
    let mut groups: BTreeMap<String, SimulatedTotals> = BTreeMap::new();
    for (scope, sums) in &found.scopes {
        *groups.entry(name(scope)).or_default() += *sums;
    }
    let group = |(name, sums): (String, SimulatedTotals)| Group {
        name,
        newly_failing: sums.newly_failing,
        newly_judged_failing: sums.newly_evaluated_failing,
        newly_passing: sums.newly_passing,
        score_now: sums.now.score().map(round_score),
        score_with_draft: sums.draft.score().map(round_score),
        newly_failing_monthly_cost: failing_cost(&sums),
    };
    let mut groups: Vec<Group> = groups.into_iter().map(group).collect();
    groups.retain(|group| group.newly_failing + group.newly_judged_failing + group.newly_passing > 0);
    groups.sort_by_key(|group| std::cmp::Reverse(group.newly_failing + group.newly_judged_failing));
    groups.truncate(MAX_GROUPS);
    groups
}

impl Scores {
    fn from_totals(totals: &ComplianceTotals, costs: bool) -> Self {
        Self {
            compliance_score: totals.score().map(round_score),
            compliance_score_by_cost: totals.score_by_cost().filter(|_| costs).map(round_score),
            compliant: totals.compliant,
            non_compliant: totals.non_compliant,
        }
    }
}

impl Example {
    fn from_row(row: &ResourceRow, draft: &Policy, snapshot: &Snapshot, costs: bool) -> Self {
        let tags = Tags::Known(row.tags.clone());
        let subject = Subject { resource_type: row.scope.resource_type, arn: &row.arn, tags: &tags };
        let evaluation = draft.evaluate(&subject, day_of(snapshot.started_at));
        let errors = evaluation.findings.iter().filter(|finding| finding.severity == Severity::Error);
        Self {
            identity: Identity::from_row(row),
            monthly_cost: resource_cost::monthly_cost(row, costs).0,
            errors: errors.take(5).map(|finding| format!("{} {}", finding.code, escape(finding.tag))).collect(),
        }
    }
}
