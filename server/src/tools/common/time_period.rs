//! The time period of a request, limited to the days of the bill that the ledger has.

use jiff::{ToSpan, civil::Date};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tagledger_cost::Days;
use tagledger_ledger::{BillGap, RecordedMonth, find_default_month};

use crate::{error::ToolFailure, untrusted_text::escape};

/// A calendar date in an argument or an answer, in the form `YYYY-MM-DD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Day(pub(crate) Date);

impl TryFrom<String> for Day {
    type Error = String;

    fn try_from(given: String) -> Result<Self, String> {
        let has_dashes = given.len() == 10;
        given.parse().ok().filter(|_| has_dashes).map(Self).ok_or_else(|| {
            let given: String = given.chars().take(40).collect();
            format!("`{given}` is not a date; use the form YYYY-MM-DD, such as 2026-10-31")
        })
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.0.to_string()
    }
}

/// A time period from a first to a last day, both included.
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
    /// The period of a range of days, whose end is excluded.
    pub(crate) fn from_days(days: Days) -> Self {
        Self { start: Day(days.first), end: Day(days.end.saturating_sub(1.day())) }
    }

    /// A phrase: a complete month by its name, any other period by its first and last day.
    pub(crate) fn describe(&self) -> String {
        let (Day(start), Day(end)) = (self.start, self.end);
        if start == start.first_of_month() && end == start.last_of_month() {
            return format!("for {}", start.strftime("%B %Y"));
        }
        format!("from {start} to {end}")
    }
}

/// The days of a request for which the ledger has the bill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResolvedPeriod {
    pub(crate) days: Days,
    /// Which requested days are left out, and why.
    pub(crate) notes: Vec<String>,
}

/// Limits the requested period to the days of the recorded bill. Without a request, the last complete month. Usage of `today` is not
/// billed yet.
///
/// # Errors
///
/// When the ledger has no bill, or none of the requested days.
pub(crate) fn resolve_period(
    requested: Option<TimePeriod>,
    months: &[RecordedMonth],
    gap: Option<&BillGap>,
    today: Date,
) -> Result<ResolvedPeriod, ToolFailure> {
    let (Some(oldest), Some(latest)) = (months.first(), months.last()) else { return Err(missing_bill(gap)) };
    let recorded = Days { first: oldest.days.first, end: latest.days.end };
    let Some(TimePeriod { start: Day(start), end: Day(end) }) = requested else {
        return Ok(ResolvedPeriod { days: find_default_month(months).unwrap_or(latest).days, notes: Vec::new() });
    };
    let recorded_period = TimePeriod::from_days(recorded);
    let (from, to) = (recorded_period.start.0, recorded_period.end.0);
    let refuse = |reason: String| Err(ToolFailure::Caller(reason));
    if end < start {
        return refuse(format!("`time_period.end` ({end}) is before `time_period.start` ({start})"));
    }
    if start >= today {
        return refuse(format!("`time_period` is in the future; the ledger has the bill from {from} to {to}"));
    }
    if start > to {
        return refuse(format!("`time_period` is not billed yet; the ledger has the bill from {from} to {to}"));
    }
    if end < from {
        return refuse(format!(
            "the ledger has no bill of `time_period`; it has the bill from {from} to {to}, and Cost Explorer keeps 13 months"
        ));
    }
    let days = Days { first: start.max(from), end: end.saturating_add(1.day()).min(recorded.end) };
    let mut notes = Vec::new();
    if start < from || end > to {
        let included = TimePeriod::from_days(days);
        let (first, last) = (included.start.0, included.end.0);
        notes.push(format!("The ledger has the bill from {from} to {to}. The figures include only {first} to {last}."));
    }
    let is_missing = |day: &Date| !months.iter().any(|month| (month.days.first..month.days.end).contains(day));
    let missing_days = days.iter().filter(is_missing).count();
    if missing_days == days.iter().count() {
        return refuse(format!(
            "`time_period` was not read from Cost Explorer yet; the ledger has the bill from {from} to {to}"
        ));
    }
    if missing_days > 0 {
        notes.push(format!(
            "{missing_days} days of the period were not read from Cost Explorer yet and are not included in the figures."
        ));
    }
    Ok(ResolvedPeriod { days, notes })
}

fn missing_bill(gap: Option<&BillGap>) -> ToolFailure {
    let why = gap.map_or_else(
        || "no scan has queried Cost Explorer".to_owned(),
        |gap| format!("{} failed: {}", gap.operation, escape(&gap.message)),
    );
    ToolFailure::Caller(format!(
        "the ledger has no bill: {why}. To record the bill, grant the scanner ce:GetCostAndUsage and ce:ListCostAllocationTags in \
         the payer account (TAGLEDGER_PAYER_ACCOUNT), set TAGLEDGER_COST_REQUEST_BUDGET above 0, and scan again. Answers \
         without costs do not need the bill"
    ))
}

#[cfg(test)]
mod tests {
    use tagledger_cost::{Days, Metric};
    use tagledger_ledger::RecordedMonth;

    use super::*;
    use crate::error::ToolFailure;

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn month(first: &str, end: Option<&str>) -> RecordedMonth {
        let whole = Days::of_month(day(first));
        RecordedMonth {
            days: Days { end: end.map_or(whole.end, day), ..whole },
            open_from: None,
            asked_at: jiff::Timestamp::UNIX_EPOCH,
            metric: Metric::NetAmortized,
            payer: String::new(),
            policy_digest: String::new(),
            scope_fingerprint: String::new(),
        }
    }

    fn ask(period: Option<(&str, &str)>) -> Result<(String, usize), String> {
        let months = [month("2026-08-01", None), month("2026-10-01", None), month("2026-11-01", Some("2026-11-24"))];
        let request = period.map(|(start, end)| TimePeriod { start: Day(day(start)), end: Day(day(end)) });
        match resolve_period(request, &months, None, day("2026-11-24")) {
            Ok(period) => Ok((format!("{}..{}", period.days.first, period.days.end), period.notes.len())),
            Err(ToolFailure::Caller(words)) => Err(words),
            Err(other) => Err(format!("{other:?}")),
        }
    }

    /// Without a period, the last complete month of the recorded bill is used.
    #[test]
    fn default_is_last_complete_month() {
        assert_eq!(ask(None), Ok(("2026-10-01..2026-11-01".to_owned(), 0)));
    }

    /// A period includes its end date.
    #[test]
    fn end_date_is_inclusive() {
        assert_eq!(ask(Some(("2026-10-05", "2026-10-05"))), Ok(("2026-10-05..2026-10-06".to_owned(), 0)));
    }

    /// A period is trimmed to the recorded days, and a note says so. A month that is missing inside the period adds a
    /// note and leaves the period unchanged.
    #[test]
    fn unrecorded_days_are_trimmed_with_note() {
        assert_eq!(ask(Some(("2026-07-01", "2026-08-31"))), Ok(("2026-08-01..2026-09-01".to_owned(), 1)));
        assert_eq!(ask(Some(("2026-11-01", "2026-12-31"))), Ok(("2026-11-01..2026-11-24".to_owned(), 1)));
        assert_eq!(ask(Some(("2026-08-01", "2026-10-31"))), Ok(("2026-08-01..2026-11-01".to_owned(), 1)), "a hole");
    }

    /// A period that is reversed, in the future, older than 13 months or not recorded is refused with that reason.
    /// Without any recorded month, the error names the permission `ce:GetCostAndUsage`.
    #[test]
    fn invalid_periods_are_refused_with_reason() {
        for (period, reason) in [
            (("2026-10-31", "2026-10-01"), "is before"),
            (("2026-12-01", "2026-12-31"), "in the future"),
            (("2025-01-01", "2025-01-31"), "keeps 13 months"),
            (("2026-09-03", "2026-09-30"), "was not read"),
        ] {
            let error = ask(Some(period)).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        let none = resolve_period(None, &[], None, day("2026-11-24")).unwrap_err();
        assert!(matches!(none, ToolFailure::Caller(words) if words.contains("ce:GetCostAndUsage")));
    }

    /// A date is accepted only in the form `YYYY-MM-DD` and only if it exists in the calendar.
    #[test]
    fn dates_accept_only_iso_format() {
        for bad in ["2026-13-01", "2026-02-30", "yesterday", "2026-10-31T00:00:00Z", "20261031", "31.10.2026", ""] {
            assert!(Day::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        assert!(Day::try_from("2026-02-28".to_owned()).is_ok());
    }
}
