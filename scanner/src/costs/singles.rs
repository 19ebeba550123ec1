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
    store::{BillKnown, KnownBasis, MonthBill},
};
use tracing::warn;

use super::asking::Asking;

/// Days after which the costs of single resources are asked for again, when AWS calls their month final.
const FRESH_DAYS: i64 = 7;

/// Days for which what the bill named stays known when it cannot be read any more.
const KEPT_DAYS: i64 = 30;

/// Requests that it takes at least.
const LEAST: u64 = 3;

impl<C: Cloud> Asking<'_, C> {
    /// What single resources cost in the last whole month that is known; none when what is known of it stays. They take half of
    /// what is left of the day at most: months go before them.
    pub(super) async fn singles_if_due(
        &mut self,
        known: &BillKnown,
        read: &[MonthBill],
        now: Timestamp,
    ) -> Option<SingleCosts> {
        let (days, open) = last_whole(known, read, &self.payer)?;
        let today = day_of(now);
        let basis = known.basis.as_ref().filter(|basis| basis.payer == self.payer);
        let age = |basis: &KnownBasis| number_of(today) - number_of(day_of(basis.asked_at));
        let fresh_days = if open { 1 } else { FRESH_DAYS };
        let fresh = basis.is_some_and(|basis| basis.days == days && age(basis) < fresh_days);
        if fresh || self.left < 2 * LEAST {
            return None;
        }
        let rest = self.left - self.left / 2;
        self.left /= 2;
        let named = basis.is_some_and(|basis| basis.named && age(basis) < KEPT_DAYS);
        let singles = self.singles(days, today, named).await;
        self.left += rest;
        singles
    }

    /// What cannot be read leaves what was known. Where the bill never named resources, that it does not is said.
    async fn singles(&mut self, days: Days, today: Date, named: bool) -> Option<SingleCosts> {
        let (by_account, by_region) = match self.usage(days).await {
            Ok(answers) => answers,
            Err(problem) => {
                warn!("what single resources cost is not read: {}", worded(problem));
                return None;
            }
        };
        let currency = main_currency(&by_account);
        let pools = pools_of(&by_account, &by_region, &currency);
        let (charges, problem) = match self.charges(today, &currency).await {
            Ok(charges) => (charges, String::new()),
            Err(problem) if named => {
                warn!("what the bill names is not read, and stays as it was: {}", worded(problem));
                return None;
            }
            Err(problem) => (None, worded(problem)),
        };
        let payer = self.payer.clone();
        Some(SingleCosts { days, payer, currency, pools, charges, problem })
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

/// The newest month that is known whole, and whether it may still change, as it was read last.
fn last_whole(known: &BillKnown, read: &[MonthBill], payer: &str) -> Option<(Days, bool)> {
    let known = known.months.iter().filter(|month| month.payer == payer);
    let known = known.map(|month| (month.days, month.open_from.is_some()));
    let months = known.chain(read.iter().map(|month| (month.days, month.open_from.is_some())));
    months.filter(|(days, _)| days.end == Days::of_month(days.first).end).max_by_key(|(days, _)| *days)
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
