//! The retention policy: which snapshots a ledger retains.

use std::{collections::BTreeMap, fmt, str::FromStr};

use jiff::{ToSpan, civil::Date};

/// Snapshots to retain, such as `90d,52w,m`: all of 90 days, then one a week for 52 weeks, then one a month without a limit.
///
/// Ages count from the day of pruning. Of an ISO week or a calendar month, the newest complete snapshot is retained, or the newest
/// one when none is complete. Days are UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionPolicy {
    days: u32,
    weeks: Duration,
    months: Duration,
}

/// For how long one snapshot a week, or one a month, is retained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Duration {
    None,
    Some(u32),
    Unlimited,
}

/// A text that is not a retention policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{given}` is not a retention policy: give days, then optionally weeks and months, such as `90d`, `90d,52w` or `90d,52w,m`; \
    weeks or months without a number have no limit"
)]
pub struct InvalidRetentionPolicy {
    given: String,
}

/// The properties of a snapshot that decide whether it is retained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SnapshotMark {
    pub(crate) id: i64,
    pub(crate) day: Date,
    pub(crate) complete: bool,
}

impl SnapshotMark {
    /// Of the snapshots of a week or month, the one with the greatest rank is retained.
    fn rank(&self) -> (bool, i64) {
        (self.complete, self.id)
    }
}

impl RetentionPolicy {
    /// The ids of the retained snapshots to prune. The newest snapshot and the newest complete one are never among them.
    pub(crate) fn surplus(&self, retained: &[SnapshotMark], today: Date) -> Vec<i64> {
        let (mut weeks, mut months) = (BTreeMap::new(), BTreeMap::new());
        for mark in retained {
            keep_better(weeks.entry(week(mark.day)).or_insert(mark), mark);
            keep_better(months.entry((mark.day.year(), mark.day.month())).or_insert(mark), mark);
        }
        let newest = retained.iter().map(|mark| mark.id).max();
        let newest_complete = retained.iter().filter(|mark| mark.complete).map(|mark| mark.id).max();
        let is_retained = |mark: &SnapshotMark| {
            Some(mark.id) == newest
                || Some(mark.id) == newest_complete
                || mark.day > today.saturating_sub(i64::from(self.days).days())
                || self.weeks.contains(mark.day, |n| today.saturating_sub(i64::from(n).weeks()))
                    && weeks.get(&week(mark.day)).is_some_and(|best| best.id == mark.id)
                || self.months.contains(mark.day, |n| today.saturating_sub(i64::from(n).months()))
                    && months.get(&(mark.day.year(), mark.day.month())).is_some_and(|best| best.id == mark.id)
        };
        retained.iter().filter(|mark| !is_retained(mark)).map(|mark| mark.id).collect()
    }
}

fn keep_better<'m>(best: &mut &'m SnapshotMark, other: &'m SnapshotMark) {
    if other.rank() > best.rank() {
        *best = other;
    }
}

fn week(day: Date) -> (i16, i8) {
    let week = day.iso_week_date();
    (week.year(), week.week())
}

impl Duration {
    fn contains(self, day: Date, limit: impl Fn(u32) -> Date) -> bool {
        match self {
            Self::None => false,
            Self::Some(n) => day > limit(n),
            Self::Unlimited => true,
        }
    }

    fn parse(part: Option<&str>, unit: char) -> Option<Self> {
        match part.map(|part| part.strip_suffix(unit)) {
            None => Some(Self::None),
            Some(Some("")) => Some(Self::Unlimited),
            Some(number) => parse_count(number?).map(Self::Some),
        }
    }
}

fn parse_count(number: &str) -> Option<u32> {
    number.parse().ok().filter(|number| (1..=100_000).contains(number))
}

impl FromStr for RetentionPolicy {
    type Err = InvalidRetentionPolicy;

    fn from_str(given: &str) -> Result<Self, InvalidRetentionPolicy> {
        let parts: Vec<&str> = given.split(',').map(str::trim).collect();
        let parsed = || {
            let (days, rest) = parts.split_first()?;
            let days = parse_count(days.strip_suffix('d')?)?;
            let weekly = rest.iter().find(|part| part.ends_with('w'));
            let monthly = rest.iter().find(|part| part.ends_with('m'));
            let in_order: Vec<&&str> = weekly.iter().chain(monthly.iter()).copied().collect();
            let weeks = Duration::parse(weekly.copied(), 'w')?;
            let months = Duration::parse(monthly.copied(), 'm')?;
            in_order.into_iter().eq(rest).then_some(Self { days, weeks, months })
        };
        parsed().ok_or_else(|| InvalidRetentionPolicy { given: given.to_owned() })
    }
}

impl fmt::Display for RetentionPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}d", self.days)?;
        for (duration, unit) in [(self.weeks, 'w'), (self.months, 'm')] {
            match duration {
                Duration::None => {}
                Duration::Some(n) => write!(f, ",{n}{unit}")?,
                Duration::Unlimited => write!(f, ",{unit}")?,
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

    /// The retained days of one snapshot a day from the first of January 2025, a Wednesday, with pruning each day.
    fn prune_daily(retention: &str, days: i64, complete: impl Fn(i64) -> bool) -> Vec<Date> {
        let retention: RetentionPolicy = retention.parse().unwrap();
        let mut retained: Vec<SnapshotMark> = Vec::new();
        for id in 0..days {
            let day = FIRST.saturating_add(id.days());
            retained.push(SnapshotMark { id, day, complete: complete(id) });
            let surplus = retention.surplus(&retained, day);
            retained.retain(|mark| !surplus.contains(&mark.id));
        }
        retained.into_iter().map(|mark| mark.day).collect()
    }

    /// With `7d,5w,m` and pruning every day, the retained snapshots are those of the last seven days, then one of each
    /// week (its Sunday), then one of each month (its last day).
    #[test]
    fn daily_then_weekly_then_monthly_are_retained() {
        let retained: Vec<String> = prune_daily("7d,5w,m", 120, |_| true).iter().map(Date::to_string).collect();
        let months = ["2025-01-31", "2025-02-28", "2025-03-31"];
        let sundays = ["2025-03-30", "2025-04-06", "2025-04-13", "2025-04-20"];
        let days = (24..=30).map(|day| format!("2025-04-{day}"));
        let mut expected: Vec<String> = months.iter().chain(&sundays).map(ToString::to_string).chain(days).collect();
        expected.sort();
        assert_eq!(retained, expected);
    }

    /// A retention policy with days only retains no older snapshots.
    #[test]
    fn days_only_policy_retains_nothing_older() {
        assert_eq!(prune_daily("3d", 10, |_| true).len(), 3);
    }

    /// When one snapshot of a week is complete, that one is retained for the week instead of a newer incomplete one.
    #[test]
    fn complete_snapshot_of_week_is_preferred() {
        // 2025-01-07 is a Tuesday.
        let retained = prune_daily("2d,w", 30, |id| id == 6);
        assert!(retained.contains(&Date::constant(2025, 1, 7)), "{retained:?}");
        assert!(!retained.contains(&Date::constant(2025, 1, 12)), "{retained:?}");
    }

    /// A retention policy is displayed as it was written, with spaces after commas removed. Text with missing numbers,
    /// unknown units, a wrong order or repeated units is rejected.
    #[test]
    fn policy_text_round_trips_and_invalid_text_fails() {
        for text in ["90d", "90d,52w", "90d,m", "400d,w", "30d,8w,12m"] {
            assert_eq!(text.parse::<RetentionPolicy>().unwrap().to_string(), text);
        }
        assert_eq!("7d, 4w".parse::<RetentionPolicy>().unwrap().to_string(), "7d,4w");
        for text in ["", "90", "0d", "d", "52w", "90d,12m,52w", "90d,1x", "90d,,m", "90d,-1w", "90d,4w,4w"] {
            assert!(text.parse::<RetentionPolicy>().is_err(), "{text}");
        }
    }

    proptest! {
        /// For any snapshots and dates, the newest snapshot and the newest complete snapshot are retained. A second
        /// selection over the retained snapshots removes nothing.
        #[test]
        fn newest_snapshots_are_retained_and_prune_is_idempotent(
            snapshots in prop::collection::vec((0_i64..800, any::<bool>()), 1..60),
            today in 0_i64..2000,
            retention in prop::sample::select(vec!["1d", "7d,4w", "7d,4w,3m", "30d,w", "1d,m"]),
        ) {
            let retention: RetentionPolicy = retention.parse().unwrap();
            let mark = |(id, (day, complete)): (usize, &(i64, bool))|
                SnapshotMark { id: i64::try_from(id).unwrap(), day: FIRST.saturating_add(day.days()), complete: *complete };
            let mut retained: Vec<SnapshotMark> = snapshots.iter().enumerate().map(mark).collect();
            let today = FIRST.saturating_add(today.days());
            let surplus: BTreeSet<i64> = retention.surplus(&retained, today).into_iter().collect();
            let newest_complete = retained.iter().filter(|m| m.complete).map(|m| m.id).max();
            prop_assert!(!surplus.contains(&retained.last().unwrap().id));
            prop_assert!(newest_complete.is_none_or(|id| !surplus.contains(&id)));
            retained.retain(|mark| !surplus.contains(&mark.id));
            prop_assert_eq!(retention.surplus(&retained, today), Vec::<i64>::new());
        }
    }
}
