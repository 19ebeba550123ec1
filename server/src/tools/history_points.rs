//! The points of a history: one night a period, and what happened in it.

use std::collections::BTreeMap;

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::Serialize;
use shared::store::{Life, NightTotals, Snapshot, View};

use super::{
    ToolFailure,
    answer::{score, short},
    arguments::nullable_number,
    calendar::begin_of,
    get_violation_history::Asked,
    history_costs::{Cost, Costs},
};

/// The state at the end of a period, and what happened in it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Point {
    /// First day of the period.
    date: String,
    /// Which snapshot it is.
    snapshot_id: i64,
    /// compliant / (compliant + non_compliant); null when nothing could be judged, and where one finding or tag is asked for.
    #[schemars(schema_with = "nullable_number")]
    compliance_score: Option<f64>,
    /// Findings of severity error, or of the kind asked for; non-compliant resources with the tag, where one is asked for. A
    /// resource has one for each tag that is wrong.
    violations: u64,
    /// Resources asked about.
    total_resources: u64,
    non_compliant_resources: u64,
    /// Violations that began in the period. Absent where it is not known of the filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    opened: Option<u64>,
    /// Of these, such as had been there before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    reopened: Option<u64>,
    /// Violations whose tags were put right in the period.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    fixed: Option<u64>,
    /// Violations that ended with their resources, or for the policy changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    ended_otherwise: Option<u64>,
    /// Days that those fixed had been open; absent when none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64")]
    median_days_to_fix: Option<f64>,
    /// What was spent in the period, as far as it is billed. Absent where it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Cost")]
    cost: Option<Cost>,
    /// `complete`, or `partial` when the snapshot has gaps.
    coverage: &'static str,
    /// Whether it saw the same scopes as the newest point. Those that did not are not mixed into the trend.
    same_coverage: bool,
    /// The first 12 digits of the policy's digest, where it is another one than the newest point's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    other_policy: Option<String>,
}

/// A night that stands for its period.
pub(crate) struct Chosen {
    period: Date,
    pub(crate) snapshot: Snapshot,
    pub(crate) totals: NightTotals,
}

/// Of each period the last complete night, else the last one.
pub(crate) fn nights(
    view: &View<'_>,
    asked: &Asked,
    from: Date,
    newest: &Snapshot,
    notes: &mut Vec<String>,
) -> Result<Vec<Chosen>, ToolFailure> {
    let mut periods: BTreeMap<Date, Snapshot> = BTreeMap::new();
    let (mut several, mut uncounted) = (false, 0);
    for snapshot in view.nights_since(begin_of(&asked.zone, from))? {
        // A clock that was set back leaves nights of days that are still to come.
        if snapshot.started_at > newest.started_at {
            continue;
        }
        if let Some(tag) = &asked.tag
            && !view.policy(&snapshot)?.keys().any(|key| key == tag.key)
        {
            uncounted += 1;
            continue;
        }
        let period = asked.period(snapshot.started_at);
        match periods.get(&period) {
            Some(known) if known.complete && !snapshot.complete => several = true,
            _ => drop(periods.insert(period, snapshot)),
        }
    }
    if several {
        notes
            .push("A period's last complete snapshot stands for it, though a later one with gaps is there.".to_owned());
    }
    if uncounted > 0 {
        notes.push(format!(
            "{uncounted} nights are left out: their policy does not name the key, so that its values were not counted."
        ));
    }
    let chosen = periods.into_iter().map(|(period, snapshot)| {
        let totals = view.night_totals(&snapshot, &asked.filter)?;
        Ok(Chosen { period, snapshot, totals })
    });
    chosen.collect()
}

pub(crate) fn points(
    view: &View<'_>,
    asked: &Asked,
    nights: &[Chosen],
    from: Date,
    newest: &Snapshot,
    notes: &mut Vec<String>,
) -> Result<Vec<Point>, ToolFailure> {
    let lives = lives(view, asked, from, newest)?;
    // The bill is that of the newest scan, whichever night stands for its period.
    let costs = Costs::of(view, asked, newest)?;
    notes.extend(costs.note(view, asked)?);
    let Some(newest) = nights.last() else { return Ok(Vec::new()) };
    nights.iter().map(|night| point(view, asked, night, newest, &lives, &costs)).collect()
}

/// What happened, by period; nothing where it is not counted.
fn lives(
    view: &View<'_>,
    asked: &Asked,
    from: Date,
    newest: &Snapshot,
) -> Result<Option<BTreeMap<Date, Life>>, ToolFailure> {
    if !asked.knows_lives() {
        return Ok(None);
    }
    let of = asked.finding.clone().unwrap_or_default();
    let mut periods: BTreeMap<Date, Life> = BTreeMap::new();
    for (at, life) in view.lives(begin_of(&asked.zone, from), &of, &asked.filter)? {
        if at > newest.started_at {
            continue;
        }
        let sum = periods.entry(asked.period(at)).or_default();
        sum.opened += life.opened;
        sum.reopened += life.reopened;
        sum.fixed += life.fixed;
        sum.removed += life.removed;
        sum.dropped += life.dropped;
        sum.fixed_days.extend(life.fixed_days);
    }
    Ok(Some(periods))
}

fn point(
    view: &View<'_>,
    asked: &Asked,
    night: &Chosen,
    newest: &Chosen,
    lives: &Option<BTreeMap<Date, Life>>,
    costs: &Costs,
) -> Result<Point, ToolFailure> {
    let Chosen { period, snapshot, totals } = night;
    let tally = &totals.tally;
    let (score, violations, resources, wrong) = match (&asked.finding, &asked.tag) {
        (Some(finding), _) => {
            (None, view.found_in(snapshot, finding, &asked.filter)?, tally.total(), tally.non_compliant)
        }
        (_, Some(tag)) => {
            let (resources, wrong) = view.tagged(snapshot, &tag.key, &tag.value)?.unwrap_or_default();
            (None, wrong, resources, wrong)
        }
        _ => (score(tally), tally.errors, tally.total(), tally.non_compliant),
    };
    let life = lives.as_ref().map(|lives| lives.get(period).cloned().unwrap_or_default());
    let policy = &snapshot.policy_digest;
    Ok(Point {
        date: period.to_string(),
        snapshot_id: snapshot.id,
        compliance_score: score,
        violations,
        total_resources: resources,
        non_compliant_resources: wrong,
        opened: life.as_ref().map(|life| life.opened),
        reopened: life.as_ref().map(|life| life.reopened),
        fixed: life.as_ref().map(|life| life.fixed),
        ended_otherwise: life.as_ref().map(|life| life.removed + life.dropped),
        median_days_to_fix: life.as_ref().and_then(|life| median_days(&life.fixed_days)),
        cost: costs.in_days(view, *period, asked.group_by.next(*period))?,
        coverage: if totals.whole == totals.scopes { "complete" } else { "partial" },
        same_coverage: totals.coverage == newest.totals.coverage,
        other_policy: (*policy != newest.snapshot.policy_digest).then(|| short(policy)),
    })
}

/// The middle one of days, each with how often it occurs.
fn median_days(days: &[(i64, u64)]) -> Option<f64> {
    let mut days = days.to_vec();
    days.sort_unstable();
    let all: u64 = days.iter().map(|(_, n)| n).sum();
    let nth = |place: u64| {
        let mut passed = 0;
        days.iter().find_map(|(days, n)| {
            passed += n;
            (place < passed).then_some(*days as f64)
        })
    };
    Some(f64::midpoint(nth(all.checked_sub(1)? / 2)?, nth(all / 2)?))
}

pub(crate) fn coverage_note(points: &[Point]) -> Option<String> {
    let other = points.iter().filter(|point| !point.same_coverage).count();
    (other > 0).then(|| {
        format!(
            "{other} of {} points saw other scopes than the newest one; their scores are of what they saw, and the trend is of the \
             scopes that all points read.",
            points.len()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_days_counts_each_violation() {
        assert_eq!(median_days(&[]), None);
        assert_eq!(median_days(&[(3, 1)]), Some(3.0));
        assert_eq!(median_days(&[(1, 1), (10, 1)]), Some(5.5));
        assert_eq!(median_days(&[(10, 1), (1, 4), (2, 2)]), Some(1.0));
        assert_eq!(median_days(&[(1, 2), (7, 3)]), Some(7.0));
    }
}
