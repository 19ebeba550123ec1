//! Local time for the cron library, without a time zone.
//!
//! Daylight saving time is handled by [`Schedule`](crate::daemon::schedule::Schedule), so that the cron library needs no
//! rule for it.

use std::cmp::Ordering;

use croner::{
    errors::CronError,
    time::{CivilDate, CivilDateTime, CivilTime, CronDateTime, Resolution, Weekday},
};
use jiff::{ToSpan, civil};

/// A local date and time without a time zone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WallClock(pub(crate) civil::DateTime);

impl CronDateTime for WallClock {
    fn to_civil(&self) -> CivilDateTime {
        let local = self.0;
        let unsigned = |n: i8| u32::from(n.unsigned_abs());
        // A jiff date and time is always valid, so the checks of croner are skipped.
        CivilDateTime::new(
            CivilDate::from_parts_unchecked(i32::from(local.year()), unsigned(local.month()), unsigned(local.day())),
            CivilTime::from_parts_unchecked(unsigned(local.hour()), unsigned(local.minute()), unsigned(local.second())),
        )
    }

    fn civil_weekday(&self) -> Weekday {
        match self.0.weekday() {
            civil::Weekday::Monday => Weekday::Monday,
            civil::Weekday::Tuesday => Weekday::Tuesday,
            civil::Weekday::Wednesday => Weekday::Wednesday,
            civil::Weekday::Thursday => Weekday::Thursday,
            civil::Weekday::Friday => Weekday::Friday,
            civil::Weekday::Saturday => Weekday::Saturday,
            civil::Weekday::Sunday => Weekday::Sunday,
        }
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let signed = |n: u32| i8::try_from(n).ok();
        let local_time = || {
            let year = i16::try_from(civil.year()).ok()?;
            let (month, day) = (signed(civil.month())?, signed(civil.day())?);
            let (hour, minute, second) = (signed(civil.hour())?, signed(civil.minute())?, signed(civil.second())?);
            civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()
        };
        local_time().map(|local| Resolution::Single(Self(local))).ok_or(CronError::InvalidDate)
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        self.0.checked_add(seconds.seconds()).ok().map(Self)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}
