//! The questions of a scan to the bill, and what their answers come to.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};
use shared::{
    cloud::Cloud,
    inventory::{Gap, GapReason},
    money::{
        AllocationTag, Amount, BillAnswer, BillProblem, BillQuestion, Charge, Days, Dimension, Invalid, Metric,
        Services, Terms, charge,
    },
    store::{BillGap, BillKnown, BillLine, BillPart, MonthBill},
};

/// A scan's questions to the bill.
pub(super) struct Asking<'a, C> {
    pub(super) cloud: &'a C,
    pub(super) terms: Terms<'a>,
    pub(super) payer: String,
    /// Of the terms.
    pub(super) name: String,
    /// Requests that are left of the day.
    pub(super) left: u64,
    /// Requests made.
    pub(super) requests: u64,
    /// The clock of the scan.
    pub(super) now: Timestamp,
}

impl<C: Cloud> Asking<'_, C> {
    /// Whether bills are split by the required keys, asked once a day; nothing when what is known of it stays.
    pub(super) async fn tags(&mut self, known: &BillKnown) -> Option<Vec<AllocationTag>> {
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

    /// Months that follow on each other, the newest first, with the same questions.
    pub(super) async fn months(&mut self, span: &[Days]) -> Result<Vec<MonthBill>, BillProblem> {
        let before = self.requests;
        let (Some(newest), Some(oldest)) = (span.first(), span.last()) else { return Ok(Vec::new()) };
        let days = Days { first: oldest.first, end: newest.end };
        let mut sums = Sums::default();
        let charges = self.ask(&Terms::charges(days)).await?;
        let estimated = charges.estimated.clone();
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
        let requests = (self.requests - before).div_ceil(span.len() as u64);
        let lines = sums.lines();
        let month = |days: &Days| {
            let within = |day: &Date| *day >= days.first && *day < days.end;
            MonthBill {
                days: *days,
                asked_at: self.now,
                open_from: estimated.iter().copied().find(within),
                metric,
                payer: self.payer.clone(),
                terms: self.name.clone(),
                requests,
                lines: lines.iter().filter(|line| within(&line.day)).cloned().collect(),
            }
        };
        Ok(span.iter().map(month).collect())
    }

    pub(super) async fn ask(&mut self, question: &BillQuestion) -> Result<BillAnswer, BillProblem> {
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

    pub(super) fn out_of_budget(&self, budget: u64, needs: u64, months: usize, now: Timestamp) -> BillGap {
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
