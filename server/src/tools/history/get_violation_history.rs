//! `get_violation_history`: the compliance of one snapshot per period, and the violations that were opened and fixed in the period.

use jiff::{ToSpan, civil::Date};
use schemars::JsonSchema;
use serde::Serialize;
use tagledger_ledger::{ReadSession, Snapshot, query::history};

use crate::{
    app_state::AppState,
    error::ToolFailure,
    tools::{
        common::{
            arguments::{check_coverage, earlier_snapshot_note, nullable_number, nullable_text, select_snapshot},
            calendar::day_in,
            envelope::{Answer, policy_note},
        },
        history::{
            points::{Point, build_points, coverage_note, select_snapshots},
            request::{Arguments, ResolvedRequest},
            trend::{TrendBasis, compute_trend},
        },
    },
};

pub(crate) const NAME: &str = "get_violation_history";

/// The maximum number of points of an answer.
const MAX_POINTS: usize = 100;

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Body {
    /// One point for each period, the oldest first. A point has the figures of one snapshot, the last complete one of the period.
    /// Periods without a snapshot have no point.
    history: Vec<Point>,
    /// `improving`, `declining` or `stable`. Null when there are too few points to compare.
    #[schemars(schema_with = "nullable_text")]
    trend: Option<&'static str>,
    /// The change of the score per period of `group_by`, by the slope of the trend. Null when there are too few points to compare.
    #[schemars(schema_with = "nullable_number")]
    improvement_rate: Option<f64>,
    /// The data from which trend and rate were computed.
    trend_basis: TrendBasis,
    /// The number of periods without a snapshot since the first snapshot of the ledger.
    periods_without_snapshot: u64,
    /// The time zone of days, weeks and months.
    time_zone: String,
}

/// Answers the call from one snapshot per period.
pub(crate) fn answer(app: &AppState, arguments: Arguments) -> Result<Answer<Body>, ToolFailure> {
    let as_of = arguments.as_of;
    let request = ResolvedRequest::from_arguments(arguments)?;
    app.read_snapshot(select_snapshot(as_of), |session, snapshot| {
        check_coverage(session, &snapshot, &request.filter)?;
        let earlier = earlier_snapshot_note(session, &snapshot, as_of)?;
        let request = ResolvedRequest { costs: earlier.is_none(), ..request };
        let mut notes: Vec<String> = earlier.or_else(|| policy_note(app, &snapshot)).into_iter().collect();
        let body = body(session, &snapshot, &request, &mut notes)?;
        Ok(Answer::new(session, &snapshot, &request.filter, body, notes)?)
    })
}

fn body(
    session: &ReadSession<'_>,
    latest: &Snapshot,
    request: &ResolvedRequest,
    notes: &mut Vec<String>,
) -> Result<Body, ToolFailure> {
    if let Some(tag) = &request.tag
        && !session.policy(latest)?.keys().any(|key| key == tag.key)
    {
        let why = "`tag.key` is not a key of the policy, and only values of these keys are counted; get_tagging_policy lists them";
        return Err(ToolFailure::Caller(why.to_owned()));
    }
    let last = day_in(&request.zone, latest.started_at);
    let first = request.group_by.first_day(last.saturating_sub((request.days_back - 1).days()));
    let oldest = history::find_oldest_start(session)?.map_or(last, |at| day_in(&request.zone, at));
    if oldest > first {
        notes.push(format!("The oldest snapshot of the ledger is from {oldest}."));
    }
    let from = first.max(request.group_by.first_day(oldest));
    let periods: Vec<Date> = std::iter::successors(Some(from), |first| Some(request.group_by.next_first_day(*first)))
        .take_while(|first| *first <= last)
        .collect();
    if periods.len() > MAX_POINTS {
        let why = format!(
            "the request has {} periods, and the maximum is {MAX_POINTS}; reduce `days_back`, or set `group_by` to week or month",
            periods.len()
        );
        return Err(ToolFailure::Caller(why));
    }
    let snapshots = select_snapshots(session, request, from, latest, notes)?;
    let points = build_points(session, request, &snapshots, from, latest, notes)?;
    let (trend, improvement_rate, trend_basis) = compute_trend(session, request, latest, &snapshots)?;
    notes.extend(coverage_note(&points));
    Ok(Body {
        periods_without_snapshot: periods.len().saturating_sub(points.len()) as u64,
        history: points,
        trend,
        improvement_rate,
        trend_basis,
        time_zone: request.zone.iana_name().unwrap_or("UTC").to_owned(),
    })
}
