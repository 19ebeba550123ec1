//! What the newest snapshot says as a whole.

use serde::Serialize;
use shared::store::{Filter, Snapshot, Tally, View};

use crate::tools::{
    ToolFailure,
    answer::{Answer, AsOf, Coverage, PolicyUsed, States, score},
};

#[derive(Debug, Serialize)]
pub(super) struct Newest {
    /// Share of judged resources that are compliant; null when none was judged.
    compliance_score: Option<f64>,
    resources: States,
    /// When its scan ended (RFC 3339, UTC).
    finished_at: String,
}

pub(super) fn answer(view: &View<'_>, snapshot: &Snapshot, of: &Filter) -> Result<Answer<Newest>, ToolFailure> {
    let mut tally = Tally::default();
    view.cells(snapshot, of)?.iter().for_each(|(_, cell)| tally += *cell);
    let policy = view.policy(snapshot)?;
    Ok(Answer {
        body: Newest {
            compliance_score: score(&tally),
            resources: States::of(&tally),
            finished_at: snapshot.finished_at.to_string(),
        },
        as_of: AsOf::of(snapshot),
        policy: PolicyUsed::of(&policy),
        coverage: Coverage::of(view, snapshot, of)?,
        notes: Vec::new(),
    })
}
