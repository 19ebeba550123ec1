//! Whether a scan is due: which occurrence was served last, what failed, and how late a run may be.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp, ToSpan};

use crate::schedule::Schedule;

/// Pauses before a scheduled scan that failed is tried again.
const RETRIES: [Duration; 2] = [Duration::from_secs(5 * 60), Duration::from_secs(15 * 60)];

/// A clock that stands further back than this behind the last run was wrong then, or is wrong now: it is believed.
const MOST_SET_BACK: SignedDuration = SignedDuration::from_hours(26);

/// The pause before another scanner's scan is looked for again.
const ELSEWHERE: Duration = Duration::from_secs(5 * 60);

/// How a scan that was due ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Recorded, or not wanted any more.
    Served,
    /// Nothing was recorded.
    Failed,
    /// Another scanner was at it: that is no failure, however often.
    Elsewhere,
}

/// What is due when. One rule serves every case: a scan is due when the schedule's latest occurrence is later than the one
/// served last. So several missed runs are caught up by one, and a clock that jumps runs nothing twice.
#[derive(Debug)]
pub(crate) struct Timetable {
    schedule: Schedule,
    jitter: Duration,
    dice: RandomState,
    /// The occurrence served last, or the start of the newest scan at the beginning.
    served: Option<Timestamp>,
    retry: Option<Retry>,
}

#[derive(Debug, Clone, Copy)]
struct Retry {
    at: Timestamp,
    failures: usize,
}

/// Why a scan is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// An occurrence that passed before this process served any.
    Missed,
    /// An occurrence.
    Scheduled,
    /// A scheduled scan failed before.
    Again,
}

impl Timetable {
    /// `newest`: when the newest scan of the whole estate began, whoever made it.
    pub(crate) fn new(schedule: Schedule, jitter: Duration, newest: Option<Timestamp>) -> Self {
        Self { schedule, jitter, dice: RandomState::new(), served: newest, retry: None }
    }

    /// What is due now. What is told here counts as served.
    pub(crate) fn due(&mut self, now: Timestamp) -> Option<Due> {
        self.believe(now);
        if let Some(occurrence) = self.outstanding(now) {
            let missed = self.served.is_none_or(|served| self.schedule.next(served).is_some_and(|n| n < occurrence));
            self.served = Some(occurrence);
            self.retry = None;
            let fresh = now.duration_since(occurrence) < SignedDuration::from_mins(10) + self.longest_delay();
            return Some(if missed && !fresh { Due::Missed } else { Due::Scheduled });
        }
        let retry = self.retry.filter(|retry| retry.at <= now)?;
        self.retry = Some(Retry { at: Timestamp::MAX, ..retry });
        Some(Due::Again)
    }

    fn outstanding(&self, now: Timestamp) -> Option<Timestamp> {
        let occurrence = self.schedule.latest(now)?;
        let unserved = self.served.is_none_or(|served| served < occurrence);
        // Before the very first scan nobody waits.
        let late_enough = self.served.is_none() || self.delayed(occurrence) <= now;
        (unserved && late_enough).then_some(occurrence)
    }

    /// A served occurrence in the far future was told by a wrong clock; else no scan would run until then.
    fn believe(&mut self, now: Timestamp) {
        if self.served.is_some_and(|served| served.duration_since(now) > MOST_SET_BACK) {
            self.served = Some(now);
        }
    }

    /// The scheduled scan ended.
    pub(crate) fn ended(&mut self, now: Timestamp, ended: Ended) {
        let failures = self.retry.map_or(0, |retry| retry.failures);
        let again = |pause, failures| Retry { at: later(now, pause), failures };
        self.retry = match ended {
            Ended::Served => None,
            Ended::Failed => RETRIES.get(failures).map(|pause| again(*pause, failures + 1)),
            Ended::Elsewhere => Some(again(ELSEWHERE, failures)),
        };
    }

    /// Whether a scan is to be tried again now, for an occurrence that somebody may have served meanwhile.
    pub(crate) fn retries(&self, now: Timestamp) -> bool {
        self.retry.is_some_and(|retry| retry.at <= now)
    }

    /// The newest whole scan in the ledger, whoever made it: one that began after the occurrence serves it.
    pub(crate) fn found(&mut self, newest: Timestamp) {
        if self.served.is_some_and(|occurrence| newest >= occurrence) {
            self.retry = None;
        }
    }

    /// When the next scan is due, if nothing comes between.
    pub(crate) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let scheduled = match self.schedule.latest(now).filter(|latest| self.served.is_none_or(|s| s < *latest)) {
            Some(outstanding) => Some(self.delayed(outstanding)),
            None => self.schedule.next(now).map(|next| self.delayed(next)),
        };
        let retry = self.retry.map(|retry| retry.at).filter(|at| *at < Timestamp::MAX);
        scheduled.into_iter().chain(retry).min()
    }

    fn delayed(&self, occurrence: Timestamp) -> Timestamp {
        let most = self.jitter.as_secs() + 1;
        later(occurrence, Duration::from_secs(self.dice.hash_one(occurrence) % most))
    }

    fn longest_delay(&self) -> SignedDuration {
        SignedDuration::try_from(self.jitter).unwrap_or(SignedDuration::MAX)
    }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    let seconds = i64::try_from(by.as_secs()).unwrap_or(i64::MAX);
    at.checked_add(seconds.seconds()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timetable(newest: Option<&str>) -> Timetable {
        let schedule = Schedule::parse("0 2 * * *", "UTC").unwrap();
        Timetable::new(schedule, Duration::ZERO, newest.map(at))
    }

    fn at(text: &str) -> Timestamp {
        format!("2026-{text}:00Z").parse().unwrap()
    }

    #[test]
    fn a_run_that_was_missed_is_caught_up_once() {
        let mut table = timetable(Some("11-20T02:00"));
        assert_eq!(table.due(at("11-24T09:00")), Some(Due::Missed));
        assert_eq!(table.due(at("11-24T09:01")), None);
        assert_eq!(table.next(at("11-24T09:01")), Some(at("11-25T02:00")));
        assert_eq!(table.due(at("11-25T02:00")), Some(Due::Scheduled));
    }

    #[test]
    fn an_empty_ledger_is_scanned_at_once() {
        assert_eq!(timetable(None).due(at("11-24T09:00")), Some(Due::Missed));
    }

    #[test]
    fn a_ledger_that_somebody_scanned_since_waits_for_the_next_night() {
        let mut table = timetable(Some("11-24T08:00"));
        assert_eq!(table.due(at("11-24T09:00")), None);
        assert_eq!(table.due(at("11-25T02:00")), Some(Due::Scheduled));
    }

    #[test]
    fn a_clock_that_jumps_back_runs_no_occurrence_twice() {
        let mut table = timetable(Some("11-24T02:00"));
        assert_eq!(table.due(at("11-25T02:00")), Some(Due::Scheduled));
        assert_eq!(table.due(at("11-25T01:00")), None);
        assert_eq!(table.due(at("11-25T02:00")), None);
        assert_eq!(table.due(at("11-26T02:00")), Some(Due::Scheduled));
    }

    #[test]
    fn a_clock_that_jumps_forward_runs_once() {
        let mut table = timetable(Some("11-24T02:00"));
        assert!(table.due(at("11-30T12:00")).is_some());
        assert_eq!(table.due(at("11-30T12:01")), None);
    }

    #[test]
    fn a_clock_that_was_wrong_by_years_does_not_stop_the_scans() {
        let mut table = timetable(Some("12-31T02:00"));
        assert_eq!(table.due(at("11-24T12:00")), None);
        assert_eq!(table.due(at("11-25T02:00")), Some(Due::Scheduled));
    }

    #[test]
    fn a_scan_that_failed_is_tried_twice_more_and_then_left_to_the_next_night() {
        let mut table = timetable(Some("11-24T02:00"));
        assert_eq!(table.due(at("11-25T02:00")), Some(Due::Scheduled));
        table.ended(at("11-25T02:10"), Ended::Failed);
        assert_eq!(table.next(at("11-25T02:10")), Some(at("11-25T02:15")));
        assert_eq!((table.due(at("11-25T02:14")), table.due(at("11-25T02:15"))), (None, Some(Due::Again)));
        assert_eq!(table.due(at("11-25T02:16")), None, "while it runs");
        table.ended(at("11-25T02:20"), Ended::Failed);
        assert_eq!(table.due(at("11-25T02:35")), Some(Due::Again));
        table.ended(at("11-25T02:40"), Ended::Failed);
        assert_eq!(table.next(at("11-25T02:40")), Some(at("11-26T02:00")));
    }

    #[test]
    fn while_another_scanner_is_at_it_a_scan_is_tried_every_five_minutes_until_somebody_has_done_it() {
        let mut table = timetable(Some("11-24T02:00"));
        assert_eq!(table.due(at("11-25T02:00")), Some(Due::Scheduled));
        for minute in ["02:00", "02:05", "02:10", "02:15", "02:20"] {
            table.ended(at(&format!("11-25T{minute}")), Ended::Elsewhere);
            let next = table.next(at(&format!("11-25T{minute}"))).unwrap();
            assert!(table.retries(next));
            table.found(at("11-24T02:00"));
            assert_eq!(table.due(next), Some(Due::Again), "{minute}");
        }
        table.ended(at("11-25T02:25"), Ended::Elsewhere);
        table.found(at("11-25T02:00"));
        assert_eq!(table.next(at("11-25T02:25")), Some(at("11-26T02:00")));
    }

    #[test]
    fn a_jitter_delays_by_no_more_than_it_says_and_always_by_the_same() {
        let schedule = Schedule::parse("0 2 * * *", "UTC").unwrap();
        let table = Timetable::new(schedule, Duration::from_secs(600), Some(at("11-24T02:00")));
        let next = table.next(at("11-24T12:00")).unwrap();
        assert!((at("11-25T02:00")..=at("11-25T02:10")).contains(&next), "{next}");
        assert_eq!(table.next(at("11-24T13:00")), Some(next));
    }
}
