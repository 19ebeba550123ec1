//! The resource `tagledger://snapshot/newest`: score, counts and coverage.

use serde::Serialize;
use tagledger_ledger::{ComplianceCounts, Filter, ReadSession, Snapshot, query::compliance};

use crate::{
    error::ToolFailure,
    tools::common::envelope::{Answer, AsOf, Coverage, PolicyUsed, States, score},
};

#[derive(Debug, Serialize)]
pub(crate) struct LatestSnapshot {
    /// Share of evaluated resources that are compliant; null when no resource was evaluated.
    compliance_score: Option<f64>,
    resources: States,
    /// When its scan ended (RFC 3339, UTC).
    finished_at: String,
}

pub(crate) fn answer(
    view: &ReadSession<'_>,
    snapshot: &Snapshot,
    filter: &Filter,
) -> Result<Answer<LatestSnapshot>, ToolFailure> {
    let mut counts = ComplianceCounts::default();
    compliance::count_by_scope(view, snapshot, filter)?.iter().for_each(|(_, scope_counts)| counts += *scope_counts);
    let policy = view.policy(snapshot)?;
    Ok(Answer {
        body: LatestSnapshot {
            compliance_score: score(&counts),
            resources: States::from_counts(&counts),
            finished_at: snapshot.finished_at.to_string(),
        },
        as_of: AsOf::from_snapshot(snapshot),
        policy: PolicyUsed::from_policy(&policy),
        coverage: Coverage::load(view, snapshot, filter)?,
        notes: Vec::new(),
    })
}
