//! Whether a history gets better: like is compared with like.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use shared::{
    day::number_of,
    store::{Snapshot, Tally, View},
    trend::{STABLE_WITHIN, slope, trend},
};

use super::{ToolFailure, calendar::day_in, get_violation_history::Asked, history_points::Chosen};

/// What trend and rate are of.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TrendBasis {
    /// Points that could be compared: judged by the newest policy.
    points: u64,
    /// Scopes that all of them read whole; the slope is of these alone.
    scopes: u64,
    rule: String,
}

/// Trend, change a period, and what both are of.
pub(crate) type Moved = (Option<&'static str>, Option<f64>, TrendBasis);

/// How the score moves.
pub(crate) fn moved(
    view: &View<'_>,
    asked: &Asked,
    newest: &Snapshot,
    nights: &[Chosen],
) -> Result<Moved, ToolFailure> {
    let Compared { slope, days, basis } = compared(view, asked, newest, nights)?;
    let rate = |slope: f64| (slope * asked.group_by.days() * 10_000.0).round() / 10_000.0;
    Ok((slope.map(|slope| trend(slope, days).as_str()), slope.map(rate), basis))
}

/// The slope of comparable scores by day.
struct Compared {
    slope: Option<f64>,
    /// From the first of them to the last.
    days: i64,
    basis: TrendBasis,
}

/// Like with like: nights judged by the newest policy, and of each only the scopes that all of them read whole.
fn compared(view: &View<'_>, asked: &Asked, newest: &Snapshot, nights: &[Chosen]) -> Result<Compared, ToolFailure> {
    let alike: Vec<&Chosen> =
        nights.iter().filter(|night| night.snapshot.policy_digest == newest.policy_digest).collect();
    let day = |night: &Chosen| number_of(day_in(&asked.zone, night.snapshot.started_at));
    let same = alike.windows(2).all(|pair| matches!(pair, [a, b] if a.totals.coverage == b.totals.coverage));
    let (scores, scopes) = if same {
        let scores = alike.iter().filter_map(|night| Some((day(night), night.totals.tally.score()?))).collect();
        (scores, alike.first().map_or(0, |night| night.totals.whole))
    } else {
        common(view, asked, &alike, day)?
    };
    let scores: Vec<(i64, f64)> = if asked.finding.is_some() || asked.tag.is_some() { Vec::new() } else { scores };
    let days = scores.last().zip(scores.first()).map_or(0, |((last, _), (first, _))| last - first);
    let rule = format!(
        "median of the slopes between any two points; stable when the score moves by less than {STABLE_WITHIN} over all of them"
    );
    Ok(Compared { slope: slope(&scores), days, basis: TrendBasis { points: scores.len() as u64, scopes, rule } })
}

/// Scores by day, and of how many scopes.
type Scores = (Vec<(i64, f64)>, u64);

fn common(
    view: &View<'_>,
    asked: &Asked,
    nights: &[&Chosen],
    day: impl Fn(&Chosen) -> i64,
) -> Result<Scores, ToolFailure> {
    let mut cells = Vec::with_capacity(nights.len());
    for night in nights {
        cells.push(view.whole_cells(&night.snapshot, &asked.filter)?);
    }
    let Some(first) = cells.first() else { return Ok((Vec::new(), 0)) };
    let shared: Vec<_> = first.keys().filter(|scope| cells.iter().all(|cells| cells.contains_key(*scope))).collect();
    let score = |cells: &BTreeMap<_, Tally>| {
        let mut sum = Tally::default();
        shared.iter().filter_map(|scope| cells.get(*scope)).for_each(|cell| sum += *cell);
        sum.score()
    };
    let scores = nights.iter().zip(&cells).filter_map(|(night, cells)| Some((day(night), score(cells)?)));
    Ok((scores.collect(), shared.len() as u64))
}
