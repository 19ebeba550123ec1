//! Days, weeks and months in a time zone, by which snapshots are grouped.

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, Weekday},
    tz::TimeZone,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{error::ToolFailure, untrusted_text};

/// The length of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GroupBy {
    Day,
    Week,
    Month,
}

impl GroupBy {
    /// The first day of the period that contains `day`. Weeks begin on Monday.
    pub(crate) fn first_day(self, day: Date) -> Date {
        match self {
            Self::Day => day,
            Self::Week => day.saturating_sub(i64::from(day.weekday().since(Weekday::Monday)).days()),
            Self::Month => day.first_of_month(),
        }
    }

    /// The first day of the period after the one that begins on `first`.
    pub(crate) fn next_first_day(self, first: Date) -> Date {
        match self {
            Self::Day => first.saturating_add(1.day()),
            Self::Week => first.saturating_add(7.days()),
            Self::Month => first.saturating_add(1.month()),
        }
    }

    /// The length of a period in days. For a month, the mean length.
    pub(crate) fn days(self) -> f64 {
        match self {
            Self::Day => 1.0,
            Self::Week => 7.0,
            Self::Month => 365.25 / 12.0,
        }
    }
}

/// Looks up a time zone by its IANA name. Default: UTC.
pub(crate) fn parse_time_zone(name: Option<&str>) -> Result<TimeZone, ToolFailure> {
    let name = name.unwrap_or("UTC");
    let unknown = |_| {
        let given: String = name.chars().take(60).collect();
        ToolFailure::Caller(format!(
            "`time_zone` `{}` is unknown; use an IANA name such as Europe/Berlin",
            untrusted_text::escape(&given)
        ))
    };
    TimeZone::get(name).map_err(unknown)
}

/// The calendar day of a timestamp in a time zone.
pub(crate) fn day_in(zone: &TimeZone, moment: Timestamp) -> Date {
    zone.to_datetime(moment).date()
}

/// The first instant of a day in a time zone.
pub(crate) fn start_of_day(zone: &TimeZone, day: Date) -> Timestamp {
    zone.to_timestamp(day.at(0, 0, 0, 0)).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The day of a snapshot is computed in the given time zone, weeks begin on Monday, December is followed by
    /// January, and an unknown time zone is an error.
    #[test]
    fn snapshot_day_and_week_follow_time_zone() {
        let berlin = parse_time_zone(Some("Europe/Berlin")).unwrap();
        let late: Timestamp = "2026-11-01T23:30:00Z".parse().unwrap();
        assert_eq!(day_in(&berlin, late), Date::constant(2026, 11, 2));
        let (sunday, monday) = (Date::constant(2026, 11, 1), Date::constant(2026, 11, 2));
        assert_eq!(GroupBy::Week.first_day(sunday), Date::constant(2026, 10, 26));
        assert_eq!(
            (GroupBy::Week.first_day(monday), GroupBy::Week.next_first_day(monday)),
            (monday, Date::constant(2026, 11, 9))
        );
        assert_eq!(GroupBy::Month.next_first_day(Date::constant(2026, 12, 1)), Date::constant(2027, 1, 1));
        assert_eq!(start_of_day(&berlin, monday).to_string(), "2026-11-01T23:00:00Z");
        assert!(parse_time_zone(Some("Mars/Olympus")).is_err());
    }
}
