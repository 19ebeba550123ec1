//! Computes the insights of a snapshot from its resources.

use serde_json::Value;
use tagledger_analysis::recommendations::{RecommendationSet, TagGroup};
use tagledger_model::epoch_day::day_of;
use tagledger_policy::State;

use crate::{
    db::{sql, statements::prepare, values::parse_state},
    error::{ErrorContext, LedgerError, Operation},
    model::snapshot::Snapshot,
    query::{
        change_causes, history,
        remediation::BacklogHeadBuilder,
        snapshot_diff,
        stored_insights::{self, BacklogHead, SnapshotInsights},
        tag_groups::{GroupSums, find_grouping_keys},
    },
    read::session::ReadSession,
};

/// With more changes, the causes of the change would take too much of a scanner's memory.
const MAX_CHANGES: i64 = 131_072;

/// The version of the computation of insights. Increase it when the same resources give other insights. Stored insights of another
/// version are not compared with computed ones.
const INSIGHTS_VERSION: u32 = 1;

/// Identifies the program that computed stored insights.
fn insights_program() -> String {
    format!("{INSIGHTS_VERSION}+{}", tagledger_policy::PROGRAM_DIGEST)
}

/// Computes the insights of a snapshot; none when it was pruned.
pub(crate) fn compute_by_id(session: &ReadSession<'_>, id: i64) -> Result<Option<SnapshotInsights>, LedgerError> {
    let Some(snapshot) = session.snapshot(id)? else { return Ok(None) };
    // When the clock was set back, a later snapshot can have an earlier time.
    let before = history::find_snapshot_before(session, snapshot.started_at)?.filter(|before| before.id < id);
    let keys = find_grouping_keys(session.db(), &*session.policy(&snapshot)?)?;
    compute(session, &snapshot, before.as_ref(), keys).map(Some)
}

/// Whether the stored insights of a snapshot equal computed ones. True when none are stored, or another program computed them.
pub(crate) fn match_facts(session: &ReadSession<'_>, id: i64) -> Result<bool, LedgerError> {
    let Some(snapshot) = session.snapshot(id)? else { return Ok(true) };
    let Some(body) = stored_insights::load_text(session, &snapshot)? else { return Ok(true) };
    let Ok(plain) = serde_json::from_str::<Value>(&body) else { return Ok(false) };
    if plain.get("program").is_none_or(|program| *program != insights_program()) {
        return Ok(true);
    }
    let Ok(stored) = serde_json::from_value::<SnapshotInsights>(plain) else { return Ok(false) };
    let before = stored.differs.as_ref().map(|(since, _)| session.snapshot(*since)).transpose()?;
    let previous = before.as_ref().and_then(Option::as_ref);
    let mut computed = compute(session, &snapshot, previous, stored.keys.clone())?;
    // The previous snapshot was pruned: the comparison cannot be repeated.
    if before == Some(None) {
        computed.differs.clone_from(&stored.differs);
    }
    Ok(stored == computed)
}

fn compute(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    before: Option<&Snapshot>,
    keys: Vec<String>,
) -> Result<SnapshotInsights, LedgerError> {
    let (groups, to_fix) = load_evaluated(session, snapshot, &keys)?;
    let advised = RecommendationSet::from_groups(&groups, &*session.policy(snapshot)?, day_of(snapshot.started_at));
    let differs = match before {
        Some(before) if snapshot_diff::count_changes(session, before, snapshot, MAX_CHANGES)? < MAX_CHANGES => {
            Some((before.id, change_causes::compute(session, before, snapshot)?))
        }
        _ => None,
    };
    Ok(SnapshotInsights { program: insights_program(), keys, advised, to_fix, differs })
}

/// The evaluated resources grouped by tags of these keys, and the head of the remediation backlog. One pass without partitions, because
/// each partition would read most tag sets again and no user waits for the result.
fn load_evaluated(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    keys: &[String],
) -> Result<(Vec<TagGroup>, BacklogHead), LedgerError> {
    let (mut sums, mut backlog) = (GroupSums::new(session, keys)?, BacklogHeadBuilder::default());
    let mut query = prepare(session.db(), sql::EVALUATED_FOR_INSIGHTS)?;
    let mut rows = query.query([snapshot.id]).context(Operation::ReadInsights)?;
    while let Some(row) = rows.next().context(Operation::ReadInsights)? {
        let (kind, tags, findings) =
            (row.get(1).context(Operation::ReadInsights)?, row.get(2).context(Operation::ReadInsights)?, row.get(3));
        sums.add(kind, tags, findings.context(Operation::ReadInsights)?, None)?;
        let number = row.get(4).context(Operation::ReadInsights)?;
        if parse_state(number).context(Operation::ReadInsights)? == State::NonCompliant {
            backlog.add(row.get(0).context(Operation::ReadInsights)?, row.get(5).context(Operation::ReadInsights)?);
        }
    }
    Ok((sums.into_groups()?, backlog.finish()))
}
