//! When to scan: a cron expression in a time zone. Pure; the time comes from outside.

use croner::Cron;
use jiff::{Timestamp, ToSpan, civil::DateTime, tz::TimeZone};

mod wall;

use wall::Wall;

/// An hour has come at most this much later, by the clock on the wall, than it would without a change of that clock.
const CHANGE_HOURS: i64 = 3;

/// Occurrences on the wall that are looked through for one instant.
const LOOKED_THROUGH: usize = 1_000;

/// A cron expression in a time zone.
///
/// It is matched against the clock on the wall. A time that a change to summer time leaves out happens as much later as
/// the clock was set forward; one that happens twice counts the first time.
#[derive(Debug, Clone)]
pub struct Schedule {
    cron: Cron,
    zone: TimeZone,
}

/// Why there is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The expression is none.
    #[error(
        "`{given}` is no cron expression: {problem}; give minute, hour, day of month, month and day of week, such as \
        `0 2 * * *` for every night at 2:00, in TAGLEDGER_SCHEDULE or --schedule"
    )]
    Expression {
        /// As given.
        given: String,
        /// What is wrong.
        problem: String,
    },
    /// It never comes.
    #[error("`{given}` never comes; correct TAGLEDGER_SCHEDULE or --schedule")]
    Never {
        /// As given.
        given: String,
    },
    /// There is no such time zone.
    #[error(
        "`{given}` is no time zone; give one such as `UTC` or `Europe/Berlin` in TAGLEDGER_TIME_ZONE or --time-zone"
    )]
    Zone {
        /// As given.
        given: String,
    },
}

impl Schedule {
    /// Reads a cron expression of five fields and the IANA name of a time zone.
    ///
    /// # Errors
    ///
    /// When either is none, or no time matches the expression.
    pub fn parse(expression: &str, zone: &str) -> Result<Self, ScheduleError> {
        let given = || expression.to_owned();
        let invalid = |problem: String| ScheduleError::Expression { given: given(), problem };
        let cron: Cron = expression.parse().map_err(|error: croner::errors::CronError| invalid(error.to_string()))?;
        if expression.split_whitespace().count() > 5 {
            return Err(invalid("it has more than five fields; seconds and years are not for a scan".to_owned()));
        }
        let zone = TimeZone::get(zone).map_err(|_| ScheduleError::Zone { given: zone.to_owned() })?;
        let schedule = Self { cron, zone };
        let some_day = Timestamp::constant(1_767_225_600, 0);
        schedule.next(some_day).map(|_| schedule).ok_or_else(|| ScheduleError::Never { given: given() })
    }

    /// The first occurrence after a moment.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let mut wall = Wall(self.wall(after).checked_sub(CHANGE_HOURS.hours()).ok()?);
        for _ in 0..LOOKED_THROUGH {
            wall = self.cron.find_next_occurrence(&wall, false).ok()?;
            let at = self.instant(wall.0)?;
            if at > after {
                return Some(at);
            }
        }
        None
    }

    /// The last occurrence at a moment or before it.
    pub fn latest(&self, now: Timestamp) -> Option<Timestamp> {
        let mut wall = Wall(self.wall(now).checked_add(CHANGE_HOURS.hours()).ok()?);
        for _ in 0..LOOKED_THROUGH {
            wall = self.cron.find_previous_occurrence(&wall, false).ok()?;
            let at = self.instant(wall.0)?;
            if at <= now {
                return Some(at);
            }
        }
        None
    }

    fn wall(&self, at: Timestamp) -> DateTime {
        self.zone.to_datetime(at)
    }

    fn instant(&self, wall: DateTime) -> Option<Timestamp> {
        self.zone.to_ambiguous_timestamp(wall).compatible().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(expression: &str, zone: &str, from: &str, n: usize) -> Vec<String> {
        let schedule = Schedule::parse(expression, zone).unwrap();
        let mut at: Timestamp = from.parse().unwrap();
        let mut next = || {
            at = schedule.next(at).unwrap();
            assert_eq!(schedule.latest(at), Some(at));
            assert_eq!(schedule.latest(at + 1.second()), Some(at));
            at.to_string()
        };
        (0..n).map(|_| next()).collect()
    }

    #[test]
    fn a_nightly_scan_is_every_night_at_its_hour() {
        let expected = ["2026-01-31T02:00:00Z", "2026-02-01T02:00:00Z", "2026-02-02T02:00:00Z"];
        assert_eq!(times("0 2 * * *", "UTC", "2026-01-30T02:00:00Z", 3), expected);
        let tokyo = ["2026-01-30T17:00:00Z", "2026-01-31T17:00:00Z"];
        assert_eq!(times("0 2 * * *", "Asia/Tokyo", "2026-01-30T02:00:00Z", 2), tokyo);
    }

    #[test]
    fn an_hour_that_summer_time_leaves_out_comes_once_and_later() {
        // Berlin, 2026-03-29: 2:00 becomes 3:00.
        let nights = ["2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"];
        assert_eq!(times("30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z", 3), nights);
    }

    #[test]
    fn an_hour_that_comes_twice_counts_once() {
        // Berlin, 2026-10-25: 3:00 becomes 2:00.
        let nights = ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"];
        assert_eq!(times("30 2 * * *", "Europe/Berlin", "2026-10-23T12:00:00Z", 3), nights);
        // Asked in the second of the two hours, the answer is the next night.
        assert_eq!(times("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", 1), ["2026-10-26T01:30:00Z"]);
    }

    #[test]
    fn days_of_the_week_and_steps_are_understood() {
        assert_eq!(times("15 3 * * SUN", "UTC", "2026-11-24T00:00:00Z", 1), ["2026-11-29T03:15:00Z"]);
        let every_six = ["2026-11-24T06:00:00Z", "2026-11-24T12:00:00Z"];
        assert_eq!(times("0 */6 * * *", "UTC", "2026-11-24T00:00:00Z", 2), every_six);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_setting() {
        let error = |expression, zone| Schedule::parse(expression, zone).unwrap_err().to_string();
        assert!(error("61 2 * * *", "UTC").contains("TAGLEDGER_SCHEDULE"));
        assert!(error("nightly", "UTC").contains("`nightly` is no cron expression"));
        assert!(error("0 0 2 * * *", "UTC").contains("more than five fields"));
        assert!(error("0 2 31 2 *", "UTC").contains("never comes"));
        assert!(error("0 2 * * *", "Europe/Berln").contains("TAGLEDGER_TIME_ZONE"));
    }
}
