//! Days in UTC: what a snapshot's verdicts and dates are about.

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};

const FIRST: Date = Date::constant(1970, 1, 1);

/// The day in UTC of a moment.
pub fn day_of(moment: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(moment).date()
}

/// How many days after 1970-01-01 a day is.
pub fn number_of(day: Date) -> i64 {
    day.duration_since(FIRST).as_hours() / 24
}

/// The day that is so many days after 1970-01-01; the last one there is when there is none.
pub fn day_numbered(number: i64) -> Date {
    FIRST.saturating_add(number.clamp(0, 2_000_000).days())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_from_1970() {
        for (day, number) in [(FIRST, 0), (Date::constant(2026, 11, 24), 20_781), (Date::constant(2024, 2, 29), 19_782)]
        {
            assert_eq!((number_of(day), day_numbered(number)), (number, day));
        }
    }
}
