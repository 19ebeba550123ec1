//! One scan of this process, as it is told.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use shared::{
    inventory::Scope,
    store::{NightSummary, ScopeSummary},
};
use tokio_util::sync::CancellationToken;

use crate::{plan::Narrow, scan::Progress};

/// What started a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Trigger {
    /// The schedule.
    Schedule,
    /// A run that was missed while no scanner ran.
    CatchUp,
    /// A scheduled scan that failed is tried again.
    Retry,
    /// `POST /rescan`.
    Http,
}

/// How a scan stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobState {
    /// Not yet over.
    Running,
    /// A snapshot without gaps was recorded.
    Complete,
    /// A snapshot with gaps was recorded.
    Partial,
    /// Nothing was recorded.
    Failed,
    /// Somebody ended it; nothing was recorded.
    Cancelled,
    /// Another scanner was at it; nothing was recorded.
    Elsewhere,
}

impl Trigger {
    /// For the log.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Schedule => "it is time",
            Self::CatchUp => "a run was missed",
            Self::Retry => "the last one failed",
            Self::Http => "asked over HTTP",
        }
    }
}

impl JobState {
    /// For the log.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Failed => "nothing recorded",
            Self::Cancelled => "cancelled",
            Self::Elsewhere => "left to another scanner",
        }
    }
}

/// How a scan ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Recorded(Box<NightSummary>),
    Failed(String),
    Elsewhere(String),
    Cancelled,
}

/// What came of the wish to cancel a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cancelled {
    /// Nothing of it will be recorded.
    Yes,
    /// It is being committed, or over.
    TooLate,
    /// There is no such scan.
    Unknown,
}

/// How one scope of a scan stands.
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
    pub(crate) narrow: Narrow,
    pub(crate) state: JobState,
    pub(crate) started_at: Timestamp,
    pub(crate) finished_at: Option<Timestamp>,
    /// None of a scan of long ago.
    scopes: Option<BTreeMap<Scope, ScopeProgress>>,
    pub(crate) planned: usize,
    pub(crate) done: usize,
    pub(crate) gaps: usize,
    pub(crate) resources: u64,
    pub(crate) snapshot_id: Option<i64>,
    pub(crate) requests: Option<u64>,
    pub(crate) error: Option<String>,
    /// Too late to cancel it.
    committing: bool,
    end: CancellationToken,
}

impl Outcome {
    pub(crate) fn state(&self) -> JobState {
        match self {
            Self::Recorded(night) if night.snapshot.complete => JobState::Complete,
            Self::Recorded(_) => JobState::Partial,
            Self::Failed(_) => JobState::Failed,
            Self::Elsewhere(_) => JobState::Elsewhere,
            Self::Cancelled => JobState::Cancelled,
        }
    }
}

impl Job {
    pub(super) fn begin(id: String, trigger: Trigger, narrow: Narrow, now: Timestamp, end: CancellationToken) -> Self {
        Self {
            id,
            trigger,
            narrow,
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
            end,
        }
    }

    pub(super) fn follow(&mut self, progress: Progress) {
        match progress {
            Progress::Planned { scopes, .. } => {
                self.planned = scopes.len();
                self.scopes = Some(scopes.into_iter().map(|scope| (scope.clone(), waiting(&scope))).collect());
            }
            Progress::Scope(ScopeSummary { row, .. }) => {
                self.done += 1;
                self.gaps += usize::from(row.gap.is_some());
                self.resources += row.resources;
                let scopes = self.scopes.get_or_insert_default();
                let progress = scopes.entry(row.scope.clone()).or_insert_with(|| waiting(&row.scope));
                progress.state = if row.gap.is_some() { "gap" } else { "read" };
                progress.resources = row.resources;
                progress.reason = row.gap.as_ref().map(|gap| gap.reason.as_str());
                progress.message = row.gap.as_ref().map(ToString::to_string);
            }
            Progress::Committing => self.committing = !self.end.is_cancelled(),
        }
    }

    pub(super) fn end(&mut self, outcome: Outcome, now: Timestamp) {
        self.state = outcome.state();
        self.finished_at = Some(now);
        match outcome {
            Outcome::Recorded(night) => {
                self.snapshot_id = Some(night.snapshot.id);
                self.requests = Some(night.snapshot.requests);
            }
            Outcome::Failed(error) | Outcome::Elsewhere(error) => self.error = Some(error),
            Outcome::Cancelled => {}
        }
    }

    pub(super) fn cancel(&self) -> Cancelled {
        if self.committing || self.state != JobState::Running {
            return Cancelled::TooLate;
        }
        self.end.cancel();
        Cancelled::Yes
    }

    pub(crate) fn is_running(&self) -> bool {
        self.state == JobState::Running
    }

    /// Every scope; none when they are forgotten.
    pub(crate) fn scopes(&self) -> Option<Vec<&ScopeProgress>> {
        Some(self.scopes.as_ref()?.values().collect())
    }

    pub(super) fn forget_scopes(&mut self) {
        self.scopes = None;
    }

    pub(super) fn without_scopes(&self) -> Self {
        Self {
            id: self.id.clone(),
            narrow: self.narrow.clone(),
            error: self.error.clone(),
            end: self.end.clone(),
            scopes: None,
            ..*self
        }
    }

    /// From the pace so far: seconds until all planned scopes are recorded. None before there is a pace.
    pub(crate) fn remaining_seconds(&self, now: Timestamp) -> Option<i64> {
        let left = self.planned.checked_sub(self.done)?;
        let elapsed = now.duration_since(self.started_at).as_secs().max(0);
        let (left, done) = (i64::try_from(left).ok()?, i64::try_from(self.done).ok()?);
        if self.state == JobState::Running && done > 0 { elapsed.saturating_mul(left).checked_div(done) } else { None }
    }
}

fn waiting(scope: &Scope) -> ScopeProgress {
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
