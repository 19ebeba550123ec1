//! What a scan asks of the bill: the fewest questions that say what untagged spend there is, within a day's budget.
//!
//! The unit is a calendar month, asked for as a whole and recorded as a whole: the running month and those that may still
//! change every night, every other month once.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan, civil::Date};
use shared::{
    cloud::Cloud,
    day::day_of,
    inventory::{Gap, GapReason},
    money::{Amount, BillAnswer, BillProblem, BillQuestion, Charge, Days, Invalid, Metric, Services, Terms, charge},
    policy::Policy,
    store::{BillGap, BillKnown, BillLine, BillPart, Harvest, KnownMonth, MonthBill},
};
use tracing::info;

/// Months beside the running one that Cost Explorer keeps, unless it was asked to keep more.
const KEPT_MONTHS: i32 = 13;

/// The months to ask for, the newest first: those of which nothing is known, or too little, or what may have changed since.
fn wanted(known: &[KnownMonth], terms: &str, today: Date) -> Vec<Days> {
    let enough = |days: &Days| {
        let known = known.iter().find(|month| month.days.first == days.first);
        known.is_some_and(|month| {
            let fresh = month.open_from.is_none() || day_of(month.asked_at) >= today;
            fresh && month.terms == terms && month.days.end >= days.end
        })
    };
    let month = |back: i32| {
        let month = Days::of_month(today.first_of_month().saturating_sub(back.months()));
        // What is used today is billed tomorrow.
        Days { end: month.end.min(today), ..month }
    };
    (0..=KEPT_MONTHS).map(month).filter(|days| days.first < days.end && !enough(days)).collect()
}

/// Asks the bill. `budget`: requests a day; what was spent of it before counts.
pub(crate) async fn harvest<C: Cloud>(
    cloud: &C,
    policy: &Policy,
    known: &BillKnown,
    budget: u64,
    now: Timestamp,
) -> Harvest {
    let terms = Terms::of(policy);
    let left = budget.saturating_sub(known.requests_today);
    let mut asking = Asking { cloud, terms, digest: String::new(), left, requests: 0, now };
    asking.digest = asking.terms.digest();
    let mut harvest = Harvest { asked_at: now, requests: 0, months: Vec::new(), tags: None, gap: None };
    let months = wanted(&known.months, &asking.digest, day_of(now));
    if months.is_empty() {
        return harvest;
    }
    for (done, days) in months.iter().enumerate() {
        match asking.month(*days).await {
            Ok(month) => harvest.months.push(month),
            // Before the account's first month there is nothing to ask for.
            Err(BillProblem::Gap(gap)) if done > 0 && gap.reason == GapReason::NotEnabled => break,
            Err(problem) => {
                harvest.gap = Some(asking.gap(problem, budget, months.len() - done));
                break;
            }
        }
    }
    if !harvest.months.is_empty() && asking.left > 0 {
        asking.requests += 1;
        // A member account may not ask; what that disables is said where it matters.
        harvest.tags = cloud.allocation_tags().await.ok();
    }
    harvest.requests = asking.requests;
    info!(months_n = harvest.months.len(), requests_n = harvest.requests, "bill read");
    harvest
}

struct Asking<'a, C> {
    cloud: &'a C,
    terms: Terms<'a>,
    digest: String,
    left: u64,
    requests: u64,
    now: Timestamp,
}

impl<C: Cloud> Asking<'_, C> {
    async fn month(&mut self, days: Days) -> Result<MonthBill, BillProblem> {
        if self.left < self.terms.most_questions() as u64 {
            return Err(BillProblem::Budget); // a month that cannot be ended is not begun
        }
        let mut sums = Sums::default();
        let charges = self.ask(&Terms::charges(days)).await?;
        let open_from = charges.estimated.first().copied();
        let billed = used(&charges);
        sums.add(BillPart::Charges, charges)?;
        let mut invalid = Invalid::new();
        for question in self.terms.values(days, &billed) {
            let answer = self.ask(&question).await?;
            self.values(&question, answer, &mut sums, &mut invalid)?;
        }
        if let Some(question) = self.terms.places(days, &billed) {
            sums.add(BillPart::Places, self.ask(&question).await?)?;
        }
        let gaps = [BillPart::GapByService, BillPart::GapByPlace].into_iter();
        for (part, question) in gaps.zip(self.terms.gaps(days, &billed, &invalid)) {
            sums.add(part, self.ask(&question).await?)?;
        }
        let metric = sums.metric.unwrap_or(Metric::NetAmortized);
        Ok(MonthBill { days, open_from, metric, terms: self.digest.clone(), lines: sums.lines() })
    }

    async fn ask(&mut self, question: &BillQuestion) -> Result<BillAnswer, BillProblem> {
        let billed = self.cloud.bill(question, self.left).await;
        self.left = self.left.saturating_sub(billed.requests);
        self.requests += billed.requests;
        billed.answer
    }

    /// Sums over each of the keys that were asked for together, and the values that the policy does not allow.
    fn values(
        &self,
        question: &BillQuestion,
        answer: BillAnswer,
        sums: &mut Sums,
        invalid: &mut Invalid,
    ) -> Result<(), BillProblem> {
        sums.agree(&answer)?;
        for row in answer.rows {
            for (dimension, value) in question.by.iter().zip(row.groups) {
                let shared::money::Dimension::Tag(key) = dimension else { continue };
                if !value.is_empty() && !self.terms.allows(key, &value, row.day) {
                    invalid.entry(key.clone()).or_default().insert(value.clone());
                }
                sums.line((row.day, BillPart::Values, key.clone(), value, row.currency.clone()), row.amount);
            }
        }
        Ok(())
    }

    fn gap(&self, problem: BillProblem, budget: u64, months: usize) -> BillGap {
        let (reason, operation, message) = match problem {
            BillProblem::Gap(Gap { reason, operation, message }) => (reason.as_str().to_owned(), operation, message),
            BillProblem::Budget => {
                let message = format!(
                    "{months} months are still to be asked for, and the day's budget of {budget} requests leaves {}; \
                     the next days ask on, or raise TAGLEDGER_COST_REQUEST_BUDGET",
                    self.left
                );
                ("budget".to_owned(), "ce:GetCostAndUsage".to_owned(), message)
            }
        };
        BillGap { asked_at: self.now, reason, operation, message }
    }
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
        KnownMonth { days: Days { first, end }, open_from, asked_at: at(asked), metric: Metric::NetAmortized, terms }
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
    }
}
