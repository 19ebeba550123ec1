//! Days, weeks and months of a time zone, for nights to be told by.

use jiff::{Timestamp, ToSpan, civil::Date, civil::Weekday, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ToolFailure;

/// What nights are told by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GroupBy {
    Day,
    Week,
    Month,
}

impl GroupBy {
    /// The first day of the period that a day is in; weeks begin on Monday.
    pub(crate) fn first_of(self, day: Date) -> Date {
        match self {
            Self::Day => day,
            Self::Week => day.saturating_sub(i64::from(day.weekday().since(Weekday::Monday)).days()),
            Self::Month => day.first_of_month(),
        }
    }

    /// The first day of the next period.
    pub(crate) fn next(self, first: Date) -> Date {
        match self {
            Self::Day => first.saturating_add(1.day()),
            Self::Week => first.saturating_add(7.days()),
            Self::Month => first.saturating_add(1.month()),
        }
    }

    /// Days of a period, for rates: of a month the mean.
    pub(crate) fn days(self) -> f64 {
        match self {
            Self::Day => 1.0,
            Self::Week => 7.0,
            Self::Month => 365.25 / 12.0,
        }
    }
}

/// A time zone by its IANA name.
pub(crate) fn zone(name: Option<&str>) -> Result<TimeZone, ToolFailure> {
    let name = name.unwrap_or("UTC");
    let unknown = |_| {
        let given: String = name.chars().take(60).collect();
        ToolFailure::Caller(format!(
            "`time_zone` `{}` is not known; give an IANA name such as Europe/Berlin",
            crate::text::visible(&given)
        ))
    };
    TimeZone::get(name).map_err(unknown)
}

/// The day of a moment in a time zone.
pub(crate) fn day_in(zone: &TimeZone, moment: Timestamp) -> Date {
    zone.to_datetime(moment).date()
}

/// When a day begins in a time zone.
pub(crate) fn begin_of(zone: &TimeZone, day: Date) -> Timestamp {
    zone.to_timestamp(day.at(0, 0, 0, 0)).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_night_is_of_the_day_and_week_of_its_own_time_zone() {
        let berlin = zone(Some("Europe/Berlin")).unwrap();
        let late: Timestamp = "2026-11-01T23:30:00Z".parse().unwrap();
        assert_eq!(day_in(&berlin, late), Date::constant(2026, 11, 2));
        let (sunday, monday) = (Date::constant(2026, 11, 1), Date::constant(2026, 11, 2));
        assert_eq!(GroupBy::Week.first_of(sunday), Date::constant(2026, 10, 26));
        assert_eq!((GroupBy::Week.first_of(monday), GroupBy::Week.next(monday)), (monday, Date::constant(2026, 11, 9)));
        assert_eq!(GroupBy::Month.next(Date::constant(2026, 12, 1)), Date::constant(2027, 1, 1));
        assert_eq!(begin_of(&berlin, monday).to_string(), "2026-11-01T23:00:00Z");
        assert!(zone(Some("Mars/Olympus")).is_err());
    }
}
