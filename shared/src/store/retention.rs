//! Which nights a ledger keeps: a pure choice.

use std::{collections::BTreeMap, fmt, str::FromStr};

use jiff::{ToSpan, civil::Date};

/// Nights to keep, such as `90d,52w,m`: every one of 90 days, then one a week for 52 weeks, then one a month for ever.
///
/// Ages count from the day of thinning. The one that is kept of an ISO week or a calendar month is its newest complete
/// one, or its newest when none is complete. Days are UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    days: u32,
    weeks: Reach,
    months: Reach,
}

/// How far back one a week, or one a month, is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    None,
    Some(u32),
    Ever,
}

/// A text that is no retention.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{given}` is no retention: give days, then perhaps weeks, then perhaps months, such as `90d`, `90d,52w` or `90d,52w,m`; \
    weeks or months without a number are kept for ever"
)]
pub struct InvalidRetention {
    given: String,
}

/// What thinning looks at of a night.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) id: i64,
    pub(super) day: Date,
    pub(super) complete: bool,
}

impl Mark {
    /// The better of a period has the greater one.
    fn rank(&self) -> (bool, i64) {
        (self.complete, self.id)
    }
}

impl Retention {
    /// Those of the kept nights that are to go. Never the newest, nor the newest complete one.
    pub(super) fn surplus(&self, kept: &[Mark], today: Date) -> Vec<i64> {
        let (mut weeks, mut months) = (BTreeMap::new(), BTreeMap::new());
        for mark in kept {
            better(weeks.entry(week(mark.day)).or_insert(mark), mark);
            better(months.entry((mark.day.year(), mark.day.month())).or_insert(mark), mark);
        }
        let newest = kept.iter().map(|mark| mark.id).max();
        let newest_complete = kept.iter().filter(|mark| mark.complete).map(|mark| mark.id).max();
        let stays = |mark: &Mark| {
            Some(mark.id) == newest
                || Some(mark.id) == newest_complete
                || mark.day > today.saturating_sub(i64::from(self.days).days())
                || self.weeks.holds(mark.day, |n| today.saturating_sub(i64::from(n).weeks()))
                    && weeks.get(&week(mark.day)).is_some_and(|best| best.id == mark.id)
                || self.months.holds(mark.day, |n| today.saturating_sub(i64::from(n).months()))
                    && months.get(&(mark.day.year(), mark.day.month())).is_some_and(|best| best.id == mark.id)
        };
        kept.iter().filter(|mark| !stays(mark)).map(|mark| mark.id).collect()
    }
}

fn better<'m>(best: &mut &'m Mark, other: &'m Mark) {
    if other.rank() > best.rank() {
        *best = other;
    }
}

fn week(day: Date) -> (i16, i8) {
    let week = day.iso_week_date();
    (week.year(), week.week())
}

impl Reach {
    fn holds(self, day: Date, limit: impl Fn(u32) -> Date) -> bool {
        match self {
            Self::None => false,
            Self::Some(n) => day > limit(n),
            Self::Ever => true,
        }
    }

    fn parse(part: Option<&str>, unit: char) -> Option<Self> {
        match part.map(|part| part.strip_suffix(unit)) {
            None => Some(Self::None),
            Some(Some("")) => Some(Self::Ever),
            Some(number) => bounded(number?).map(Self::Some),
        }
    }
}

fn bounded(number: &str) -> Option<u32> {
    number.parse().ok().filter(|number| (1..=100_000).contains(number))
}

impl FromStr for Retention {
    type Err = InvalidRetention;

    fn from_str(given: &str) -> Result<Self, InvalidRetention> {
        let parts: Vec<&str> = given.split(',').map(str::trim).collect();
        let parsed = || {
            let (days, rest) = parts.split_first()?;
            let days = bounded(days.strip_suffix('d')?)?;
            let weekly = rest.iter().find(|part| part.ends_with('w'));
            let monthly = rest.iter().find(|part| part.ends_with('m'));
            let in_order: Vec<&&str> = weekly.iter().chain(monthly.iter()).copied().collect();
            let weeks = Reach::parse(weekly.copied(), 'w')?;
            let months = Reach::parse(monthly.copied(), 'm')?;
            in_order.into_iter().eq(rest).then_some(Self { days, weeks, months })
        };
        parsed().ok_or_else(|| InvalidRetention { given: given.to_owned() })
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}d", self.days)?;
        for (reach, unit) in [(self.weeks, 'w'), (self.months, 'm')] {
            match reach {
                Reach::None => {}
                Reach::Some(n) => write!(f, ",{n}{unit}")?,
                Reach::Ever => write!(f, ",{unit}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const FIRST: Date = Date::constant(2025, 1, 1);

    /// One night a day from the first of January 2025, a Wednesday, thinned each day.
    fn lived(retention: &str, days: i64, complete: impl Fn(i64) -> bool) -> Vec<Date> {
        let retention: Retention = retention.parse().unwrap();
        let mut kept: Vec<Mark> = Vec::new();
        for id in 0..days {
            let day = FIRST.saturating_add(id.days());
            kept.push(Mark { id, day, complete: complete(id) });
            let surplus = retention.surplus(&kept, day);
            kept.retain(|mark| !surplus.contains(&mark.id));
        }
        kept.into_iter().map(|mark| mark.day).collect()
    }

    #[test]
    fn all_nights_of_a_week_then_sundays_then_the_last_night_of_each_month() {
        let kept: Vec<String> = lived("7d,5w,m", 120, |_| true).iter().map(Date::to_string).collect();
        let months = ["2025-01-31", "2025-02-28", "2025-03-31"];
        let sundays = ["2025-03-30", "2025-04-06", "2025-04-13", "2025-04-20"];
        let days = (24..=30).map(|day| format!("2025-04-{day}"));
        let mut expected: Vec<String> = months.iter().chain(&sundays).map(ToString::to_string).chain(days).collect();
        expected.sort();
        assert_eq!(kept, expected);
    }

    #[test]
    fn days_alone_keep_nothing_older() {
        assert_eq!(lived("3d", 10, |_| true).len(), 3);
    }

    #[test]
    fn of_a_week_with_one_complete_night_that_one_is_kept() {
        // 2025-01-07 is a Tuesday.
        let kept = lived("2d,w", 30, |id| id == 6);
        assert!(kept.contains(&Date::constant(2025, 1, 7)), "{kept:?}");
        assert!(!kept.contains(&Date::constant(2025, 1, 12)), "{kept:?}");
    }

    #[test]
    fn what_is_written_is_read() {
        for text in ["90d", "90d,52w", "90d,m", "400d,w", "30d,8w,12m"] {
            assert_eq!(text.parse::<Retention>().unwrap().to_string(), text);
        }
        assert_eq!("7d, 4w".parse::<Retention>().unwrap().to_string(), "7d,4w");
        for text in ["", "90", "0d", "d", "52w", "90d,12m,52w", "90d,1x", "90d,,m", "90d,-1w", "90d,4w,4w"] {
            assert!(text.parse::<Retention>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_newest_and_the_newest_complete_night_stay_and_thinning_twice_is_thinning_once(
            nights in prop::collection::vec((0_i64..800, any::<bool>()), 1..60),
            today in 0_i64..2000,
            retention in prop::sample::select(vec!["1d", "7d,4w", "7d,4w,3m", "30d,w", "1d,m"]),
        ) {
            let retention: Retention = retention.parse().unwrap();
            let mark = |(id, (day, complete)): (usize, &(i64, bool))|
                Mark { id: i64::try_from(id).unwrap(), day: FIRST.saturating_add(day.days()), complete: *complete };
            let mut kept: Vec<Mark> = nights.iter().enumerate().map(mark).collect();
            let today = FIRST.saturating_add(today.days());
            let surplus: BTreeSet<i64> = retention.surplus(&kept, today).into_iter().collect();
            let newest_complete = kept.iter().filter(|m| m.complete).map(|m| m.id).max();
            prop_assert!(!surplus.contains(&kept.last().unwrap().id));
            prop_assert!(newest_complete.is_none_or(|id| !surplus.contains(&id)));
            kept.retain(|mark| !surplus.contains(&mark.id));
            prop_assert_eq!(retention.surplus(&kept, today), Vec::<i64>::new());
        }
    }
}
