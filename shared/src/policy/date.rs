//! Dates as tag values.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

/// The day in UTC that a value names: an ISO-8601 date, or a date-time with its offset.
///
/// Compact forms and date-times without an offset are no dates: the first are mistaken for numbers, the second name
/// different days in different places.
pub(super) fn day(value: &str) -> Option<Date> {
    if !starts_with_date(value.as_bytes()) {
        return None;
    }
    match value.as_bytes().get(10) {
        None => value.parse().ok(),
        Some(b'T') => value.parse::<Timestamp>().ok().map(|time| TimeZone::UTC.to_datetime(time).date()),
        Some(_) => None,
    }
}

/// Whether a text is an RFC 3339 date-time to the letter, seconds and offset included.
pub(super) fn is_rfc3339(text: &str) -> bool {
    let bytes = text.as_bytes();
    let time = bytes.get(10..19).is_some_and(|time| fits(time, b"T00:00:00"));
    let offset = text.ends_with('Z') || bytes.last_chunk::<6>().is_some_and(|tail| is_offset(tail));
    starts_with_date(bytes) && time && offset && text.parse::<Timestamp>().is_ok()
}

fn starts_with_date(bytes: &[u8]) -> bool {
    bytes.get(..10).is_some_and(|date| fits(date, b"0000-00-00"))
}

fn is_offset(tail: &[u8]) -> bool {
    fits(tail, b"+00:00") || fits(tail, b"-00:00")
}

/// Whether a text has digits where the shape has them, and otherwise the shape's characters.
fn fits(text: &[u8], shape: &[u8]) -> bool {
    let same = |(byte, form): (&u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form };
    text.len() == shape.len() && text.iter().zip(shape).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_an_iso_date_or_a_date_time_with_its_offset_in_utc() {
        let day_of = |value| day(value).map(|date| date.to_string());
        assert_eq!(day_of("2026-02-28").as_deref(), Some("2026-02-28"));
        assert_eq!(day_of("2026-02-28T23:30:00Z").as_deref(), Some("2026-02-28"));
        assert_eq!(day_of("2026-02-28T23:30:00-05:00").as_deref(), Some("2026-03-01"));
        for bad in ["2026-02-30", "20260228", "28.02.2026", "2026-02-28T23:30:00", "2026-02-28 ", "", "2026-2-8"] {
            assert_eq!(day_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_rfc_3339_date_time_has_seconds_and_an_offset() {
        for good in ["2024-12-01T10:00:00Z", "2024-12-01T10:00:00.25+05:30"] {
            assert!(is_rfc3339(good), "{good}");
        }
        for bad in ["2024-12-01", "2024-12-01T10:00Z", "2024-12-01T10:00:00", "2024-13-01T10:00:00Z", "yesterday"] {
            assert!(!is_rfc3339(bad), "{bad}");
        }
    }
}
