//! Reads the costs of resources once a week, and when a further month has ended.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};
use tagledger_cloud::Cloud;
use tagledger_cost::{
    Amount, CostQueryError, CostQueryResponse, Days, ResourceCharges, ResourceCosts, build_usage_pools,
    collect_resource_charges, resource_question, usage_questions,
};
use tagledger_ledger::{MonthBill, RecordedBasis, RecordedBill};
use tagledger_model::epoch_day::{day_of, number_of};
use tracing::warn;

use crate::bill::bill_reader::BillReader;

/// Days after which the costs of a final month are read again.
const REFRESH_DAYS: i64 = 7;

/// Days for which the recorded costs by resource ID remain when they cannot be read again.
const RETENTION_DAYS: i64 = 30;

/// Minimum number of requests.
const MIN_REQUESTS: u64 = 3;

impl<C: Cloud> BillReader<'_, C> {
    /// Reads the costs of resources in the last complete month. None when the recorded costs remain valid. This uses at most half
    /// of the remaining budget, because months have priority.
    pub(crate) async fn collect_resource_costs_if_due(
        &mut self,
        recorded: &RecordedBill,
        read: &[MonthBill],
        now: Timestamp,
    ) -> Option<ResourceCosts> {
        let (days, open) = last_complete_month(recorded, read, &self.payer)?;
        let today = day_of(now);
        let basis = recorded.basis.as_ref().filter(|basis| basis.payer == self.payer);
        let age = |basis: &RecordedBasis| number_of(today) - number_of(day_of(basis.asked_at));
        let refresh_days = if open { 1 } else { REFRESH_DAYS };
        let is_fresh = basis.is_some_and(|basis| basis.days == days && age(basis) < refresh_days);
        if is_fresh || self.budget.remaining < 2 * MIN_REQUESTS {
            return None;
        }
        let reserved = self.budget.remaining - self.budget.remaining / 2;
        self.budget.remaining /= 2;
        let has_resource_ids = basis.is_some_and(|basis| basis.has_resource_ids && age(basis) < RETENTION_DAYS);
        let costs = self.read_resource_costs(days, today, has_resource_ids).await;
        self.budget.remaining += reserved;
        costs
    }

    /// Recorded costs remain when they cannot be read. When the bill never had resource IDs, the reason is recorded.
    async fn read_resource_costs(&mut self, days: Days, today: Date, has_resource_ids: bool) -> Option<ResourceCosts> {
        let (by_account, by_region) = match self.read_usage(days).await {
            Ok(answers) => answers,
            Err(problem) => {
                warn!("the costs of resources could not be read: {}", describe(problem));
                return None;
            }
        };
        let currency = main_currency(&by_account);
        let pools = build_usage_pools(&by_account, &by_region, &currency);
        let (charges, problem) = match self.read_charges(today, &currency).await {
            Ok(charges) => (charges, String::new()),
            Err(problem) if has_resource_ids => {
                warn!(
                    "the costs by resource ID could not be read, and the recorded costs remain: {}",
                    describe(problem)
                );
                return None;
            }
            Err(problem) => (None, describe(problem)),
        };
        let payer = self.payer.clone();
        Some(ResourceCosts { days, payer, currency, pools, charges, problem })
    }

    async fn read_usage(&mut self, days: Days) -> Result<(CostQueryResponse, CostQueryResponse), CostQueryError> {
        let [by_account, by_region] = usage_questions(days);
        Ok((self.send_question(&by_account).await?, self.send_question(&by_region).await?))
    }

    async fn read_charges(&mut self, today: Date, currency: &str) -> Result<Option<ResourceCharges>, CostQueryError> {
        let question = resource_question(today);
        let charges = collect_resource_charges(question.days, self.send_question(&question).await?, currency);
        Ok((!charges.resources.is_empty()).then_some(charges))
    }
}

/// The newest complete month, and whether AWS may still change it.
fn last_complete_month(recorded: &RecordedBill, read: &[MonthBill], payer: &str) -> Option<(Days, bool)> {
    let recorded = recorded.months.iter().filter(|month| month.payer == payer);
    let recorded = recorded.map(|month| (month.days, month.open_from.is_some()));
    let months = recorded.chain(read.iter().map(|month| (month.days, month.open_from.is_some())));
    months.filter(|(days, _)| days.end == Days::of_month(days.first).end).max_by_key(|(days, _)| *days)
}

/// The currency with the most spend.
fn main_currency(response: &CostQueryResponse) -> String {
    let mut sums: BTreeMap<&str, Amount> = BTreeMap::new();
    for row in &response.rows {
        *sums.entry(&row.currency).or_default() += row.amount;
    }
    sums.into_iter().max_by_key(|(_, amount)| *amount).map_or_else(|| "USD".to_owned(), |(name, _)| name.to_owned())
}

fn describe(problem: CostQueryError) -> String {
    match problem {
        CostQueryError::Gap(gap) => gap.to_string(),
        CostQueryError::PageLimit => {
            "the remaining request budget of the day is too small; increase TAGLEDGER_COST_REQUEST_BUDGET".to_owned()
        }
    }
}
