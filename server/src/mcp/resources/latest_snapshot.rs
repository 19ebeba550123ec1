//! What the newest snapshot says as a whole.

use serde::Serialize;
use tagledger_ledger::{ComplianceCounts, Filter, ReadSession, Snapshot, query::compliance};

use crate::{
    error::ToolFailure,
    tools::common::envelope::{Answer, AsOf, Coverage, PolicyUsed, States, score},
};

#[derive(Debug, Serialize)]
pub(crate) struct LatestSnapshot {
    /// Share of judged resources that are compliant; null when none was judged.
    compliance_score: Option<f64>,
    resources: States,
    /// When its scan ended (RFC 3339, UTC).
    finished_at: String,
}

pub(crate) fn answer(
    view: &ReadSession<'_>,
    snapshot: &Snapshot,
    of: &Filter,
) -> Result<Answer<LatestSnapshot>, ToolFailure> {
    let mut tally = ComplianceCounts::default();
    compliance::count_by_scope(view, snapshot, of)?.iter().for_each(|(_, cell)| tally += *cell);
    let policy = view.policy(snapshot)?;
    Ok(Answer {
        body: LatestSnapshot {
            compliance_score: score(&tally),
            resources: States::from_counts(&tally),
            finished_at: snapshot.finished_at.to_string(),
        },
        as_of: AsOf::from_snapshot(snapshot),
        policy: PolicyUsed::from_policy(&policy),
        coverage: Coverage::load(view, snapshot, of)?,
        notes: Vec::new(),
    })
}
