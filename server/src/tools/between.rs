//! Two nights that a question compares.

use jiff::{ToSpan, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::{
    day::day_of,
    store::{Filter, NightTotals, Snapshot, View},
};

use super::{ToolFailure, answer::score, arguments::nullable_number, period::Day};

/// The two nights.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Between {
    /// The earlier day (UTC), such as `2026-10-31`; the night before the later one when left out.
    #[schemars(with = "String")]
    #[serde(default)]
    from: Option<Day>,
    /// The later day; the newest night when left out.
    #[schemars(with = "String")]
    #[serde(default)]
    to: Option<Day>,
}

/// One of them, as answers tell it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Night {
    /// Its day.
    date: String,
    snapshot_id: i64,
    #[schemars(schema_with = "nullable_number")]
    compliance_score: Option<f64>,
    compliant: u64,
    non_compliant: u64,
    complete: bool,
}

impl Night {
    pub(crate) fn of(snapshot: &Snapshot, totals: &NightTotals) -> Self {
        Self {
            date: day_of(snapshot.started_at).to_string(),
            snapshot_id: snapshot.id,
            compliance_score: score(&totals.tally),
            compliant: totals.tally.compliant,
            non_compliant: totals.tally.non_compliant,
            complete: snapshot.complete,
        }
    }
}

impl Between {
    /// Both nights, the earlier one first, and what to know of them.
    pub(crate) fn nights(
        self,
        view: &View<'_>,
        newest: Snapshot,
    ) -> Result<(Snapshot, Snapshot, Vec<String>), ToolFailure> {
        let mut notes = Vec::new();
        let newest_day = day_of(newest.started_at);
        let later = match self.to {
            None => newest,
            Some(Day(day)) if day > newest_day => {
                return Err(ToolFailure::Caller(format!("`to` {day} is later than the newest night, of {newest_day}")));
            }
            Some(day) => on(view, "to", day, &mut notes)?,
        };
        let earlier = match self.from {
            Some(Day(day)) if day > day_of(later.started_at) => {
                let until = day_of(later.started_at);
                return Err(ToolFailure::Caller(format!("`from` {day} is later than the other night, of {until}")));
            }
            Some(day) => on(view, "from", day, &mut notes)?,
            None => view.night_before(later.started_at)?.ok_or_else(|| {
                let only = day_of(later.started_at);
                ToolFailure::Caller(format!("there is no night before that of {only} to compare with"))
            })?,
        };
        if earlier.id == later.id {
            let day = day_of(later.started_at);
            let why = format!("both days have the same night, of {day}; give an earlier `from` or a later `to`");
            return Err(ToolFailure::Caller(why));
        }
        Ok((earlier, later, notes))
    }
}

fn on(view: &View<'_>, field: &str, Day(day): Day, notes: &mut Vec<String>) -> Result<Snapshot, ToolFailure> {
    let end = TimeZone::UTC.to_timestamp(day.saturating_add(1.day()).at(0, 0, 0, 0)).unwrap_or(jiff::Timestamp::MAX);
    let Some(night) = view.night_before(end)? else {
        let oldest = view.oldest()?.map_or_else(String::new, |at| format!("; the oldest is of {}", day_of(at)));
        return Err(ToolFailure::Caller(format!("no night as old as `{field}` {day} is kept{oldest}")));
    };
    let found = day_of(night.started_at);
    if found != day {
        notes.push(format!("There is no night of {day}: `{field}` is the one of {found}."));
    }
    Ok(night)
}

/// What both nights say as a whole.
pub(crate) fn totals(
    view: &View<'_>,
    earlier: &Snapshot,
    later: &Snapshot,
) -> Result<(NightTotals, NightTotals), ToolFailure> {
    let of = |night| view.night_totals(night, &Filter::default());
    Ok((of(earlier)?, of(later)?))
}
