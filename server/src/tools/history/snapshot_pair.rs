//! Two snapshots that a request compares.

use jiff::{ToSpan, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tagledger_ledger::{Filter, ReadSession, Snapshot, SnapshotTotals, query::history};
use tagledger_model::epoch_day::day_of;

use crate::{
    error::ToolFailure,
    tools::common::{arguments::nullable_number, envelope::score, time_period::Day},
};

/// The dates of two snapshots.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SnapshotPair {
    /// The earlier day (UTC), such as `2026-10-31`. Default: the snapshot before the later one.
    #[schemars(with = "String")]
    #[serde(default)]
    from: Option<Day>,
    /// The later day (UTC). Default: the latest snapshot.
    #[schemars(with = "String")]
    #[serde(default)]
    to: Option<Day>,
}

/// A compared snapshot.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SnapshotState {
    /// The date of the snapshot (UTC).
    date: String,
    snapshot_id: i64,
    #[schemars(schema_with = "nullable_number")]
    compliance_score: Option<f64>,
    compliant: u64,
    non_compliant: u64,
    complete: bool,
}

impl SnapshotState {
    pub(crate) fn new(snapshot: &Snapshot, totals: &SnapshotTotals) -> Self {
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

impl SnapshotPair {
    /// Loads both snapshots, the earlier one first, with notes about dates without a snapshot.
    ///
    /// # Errors
    ///
    /// When a day is out of range, or when both days have the same snapshot.
    pub(crate) fn load(
        self,
        session: &ReadSession<'_>,
        latest: Snapshot,
    ) -> Result<(Snapshot, Snapshot, Vec<String>), ToolFailure> {
        let mut notes = Vec::new();
        let newest_day = day_of(latest.started_at);
        let later = match self.to {
            None => latest,
            Some(Day(day)) if day > newest_day => {
                return Err(ToolFailure::Caller(format!(
                    "`to` {day} is later than the latest snapshot, which is from {newest_day}"
                )));
            }
            Some(day) => find_snapshot(session, "to", day, &mut notes)?,
        };
        let earlier = match self.from {
            Some(Day(day)) if day > day_of(later.started_at) => {
                let until = day_of(later.started_at);
                return Err(ToolFailure::Caller(format!(
                    "`from` {day} is later than the other snapshot, which is from {until}"
                )));
            }
            Some(day) => find_snapshot(session, "from", day, &mut notes)?,
            None => history::find_snapshot_before(session, later.started_at)?.ok_or_else(|| {
                let only = day_of(later.started_at);
                ToolFailure::Caller(format!("the ledger has no snapshot before that of {only} to compare with"))
            })?,
        };
        if earlier.id == later.id {
            let day = day_of(later.started_at);
            let why =
                format!("both days have the same snapshot, which is from {day}; use an earlier `from` or a later `to`");
            return Err(ToolFailure::Caller(why));
        }
        Ok((earlier, later, notes))
    }
}

fn find_snapshot(
    session: &ReadSession<'_>,
    field: &str,
    Day(day): Day,
    notes: &mut Vec<String>,
) -> Result<Snapshot, ToolFailure> {
    let end = TimeZone::UTC.to_timestamp(day.saturating_add(1.day()).at(0, 0, 0, 0)).unwrap_or(jiff::Timestamp::MAX);
    let Some(snapshot) = history::find_snapshot_before(session, end)? else {
        let oldest = history::find_oldest_start(session)?
            .map_or_else(String::new, |at| format!("; the oldest is from {}", day_of(at)));
        return Err(ToolFailure::Caller(format!("the ledger has no snapshot up to `{field}` {day}{oldest}")));
    };
    let found = day_of(snapshot.started_at);
    if found != day {
        notes.push(format!("No snapshot was taken on {day}; `{field}` is the snapshot of {found}."));
    }
    Ok(snapshot)
}

/// The totals of both snapshots.
pub(crate) fn load_totals(
    session: &ReadSession<'_>,
    earlier: &Snapshot,
    later: &Snapshot,
) -> Result<(SnapshotTotals, SnapshotTotals), ToolFailure> {
    let load = |snapshot| history::find_snapshot_totals(session, snapshot, &Filter::default());
    Ok((load(earlier)?, load(later)?))
}
