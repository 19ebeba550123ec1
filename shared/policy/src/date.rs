//! Parses dates in tag values.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

/// The date in UTC of a value: an ISO 8601 date, or a date-time with an offset.
///
/// Compact forms are not dates, because they can be mistaken for numbers. Date-times without an offset are not dates
/// either, because they are on different dates in different time zones.
pub(crate) fn parse_utc_day(value: &str) -> Option<Date> {
    if !starts_with_date(value.as_bytes()) {
        return None;
    }
    match value.as_bytes().get(10) {
        None => value.parse().ok(),
        Some(b'T') => value.parse::<Timestamp>().ok().map(|time| TimeZone::UTC.to_datetime(time).date()),
        Some(_) => None,
    }
}

/// Whether a text is an exact RFC 3339 date-time, with seconds and an offset.
pub(crate) fn is_rfc3339(text: &str) -> bool {
    let bytes = text.as_bytes();
    let time = bytes.get(10..19).is_some_and(|time| matches_shape(time, b"T00:00:00"));
    let offset = text.ends_with('Z') || bytes.last_chunk::<6>().is_some_and(|tail| is_offset(tail));
    starts_with_date(bytes) && time && offset && text.parse::<Timestamp>().is_ok()
}

fn starts_with_date(bytes: &[u8]) -> bool {
    bytes.get(..10).is_some_and(|date| matches_shape(date, b"0000-00-00"))
}

fn is_offset(tail: &[u8]) -> bool {
    matches_shape(tail, b"+00:00") || matches_shape(tail, b"-00:00")
}

/// Whether a text has a digit for each `0` of the shape, and otherwise the characters of the shape.
fn matches_shape(text: &[u8], shape: &[u8]) -> bool {
    let matches = |(byte, form): (&u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form };
    text.len() == shape.len() && text.iter().zip(shape).all(matches)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A date value is an ISO 8601 date or a date-time with an offset, which is converted to its day in UTC. Other
    /// notations are not dates.
    #[test]
    fn date_value_is_converted_to_utc_day() {
        let day_of = |value| parse_utc_day(value).map(|date| date.to_string());
        assert_eq!(day_of("2026-02-28").as_deref(), Some("2026-02-28"));
        assert_eq!(day_of("2026-02-28T23:30:00Z").as_deref(), Some("2026-02-28"));
        assert_eq!(day_of("2026-02-28T23:30:00-05:00").as_deref(), Some("2026-03-01"));
        for bad in ["2026-02-30", "20260228", "28.02.2026", "2026-02-28T23:30:00", "2026-02-28 ", "", "2026-2-8"] {
            assert_eq!(day_of(bad), None, "{bad}");
        }
    }

    /// An RFC 3339 date-time requires a time with seconds and an offset.
    #[test]
    fn rfc3339_requires_seconds_and_offset() {
        for good in ["2024-12-01T10:00:00Z", "2024-12-01T10:00:00.25+05:30"] {
            assert!(is_rfc3339(good), "{good}");
        }
        for bad in ["2024-12-01", "2024-12-01T10:00Z", "2024-12-01T10:00:00", "2024-13-01T10:00:00Z", "yesterday"] {
            assert!(!is_rfc3339(bad), "{bad}");
        }
    }
}
