//! The scans of this process: the one that runs, and the last hundred.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use shared::{cloud::OperationCalls, store::NightSummary};
use tokio_util::sync::CancellationToken;

use crate::{plan::Narrow, scan::Progress};

mod job;

pub(crate) use job::{Cancelled, Job, JobState, Outcome, Trigger};

/// Scans remembered.
const REMEMBERED: usize = 100;

/// Of these, with every scope: an enterprise's has thousands.
const REMEMBERED_WITH_SCOPES: usize = 10;

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
    /// No further scan begins.
    closed: bool,
}

/// All of them. Locked for the blink of a look or a note, never across a wait.
#[derive(Debug, Default)]
pub(crate) struct Jobs(Mutex<Book>);

impl Jobs {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a scan, unless one runs or `admit` has something against it.
    pub(crate) fn begin(
        &self,
        trigger: Trigger,
        narrow: Narrow,
        now: Timestamp,
        admit: impl FnOnce() -> Result<(), Refused>,
    ) -> Result<(Job, CancellationToken), Refused> {
        let mut book = self.book();
        if book.closed {
            return Err(Refused::Ending);
        }
        if let Some(running) = book.jobs.iter().find(|job| job.state == JobState::Running) {
            return Err(Refused::Running(running.id.clone()));
        }
        admit()?;
        book.begun += 1;
        let id = format!("scan-{}-{}", now.strftime("%Y%m%dT%H%M%SZ"), book.begun);
        let end = CancellationToken::new();
        let job = Job::begin(id, trigger, narrow, now, end.clone());
        book.jobs.push_front(job.clone());
        book.jobs.truncate(REMEMBERED);
        book.jobs.iter_mut().skip(REMEMBERED_WITH_SCOPES).for_each(Job::forget_scopes);
        Ok((job, end))
    }

    /// Notes how far a scan has come.
    pub(crate) fn progress(&self, id: &str, progress: Progress) {
        if let Some(job) = self.book().jobs.iter_mut().find(|job| job.id == id) {
            job.follow(progress);
        }
    }

    /// Ends a scan.
    pub(crate) fn end(&self, id: &str, outcome: Outcome, calls: Vec<OperationCalls>, now: Timestamp) -> JobState {
        let mut book = self.book();
        let state = outcome.state();
        for call in calls {
            let total = book.totals.calls.entry(call.operation).or_default();
            *total = (total.0 + call.requests, total.1 + call.throttled);
        }
        if let Outcome::Recorded(night) = &outcome {
            book.totals.last = Some(last(night));
        }
        let ended = book.jobs.iter_mut().find(|job| job.id == id).map(|job| {
            job.end(outcome, now);
            (job.trigger, state)
        });
        if let Some(key) = ended {
            *book.totals.scans.entry(key).or_default() += 1;
        }
        state
    }

    /// Asks a scan to end.
    pub(crate) fn cancel(&self, id: &str) -> Cancelled {
        let book = self.book();
        book.jobs.iter().find(|job| job.id == id).map_or(Cancelled::Unknown, Job::cancel)
    }

    /// Asks whatever runs to end, and begins no more.
    pub(crate) fn close(&self) {
        let mut book = self.book();
        book.closed = true;
        for job in &book.jobs {
            job.cancel();
        }
    }

    /// One of them, with its scopes.
    pub(crate) fn get(&self, id: &str) -> Option<Job> {
        self.book().jobs.iter().find(|job| job.id == id).cloned()
    }

    /// The newest first, without their scopes.
    pub(crate) fn all(&self) -> Vec<Job> {
        self.book().jobs.iter().map(Job::without_scopes).collect()
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
    /// A part is wanted of an estate that was never scanned whole: there is nothing to keep of the rest.
    NothingToKeep,
    /// The daemon is ending.
    Ending,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(jobs: &Jobs) -> (String, CancellationToken) {
        let begun = jobs.begin(Trigger::Http, Narrow::default(), Timestamp::UNIX_EPOCH, || Ok(()));
        let (job, end) = begun.unwrap();
        (job.id, end)
    }

    #[test]
    fn a_scan_is_cancelled_or_committed_and_never_both() {
        let jobs = Jobs::default();
        let (id, end) = begun(&jobs);
        jobs.progress(&id, Progress::Committing);
        assert_eq!(jobs.cancel(&id), Cancelled::TooLate);
        jobs.close();
        assert!(!end.is_cancelled());

        let jobs = Jobs::default();
        let (id, end) = begun(&jobs);
        assert_eq!(jobs.cancel(&id), Cancelled::Yes);
        jobs.progress(&id, Progress::Committing);
        assert!(end.is_cancelled(), "who is about to commit sees it");
        assert_eq!(jobs.cancel("another"), Cancelled::Unknown);
    }

    #[test]
    fn an_ending_daemon_begins_no_scan() {
        let jobs = Jobs::default();
        jobs.close();
        let begun = jobs.begin(Trigger::Http, Narrow::default(), Timestamp::UNIX_EPOCH, || Ok(()));
        assert_eq!(begun.unwrap_err(), Refused::Ending);
    }

    #[test]
    fn only_the_newest_scans_are_remembered_with_their_scopes() {
        let jobs = Jobs::default();
        let ids: Vec<String> = (0..12)
            .map(|_| {
                let (id, _) = begun(&jobs);
                jobs.end(&id, Outcome::Cancelled, Vec::new(), Timestamp::UNIX_EPOCH);
                id
            })
            .collect();
        let with_scopes = ids.iter().filter(|id| jobs.get(id).unwrap().scopes().is_some()).count();
        assert_eq!((jobs.all().len(), with_scopes), (12, 10));
    }
}
