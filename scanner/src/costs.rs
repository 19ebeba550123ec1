//! What a scan asks of the bill: the fewest questions that say what untagged spend there is, within a day's budget.
//!
//! The unit is a calendar month, asked for as a whole and recorded as a whole: the running month and those that may still
//! change every night, every other month once. Months that follow on each other are asked for together, for a question about
//! several costs no more than about one, but for its pages.

use std::collections::VecDeque;

use jiff::{Timestamp, ToSpan, civil::Date};
use shared::{
    cloud::Cloud,
    day::{day_of, number_of},
    inventory::{Gap, GapReason},
    money::{BillProblem, Days, Terms},
    policy::Policy,
    store::{BillGap, BillKnown, Harvest, KnownMonth},
};
use tracing::info;

mod asking;
mod singles;
mod told;

use asking::Asking;
use told::ToldToday;

pub(crate) use told::Sharing;

/// Months beside the running one that Cost Explorer keeps, unless it was asked to keep more.
const KEPT_MONTHS: i32 = 13;

/// Months asked for together: what breaks off is lost as a whole.
const MOST_TOGETHER: usize = 7;

/// The running month and the one before it, which matter most.
const FIRST_TOGETHER: usize = 2;

/// Days after which a month that AWS called final is asked for once more: credits come late, and tags are backfilled.
const SETTLED_DAYS: i64 = 30;

/// The months to ask for: first those that are not known by these terms, the newest first, then those that may have changed.
fn wanted(known: &[KnownMonth], terms: &str, today: Date) -> Vec<Days> {
    let month = |back: i32| {
        let month = Days::of_month(today.first_of_month().saturating_sub(back.months()));
        // What is used today is billed tomorrow.
        Days { end: month.end.min(today), ..month }
    };
    let known = |days: &Days| known.iter().find(|month| month.days.first == days.first && month.terms == terms);
    let fresh = |days: &Days| {
        known(days).is_some_and(|month| {
            let age = number_of(today) - number_of(day_of(month.asked_at));
            let settled = month.open_from.is_none() && month.days.end >= days.end;
            age <= 0 || (settled && age < SETTLED_DAYS)
        })
    };
    let all: Vec<Days> = (0..=KEPT_MONTHS).map(month).filter(|days| days.first < days.end && !fresh(days)).collect();
    let (again, new): (Vec<Days>, Vec<Days>) = all.into_iter().partition(|days| known(days).is_some());
    new.into_iter().chain(again).collect()
}

/// Asks the bill. `budget`: requests a day; what was spent of it before counts. `sharing`: where scanners share what they
/// were told.
pub(crate) async fn harvest<C: Cloud>(
    cloud: &C,
    policy: &Policy,
    known: &BillKnown,
    budget: u64,
    now: Timestamp,
    sharing: Option<Sharing>,
) -> Harvest {
    let mut harvest = Harvest { asked_at: now, ..Harvest::default() };
    let Some(payer) = cloud.payer() else { return harvest };
    let (terms, left) = (Terms::of(policy), budget.saturating_sub(known.requests_today));
    let (payer, name) = (payer.to_string(), String::new());
    let mut asking = Asking { cloud, terms, payer, name, left, requests: 0, now };
    harvest.tags = asking.tags(known).await;
    asking.name = asking.terms.name(&asking.payer, harvest.tags.as_ref().unwrap_or(&known.tags));
    let mut told = ToldToday::new(sharing, &asking.payer, &asking.name, now);
    let (months, read) = told.of(wanted(&known.months, &asking.name, day_of(now))).await;
    harvest.months = read;
    let mut months: VecDeque<Days> = months.into();
    // What expires in a month is judged by its last day, so that each such month has questions of its own.
    let mut most = if policy.depends_on_the_day() { 1 } else { MOST_TOGETHER };
    let mut needs = Needs { questions: asking.terms.most_questions() as u64, a_month: known.needs };
    while !months.is_empty() {
        // After the newest months and before older ones: what single resources cost is asked about most.
        if harvest.singles.is_none() && !harvest.months.is_empty() {
            harvest.singles = asking.singles_if_due(known, &harvest.months, now).await;
        }
        let before = asking.requests;
        let first = if harvest.months.is_empty() { FIRST_TOGETHER } else { MOST_TOGETHER };
        let span = span(&months, needs.months_for(asking.left).min(most).min(first));
        let read = if span.is_empty() { Err(BillProblem::Budget) } else { asking.months(&span).await };
        match read {
            Ok(read) => {
                months.drain(..span.len());
                told.keep(&read).await;
                harvest.months.extend(read);
            }
            // Some of them may be older than the account.
            Err(BillProblem::Gap(gap)) if gap.reason == GapReason::NotEnabled && span.len() > 1 => most = 1,
            // Before the account's first month there is nothing to ask for.
            Err(BillProblem::Gap(gap)) if gap.reason == GapReason::NotEnabled => {
                let first = span.first().map(|days| days.first);
                months.retain(|days| Some(days.first) > first);
                if months.is_empty() && harvest.months.is_empty() {
                    harvest.gap = Some(gap_of(gap, now));
                }
            }
            Err(BillProblem::Gap(gap)) => {
                harvest.gap = Some(gap_of(gap, now));
                break;
            }
            Err(BillProblem::Budget) => {
                // What was asked for months that could not be ended is lost; they are not begun again with as little.
                let spent = asking.requests - before;
                needs.a_month = needs.a_month.max((2 * spent).div_ceil(span.len().max(1) as u64));
                harvest.gap = Some(asking.out_of_budget(budget, needs.of_a_month(), months.len(), now));
                break;
            }
        }
    }
    if harvest.singles.is_none() {
        harvest.singles = asking.singles_if_due(known, &harvest.months, now).await;
    }
    harvest.requests = asking.requests;
    info!(months_n = harvest.months.len(), requests_n = harvest.requests, "bill read");
    harvest
}

/// The next months that follow on each other in time, the newest first; at most so many.
fn span(months: &VecDeque<Days>, most: usize) -> Vec<Days> {
    let mut span: Vec<Days> = Vec::new();
    for days in months.iter().take(most) {
        if span.last().is_some_and(|later| later.first != days.end) {
            break;
        }
        span.push(*days);
    }
    span
}

/// Requests that it takes at least, as far as is known.
struct Needs {
    /// One for each question, however many months it is of.
    questions: u64,
    /// Of a month; 0 when that is not known.
    a_month: u64,
}

impl Needs {
    fn of_a_month(&self) -> u64 {
        self.questions.max(self.a_month)
    }

    /// How many months can be asked for with so many requests.
    fn months_for(&self, left: u64) -> usize {
        if left < self.of_a_month() {
            return 0;
        }
        left.checked_div(self.a_month).map_or(usize::MAX, |months| usize::try_from(months).unwrap_or(usize::MAX))
    }
}

fn gap_of(Gap { reason, operation, message }: Gap, now: Timestamp) -> BillGap {
    BillGap { asked_at: now, reason: reason.as_str().to_owned(), operation, message, needs: 0 }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use shared::money::Metric;

    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("{text}T02:00:00Z").parse().unwrap()
    }

    fn known(first: Date, end: Date, open: bool, asked: &str) -> KnownMonth {
        let open_from = open.then_some(first);
        let terms = "t".to_owned();
        let (payer, policy_digest) = ("111122223333".to_owned(), "d".to_owned());
        let (days, asked_at, metric) = (Days { first, end }, at(asked), Metric::NetAmortized);
        KnownMonth { days, open_from, asked_at, metric, payer, policy_digest, terms }
    }

    fn firsts(known: &[KnownMonth], terms: &str, today: Date) -> BTreeSet<String> {
        wanted(known, terms, today).iter().map(|days| days.first.to_string()).collect()
    }

    #[test]
    fn of_an_unknown_bill_every_month_is_wanted_that_is_kept_the_newest_first() {
        let months = wanted(&[], "t", Date::constant(2026, 11, 24));
        assert_eq!(months.len(), 14);
        assert_eq!(months[0], Days { first: Date::constant(2026, 11, 1), end: Date::constant(2026, 11, 24) });
        assert_eq!(months[13], Days::of_month(Date::constant(2025, 10, 1)));
        // On the first of a month nothing of it is over yet.
        assert_eq!(wanted(&[], "t", Date::constant(2026, 11, 1))[0].first, Date::constant(2026, 10, 1));
    }

    #[test]
    fn only_what_may_have_changed_is_asked_for_again_and_nothing_twice_a_day() {
        let mut book: Vec<KnownMonth> = (1..=13)
            .map(|back| Days::of_month(Date::constant(2026, 11, 1).saturating_sub(back.months())))
            .map(|days| known(days.first, days.end, days.first == Date::constant(2026, 10, 1), "2026-11-23"))
            .collect();
        book.push(known(Date::constant(2026, 11, 1), Date::constant(2026, 11, 23), true, "2026-11-23"));
        let today = Date::constant(2026, 11, 24);
        let open = BTreeSet::from(["2026-10-01".to_owned(), "2026-11-01".to_owned()]);
        assert_eq!(firsts(&book, "t", today), open);
        assert_eq!(firsts(&book, "other terms", today).len(), 14);
        for month in &mut book {
            month.asked_at = at("2026-11-24");
            month.days.end = month.days.end.max(Days::of_month(month.days.first).end.min(today));
        }
        assert_eq!(firsts(&book, "t", today), BTreeSet::new());
        let later = Date::constant(2026, 12, 24);
        assert_eq!(firsts(&book, "t", later).len(), 14, "settled months are looked at once more after a month");
    }

    #[test]
    fn months_are_asked_for_together_as_far_as_they_follow_on_each_other_and_the_requests_last() {
        let month = |month| Days::of_month(Date::constant(2026, month, 1));
        let months: VecDeque<Days> = [11, 10, 8, 7, 6].map(month).into();
        assert_eq!(span(&months, 7), [11, 10].map(month));
        assert_eq!(span(&months, 1), [month(11)]);
        let later: VecDeque<Days> = [8, 7, 6].map(month).into();
        assert_eq!(span(&later, 2), [8, 7].map(month));
        let needs = |questions, a_month, left| Needs { questions, a_month }.months_for(left);
        assert_eq!(needs(7, 0, 6), 0);
        assert_eq!((needs(7, 0, 7), needs(7, 4, 9)), (usize::MAX, 2));
        assert_eq!((needs(7, 30, 29), needs(7, 30, 50)), (0, 1));
    }

    #[test]
    fn months_that_are_not_known_come_before_those_that_may_have_changed() {
        let today = Date::constant(2026, 11, 24);
        let book = [known(Date::constant(2026, 11, 1), Date::constant(2026, 11, 23), true, "2026-11-23")];
        let months = wanted(&book, "t", today);
        assert_eq!((months[0].first, months[13].first), (Date::constant(2026, 10, 1), Date::constant(2026, 11, 1)));
    }
}
