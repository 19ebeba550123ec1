//! The points of a history: one snapshot for each period, and the violations that were opened and fixed in the period.

use std::collections::BTreeMap;

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::Serialize;
use tagledger_ledger::{ReadSession, Snapshot, SnapshotTotals, ViolationFlow, query::history};

use crate::{
    error::ToolFailure,
    tools::{
        common::{
            arguments::nullable_number,
            calendar::start_of_day,
            envelope::{score, short_digest},
        },
        history::{
            costs::{Cost, PeriodSpend},
            request::ResolvedRequest,
        },
    },
};

/// The compliance at the end of a period, and the changes in the period.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Point {
    /// The first day of the period.
    date: String,
    /// The ID of the snapshot.
    snapshot_id: i64,
    /// compliant / (compliant + non_compliant), 0 to 1. Null when no resource could be evaluated, and with the arguments `finding` or
    /// `tag`.
    #[schemars(schema_with = "nullable_number")]
    compliance_score: Option<f64>,
    /// The number of findings of severity `error`, one for each invalid tag of a resource. With the argument `finding`: the number of
    /// these findings. With the argument `tag`: the number of non-compliant resources with the tag.
    violations: u64,
    /// The number of resources that match the arguments.
    total_resources: u64,
    non_compliant_resources: u64,
    /// The number of violations that began in the period. Absent when it is not known for the filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    opened: Option<u64>,
    /// The number of these violations that had been fixed before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    reopened: Option<u64>,
    /// The number of violations that were corrected in the period.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    fixed: Option<u64>,
    /// The number of violations that ended because the resource was deleted or the policy changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    ended_otherwise: Option<u64>,
    /// The median number of days for which the fixed violations had been open. Absent when none was fixed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64")]
    median_days_to_fix: Option<f64>,
    /// The billed spend in the period. Absent when it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Cost")]
    cost: Option<Cost>,
    /// `complete`, or `partial` if some scopes could not be read.
    coverage: &'static str,
    /// Whether the snapshot covers the same scopes as the latest point. The trend uses only scopes that all points cover.
    same_coverage: bool,
    /// The first 12 digits of the policy digest, if the policy is not that of the latest point.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    other_policy: Option<String>,
}

/// The snapshot that represents a period.
pub(crate) struct PeriodSnapshot {
    period: Date,
    pub(crate) snapshot: Snapshot,
    pub(crate) totals: SnapshotTotals,
}

/// Selects the last complete snapshot of each period, or the last snapshot if none is complete.
pub(crate) fn select_snapshots(
    session: &ReadSession<'_>,
    request: &ResolvedRequest,
    from: Date,
    latest: &Snapshot,
    notes: &mut Vec<String>,
) -> Result<Vec<PeriodSnapshot>, ToolFailure> {
    let mut periods: BTreeMap<Date, Snapshot> = BTreeMap::new();
    let (mut later_incomplete, mut uncounted) = (false, 0);
    for snapshot in history::list_snapshots_since(session, start_of_day(&request.zone, from))? {
        // After the clock was set back, the ledger can have snapshots with later dates than the latest one.
        if snapshot.started_at > latest.started_at {
            continue;
        }
        if let Some(tag) = &request.tag
            && !session.policy(&snapshot)?.keys().any(|key| key == tag.key)
        {
            uncounted += 1;
            continue;
        }
        let period = request.period_of(snapshot.started_at);
        match periods.get(&period) {
            Some(known) if known.complete && !snapshot.complete => later_incomplete = true,
            _ => drop(periods.insert(period, snapshot)),
        }
    }
    if later_incomplete {
        notes.push(
            "A period is represented by its last complete snapshot, even if it has a later incomplete one.".to_owned(),
        );
    }
    if uncounted > 0 {
        notes.push(format!(
            "{uncounted} snapshots are not included, because the values of a key are counted only if the policy contains the key."
        ));
    }
    let chosen = periods.into_iter().map(|(period, snapshot)| {
        let totals = history::find_snapshot_totals(session, &snapshot, &request.filter)?;
        Ok(PeriodSnapshot { period, snapshot, totals })
    });
    chosen.collect()
}

/// Builds one point for each selected snapshot.
pub(crate) fn build_points(
    session: &ReadSession<'_>,
    request: &ResolvedRequest,
    snapshots: &[PeriodSnapshot],
    from: Date,
    latest: &Snapshot,
    notes: &mut Vec<String>,
) -> Result<Vec<Point>, ToolFailure> {
    let flows = sum_flows(session, request, from, latest)?;
    // The bill is always that of the latest scan.
    let costs = PeriodSpend::load(session, request, latest)?;
    notes.extend(costs.note(session, request)?);
    let Some(latest) = snapshots.last() else { return Ok(Vec::new()) };
    snapshots.iter().map(|chosen| build_point(session, request, chosen, latest, &flows, &costs)).collect()
}

/// The number of opened, fixed and ended violations by period. `None` if they are not counted for the filter.
fn sum_flows(
    session: &ReadSession<'_>,
    request: &ResolvedRequest,
    from: Date,
    latest: &Snapshot,
) -> Result<Option<BTreeMap<Date, ViolationFlow>>, ToolFailure> {
    if !request.has_flows() {
        return Ok(None);
    }
    let flow_filter = request.finding.clone().unwrap_or_default();
    let mut periods: BTreeMap<Date, ViolationFlow> = BTreeMap::new();
    for (at, flow) in
        history::find_violation_flow(session, start_of_day(&request.zone, from), &flow_filter, &request.filter)?
    {
        if at > latest.started_at {
            continue;
        }
        let sum = periods.entry(request.period_of(at)).or_default();
        sum.opened += flow.opened;
        sum.reopened += flow.reopened;
        sum.fixed += flow.fixed;
        sum.removed += flow.removed;
        sum.dropped += flow.dropped;
        sum.fixed_days.extend(flow.fixed_days);
    }
    Ok(Some(periods))
}

fn build_point(
    session: &ReadSession<'_>,
    request: &ResolvedRequest,
    chosen: &PeriodSnapshot,
    latest: &PeriodSnapshot,
    flows: &Option<BTreeMap<Date, ViolationFlow>>,
    costs: &PeriodSpend,
) -> Result<Point, ToolFailure> {
    let PeriodSnapshot { period, snapshot, totals } = chosen;
    let counts = &totals.tally;
    let (score, violations, resources, non_compliant) = match (&request.finding, &request.tag) {
        (Some(finding), _) => (
            None,
            history::count_findings(session, snapshot, finding, &request.filter)?,
            counts.total(),
            counts.non_compliant,
        ),
        (_, Some(tag)) => {
            let (resources, non_compliant) =
                history::count_tagged(session, snapshot, &tag.key, &tag.value)?.unwrap_or_default();
            (None, non_compliant, resources, non_compliant)
        }
        _ => (score(counts), counts.errors, counts.total(), counts.non_compliant),
    };
    let flow = flows.as_ref().map(|flows| flows.get(period).cloned().unwrap_or_default());
    let policy = &snapshot.policy_digest;
    Ok(Point {
        date: period.to_string(),
        snapshot_id: snapshot.id,
        compliance_score: score,
        violations,
        total_resources: resources,
        non_compliant_resources: non_compliant,
        opened: flow.as_ref().map(|flow| flow.opened),
        reopened: flow.as_ref().map(|flow| flow.reopened),
        fixed: flow.as_ref().map(|flow| flow.fixed),
        ended_otherwise: flow.as_ref().map(|flow| flow.removed + flow.dropped),
        median_days_to_fix: flow.as_ref().and_then(|flow| median_days(&flow.fixed_days)),
        cost: costs.sum_days(session, *period, request.group_by.next_first_day(*period))?,
        coverage: if totals.complete_scopes == totals.scopes { "complete" } else { "partial" },
        same_coverage: totals.coverage == latest.totals.coverage,
        other_policy: (*policy != latest.snapshot.policy_digest).then(|| short_digest(policy)),
    })
}

/// The median of numbers of days, each with its frequency.
fn median_days(days: &[(i64, u64)]) -> Option<f64> {
    let mut days = days.to_vec();
    days.sort_unstable();
    let all: u64 = days.iter().map(|(_, n)| n).sum();
    let nth = |index: u64| {
        let mut passed = 0;
        days.iter().find_map(|(days, n)| {
            passed += n;
            (index < passed).then_some(*days as f64)
        })
    };
    Some(f64::midpoint(nth(all.checked_sub(1)? / 2)?, nth(all / 2)?))
}

/// A note if some points cover other scopes than the latest one.
pub(crate) fn coverage_note(points: &[Point]) -> Option<String> {
    let other = points.iter().filter(|point| !point.same_coverage).count();
    (other > 0).then(|| {
        format!(
            "{other} of {} points cover other scopes than the latest one. Their scores include only the scopes that they cover, and \
             the trend includes only scopes that all points cover.",
            points.len()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The median time to fix counts every violation once, averages the two middle values of an even number, and is
    /// absent without violations.
    #[test]
    fn median_days_weighs_each_violation() {
        assert_eq!(median_days(&[]), None);
        assert_eq!(median_days(&[(3, 1)]), Some(3.0));
        assert_eq!(median_days(&[(1, 1), (10, 1)]), Some(5.5));
        assert_eq!(median_days(&[(10, 1), (1, 4), (2, 2)]), Some(1.0));
        assert_eq!(median_days(&[(1, 2), (7, 3)]), Some(7.0));
    }
}
