//! What a scan asks of the bill: the fewest questions that say what untagged spend there is, within a day's budget.
//!
//! The unit is a calendar month, asked for as a whole and recorded as a whole: the running month and those that may still
//! change every night, every other month once.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan, civil::Date};
use shared::{
    cloud::Cloud,
    day::{day_of, number_of},
    inventory::{Gap, GapReason},
    money::{
        AllocationTag, Amount, BillAnswer, BillProblem, BillQuestion, Charge, Days, Dimension, Invalid, Metric,
        Services, Terms, charge,
    },
    policy::Policy,
    store::{BillGap, BillKnown, BillLine, BillPart, Harvest, KnownMonth, MonthBill},
};
use tracing::info;

mod singles;

/// Months beside the running one that Cost Explorer keeps, unless it was asked to keep more.
const KEPT_MONTHS: i32 = 13;

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

/// Asks the bill. `budget`: requests a day; what was spent of it before counts.
pub(crate) async fn harvest<C: Cloud>(
    cloud: &C,
    policy: &Policy,
    known: &BillKnown,
    budget: u64,
    now: Timestamp,
) -> Harvest {
    let mut harvest = Harvest { asked_at: now, ..Harvest::default() };
    let Some(payer) = cloud.payer() else { return harvest };
    let (terms, left) = (Terms::of(policy), budget.saturating_sub(known.requests_today));
    let mut asking = Asking { cloud, terms, payer: payer.to_string(), name: String::new(), left, requests: 0 };
    harvest.tags = asking.tags(known).await;
    asking.name = asking.terms.name(&asking.payer, harvest.tags.as_ref().unwrap_or(&known.tags));
    let months = wanted(&known.months, &asking.name, day_of(now));
    let mut needs = known.needs.max(asking.terms.most_questions() as u64);
    for (done, days) in months.iter().enumerate() {
        // Before older months: what single resources cost is asked about most.
        if harvest.singles.is_none() {
            harvest.singles = asking.singles_if_due(known, &harvest.months, now).await;
        }
        let before = asking.requests;
        let read = if asking.left < needs { Err(BillProblem::Budget) } else { asking.month(*days).await };
        match read {
            Ok(month) => harvest.months.push(month),
            // Before the account's first month there is nothing to ask for.
            Err(BillProblem::Gap(gap)) if done > 0 && gap.reason == GapReason::NotEnabled => break,
            Err(BillProblem::Gap(gap)) => {
                harvest.gap = Some(gap_of(gap, now));
                break;
            }
            Err(BillProblem::Budget) => {
                // What was asked for a month that could not be ended is lost; it is not begun again with as little.
                needs = needs.max(2 * (asking.requests - before));
                harvest.gap = Some(asking.out_of_budget(budget, needs, months.len() - done, now));
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

struct Asking<'a, C> {
    cloud: &'a C,
    terms: Terms<'a>,
    payer: String,
    /// Of the terms.
    name: String,
    left: u64,
    requests: u64,
}

impl<C: Cloud> Asking<'_, C> {
    /// Whether bills are split by the required keys, asked once a day; nothing when what is known of it stays.
    async fn tags(&mut self, known: &BillKnown) -> Option<Vec<AllocationTag>> {
        let keys: Vec<String> = self.terms.keys().map(str::to_owned).collect();
        if keys.is_empty() || self.left == 0 || known.requests_today > 0 {
            return None;
        }
        let requests = self.tag_requests();
        self.left = self.left.saturating_sub(requests);
        self.requests += requests;
        // A member account may not ask. What was known stays, or one failure would have every month asked for again.
        self.cloud.allocation_tags(&keys).await.ok()
    }

    /// Every day's, before the first month is asked for.
    fn tag_requests(&self) -> u64 {
        (self.terms.keys().count() as u64).div_ceil(100)
    }

    async fn month(&mut self, days: Days) -> Result<MonthBill, BillProblem> {
        let before = self.requests;
        let mut sums = Sums::default();
        let charges = self.ask(&Terms::charges(days)).await?;
        let open_from = charges.estimated.first().copied();
        let billed = used(&charges);
        sums.add(BillPart::Charges, charges)?;
        let mut wrong = BTreeMap::new();
        for question in self.terms.values(days, &billed) {
            let answer = self.ask(&question).await?;
            self.values(&question, answer, &mut sums, &mut wrong)?;
        }
        if let Some(question) = self.terms.places(days, &billed) {
            sums.add(BillPart::Places, self.ask(&question).await?)?;
        }
        let gaps = [BillPart::GapByService, BillPart::GapByPlace].into_iter();
        for (part, question) in gaps.zip(self.terms.gaps(days, &billed, &by_spend(wrong))) {
            sums.add(part, self.ask(&question).await?)?;
        }
        let metric = sums.metric.unwrap_or(Metric::NetAmortized);
        let (payer, terms, requests) = (self.payer.clone(), self.name.clone(), self.requests - before);
        Ok(MonthBill { days, open_from, metric, payer, terms, requests, lines: sums.lines() })
    }

    async fn ask(&mut self, question: &BillQuestion) -> Result<BillAnswer, BillProblem> {
        let billed = self.cloud.bill(question, self.left).await;
        self.left = self.left.saturating_sub(billed.requests);
        self.requests += billed.requests;
        billed.answer
    }

    /// Sums over each of the keys that were asked for together, and the values that the policy does not allow: on the last day,
    /// so that what expires in a month is judged alike in all of it.
    fn values(
        &self,
        question: &BillQuestion,
        answer: BillAnswer,
        sums: &mut Sums,
        wrong: &mut Wrong,
    ) -> Result<(), BillProblem> {
        sums.agree(&answer)?;
        let last = question.days.last();
        for row in answer.rows {
            for (dimension, value) in question.by.iter().zip(row.groups) {
                let Dimension::Tag(key) = dimension else { continue };
                if !value.is_empty() && !self.terms.allows(key, &value, last) {
                    *wrong.entry((key.clone(), value.clone())).or_default() += row.amount;
                }
                sums.line((row.day, BillPart::Values, key.clone(), value, row.currency.clone()), row.amount);
            }
        }
        Ok(())
    }

    fn out_of_budget(&self, budget: u64, needs: u64, months: usize, now: Timestamp) -> BillGap {
        let day = needs + self.tag_requests();
        let message = if budget < day {
            format!(
                "a month of this bill takes {needs} requests, as far as is known, and the day's budget is {budget}: raise \
                 TAGLEDGER_COST_REQUEST_BUDGET to {day} or more"
            )
        } else {
            let left = self.left;
            format!(
                "{months} months are still to be asked for; {left} requests of the day's budget of {budget} are left, and the next days ask on"
            )
        };
        let (reason, operation) = ("budget".to_owned(), "ce:GetCostAndUsage".to_owned());
        BillGap { asked_at: now, reason, operation, message, needs }
    }
}

fn gap_of(Gap { reason, operation, message }: Gap, now: Timestamp) -> BillGap {
    BillGap { asked_at: now, reason: reason.as_str().to_owned(), operation, message, needs: 0 }
}

/// What was spent under values that are not allowed, by key and value.
type Wrong = BTreeMap<(String, String), Amount>;

fn by_spend(wrong: Wrong) -> Invalid {
    let mut wrong: Vec<_> = wrong.into_iter().collect();
    wrong.sort_by_key(|(_, amount)| std::cmp::Reverse(*amount));
    let mut invalid = Invalid::new();
    for ((key, value), _) in wrong {
        invalid.entry(key).or_default().push(value);
    }
    invalid
}

/// The services of which something was used.
fn used(charges: &BillAnswer) -> Services {
    let names = charges.rows.iter().filter_map(|row| match row.groups.as_slice() {
        [service, record_type] => (charge(service, record_type) == Charge::Usage).then(|| service.clone()),
        _ => None,
    });
    names.collect()
}

type Line = (Date, BillPart, String, String, String);

/// The lines of a month so far.
#[derive(Default)]
struct Sums {
    lines: BTreeMap<Line, Amount>,
    metric: Option<Metric>,
}

impl Sums {
    fn add(&mut self, part: BillPart, answer: BillAnswer) -> Result<(), BillProblem> {
        self.agree(&answer)?;
        for row in answer.rows {
            let mut groups = row.groups.into_iter();
            let (a, b) = (groups.next().unwrap_or_default(), groups.next().unwrap_or_default());
            self.line((row.day, part, a, b, row.currency), row.amount);
        }
        Ok(())
    }

    fn line(&mut self, line: Line, amount: Amount) {
        *self.lines.entry(line).or_default() += amount;
    }

    /// Answers in other amounts than the first one's would be shares of another whole.
    fn agree(&mut self, answer: &BillAnswer) -> Result<(), BillProblem> {
        if answer.rows.is_empty() || *self.metric.get_or_insert(answer.metric) == answer.metric {
            return Ok(());
        }
        let message = "some answers have net amounts and some have not".to_owned();
        let operation = "ce:GetCostAndUsage".to_owned();
        Err(BillProblem::Gap(Gap { reason: GapReason::Failed, operation, message }))
    }

    fn lines(self) -> Vec<BillLine> {
        let line = |((day, part, a, b, currency), amount)| BillLine { day, part, a, b, currency, amount };
        self.lines.into_iter().filter(|(_, amount)| *amount != Amount::ZERO).map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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
    fn months_that_are_not_known_come_before_those_that_may_have_changed() {
        let today = Date::constant(2026, 11, 24);
        let book = [known(Date::constant(2026, 11, 1), Date::constant(2026, 11, 23), true, "2026-11-23")];
        let months = wanted(&book, "t", today);
        assert_eq!((months[0].first, months[13].first), (Date::constant(2026, 10, 1), Date::constant(2026, 11, 1)));
    }
}
