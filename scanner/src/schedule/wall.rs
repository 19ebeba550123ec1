//! The clock on the wall as the cron library sees it: without a zone, so that it need not know of summer time.

use std::cmp::Ordering;

use croner::{
    errors::CronError,
    time::{CivilDate, CivilDateTime, CivilTime, CronDateTime, Resolution, Weekday},
};
use jiff::{ToSpan, civil};

/// A date and time without a zone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wall(pub(super) civil::DateTime);

impl CronDateTime for Wall {
    fn to_civil(&self) -> CivilDateTime {
        let at = self.0;
        let part = |n: i8| u32::from(n.unsigned_abs());
        // jiff's dates and times are valid already.
        CivilDateTime::new(
            CivilDate::from_parts_unchecked(i32::from(at.year()), part(at.month()), part(at.day())),
            CivilTime::from_parts_unchecked(part(at.hour()), part(at.minute()), part(at.second())),
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
        let small = |n: u32| i8::try_from(n).ok();
        let made = || {
            let year = i16::try_from(civil.year()).ok()?;
            let (month, day) = (small(civil.month())?, small(civil.day())?);
            let (hour, minute, second) = (small(civil.hour())?, small(civil.minute())?, small(civil.second())?);
            civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()
        };
        made().map(|at| Resolution::Single(Self(at))).ok_or(CronError::InvalidDate)
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        self.0.checked_add(seconds.seconds()).ok().map(Self)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}
