//! Decides whether a scan is due: which occurrence of the schedule was served last, which run failed, and how late a run
//! may start.
//!
//! The decision is a pure function of the schedule, of what ran before and of the time that the caller passes in.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp, ToSpan};

use crate::daemon::schedule::Schedule;

/// Pauses before a failed scheduled scan is retried.
const RETRY_PAUSES: [Duration; 2] = [Duration::from_secs(5 * 60), Duration::from_secs(15 * 60)];

/// When the last served occurrence is further in the future than this, the clock was wrong before or is wrong now. The
/// present clock is then used.
const MAX_CLOCK_SETBACK: SignedDuration = SignedDuration::from_hours(26);

/// The pause before a scan is retried that another scanner prevented.
const LEASE_RETRY_PAUSE: Duration = Duration::from_secs(5 * 60);

/// A run that starts later than this after its occurrence, in minutes, is a missed run.
const ON_TIME_MINUTES: i64 = 10;

/// How a scan that was due ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CompletedRun {
    /// A snapshot was recorded, or an operator cancelled the scan.
    Served,
    /// Nothing was recorded.
    Failed,
    /// Another scanner was scanning. This is no failure, and it is retried without a limit.
    Elsewhere,
}

/// When a scan is due. One rule covers every case: a scan is due when the latest occurrence of the schedule is later than
/// the occurrence that was served last. Therefore one run replaces several missed runs, and a clock that is set forward or
/// back starts no run twice.
#[derive(Debug)]
pub(crate) struct ScheduleState {
    schedule: Schedule,
    jitter: Duration,
    jitter_hasher: RandomState,
    /// The occurrence that was served last. At first, the start of the newest full scan.
    last_served: Option<Timestamp>,
    retry: Option<Retry>,
}

#[derive(Debug, Clone, Copy)]
struct Retry {
    at: Timestamp,
    failures: usize,
}

/// Why a scan is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextRun {
    /// An occurrence passed while no scan could run.
    Missed,
    /// An occurrence of the schedule.
    Scheduled,
    /// A scheduled scan failed before.
    Retry,
}

impl ScheduleState {
    /// `newest_full`: when the newest scan of the complete estate started, whichever process ran it.
    pub(crate) fn new(schedule: Schedule, jitter: Duration, newest_full: Option<Timestamp>) -> Self {
        Self { schedule, jitter, jitter_hasher: RandomState::new(), last_served: newest_full, retry: None }
    }

    /// Returns the run that is due now and marks it as served.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Option<NextRun> {
        self.correct_future_occurrence(now);
        if let Some(occurrence) = self.unserved_occurrence(now) {
            let is_later = |served| self.schedule.next(served).is_some_and(|next| next < occurrence);
            let skipped = self.last_served.is_none_or(is_later);
            self.last_served = Some(occurrence);
            self.retry = None;
            let on_time = SignedDuration::from_mins(ON_TIME_MINUTES) + self.max_delay();
            let is_late = now.duration_since(occurrence) >= on_time;
            return Some(if skipped && is_late { NextRun::Missed } else { NextRun::Scheduled });
        }
        let retry = self.retry.filter(|retry| retry.at <= now)?;
        self.retry = Some(Retry { at: Timestamp::MAX, ..retry });
        Some(NextRun::Retry)
    }

    fn unserved_occurrence(&self, now: Timestamp) -> Option<Timestamp> {
        let occurrence = self.schedule.latest(now)?;
        let is_unserved = self.last_served.is_none_or(|served| served < occurrence);
        // The first scan of a ledger starts without jitter.
        let jitter_has_passed = self.last_served.is_none() || self.add_jitter(occurrence) <= now;
        (is_unserved && jitter_has_passed).then_some(occurrence)
    }

    /// A served occurrence in the far future was recorded with a wrong clock. Without this correction no scan would run
    /// until then.
    fn correct_future_occurrence(&mut self, now: Timestamp) {
        if self.last_served.is_some_and(|served| served.duration_since(now) > MAX_CLOCK_SETBACK) {
            self.last_served = Some(now);
        }
    }

    /// Records how a scheduled scan ended.
    pub(crate) fn complete(&mut self, now: Timestamp, run: CompletedRun) {
        let failures = self.retry.map_or(0, |retry| retry.failures);
        let retry_after = |pause, failures| Retry { at: add(now, pause), failures };
        self.retry = match run {
            CompletedRun::Served => None,
            CompletedRun::Failed => RETRY_PAUSES.get(failures).map(|pause| retry_after(*pause, failures + 1)),
            CompletedRun::Elsewhere => Some(retry_after(LEASE_RETRY_PAUSE, failures)),
        };
    }

    /// Whether a retry is due now. Another scanner may have recorded a snapshot for the same occurrence meanwhile.
    pub(crate) fn is_retry_due(&self, now: Timestamp) -> bool {
        self.retry.is_some_and(|retry| retry.at <= now)
    }

    /// Cancels the retry when the newest full scan in the ledger started after the occurrence, whichever process ran it.
    pub(crate) fn record_newest_full(&mut self, started_at: Timestamp) {
        if self.last_served.is_some_and(|occurrence| started_at >= occurrence) {
            self.retry = None;
        }
    }

    /// When the next scan is due, as far as is known now.
    pub(crate) fn next_run(&self, now: Timestamp) -> Option<Timestamp> {
        let is_unserved = |latest: &Timestamp| self.last_served.is_none_or(|served| served < *latest);
        let scheduled = match self.schedule.latest(now).filter(is_unserved) {
            Some(unserved) => Some(self.add_jitter(unserved)),
            None => self.schedule.next(now).map(|next| self.add_jitter(next)),
        };
        let retry = self.retry.map(|retry| retry.at).filter(|at| *at < Timestamp::MAX);
        scheduled.into_iter().chain(retry).min()
    }

    /// The delay of an occurrence depends on the occurrence and on this process only, so that it does not change while the
    /// process waits.
    fn add_jitter(&self, occurrence: Timestamp) -> Timestamp {
        let bound = self.jitter.as_secs() + 1;
        add(occurrence, Duration::from_secs(self.jitter_hasher.hash_one(occurrence) % bound))
    }

    fn max_delay(&self) -> SignedDuration {
        SignedDuration::try_from(self.jitter).unwrap_or(SignedDuration::MAX)
    }
}

fn add(time: Timestamp, duration: Duration) -> Timestamp {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    time.checked_add(seconds.seconds()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::schedule::Schedule;

    fn schedule_state(newest: Option<&str>) -> ScheduleState {
        let schedule = Schedule::parse("0 2 * * *", "UTC").unwrap();
        ScheduleState::new(schedule, Duration::ZERO, newest.map(at))
    }

    fn at(text: &str) -> Timestamp {
        format!("2026-{text}:00Z").parse().unwrap()
    }

    /// A run that was missed for several days starts once as a missed run, and the next run follows the schedule.
    #[test]
    fn missed_run_is_caught_up_once() {
        let mut state = schedule_state(Some("11-20T02:00"));
        assert_eq!(state.take_due(at("11-24T09:00")), Some(NextRun::Missed));
        assert_eq!(state.take_due(at("11-24T09:01")), None);
        assert_eq!(state.next_run(at("11-24T09:01")), Some(at("11-25T02:00")));
        assert_eq!(state.take_due(at("11-25T02:00")), Some(NextRun::Scheduled));
    }

    /// Without any snapshot, a scan is due immediately.
    #[test]
    fn empty_ledger_is_due_immediately() {
        assert_eq!(schedule_state(None).take_due(at("11-24T09:00")), Some(NextRun::Missed));
    }

    /// When the latest snapshot is newer than the last scheduled time, the next scan is due at the next scheduled time.
    #[test]
    fn recent_snapshot_defers_to_next_occurrence() {
        let mut state = schedule_state(Some("11-24T08:00"));
        assert_eq!(state.take_due(at("11-24T09:00")), None);
        assert_eq!(state.take_due(at("11-25T02:00")), Some(NextRun::Scheduled));
    }

    /// When the clock is set back by an hour, an occurrence that already started is not started again.
    #[test]
    fn backward_clock_jump_repeats_no_run() {
        let mut state = schedule_state(Some("11-24T02:00"));
        assert_eq!(state.take_due(at("11-25T02:00")), Some(NextRun::Scheduled));
        assert_eq!(state.take_due(at("11-25T01:00")), None);
        assert_eq!(state.take_due(at("11-25T02:00")), None);
        assert_eq!(state.take_due(at("11-26T02:00")), Some(NextRun::Scheduled));
    }

    /// When the clock is set forward over several occurrences, only one run starts.
    #[test]
    fn forward_clock_jump_runs_once() {
        let mut state = schedule_state(Some("11-24T02:00"));
        assert!(state.take_due(at("11-30T12:00")).is_some());
        assert_eq!(state.take_due(at("11-30T12:01")), None);
    }

    /// A latest snapshot whose time is far in the future does not prevent the next scheduled run.
    #[test]
    fn future_snapshot_time_does_not_block_runs() {
        let mut state = schedule_state(Some("12-31T02:00"));
        assert_eq!(state.take_due(at("11-24T12:00")), None);
        assert_eq!(state.take_due(at("11-25T02:00")), Some(NextRun::Scheduled));
    }

    /// A failed scan is retried after 5 minutes and again after 15 minutes. After the third failure, the next run
    /// follows the schedule.
    #[test]
    fn failed_scan_is_retried_twice() {
        let mut state = schedule_state(Some("11-24T02:00"));
        assert_eq!(state.take_due(at("11-25T02:00")), Some(NextRun::Scheduled));
        state.complete(at("11-25T02:10"), CompletedRun::Failed);
        assert_eq!(state.next_run(at("11-25T02:10")), Some(at("11-25T02:15")));
        assert_eq!(
            (state.take_due(at("11-25T02:14")), state.take_due(at("11-25T02:15"))),
            (None, Some(NextRun::Retry))
        );
        assert_eq!(state.take_due(at("11-25T02:16")), None, "the retry is running");
        state.complete(at("11-25T02:20"), CompletedRun::Failed);
        assert_eq!(state.take_due(at("11-25T02:35")), Some(NextRun::Retry));
        state.complete(at("11-25T02:40"), CompletedRun::Failed);
        assert_eq!(state.next_run(at("11-25T02:40")), Some(at("11-26T02:00")));
    }

    /// While another scanner holds the lease, the scan is retried every five minutes without a limit, until a snapshot
    /// for this occurrence exists.
    #[test]
    fn retries_while_lease_held_elsewhere() {
        let mut state = schedule_state(Some("11-24T02:00"));
        assert_eq!(state.take_due(at("11-25T02:00")), Some(NextRun::Scheduled));
        for minute in ["02:00", "02:05", "02:10", "02:15", "02:20"] {
            state.complete(at(&format!("11-25T{minute}")), CompletedRun::Elsewhere);
            let next = state.next_run(at(&format!("11-25T{minute}"))).unwrap();
            assert!(state.is_retry_due(next));
            state.record_newest_full(at("11-24T02:00"));
            assert_eq!(state.take_due(next), Some(NextRun::Retry), "{minute}");
        }
        state.complete(at("11-25T02:25"), CompletedRun::Elsewhere);
        state.record_newest_full(at("11-25T02:00"));
        assert_eq!(state.next_run(at("11-25T02:25")), Some(at("11-26T02:00")));
    }

    /// The jitter delays an occurrence by at most the configured duration, and always by the same amount.
    #[test]
    fn jitter_is_bounded_and_stable() {
        let schedule = Schedule::parse("0 2 * * *", "UTC").unwrap();
        let state = ScheduleState::new(schedule, Duration::from_secs(600), Some(at("11-24T02:00")));
        let next = state.next_run(at("11-24T12:00")).unwrap();
        assert!((at("11-25T02:00")..=at("11-25T02:10")).contains(&next), "{next}");
        assert_eq!(state.next_run(at("11-24T13:00")), Some(next));
    }
}
