//! plan_fixes: the fewest tag changes that reach a target, grouped, with what to run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::{
    ResourceType,
    day::day_of,
    fixes::plan::{Measure, Taken, fewest},
    store::{Filter, Standing, ToFix},
    suggest::THRESHOLD,
};

use super::{
    ToolFailure,
    answer::{Answer, AsOf, Coverage, PolicyUsed, policy_note, rounded, units},
    arguments::{Filters, covered, earlier, listed, nullable_number, nullable_text, type_list, which},
    fix_changes::{Change, Format, Open, tell},
    period::Day,
    resource_cost,
    suggesting::{Adviser, MOST_CONFIDENCE},
};
use crate::{ledger::Ledger, reach::bounded};

pub(crate) const NAME: &str = "plan_fixes";

/// Resources told on one page of the plan, at most and when nobody says otherwise.
const RESOURCES: [i64; 2] = [200, 25];

/// The share that is aimed for when nobody says otherwise.
const TARGET: f64 = 0.9;

#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The compliance score to reach, above 0 and up to 1; 0.9 when left out.
    #[schemars(with = "f64", range(max = 1))]
    #[serde(default)]
    target: Option<f64>,
    /// `cost`: by what resources cost; `count`: by how many they are. By cost when left out, as far as costs are known.
    #[schemars(with = "By")]
    #[serde(default)]
    by: Option<By>,
    /// Resource types; leave out for all. The target is of these alone.
    #[schemars(schema_with = "type_list")]
    #[serde(default)]
    resource_types: Option<Vec<ResourceType>>,
    /// One region, one account, or both.
    #[schemars(with = "Filters")]
    #[serde(default)]
    filters: Option<Filters>,
    /// Values below this confidence are left for a person to find, 0.6 to 0.99; 0.9 when left out.
    #[schemars(with = "f64", range(min = 0.6, max = 0.99))]
    #[serde(default)]
    min_confidence: Option<f64>,
    /// What to write the changes as: `aws_cli`, `terraform` or `custodian`; nothing when left out.
    #[schemars(with = "Format")]
    #[serde(default)]
    format: Option<Format>,
    /// Resources of the plan to tell, the first to be fixed, 1 to 200; 25 when left out.
    #[schemars(with = "i64", range(min = 1, max = 200))]
    #[serde(default)]
    limit: Option<i64>,
    /// As of the end of that day (UTC), such as `2026-10-31`; now when left out.
    #[schemars(with = "String")]
    #[serde(default)]
    as_of: Option<Day>,
}

bounded!(filters);

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
    /// Null when nothing is judged.
    #[schemars(schema_with = "nullable_number")]
    score_now: Option<f64>,
    /// `already_met`, `planned`, or `out_of_reach`: not even all fixes reach it.
    status: &'static str,
    plan: Plan,
    /// The first of the plan by value and place, those that gain most first.
    changes: Vec<Change>,
    /// Tags of the first of the plan for which no value is sure enough: a person must find it.
    needs_a_person: Vec<Open>,
    /// The changes above as text to be read and then run; TagLedger itself changes nothing. Null when no format was asked for.
    #[schemars(schema_with = "nullable_text")]
    script: Option<String>,
}

/// The whole plan.
#[derive(Debug, Default, Serialize, JsonSchema)]
struct Plan {
    /// Resources to fix.
    resources: u64,
    /// Tag changes that this takes: one tag of one resource each.
    tag_changes: u64,
    /// What they cost a month, as far as it is known; null when it is known of none.
    #[schemars(schema_with = "nullable_number")]
    monthly_cost: Option<f64>,
    /// Resources of the plan that are told here.
    told: u64,
    /// Of all that are not compliant.
    non_compliant: u64,
}

/// The question, checked.
struct Asked {
    target: f64,
    least: f64,
    limit: usize,
    filter: Filter,
    /// Whether the caller may ask about the whole estate.
    all: bool,
}

impl Asked {
    fn of(arguments: &Arguments) -> Result<Self, ToolFailure> {
        let caller = |why: String| ToolFailure::Caller(why);
        let target = arguments.target.unwrap_or(TARGET);
        if !(target > 0.0 && target <= 1.0) {
            return Err(caller("`target` must be above 0 and at most 1, such as 0.9 for 90 %".to_owned()));
        }
        let least = arguments.min_confidence.unwrap_or(0.9);
        if !(THRESHOLD..=MOST_CONFIDENCE).contains(&least) {
            return Err(caller(format!("`min_confidence` must be {THRESHOLD} to {MOST_CONFIDENCE}")));
        }
        let [most, usual] = RESOURCES;
        let limit = arguments.limit.unwrap_or(usual);
        let limit =
            usize::try_from(limit).ok().filter(|limit| (1..=most).contains(&i64::try_from(*limit).unwrap_or(0)));
        let limit = limit.ok_or_else(|| caller(format!("`limit` must be 1 to {most}")))?;
        let place = arguments.filters.clone().unwrap_or_default();
        let all = place.within.is_all();
        let filter = place.filter(listed("resource_types", arguments.resource_types.clone())?);
        Ok(Self { target, least, limit, filter, all })
    }
}

/// The answer, from the newest snapshot, or that of a day.
pub(crate) fn answer(ledger: &Ledger, arguments: Arguments) -> Result<Answer<Body>, ToolFailure> {
    let asked = Asked::of(&arguments)?;
    if arguments.as_of.is_some() && arguments.format.is_some() {
        let why = "`format`: a script of an earlier night would put back what has changed since; ask without `as_of`";
        return Err(ToolFailure::Caller(why.to_owned()));
    }
    ledger.ask_about(which(arguments.as_of), |view, snapshot| {
        covered(view, &snapshot, &asked.filter)?;
        let earlier = earlier(view, &snapshot, arguments.as_of)?;
        let policy = view.policy(&snapshot)?;
        let to_fix = view.to_fix(&snapshot, &asked.filter, asked.limit)?;
        let costs = earlier.is_none() && view.cost_basis(&snapshot)?.is_some_and(|basis| !basis.types.is_empty());
        let by = measure(arguments.by, costs)?;
        let (chosen, status) = choose(&to_fix, by, asked.target)?;
        let adviser = Adviser {
            view,
            policy: &policy,
            learnt_by: &policy,
            // What has been learnt since was not known then.
            weighing: if earlier.is_none() { view.weighing(&snapshot)? } else { None },
            on: day_of(snapshot.started_at),
            all: asked.all,
        };
        let first = first(&to_fix, &chosen, asked.limit);
        let told = tell(&adviser, &snapshot, &first, asked.least, costs)?;
        let plan = plan(&chosen, &to_fix, first.len(), costs);
        let mut notes: Vec<String> = hints(status, by, &plan);
        match earlier {
            Some(note) => notes.push(format!("{note} Nor are values that were learnt from the estate.")),
            None => {
                notes.extend(policy_note(ledger, &snapshot));
                notes.push(resource_cost::note(view, &snapshot, &asked.filter, "monthly_cost")?);
            }
        }
        let body = Body {
            target: asked.target,
            by,
            score_now: score(&to_fix.standing, by).map(rounded),
            status,
            plan,
            script: arguments.format.map(|format| format.write(&told.changes)),
            changes: told.changes_told(),
            needs_a_person: told.open,
        };
        let (as_of, policy) = (AsOf::of(&snapshot), PolicyUsed::of(&policy));
        Ok(Answer { body, as_of, policy, coverage: Coverage::of(view, &snapshot, &asked.filter)?, notes })
    })
}

fn measure(asked: Option<By>, costs: bool) -> Result<By, ToolFailure> {
    match asked {
        Some(By::Cost) if !costs => {
            let why = "costs of single resources are not known; ask again with `by` `count`";
            Err(ToolFailure::Caller(why.to_owned()))
        }
        Some(by) => Ok(by),
        None => Ok(if costs { By::Cost } else { By::Count }),
    }
}

fn score(standing: &Standing, by: By) -> Option<f64> {
    match by {
        By::Cost => standing.score_by_cost(),
        By::Count => standing.score(),
    }
}

fn choose(to_fix: &ToFix, by: By, target: f64) -> Result<(Vec<Taken>, &'static str), ToolFailure> {
    let standing = &to_fix.standing;
    let Some(now) = score(standing, by) else {
        let why = "nothing is judged here, so that there is no score to raise; ask about other types or places";
        return Err(ToolFailure::Caller(why.to_owned()));
    };
    if now >= target {
        return Ok((Vec::new(), "already_met"));
    }
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let (measure, have, all) = match by {
        By::Count => (Measure::Count, count(standing.compliant), count(standing.compliant + standing.non_compliant)),
        By::Cost => {
            let have = standing.compliant_cost.micros().max(0);
            (Measure::Cost, have, have + standing.non_compliant_cost.micros().max(0))
        }
    };
    Ok(match fewest(&to_fix.steps, measure, have, all, target) {
        Some(chosen) => (chosen, "planned"),
        None => (Vec::new(), "out_of_reach"),
    })
}

/// Keys of the resources that are told: the first of the plan.
fn first(to_fix: &ToFix, chosen: &[Taken], limit: usize) -> Vec<i64> {
    let keys = to_fix.keys();
    let of = |one: &Taken| {
        let taken = usize::try_from(one.resources).unwrap_or(usize::MAX);
        keys.get(one.step).copied().unwrap_or_default().iter().copied().take(taken)
    };
    chosen.iter().flat_map(of).take(limit).collect()
}

fn plan(chosen: &[Taken], to_fix: &ToFix, told: usize, costs: bool) -> Plan {
    let mut plan = Plan { told: told as u64, non_compliant: to_fix.standing.non_compliant, ..Plan::default() };
    let mut cents = None;
    for (step, resources) in chosen.iter().filter_map(|one| Some((to_fix.steps.get(one.step)?, one.resources))) {
        plan.resources += resources;
        plan.tag_changes += u64::from(step.changes) * resources;
        if let Some(cost) = step.cost {
            cents = Some(cents.unwrap_or(0) + cost.cents() * i64::try_from(resources).unwrap_or(i64::MAX));
        }
    }
    plan.monthly_cost = cents.filter(|_| costs).map(units);
    plan
}

fn hints(status: &str, by: By, plan: &Plan) -> Vec<String> {
    let mut notes = Vec::new();
    if status == "out_of_reach" {
        notes.push("Not even all resources of known cost together reach the target; ask with `by` `count`.".to_owned());
    }
    if plan.resources > plan.told {
        let rest = plan.resources - plan.told;
        notes.push(format!(
            "{rest} more resources are in the plan: fix these, scan again, and ask again; or pass a larger `limit`."
        ));
    }
    if plan.resources > 0 {
        notes.push("Read a script before you run it. TagLedger changes nothing by itself.".to_owned());
        if by == By::Cost {
            notes.push(
                "By cost the plan takes what gains most a change first: at most one resource's changes too many."
                    .to_owned(),
            );
        }
    }
    notes
}
