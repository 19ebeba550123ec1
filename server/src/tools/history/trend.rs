//! The trend of a history, computed from comparable snapshots.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use tagledger_analysis::trend::{STABLE_THRESHOLD, classify_trend, theil_sen_slope};
use tagledger_ledger::{ComplianceCounts, ReadSession, Snapshot, query::history};
use tagledger_model::epoch_day::number_of;

use crate::{
    error::ToolFailure,
    tools::{
        common::calendar::day_in,
        history::{points::PeriodSnapshot, request::ResolvedRequest},
    },
};

/// The data from which trend and rate were computed.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TrendBasis {
    /// The number of comparable points: those that were evaluated by the latest policy.
    points: u64,
    /// The number of scopes that all these points read completely. The slope includes only these scopes.
    scopes: u64,
    /// How the trend is computed.
    rule: String,
}

/// The trend, the change per period, and the data of both.
pub(crate) type Trend = (Option<&'static str>, Option<f64>, TrendBasis);

/// Computes the trend of the score.
pub(crate) fn compute_trend(
    session: &ReadSession<'_>,
    request: &ResolvedRequest,
    latest: &Snapshot,
    snapshots: &[PeriodSnapshot],
) -> Result<Trend, ToolFailure> {
    let ScoreSlope { slope, days, basis } = compute_slope(session, request, latest, snapshots)?;
    let rate = |slope: f64| (slope * request.group_by.days() * 10_000.0).round() / 10_000.0;
    Ok((slope.map(|slope| classify_trend(slope, days).as_str()), slope.map(rate), basis))
}

/// The slope of comparable scores per day.
struct ScoreSlope {
    slope: Option<f64>,
    /// The number of days from the first to the last score.
    days: i64,
    basis: TrendBasis,
}

/// Compares only snapshots that were evaluated by the latest policy, and only scopes that all of them read completely.
fn compute_slope(
    session: &ReadSession<'_>,
    request: &ResolvedRequest,
    latest: &Snapshot,
    snapshots: &[PeriodSnapshot],
) -> Result<ScoreSlope, ToolFailure> {
    let comparable: Vec<&PeriodSnapshot> =
        snapshots.iter().filter(|chosen| chosen.snapshot.policy_digest == latest.policy_digest).collect();
    let day = |chosen: &PeriodSnapshot| number_of(day_in(&request.zone, chosen.snapshot.started_at));
    let same_coverage =
        comparable.windows(2).all(|pair| matches!(pair, [a, b] if a.totals.coverage == b.totals.coverage));
    let (scores, scopes) = if same_coverage {
        let scores = comparable.iter().filter_map(|chosen| Some((day(chosen), chosen.totals.tally.score()?))).collect();
        (scores, comparable.first().map_or(0, |chosen| chosen.totals.complete_scopes))
    } else {
        score_shared_scopes(session, request, &comparable, day)?
    };
    let scores: Vec<(i64, f64)> = if request.finding.is_some() || request.tag.is_some() { Vec::new() } else { scores };
    let days = scores.last().zip(scores.first()).map_or(0, |((last, _), (first, _))| last - first);
    let rule = format!(
        "the median of the slopes between every two points; stable if the score changes by less than {STABLE_THRESHOLD} over all points"
    );
    Ok(ScoreSlope {
        slope: theil_sen_slope(&scores),
        days,
        basis: TrendBasis { points: scores.len() as u64, scopes, rule },
    })
}

/// The score by day, and the number of scopes.
type Scores = (Vec<(i64, f64)>, u64);

/// The scores of the scopes that all snapshots read completely.
fn score_shared_scopes(
    session: &ReadSession<'_>,
    request: &ResolvedRequest,
    snapshots: &[&PeriodSnapshot],
    day: impl Fn(&PeriodSnapshot) -> i64,
) -> Result<Scores, ToolFailure> {
    let mut cells = Vec::with_capacity(snapshots.len());
    for chosen in snapshots {
        cells.push(history::count_in_complete_scopes(session, &chosen.snapshot, &request.filter)?);
    }
    let Some(first) = cells.first() else { return Ok((Vec::new(), 0)) };
    let shared: Vec<_> = first.keys().filter(|scope| cells.iter().all(|cells| cells.contains_key(*scope))).collect();
    let score = |cells: &BTreeMap<_, ComplianceCounts>| {
        let mut sum = ComplianceCounts::default();
        shared.iter().filter_map(|scope| cells.get(*scope)).for_each(|cell| sum += *cell);
        sum.score()
    };
    let scores = snapshots.iter().zip(&cells).filter_map(|(chosen, cells)| Some((day(chosen), score(cells)?)));
    Ok((scores.collect(), shared.len() as u64))
}
