//! Days in UTC: what a snapshot's verdicts and dates are about.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

/// The day in UTC of a moment.
pub fn day_of(moment: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(moment).date()
}
