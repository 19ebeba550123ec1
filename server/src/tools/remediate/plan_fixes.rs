//! `plan_fixes`: the smallest number of tag changes that reaches a target score, and a script that applies them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tagledger_analysis::{
    prediction::CONFIDENCE_THRESHOLD,
    remediation::plan::{AppliedTier, Objective, plan_fewest_changes},
};
use tagledger_ledger::{ComplianceTotals, Filter, RemediationBacklog, query::remediation};
use tagledger_model::ResourceType;

use crate::{
    app_state::AppState,
    error::ToolFailure,
    tools::{
        common::{
            account_filter::limit_accounts,
            arguments::{
                Filters, check_coverage, earlier_snapshot_note, nullable_number, nullable_text, require_non_empty,
                select_snapshot, type_list,
            },
            envelope::{Answer, policy_note, round_score, to_units},
            resource_cost,
            suggestions::{MAX_CONFIDENCE, SuggestionEngine},
            time_period::Day,
        },
        remediate::scripts::{Change, Format, UnresolvedTag, render_changes},
    },
};

pub(crate) const NAME: &str = "plan_fixes";

/// The maximum of `limit`.
const MAX_RESOURCES: i64 = 200;

/// The default of `limit`.
const DEFAULT_RESOURCES: i64 = 25;

/// The default of `target`.
const DEFAULT_TARGET: f64 = 0.9;

#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The compliance score to reach, greater than 0 and at most 1. Default: 0.9.
    #[schemars(with = "f64", range(max = 1))]
    #[serde(default)]
    target: Option<f64>,
    /// The weight of a resource in the score: `cost`, its monthly cost, or `count`, 1. Default: `cost` if costs are known, else `count`.
    #[schemars(with = "By")]
    #[serde(default)]
    by: Option<By>,
    /// The resource types to include. The target applies only to these. Default: all types.
    #[schemars(schema_with = "type_list")]
    #[serde(default)]
    resource_types: Option<Vec<ResourceType>>,
    /// One region, one account, or both.
    #[schemars(with = "Filters")]
    #[serde(default)]
    pub(crate) filters: Option<Filters>,
    /// The minimum confidence of a value, 0.6 to 0.99. Tags without such a value are in `needs_a_person`. Default: 0.9.
    #[schemars(with = "f64", range(min = 0.6, max = 0.99))]
    #[serde(default)]
    min_confidence: Option<f64>,
    /// The format of the script: `aws_cli`, `terraform` or `custodian`. Default: no script.
    #[schemars(with = "Format")]
    #[serde(default)]
    format: Option<Format>,
    /// The maximum number of resources of the plan to return, those to fix first, 1 to 200. Default: 25.
    #[schemars(with = "i64", range(min = 1, max = 200))]
    #[serde(default)]
    limit: Option<i64>,
    /// Reads the last snapshot of this day (UTC) or before, such as `2026-10-31`. Default: the latest.
    #[schemars(with = "String")]
    #[serde(default)]
    pub(crate) as_of: Option<Day>,
}

limit_accounts!(filters);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum By {
    Cost,
    Count,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Body {
    target: f64,
    by: By,
    /// The score before the changes. Null when no resource was evaluated.
    #[schemars(schema_with = "nullable_number")]
    score_now: Option<f64>,
    /// `already_met`, `planned`, or `out_of_reach`: all changes together do not reach the target.
    status: &'static str,
    plan: Plan,
    /// The first changes of the plan, grouped by value and scope, those with the largest gain first.
    changes: Vec<Change>,
    /// Tags of the returned resources without a value of sufficient confidence. A person must determine the value.
    needs_a_person: Vec<UnresolvedTag>,
    /// A script that applies `changes`. Review it before you run it. TagLedger itself changes nothing. Null when no format was requested.
    #[schemars(schema_with = "nullable_text")]
    script: Option<String>,
}

/// The totals of the plan.
#[derive(Debug, Default, Serialize, JsonSchema)]
struct Plan {
    /// The number of resources to change.
    resources: u64,
    /// The number of tag changes. A change is one tag of one resource.
    tag_changes: u64,
    /// The monthly cost of these resources, as far as it is known. Null when no cost is known.
    #[schemars(schema_with = "nullable_number")]
    monthly_cost: Option<f64>,
    /// The number of resources of the plan that this answer returns.
    told: u64,
    /// The number of all non-compliant resources.
    non_compliant: u64,
}

/// The validated arguments.
struct ResolvedRequest {
    target: f64,
    min_confidence: f64,
    limit: usize,
    filter: Filter,
    /// Whether the caller may read all accounts.
    all_accounts: bool,
}

impl ResolvedRequest {
    fn from_arguments(arguments: &Arguments) -> Result<Self, ToolFailure> {
        let caller = |reason: String| ToolFailure::Caller(reason);
        let target = arguments.target.unwrap_or(DEFAULT_TARGET);
        if !(target > 0.0 && target <= 1.0) {
            return Err(caller("`target` must be above 0 and at most 1, such as 0.9 for 90 percent".to_owned()));
        }
        let min_confidence = arguments.min_confidence.unwrap_or(0.9);
        if !(CONFIDENCE_THRESHOLD..=MAX_CONFIDENCE).contains(&min_confidence) {
            return Err(caller(format!("`min_confidence` must be {CONFIDENCE_THRESHOLD} to {MAX_CONFIDENCE}")));
        }
        let limit = arguments.limit.unwrap_or(DEFAULT_RESOURCES);
        let in_range = usize::try_from(limit).ok().filter(|_| (1..=MAX_RESOURCES).contains(&limit));
        let limit = in_range.ok_or_else(|| caller(format!("`limit` must be 1 to {MAX_RESOURCES}")))?;
        let filters = arguments.filters.clone().unwrap_or_default();
        let all_accounts = filters.scope.is_unrestricted();
        let filter = filters.filter(require_non_empty("resource_types", arguments.resource_types.clone())?);
        Ok(Self { target, min_confidence, limit, filter, all_accounts })
    }
}

/// Answers the call from the latest snapshot, or from that of a day.
pub(crate) fn answer(app: &AppState, arguments: Arguments) -> Result<Answer<Body>, ToolFailure> {
    let request = ResolvedRequest::from_arguments(&arguments)?;
    if arguments.as_of.is_some() && arguments.format.is_some() {
        let why = "`format`: a script from an earlier snapshot would revert changes since then; omit `as_of`";
        return Err(ToolFailure::Caller(why.to_owned()));
    }
    app.read_snapshot(select_snapshot(arguments.as_of), |session, snapshot| {
        check_coverage(session, &snapshot, &request.filter)?;
        let earlier = earlier_snapshot_note(session, &snapshot, arguments.as_of)?;
        let policy = session.policy(&snapshot)?;
        let backlog = remediation::find_backlog(session, &snapshot, &request.filter, request.limit)?;
        let costs = earlier.is_none() && resource_cost::are_known(session, &snapshot)?;
        let by = resolve_objective(arguments.by, costs)?;
        let (chosen, status) = choose_tiers(&backlog, by, request.target)?;
        let engine = SuggestionEngine::new(session, &snapshot, &policy, earlier.is_none(), request.all_accounts)?;
        let first = list_first_keys(&backlog, &chosen, request.limit);
        let rendered = render_changes(&engine, &snapshot, &first, request.min_confidence, costs)?;
        let plan = sum_plan(&chosen, &backlog, first.len(), costs);
        let mut notes: Vec<String> = plan_notes(status, by, &plan);
        match earlier {
            Some(note) => {
                notes.push(format!("{note} Predicted values are not available for an earlier snapshot either."))
            }
            None => {
                notes.extend(policy_note(app, &snapshot));
                notes.push(resource_cost::describe_basis(session, &snapshot, &request.filter, "monthly_cost")?);
            }
        }
        let body = Body {
            target: request.target,
            by,
            score_now: score_by(&backlog.totals, by).map(round_score),
            status,
            plan,
            script: arguments.format.map(|format| format.render(&rendered.changes)),
            changes: rendered.list_changes(),
            needs_a_person: rendered.open,
        };
        Ok(Answer::new(session, &snapshot, &request.filter, body, notes)?)
    })
}

fn resolve_objective(requested: Option<By>, costs: bool) -> Result<By, ToolFailure> {
    match requested {
        Some(By::Cost) if !costs => {
            let why = "the costs of individual resources are not known; set `by` `count`";
            Err(ToolFailure::Caller(why.to_owned()))
        }
        Some(by) => Ok(by),
        None => Ok(if costs { By::Cost } else { By::Count }),
    }
}

fn score_by(totals: &ComplianceTotals, by: By) -> Option<f64> {
    match by {
        By::Cost => totals.score_by_cost(),
        By::Count => totals.score(),
    }
}

fn choose_tiers(
    backlog: &RemediationBacklog,
    by: By,
    target: f64,
) -> Result<(Vec<AppliedTier>, &'static str), ToolFailure> {
    let totals = &backlog.totals;
    let Some(now) = score_by(totals, by) else {
        let why = "no resource was evaluated, so that there is no score; use other filters";
        return Err(ToolFailure::Caller(why.to_owned()));
    };
    if now >= target {
        return Ok((Vec::new(), "already_met"));
    }
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let (objective, compliant, total) = match by {
        By::Count => (Objective::Count, count(totals.compliant), count(totals.compliant + totals.non_compliant)),
        By::Cost => {
            let compliant = totals.compliant_cost.micros().max(0);
            (Objective::Cost, compliant, compliant + totals.non_compliant_cost.micros().max(0))
        }
    };
    Ok(match plan_fewest_changes(&backlog.tiers, objective, compliant, total, target) {
        Some(chosen) => (chosen, "planned"),
        None => (Vec::new(), "out_of_reach"),
    })
}

/// The keys of the first `limit` resources of the plan.
fn list_first_keys(backlog: &RemediationBacklog, chosen: &[AppliedTier], limit: usize) -> Vec<i64> {
    let keys = backlog.keys();
    let keys_of = |one: &AppliedTier| {
        let taken = usize::try_from(one.resources).unwrap_or(usize::MAX);
        keys.get(one.tier).copied().unwrap_or_default().iter().copied().take(taken)
    };
    chosen.iter().flat_map(keys_of).take(limit).collect()
}

fn sum_plan(chosen: &[AppliedTier], backlog: &RemediationBacklog, returned: usize, costs: bool) -> Plan {
    let mut plan = Plan { told: returned as u64, non_compliant: backlog.totals.non_compliant, ..Plan::default() };
    let mut cents = None;
    for (step, resources) in chosen.iter().filter_map(|one| Some((backlog.tiers.get(one.tier)?, one.resources))) {
        plan.resources += resources;
        plan.tag_changes += u64::from(step.changes) * resources;
        if let Some(cost) = step.cost {
            cents = Some(cents.unwrap_or(0) + cost.cents() * i64::try_from(resources).unwrap_or(i64::MAX));
        }
    }
    plan.monthly_cost = cents.filter(|_| costs).map(to_units);
    plan
}

fn plan_notes(status: &str, by: By, plan: &Plan) -> Vec<String> {
    let mut notes = Vec::new();
    if status == "out_of_reach" {
        notes.push("All resources with known costs together do not reach the target. Set `by` to `count`.".to_owned());
    }
    if plan.resources > plan.told {
        let rest = plan.resources - plan.told;
        notes.push(format!(
            "{rest} more resources are in the plan. Fix the returned resources, scan, and call the tool again, or increase `limit`."
        ));
    }
    if plan.resources > 0 {
        notes.push("Review a script before you run it. TagLedger itself changes nothing.".to_owned());
        if by == By::Cost {
            notes.push(
                "By cost, the plan takes the changes with the largest gain first. It can have more changes than necessary, at most those of \
                 one resource."
                    .to_owned(),
            );
        }
    }
    notes
}
