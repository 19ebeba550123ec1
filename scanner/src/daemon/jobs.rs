//! The scans of this process: the running scan and the last hundred.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use tagledger_cloud::OperationCalls;
use tagledger_ledger::SnapshotSummary;
use tokio_util::sync::CancellationToken;

use crate::{
    daemon::job::{Cancelled, Job, JobState, Outcome, Trigger},
    scan::{plan::ScanScopeFilter, progress::Progress},
};

/// Number of scans that are listed.
const MAX_JOBS: usize = 100;

/// Number of scans whose scopes are retained. A large organization has thousands of scopes.
const MAX_JOBS_WITH_SCOPES: usize = 10;

/// Counts since the process started.
#[derive(Debug, Clone, Default)]
pub(crate) struct ScanCounters {
    pub(crate) scans: BTreeMap<(Trigger, JobState), u64>,
    /// Requests and throttled answers by operation.
    pub(crate) calls: BTreeMap<&'static str, (u64, u64)>,
    pub(crate) last: Option<LastScan>,
}

/// The figures of the newest scan that recorded a snapshot.
#[derive(Debug, Clone)]
pub(crate) struct LastScan {
    pub(crate) seconds: i64,
    pub(crate) scopes: u64,
    pub(crate) gaps: BTreeMap<&'static str, u64>,
    pub(crate) resources: u64,
}

#[derive(Debug, Default)]
struct JobRegistry {
    jobs: VecDeque<Job>,
    started: u64,
    totals: ScanCounters,
    /// No further scan starts.
    closed: bool,
}

/// The scans of this process. The lock is never held across an await point.
#[derive(Debug, Default)]
pub(crate) struct Jobs(Mutex<JobRegistry>);

impl Jobs {
    fn lock(&self) -> MutexGuard<'_, JobRegistry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a scan, unless one is running or `admit` rejects it.
    pub(crate) fn begin(
        &self,
        trigger: Trigger,
        filter: ScanScopeFilter,
        now: Timestamp,
        admit: impl FnOnce() -> Result<(), JobRejected>,
    ) -> Result<(Job, CancellationToken), JobRejected> {
        let mut registry = self.lock();
        if registry.closed {
            return Err(JobRejected::ShuttingDown);
        }
        if let Some(running) = registry.jobs.iter().find(|job| job.state == JobState::Running) {
            return Err(JobRejected::Running(running.id.clone()));
        }
        admit()?;
        registry.started += 1;
        let id = format!("scan-{}-{}", now.strftime("%Y%m%dT%H%M%SZ"), registry.started);
        let cancel = CancellationToken::new();
        let job = Job::begin(id, trigger, filter, now, cancel.clone());
        registry.jobs.push_front(job.clone());
        registry.jobs.truncate(MAX_JOBS);
        registry.jobs.iter_mut().skip(MAX_JOBS_WITH_SCOPES).for_each(Job::drop_scopes);
        Ok((job, cancel))
    }

    /// Records the progress of a scan.
    pub(crate) fn record_progress(&self, id: &str, progress: Progress) {
        if let Some(job) = self.lock().jobs.iter_mut().find(|job| job.id == id) {
            job.record_progress(progress);
        }
    }

    /// Records the end of a scan.
    pub(crate) fn end(&self, id: &str, outcome: Outcome, calls: Vec<OperationCalls>, now: Timestamp) -> JobState {
        let mut registry = self.lock();
        let state = outcome.state();
        for call in calls {
            let total = registry.totals.calls.entry(call.operation).or_default();
            *total = (total.0 + call.requests, total.1 + call.throttled);
        }
        if let Outcome::Recorded(summary) = &outcome {
            registry.totals.last = Some(last_scan(summary));
        }
        let finished = registry.jobs.iter_mut().find(|job| job.id == id).map(|job| {
            job.end(outcome, now);
            (job.trigger, state)
        });
        if let Some(key) = finished {
            *registry.totals.scans.entry(key).or_default() += 1;
        }
        state
    }

    /// Cancels a scan.
    pub(crate) fn cancel(&self, id: &str) -> Cancelled {
        let registry = self.lock();
        registry.jobs.iter().find(|job| job.id == id).map_or(Cancelled::Unknown, Job::cancel)
    }

    /// Cancels the running scan and rejects new scans.
    pub(crate) fn close(&self) {
        let mut registry = self.lock();
        registry.closed = true;
        for job in &registry.jobs {
            job.cancel();
        }
    }

    /// A scan with its scopes.
    pub(crate) fn get(&self, id: &str) -> Option<Job> {
        self.lock().jobs.iter().find(|job| job.id == id).cloned()
    }

    /// All scans without their scopes, newest first.
    pub(crate) fn all(&self) -> Vec<Job> {
        self.lock().jobs.iter().map(Job::without_scopes).collect()
    }

    pub(crate) fn totals(&self) -> ScanCounters {
        self.lock().totals.clone()
    }
}

/// Why no scan starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JobRejected {
    /// The scan with this ID is running.
    Running(String),
    /// The rate limit of rescans is exceeded.
    TooMany,
    /// A part of the estate is requested, and the ledger has no full scan whose other parts could be carried over.
    NoFullScan,
    /// The daemon is shutting down.
    ShuttingDown,
}

fn last_scan(summary: &SnapshotSummary) -> LastScan {
    let mut gaps = BTreeMap::new();
    for gap in summary.scopes.iter().filter_map(|row| row.gap.as_ref()) {
        *gaps.entry(gap.reason.as_str()).or_default() += 1;
    }
    LastScan {
        seconds: summary.snapshot.finished_at.duration_since(summary.snapshot.started_at).as_secs(),
        scopes: summary.scopes.len() as u64,
        gaps,
        resources: summary.tally.total(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        daemon::job::{Cancelled, Outcome, Trigger},
        scan::{plan::ScanScopeFilter, progress::Progress},
    };

    fn start(jobs: &Jobs) -> (String, CancellationToken) {
        let started = jobs.begin(Trigger::Http, ScanScopeFilter::default(), Timestamp::UNIX_EPOCH, || Ok(()));
        let (job, cancel) = started.unwrap();
        (job.id, cancel)
    }

    /// A scan that has begun to commit can no longer be cancelled, and a scan that was cancelled first sees the
    /// cancellation before it commits.
    #[test]
    fn scan_is_cancelled_or_committed_not_both() {
        let jobs = Jobs::default();
        let (id, cancel) = start(&jobs);
        jobs.record_progress(&id, Progress::Committing);
        assert_eq!(jobs.cancel(&id), Cancelled::TooLate);
        jobs.close();
        assert!(!cancel.is_cancelled());

        let jobs = Jobs::default();
        let (id, cancel) = start(&jobs);
        assert_eq!(jobs.cancel(&id), Cancelled::Yes);
        jobs.record_progress(&id, Progress::Committing);
        assert!(cancel.is_cancelled(), "the commit sees the cancellation");
        assert_eq!(jobs.cancel("another"), Cancelled::Unknown);
    }

    /// After the job registry is closed for shutdown, a new scan is refused.
    #[test]
    fn closed_registry_starts_no_scan() {
        let jobs = Jobs::default();
        jobs.close();
        let started = jobs.begin(Trigger::Http, ScanScopeFilter::default(), Timestamp::UNIX_EPOCH, || Ok(()));
        assert_eq!(started.unwrap_err(), JobRejected::ShuttingDown);
    }

    /// Of twelve finished scans all are listed, but only the ten most recent retain the details of their scopes.
    #[test]
    fn only_latest_ten_scans_retain_scopes() {
        let jobs = Jobs::default();
        let ids: Vec<String> = (0..12)
            .map(|_| {
                let (id, _) = start(&jobs);
                jobs.end(&id, Outcome::Cancelled, Vec::new(), Timestamp::UNIX_EPOCH);
                id
            })
            .collect();
        let with_scopes = ids.iter().filter(|id| jobs.get(id).unwrap().scopes().is_some()).count();
        assert_eq!((jobs.all().len(), with_scopes), (12, 10));
    }
}
