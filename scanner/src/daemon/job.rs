//! One scan of this process, as the control port reports it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use tagledger_ledger::{ScopeSummary, SnapshotSummary};
use tagledger_model::inventory::Scope;
use tokio_util::sync::CancellationToken;

use crate::scan::{plan::ScanScopeFilter, progress::Progress};

/// What started a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Trigger {
    /// The schedule.
    Schedule,
    /// A run that was missed while no scanner ran.
    CatchUp,
    /// A scheduled scan failed and is retried.
    Retry,
    /// `POST /rescan`.
    Http,
}

/// The state of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobState {
    /// The scan has not finished.
    Running,
    /// A snapshot without gaps was recorded.
    Complete,
    /// A snapshot with gaps was recorded.
    Partial,
    /// Nothing was recorded.
    Failed,
    /// The scan was cancelled; nothing was recorded.
    Cancelled,
    /// Another scanner was scanning; nothing was recorded.
    Elsewhere,
}

impl Trigger {
    /// The text for the log.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Schedule => "scheduled",
            Self::CatchUp => "a scheduled run was missed",
            Self::Retry => "retry of a scan that recorded nothing",
            Self::Http => "requested over HTTP",
        }
    }
}

impl JobState {
    /// The text for the log.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Failed => "nothing recorded",
            Self::Cancelled => "cancelled",
            Self::Elsewhere => "another scanner is scanning",
        }
    }
}

/// How a scan ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Recorded(Box<SnapshotSummary>),
    Failed(String),
    Elsewhere(String),
    Cancelled,
}

/// The result of a request to cancel a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cancelled {
    /// The scan records nothing.
    Yes,
    /// The scan is committing or has finished.
    TooLate,
    /// There is no such scan.
    Unknown,
}

/// The state of one scope of a scan.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ScopeProgress {
    pub(crate) account: String,
    pub(crate) region: String,
    #[serde(rename = "type")]
    pub(crate) resource_type: String,
    /// `waiting`, `read` or `gap`.
    pub(crate) state: &'static str,
    pub(crate) resources: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
}

/// A scan of this process.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) trigger: Trigger,
    pub(crate) filter: ScanScopeFilter,
    pub(crate) state: JobState,
    pub(crate) started_at: Timestamp,
    pub(crate) finished_at: Option<Timestamp>,
    /// Dropped when newer scans have started.
    scopes: Option<BTreeMap<Scope, ScopeProgress>>,
    pub(crate) planned: usize,
    pub(crate) done: usize,
    pub(crate) gaps: usize,
    pub(crate) resources: u64,
    pub(crate) snapshot_id: Option<i64>,
    pub(crate) requests: Option<u64>,
    pub(crate) error: Option<String>,
    /// A committing scan cannot be cancelled.
    committing: bool,
    cancel: CancellationToken,
}

impl Outcome {
    pub(crate) fn state(&self) -> JobState {
        match self {
            Self::Recorded(summary) if summary.snapshot.complete => JobState::Complete,
            Self::Recorded(_) => JobState::Partial,
            Self::Failed(_) => JobState::Failed,
            Self::Elsewhere(_) => JobState::Elsewhere,
            Self::Cancelled => JobState::Cancelled,
        }
    }
}

impl Job {
    pub(crate) fn begin(
        id: String,
        trigger: Trigger,
        filter: ScanScopeFilter,
        now: Timestamp,
        cancel: CancellationToken,
    ) -> Self {
        Self {
            id,
            trigger,
            filter,
            state: JobState::Running,
            started_at: now,
            finished_at: None,
            scopes: Some(BTreeMap::new()),
            planned: 0,
            done: 0,
            gaps: 0,
            resources: 0,
            snapshot_id: None,
            requests: None,
            error: None,
            committing: false,
            cancel,
        }
    }

    pub(crate) fn record_progress(&mut self, progress: Progress) {
        match progress {
            Progress::Planned { scopes, .. } => {
                self.planned = scopes.len();
                self.scopes = Some(scopes.into_iter().map(|scope| (scope.clone(), waiting_scope(&scope))).collect());
            }
            Progress::Scope(ScopeSummary { row, .. }) => {
                self.done += 1;
                self.gaps += usize::from(row.gap.is_some());
                self.resources += row.resources;
                let scopes = self.scopes.get_or_insert_default();
                let progress = scopes.entry(row.scope.clone()).or_insert_with(|| waiting_scope(&row.scope));
                progress.state = if row.gap.is_some() { "gap" } else { "read" };
                progress.resources = row.resources;
                progress.reason = row.gap.as_ref().map(|gap| gap.reason.as_str());
                progress.message = row.gap.as_ref().map(ToString::to_string);
            }
            Progress::Committing => self.committing = !self.cancel.is_cancelled(),
        }
    }

    pub(crate) fn end(&mut self, outcome: Outcome, now: Timestamp) {
        self.state = outcome.state();
        self.finished_at = Some(now);
        match outcome {
            Outcome::Recorded(summary) => {
                self.snapshot_id = Some(summary.snapshot.id);
                self.requests = Some(summary.snapshot.requests);
            }
            Outcome::Failed(error) | Outcome::Elsewhere(error) => self.error = Some(error),
            Outcome::Cancelled => {}
        }
    }

    pub(crate) fn cancel(&self) -> Cancelled {
        if self.committing || self.state != JobState::Running {
            return Cancelled::TooLate;
        }
        self.cancel.cancel();
        Cancelled::Yes
    }

    pub(crate) fn is_running(&self) -> bool {
        self.state == JobState::Running
    }

    /// The scopes of the scan; none when they were dropped.
    pub(crate) fn scopes(&self) -> Option<Vec<&ScopeProgress>> {
        Some(self.scopes.as_ref()?.values().collect())
    }

    pub(crate) fn drop_scopes(&mut self) {
        self.scopes = None;
    }

    pub(crate) fn without_scopes(&self) -> Self {
        Self {
            id: self.id.clone(),
            filter: self.filter.clone(),
            error: self.error.clone(),
            cancel: self.cancel.clone(),
            scopes: None,
            ..*self
        }
    }

    /// Seconds until all planned scopes are recorded, estimated from the mean time a scope has taken. None before the first
    /// scope is recorded.
    pub(crate) fn remaining_seconds(&self, now: Timestamp) -> Option<i64> {
        let remaining = self.planned.checked_sub(self.done)?;
        let elapsed = now.duration_since(self.started_at).as_secs().max(0);
        let (remaining, done) = (i64::try_from(remaining).ok()?, i64::try_from(self.done).ok()?);
        if self.state == JobState::Running && done > 0 {
            elapsed.saturating_mul(remaining).checked_div(done)
        } else {
            None
        }
    }
}

fn waiting_scope(scope: &Scope) -> ScopeProgress {
    ScopeProgress {
        account: scope.account.to_string(),
        region: scope.region.to_string(),
        resource_type: scope.resource_type.to_string(),
        state: "waiting",
        resources: 0,
        reason: None,
        message: None,
    }
}
