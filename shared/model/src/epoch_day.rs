//! Days in UTC, counted from 1970-01-01.

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};

const FIRST: Date = Date::constant(1970, 1, 1);

/// The date in UTC of a timestamp.
pub fn day_of(moment: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(moment).date()
}

/// The number of days from 1970-01-01 to a date.
pub fn number_of(day: Date) -> i64 {
    day.duration_since(FIRST).as_hours() / 24
}

/// The date that is this number of days after 1970-01-01. Numbers before it and after the year 7445 are clamped.
pub fn day_numbered(number: i64) -> Date {
    FIRST.saturating_add(number.clamp(0, 2_000_000).days())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Day numbers count from 1970-01-01 as day 0, and a number converts back to the same date.
    #[test]
    fn day_zero_is_1970_01_01() {
        for (day, number) in [(FIRST, 0), (Date::constant(2026, 11, 24), 20_781), (Date::constant(2024, 2, 29), 19_782)]
        {
            assert_eq!((number_of(day), day_numbered(number)), (number, day));
        }
    }
}
