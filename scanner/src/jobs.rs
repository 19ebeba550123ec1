//! The scans of this process: the one that runs, and the last hundred.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use serde::Serialize;
use shared::{
    cloud::OperationCalls,
    inventory::Scope,
    store::{NightSummary, ScopeSummary},
};
use tokio_util::sync::CancellationToken;

use crate::{plan::Narrow, scan::Progress};

/// Scans remembered.
const REMEMBERED: usize = 100;

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
        }
    }
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
    pub(crate) scopes: BTreeMap<Scope, ScopeProgress>,
    pub(crate) done: usize,
    pub(crate) resources: u64,
    pub(crate) snapshot_id: Option<i64>,
    pub(crate) requests: Option<u64>,
    pub(crate) error: Option<String>,
    end: CancellationToken,
}

/// How a scan ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Recorded(Box<NightSummary>),
    Failed(String),
    Cancelled,
}

/// Counts since the process began.
#[derive(Debug, Clone, Default)]
pub(crate) struct Totals {
    pub(crate) scans: BTreeMap<(Trigger, JobState), u64>,
    /// Requests and throttled answers by operation.
    pub(crate) calls: BTreeMap<&'static str, (u64, u64)>,
    pub(crate) last: Option<LastScan>,
}

/// What metrics tell of the newest scan that recorded something.
#[derive(Debug, Clone)]
pub(crate) struct LastScan {
    pub(crate) seconds: i64,
    pub(crate) scopes: u64,
    pub(crate) gaps: BTreeMap<&'static str, u64>,
    pub(crate) resources: u64,
}

#[derive(Debug, Default)]
struct Book {
    jobs: VecDeque<Job>,
    begun: u64,
    totals: Totals,
}

/// All of them. Locked for the blink of a look or a note, never across a wait.
#[derive(Debug, Default)]
pub(crate) struct Jobs(Mutex<Book>);

impl Jobs {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a scan, unless one runs: then its id.
    pub(crate) fn begin(
        &self,
        trigger: Trigger,
        narrow: Narrow,
        now: Timestamp,
        admit: impl FnOnce() -> bool,
    ) -> Result<(Job, CancellationToken), Refused> {
        let mut book = self.book();
        if let Some(running) = book.jobs.iter().find(|job| job.state == JobState::Running) {
            return Err(Refused::Running(running.id.clone()));
        }
        if !admit() {
            return Err(Refused::TooMany);
        }
        book.begun += 1;
        let id = format!("scan-{}-{}", now.strftime("%Y%m%dT%H%M%SZ"), book.begun);
        let end = CancellationToken::new();
        let job = Job {
            id,
            trigger,
            narrow,
            state: JobState::Running,
            started_at: now,
            finished_at: None,
            scopes: BTreeMap::new(),
            done: 0,
            resources: 0,
            snapshot_id: None,
            requests: None,
            error: None,
            end: end.clone(),
        };
        book.jobs.push_front(job.clone());
        book.jobs.truncate(REMEMBERED);
        Ok((job, end))
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Job)) {
        if let Some(job) = self.book().jobs.iter_mut().find(|job| job.id == id) {
            change(job);
        }
    }

    /// Notes how far a scan has come.
    pub(crate) fn progress(&self, id: &str, progress: Progress) {
        self.change(id, |job| match progress {
            Progress::Planned { scopes, .. } => {
                job.scopes = scopes.into_iter().map(|scope| (scope.clone(), waiting(&scope))).collect();
            }
            Progress::Scope(ScopeSummary { row, .. }) => {
                job.done += 1;
                job.resources += row.resources;
                let progress = job.scopes.entry(row.scope.clone()).or_insert_with(|| waiting(&row.scope));
                progress.state = if row.gap.is_some() { "gap" } else { "read" };
                progress.resources = row.resources;
                progress.reason = row.gap.as_ref().map(|gap| gap.reason.as_str());
                progress.message = row.gap.as_ref().map(ToString::to_string);
            }
        });
    }

    /// Ends a scan.
    pub(crate) fn end(&self, id: &str, outcome: Outcome, calls: Vec<OperationCalls>, now: Timestamp) -> JobState {
        let mut book = self.book();
        let state = match &outcome {
            Outcome::Recorded(night) if night.snapshot.complete => JobState::Complete,
            Outcome::Recorded(_) => JobState::Partial,
            Outcome::Failed(_) => JobState::Failed,
            Outcome::Cancelled => JobState::Cancelled,
        };
        for call in calls {
            let total = book.totals.calls.entry(call.operation).or_default();
            *total = (total.0 + call.requests, total.1 + call.throttled);
        }
        if let Outcome::Recorded(night) = &outcome {
            book.totals.last = Some(last(night));
        }
        let ended = book.jobs.iter_mut().find(|job| job.id == id).map(|job| {
            job.state = state;
            job.finished_at = Some(now);
            match outcome {
                Outcome::Recorded(night) => {
                    job.snapshot_id = Some(night.snapshot.id);
                    job.requests = Some(night.snapshot.requests);
                }
                Outcome::Failed(error) => job.error = Some(error),
                Outcome::Cancelled => {}
            }
            (job.trigger, state)
        });
        if let Some(key) = ended {
            *book.totals.scans.entry(key).or_default() += 1;
        }
        state
    }

    /// Asks a scan to end; false when it is over, none when it is not known.
    pub(crate) fn cancel(&self, id: &str) -> Option<bool> {
        let book = self.book();
        let job = book.jobs.iter().find(|job| job.id == id)?;
        job.end.cancel();
        Some(job.state == JobState::Running)
    }

    /// Asks whatever runs to end.
    pub(crate) fn cancel_all(&self) {
        self.book().jobs.iter().for_each(|job| job.end.cancel());
    }

    pub(crate) fn get(&self, id: &str) -> Option<Job> {
        self.book().jobs.iter().find(|job| job.id == id).cloned()
    }

    /// The newest first.
    pub(crate) fn all(&self) -> Vec<Job> {
        self.book().jobs.iter().cloned().collect()
    }

    pub(crate) fn totals(&self) -> Totals {
        self.book().totals.clone()
    }
}

/// Why no scan begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    /// This one runs.
    Running(String),
    /// Too many were asked for lately.
    TooMany,
}

impl Job {
    /// From the pace so far: seconds until all planned scopes are recorded. None before there is a pace.
    pub(crate) fn remaining_seconds(&self, now: Timestamp) -> Option<i64> {
        let left = self.scopes.len().checked_sub(self.done)?;
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

fn last(night: &NightSummary) -> LastScan {
    let mut gaps = BTreeMap::new();
    for gap in night.scopes.iter().filter_map(|row| row.gap.as_ref()) {
        *gaps.entry(gap.reason.as_str()).or_default() += 1;
    }
    LastScan {
        seconds: night.snapshot.finished_at.duration_since(night.snapshot.started_at).as_secs(),
        scopes: night.scopes.len() as u64,
        gaps,
        resources: night.tally.total(),
    }
}
