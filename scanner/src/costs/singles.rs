//! What is asked of single resources: once a week, and when another month has ended, for what they cost is a month's.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};
use shared::{
    cloud::Cloud,
    day::{day_of, number_of},
    money::{
        Amount, BillAnswer, BillProblem, Charges, Days, SingleCosts, charges_of, pools_of, resources_question,
        usage_questions,
    },
    store::{BillKnown, MonthBill},
};

use super::asking::Asking;

/// Days after which the costs of single resources are asked for again.
const FRESH_DAYS: i64 = 7;

/// Requests that it takes at least.
const LEAST: u64 = 3;

impl<C: Cloud> Asking<'_, C> {
    /// What single resources cost in the last whole month that is known; none when that is known, or cannot be asked today.
    pub(super) async fn singles_if_due(
        &mut self,
        known: &BillKnown,
        read: &[MonthBill],
        now: Timestamp,
    ) -> Option<SingleCosts> {
        let days = last_whole(known, read, &self.payer)?;
        let today = day_of(now);
        let fresh = known.basis.as_ref().is_some_and(|basis| {
            let age = number_of(today) - number_of(day_of(basis.asked_at));
            basis.payer == self.payer && basis.days == days && age < FRESH_DAYS
        });
        if fresh || self.left < LEAST {
            return None;
        }
        Some(self.singles(days, today).await)
    }

    /// What cannot be read is said; it is not tried again before the next time, for trying costs money.
    async fn singles(&mut self, days: Days, today: Date) -> SingleCosts {
        let (payer, currency) = (self.payer.clone(), String::new());
        let none = SingleCosts { days, payer, currency, pools: Vec::new(), charges: None, problem: String::new() };
        let (by_account, by_region) = match self.usage(days).await {
            Ok(answers) => answers,
            Err(problem) => return SingleCosts { problem: worded(problem), ..none },
        };
        let currency = main_currency(&by_account);
        let pools = pools_of(&by_account, &by_region, &currency);
        let (charges, problem) = match self.charges(today, &currency).await {
            Ok(charges) => (charges, String::new()),
            Err(problem) => (None, worded(problem)),
        };
        SingleCosts { currency, pools, charges, problem, ..none }
    }

    async fn usage(&mut self, days: Days) -> Result<(BillAnswer, BillAnswer), BillProblem> {
        let [by_account, by_region] = usage_questions(days);
        Ok((self.ask(&by_account).await?, self.ask(&by_region).await?))
    }

    async fn charges(&mut self, today: Date, currency: &str) -> Result<Option<Charges>, BillProblem> {
        let question = resources_question(today);
        let charges = charges_of(question.days, self.ask(&question).await?, currency);
        Ok((!charges.resources.is_empty()).then_some(charges))
    }
}

fn last_whole(known: &BillKnown, read: &[MonthBill], payer: &str) -> Option<Days> {
    let known = known.months.iter().filter(|month| month.payer == payer).map(|month| month.days);
    let months = known.chain(read.iter().map(|month| month.days));
    months.filter(|days| days.end == Days::of_month(days.first).end).max()
}

/// That with most spend.
fn main_currency(answer: &BillAnswer) -> String {
    let mut sums: BTreeMap<&str, Amount> = BTreeMap::new();
    for row in &answer.rows {
        *sums.entry(&row.currency).or_default() += row.amount;
    }
    sums.into_iter().max_by_key(|(_, amount)| *amount).map_or_else(|| "USD".to_owned(), |(name, _)| name.to_owned())
}

fn worded(problem: BillProblem) -> String {
    match problem {
        BillProblem::Gap(gap) => gap.to_string(),
        BillProblem::Budget => {
            "it takes more requests than are left of the day's budget: raise TAGLEDGER_COST_REQUEST_BUDGET".to_owned()
        }
    }
}
