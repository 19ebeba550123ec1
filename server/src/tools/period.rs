//! A period of days that a question is about, within what the ledger knows of the bill.

use jiff::{ToSpan, civil::Date};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::{
    money::Days,
    store::{BillGap, KnownMonth, usual_month},
};

use super::ToolFailure;
use crate::text::visible;

/// A date as callers write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Day(pub(crate) Date);

impl TryFrom<String> for Day {
    type Error = String;

    fn try_from(given: String) -> Result<Self, String> {
        let dashed = given.len() == 10;
        given.parse().ok().filter(|_| dashed).map(Self).ok_or_else(|| {
            let given: String = given.chars().take(40).collect();
            format!("`{given}` is no date; write year, month and day, such as 2026-10-31")
        })
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.0.to_string()
    }
}

/// From one day to another, both included.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TimePeriod {
    /// The first day, such as `2026-10-01`.
    #[schemars(with = "String")]
    start: Day,
    /// The last day, included, such as `2026-10-31`.
    #[schemars(with = "String")]
    end: Day,
}

impl TimePeriod {
    pub(crate) fn of(days: Days) -> Self {
        Self { start: Day(days.first), end: Day(days.end.saturating_sub(1.day())) }
    }
}

impl TimePeriod {
    /// In words: a month by its name, else both days.
    pub(crate) fn words(&self) -> String {
        let (Day(start), Day(end)) = (self.start, self.end);
        if start == start.first_of_month() && end == start.last_of_month() {
            return format!("for {}", start.strftime("%B %Y"));
        }
        format!("from {start} to {end}")
    }
}

/// The days that a question can be answered of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Period {
    pub(crate) days: Days,
    /// What of the period asked for is left out, and why.
    pub(crate) notes: Vec<String>,
}

/// What is known of the period asked for; without one, the last whole month. `today`: what was used then is billed later.
pub(crate) fn resolve(
    asked: Option<TimePeriod>,
    months: &[KnownMonth],
    gap: Option<&BillGap>,
    today: Date,
) -> Result<Period, ToolFailure> {
    let (Some(oldest), Some(newest)) = (months.first(), months.last()) else { return Err(no_bill(gap)) };
    let known = Days { first: oldest.days.first, end: newest.days.end };
    let Some(TimePeriod { start: Day(start), end: Day(end) }) = asked else {
        return Ok(Period { days: usual_month(months).unwrap_or(newest).days, notes: Vec::new() });
    };
    let told = TimePeriod::of(known);
    let (from, to) = (told.start.0, told.end.0);
    let refuse = |words: String| Err(ToolFailure::Caller(words));
    if end < start {
        return refuse(format!("`time_period.end` ({end}) is before `time_period.start` ({start})"));
    }
    if start >= today {
        return refuse(format!("`time_period` lies in the future; the bill is known from {from} to {to}"));
    }
    if start > to {
        return refuse(format!("nothing is billed yet of that period; the bill is known from {from} to {to}"));
    }
    if end < from {
        return refuse(format!(
            "the bill of that period is not known; it is known from {from} to {to}, and Cost Explorer keeps 13 months"
        ));
    }
    let days = Days { first: start.max(from), end: end.saturating_add(1.day()).min(known.end) };
    let mut notes = Vec::new();
    if start < from || end > to {
        let shown = TimePeriod::of(days);
        let (first, last) = (shown.start.0, shown.end.0);
        notes.push(format!("The bill is known from {from} to {to}: the figures are of {first} to {last} only."));
    }
    let unread = |day: &Date| !months.iter().any(|month| (month.days.first..month.days.end).contains(day));
    let holes = days.iter().filter(unread).count();
    if holes == days.iter().count() {
        return refuse(format!(
            "that period was not read from Cost Explorer yet; the bill is known from {from} to {to}"
        ));
    }
    if holes > 0 {
        notes.push(format!(
            "{holes} days of the period were not read from Cost Explorer yet, and are missing in all figures."
        ));
    }
    Ok(Period { days, notes })
}

fn no_bill(gap: Option<&BillGap>) -> ToolFailure {
    let why = gap.map_or_else(
        || "the scans so far did not ask Cost Explorer".to_owned(),
        |gap| format!("{} failed: {}", gap.operation, visible(&gap.message)),
    );
    ToolFailure::Caller(format!(
        "the ledger holds no bill: {why}. To have costs, grant the scanner ce:GetCostAndUsage and ce:ListCostAllocationTags in \
         the account that pays (TAGLEDGER_PAYER_ACCOUNT), leave TAGLEDGER_COST_REQUEST_BUDGET above 0, and scan again; \
         everything but costs is answered without"
    ))
}

#[cfg(test)]
mod tests {
    use shared::money::Metric;

    use super::*;

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn month(first: &str, end: Option<&str>) -> KnownMonth {
        let whole = Days::of_month(day(first));
        KnownMonth {
            days: Days { end: end.map_or(whole.end, day), ..whole },
            open_from: None,
            asked_at: jiff::Timestamp::UNIX_EPOCH,
            metric: Metric::NetAmortized,
            payer: String::new(),
            policy_digest: String::new(),
            terms: String::new(),
        }
    }

    fn ask(period: Option<(&str, &str)>) -> Result<(String, usize), String> {
        let months = [month("2026-08-01", None), month("2026-10-01", None), month("2026-11-01", Some("2026-11-24"))];
        let asked = period.map(|(start, end)| TimePeriod { start: Day(day(start)), end: Day(day(end)) });
        match resolve(asked, &months, None, day("2026-11-24")) {
            Ok(period) => Ok((format!("{}..{}", period.days.first, period.days.end), period.notes.len())),
            Err(ToolFailure::Caller(words)) => Err(words),
            Err(other) => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn without_a_period_the_last_whole_month_is_meant() {
        assert_eq!(ask(None), Ok(("2026-10-01..2026-11-01".to_owned(), 0)));
    }

    #[test]
    fn a_period_includes_its_last_day() {
        assert_eq!(ask(Some(("2026-10-05", "2026-10-05"))), Ok(("2026-10-05..2026-10-06".to_owned(), 0)));
    }

    #[test]
    fn what_is_not_known_of_a_period_is_left_out_and_said() {
        assert_eq!(ask(Some(("2026-07-01", "2026-08-31"))), Ok(("2026-08-01..2026-09-01".to_owned(), 1)));
        assert_eq!(ask(Some(("2026-11-01", "2026-12-31"))), Ok(("2026-11-01..2026-11-24".to_owned(), 1)));
        assert_eq!(ask(Some(("2026-08-01", "2026-10-31"))), Ok(("2026-08-01..2026-11-01".to_owned(), 1)), "a hole");
    }

    #[test]
    fn a_period_without_sense_is_refused_in_words() {
        for (period, told) in [
            (("2026-10-31", "2026-10-01"), "is before"),
            (("2026-12-01", "2026-12-31"), "in the future"),
            (("2025-01-01", "2025-01-31"), "keeps 13 months"),
            (("2026-09-03", "2026-09-30"), "was not read"),
        ] {
            let error = ask(Some(period)).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
        let none = resolve(None, &[], None, day("2026-11-24")).unwrap_err();
        assert!(matches!(none, ToolFailure::Caller(words) if words.contains("ce:GetCostAndUsage")));
    }

    #[test]
    fn a_date_is_written_in_one_way() {
        for bad in ["2026-13-01", "2026-02-30", "yesterday", "2026-10-31T00:00:00Z", "20261031", "31.10.2026", ""] {
            assert!(Day::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        assert!(Day::try_from("2026-02-28".to_owned()).is_ok());
    }
}
