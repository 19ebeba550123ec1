//! Insights of a snapshot that were computed when it was the newest and stored with it.
//!
//! Without them, queries on a past snapshot would read all of its resources or all changes in it. When a snapshot has no insights, or
//! insights that this program cannot decode, they are computed from its resources.

use rusqlite::OptionalExtension;
use serde::{Deserialize, Serialize};
use tagledger_analysis::{recommendations::RecommendationSet, remediation::plan::RemediationTier};

use crate::{
    db::{sql, statements::prepare},
    error::{ErrorContext, LedgerError, Operation},
    model::{change_cause::CauseContributions, snapshot::Snapshot},
    read::session::ReadSession,
};

/// The largest number of resource keys in stored insights. It is larger than the default length of a remediation plan, and small enough
/// that the insights of most snapshots fit on one page of the file.
pub(crate) const MAX_KEYS: usize = 100;

/// The stored insights of a snapshot. They have no costs: costs are known only for the newest snapshot.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SnapshotInsights {
    /// The program that computed them.
    #[serde(default)]
    pub(crate) program: String,
    /// The tag keys by which resources were grouped. They depend on the number of values of each key in the ledger, which changes.
    pub(crate) keys: Vec<String>,
    pub(crate) advised: RecommendationSet,
    pub(crate) to_fix: BacklogHead,
    /// The id of the previous snapshot and the causes of the change since then.
    pub(crate) differs: Option<(i64, CauseContributions)>,
}

impl SnapshotInsights {
    /// The causes of the change since an earlier snapshot; none when the insights compare with another snapshot.
    pub(crate) fn causes_since(self, earlier: i64) -> Option<CauseContributions> {
        self.differs.filter(|(since, _)| *since == earlier).map(|(_, causes)| causes)
    }
}

/// A remediation backlog without costs and with the first keys only.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BacklogHead {
    pub(crate) steps: Vec<RemediationTier>,
    pub(crate) keys: Vec<i64>,
}

/// The insights of a snapshot; none when none are stored or this program cannot decode them.
pub(crate) fn load(session: &ReadSession<'_>, snapshot: &Snapshot) -> Result<Option<SnapshotInsights>, LedgerError> {
    Ok(load_text(session, snapshot)?.and_then(|body| serde_json::from_str(&body).ok()))
}

/// The insights of a snapshot as JSON text.
pub(crate) fn load_text(session: &ReadSession<'_>, snapshot: &Snapshot) -> Result<Option<String>, LedgerError> {
    let body = prepare(session.db(), sql::SNAPSHOT_INSIGHTS)?.query_row([snapshot.id], |row| row.get(0));
    body.optional().context(Operation::ReadInsights)
}
