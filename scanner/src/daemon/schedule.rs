//! A cron expression in a time zone. Pure: the caller passes in the time.

use chrono_tz::Tz;
use croner::Cron;
use jiff::{Timestamp, ToSpan, civil::DateTime, tz::TimeZone};

use crate::daemon::wall_clock::WallClock;

/// A change of the UTC offset moves an occurrence by at most this many hours of local time.
const MAX_OFFSET_CHANGE_HOURS: i64 = 3;

/// Maximum number of occurrences in local time that are examined to find one instant.
const MAX_OCCURRENCES: usize = 1_000;

/// A cron expression in a time zone.
///
/// The expression is matched against local time. A local time that the start of daylight saving time skips occurs later by
/// the skipped interval. A local time that the end of daylight saving time repeats occurs once, at its first instant.
#[derive(Debug, Clone)]
pub struct Schedule {
    expression: String,
    cron: Cron,
    zone: TimeZone,
    cron_zone: Tz,
}

/// Why a schedule is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The text is not a cron expression.
    #[error(
        "`{given}` is not a cron expression: {problem}; set TAGLEDGER_SCHEDULE or --schedule to minute, hour, day of \
        month, month and day of week, such as `0 2 * * *` for every day at 2:00"
    )]
    Expression {
        /// The text that was given.
        given: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No date matches the expression.
    #[error("`{given}` never occurs; correct TAGLEDGER_SCHEDULE or --schedule")]
    Never {
        /// The text that was given.
        given: String,
    },
    /// There is no such time zone.
    #[error(
        "`{given}` is not a time zone; set TAGLEDGER_TIME_ZONE or --time-zone to a name such as `UTC` or `Europe/Berlin`"
    )]
    Zone {
        /// The text that was given.
        given: String,
    },
}

impl Schedule {
    /// Parses a cron expression of five fields and the IANA name of a time zone.
    ///
    /// # Errors
    ///
    /// When the expression or the time zone is invalid, or no date matches the expression.
    pub fn parse(expression: &str, zone: &str) -> Result<Self, ScheduleError> {
        let given = || expression.to_owned();
        let invalid = |problem: String| ScheduleError::Expression { given: given(), problem };
        let cron: Cron = expression.parse().map_err(|error: croner::errors::CronError| invalid(error.to_string()))?;
        if expression.split_whitespace().count() > 5 {
            return Err(invalid("it has more than five fields; seconds and years are not supported".to_owned()));
        }
        let unknown_zone = || ScheduleError::Zone { given: zone.to_owned() };
        let zone = TimeZone::get(zone).map_err(|_| unknown_zone())?;
        let cron_zone = zone.iana_name().and_then(|name| name.parse().ok()).ok_or_else(unknown_zone)?;
        let schedule = Self { expression: given(), cron, zone, cron_zone };
        let any_day = Timestamp::constant(1_767_225_600, 0);
        schedule.next(any_day).map(|_| schedule).ok_or_else(|| ScheduleError::Never { given: given() })
    }

    /// The expression as it was given.
    pub(crate) fn expression(&self) -> &str {
        &self.expression
    }

    /// The time zone in the form that the scheduler library uses.
    pub(crate) fn cron_zone(&self) -> Tz {
        self.cron_zone
    }

    /// The first occurrence after a moment.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let mut local = WallClock(self.to_local(after).checked_sub(MAX_OFFSET_CHANGE_HOURS.hours()).ok()?);
        for _ in 0..MAX_OCCURRENCES {
            local = self.cron.find_next_occurrence(&local, false).ok()?;
            let instant = self.to_instant(local.0)?;
            if instant > after {
                return Some(instant);
            }
        }
        None
    }

    /// The last occurrence at a moment or before it.
    pub fn latest(&self, now: Timestamp) -> Option<Timestamp> {
        let mut local = WallClock(self.to_local(now).checked_add(MAX_OFFSET_CHANGE_HOURS.hours()).ok()?);
        for _ in 0..MAX_OCCURRENCES {
            local = self.cron.find_previous_occurrence(&local, false).ok()?;
            let instant = self.to_instant(local.0)?;
            if instant <= now {
                return Some(instant);
            }
        }
        None
    }

    fn to_local(&self, instant: Timestamp) -> DateTime {
        self.zone.to_datetime(instant)
    }

    fn to_instant(&self, local: DateTime) -> Option<Timestamp> {
        self.zone.to_ambiguous_timestamp(local).compatible().ok()
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

    /// A daily schedule runs every day at its hour in the configured time zone.
    #[test]
    fn daily_schedule_runs_at_local_hour() {
        let expected = ["2026-01-31T02:00:00Z", "2026-02-01T02:00:00Z", "2026-02-02T02:00:00Z"];
        assert_eq!(times("0 2 * * *", "UTC", "2026-01-30T02:00:00Z", 3), expected);
        let tokyo = ["2026-01-30T17:00:00Z", "2026-01-31T17:00:00Z"];
        assert_eq!(times("0 2 * * *", "Asia/Tokyo", "2026-01-30T02:00:00Z", 2), tokyo);
    }

    /// On the day when daylight saving time skips the scheduled hour, the schedule runs once, one hour later on the
    /// clock.
    #[test]
    fn dst_skipped_hour_runs_once_later() {
        // Berlin, 2026-03-29: 2:00 becomes 3:00.
        let runs = ["2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"];
        assert_eq!(times("30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z", 3), runs);
    }

    /// On the day when daylight saving time repeats the scheduled hour, the schedule runs only at its first occurrence.
    #[test]
    fn dst_repeated_hour_runs_once() {
        // Berlin, 2026-10-25: 3:00 becomes 2:00.
        let runs = ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"];
        assert_eq!(times("30 2 * * *", "Europe/Berlin", "2026-10-23T12:00:00Z", 3), runs);
        // In the second of the two hours, the next run is on the next day.
        assert_eq!(times("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", 1), ["2026-10-26T01:30:00Z"]);
    }

    /// Cron expressions may use names of weekdays and steps such as `*/6`.
    #[test]
    fn cron_accepts_weekdays_and_steps() {
        assert_eq!(times("15 3 * * SUN", "UTC", "2026-11-24T00:00:00Z", 1), ["2026-11-29T03:15:00Z"]);
        let every_six = ["2026-11-24T06:00:00Z", "2026-11-24T12:00:00Z"];
        assert_eq!(times("0 */6 * * *", "UTC", "2026-11-24T00:00:00Z", 2), every_six);
    }

    /// The error for an invalid schedule or time zone names its setting and the problem.
    #[test]
    fn invalid_schedule_error_names_setting() {
        let error = |expression, zone| Schedule::parse(expression, zone).unwrap_err().to_string();
        assert!(error("61 2 * * *", "UTC").contains("TAGLEDGER_SCHEDULE"));
        assert!(error("nightly", "UTC").contains("`nightly` is not a cron expression"));
        assert!(error("0 0 2 * * *", "UTC").contains("more than five fields"));
        assert!(error("0 2 31 2 *", "UTC").contains("never occurs"));
        assert!(error("0 2 * * *", "Europe/Berln").contains("TAGLEDGER_TIME_ZONE"));
    }
}
