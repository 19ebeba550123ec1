//! Sends the questions of a scan to Cost Explorer, and converts the responses to bill lines.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};
use tagledger_cloud::Cloud;
use tagledger_cost::{
    AllocationTag, Amount, BillQuestion, BilledServices, ChargeCategory, CostQueryError, CostQueryResponse, Days,
    Dimension, InvalidValues, Metric, TagScope, charge_category,
};
use tagledger_ledger::{BillLine, BillPart, MonthBill, RecordedBill};
use tagledger_model::inventory::{Gap, GapReason};

use crate::bill::request_budget::RequestBudget;

/// Sends the questions of a scan within the request budget.
pub(crate) struct BillReader<'a, C> {
    pub(crate) cloud: &'a C,
    pub(crate) tag_scope: TagScope<'a>,
    pub(crate) payer: String,
    /// The fingerprint of the tag scope.
    pub(crate) scope_fingerprint: String,
    pub(crate) budget: RequestBudget,
    /// The clock of the scan.
    pub(crate) now: Timestamp,
}

impl<C: Cloud> BillReader<'_, C> {
    /// Reads which required keys are cost allocation tags, once a day. None when the recorded tags remain valid.
    pub(crate) async fn read_allocation_tags(&mut self, recorded: &RecordedBill) -> Option<Vec<AllocationTag>> {
        let keys: Vec<String> = self.tag_scope.keys().map(str::to_owned).collect();
        if keys.is_empty() || self.budget.remaining == 0 || recorded.requests_today > 0 {
            return None;
        }
        self.budget.record(self.tag_requests());
        // A member account has no access. The recorded tags remain, because other tags would cause all months to be requested
        // again.
        self.cloud.list_allocation_tags(&keys).await.ok()
    }

    /// Number of requests that reading the allocation tags takes.
    pub(crate) fn tag_requests(&self) -> u64 {
        (self.tag_scope.keys().count() as u64).div_ceil(100)
    }

    /// Reads consecutive months, newest first, with one set of questions.
    pub(crate) async fn read_months(&mut self, span: &[Days]) -> Result<Vec<MonthBill>, CostQueryError> {
        let requests_before = self.budget.sent;
        let (Some(newest), Some(oldest)) = (span.first(), span.last()) else { return Ok(Vec::new()) };
        let days = Days { first: oldest.first, end: newest.end };
        let mut sums = Sums::default();
        let charges = self.send_question(&TagScope::charges_question(days)).await?;
        let estimated = charges.estimated.clone();
        let services = used_services(&charges);
        sums.add(BillPart::Charges, charges)?;
        let mut invalid = BTreeMap::new();
        for question in self.tag_scope.tag_value_questions(days, &services) {
            let response = self.send_question(&question).await?;
            self.add_values(&question, response, &mut sums, &mut invalid)?;
        }
        if let Some(question) = self.tag_scope.region_question(days, &services) {
            sums.add(BillPart::ByRegion, self.send_question(&question).await?)?;
        }
        let gaps = [BillPart::GapByService, BillPart::GapByRegion].into_iter();
        for (part, question) in gaps.zip(self.tag_scope.gap_questions(days, &services, &sort_by_spend(invalid))) {
            sums.add(part, self.send_question(&question).await?)?;
        }
        let metric = sums.metric.unwrap_or(Metric::NetAmortized);
        let requests = (self.budget.sent - requests_before).div_ceil(span.len() as u64);
        let lines = sums.into_lines();
        let month = |days: &Days| {
            let within = |day: &Date| *day >= days.first && *day < days.end;
            MonthBill {
                days: *days,
                asked_at: self.now,
                open_from: estimated.iter().copied().find(within),
                metric,
                payer: self.payer.clone(),
                scope_fingerprint: self.scope_fingerprint.clone(),
                requests,
                lines: lines.iter().filter(|line| within(&line.day)).cloned().collect(),
            }
        };
        Ok(span.iter().map(month).collect())
    }

    /// Sends one question.
    pub(crate) async fn send_question(&mut self, question: &BillQuestion) -> Result<CostQueryResponse, CostQueryError> {
        let result = self.cloud.query_costs(question, self.budget.remaining).await;
        self.budget.record(result.requests);
        let response = result.response?;
        if !response.has_exact_sums() {
            let message = "the amounts of the response add up to more than an amount can hold".to_owned();
            let operation = "ce:GetCostAndUsage".to_owned();
            return Err(CostQueryError::Gap(Gap { reason: GapReason::Failed, operation, message }));
        }
        Ok(response)
    }

    /// Adds the spend by each key of a question, and the spend under values that the policy does not allow. Values are evaluated
    /// on the last day, so that a value that expires in a month is evaluated the same on each of its days.
    fn add_values(
        &self,
        question: &BillQuestion,
        response: CostQueryResponse,
        sums: &mut Sums,
        invalid: &mut InvalidValueSpend,
    ) -> Result<(), CostQueryError> {
        sums.check_metric(&response)?;
        let last = question.days.last();
        for row in response.rows {
            for (dimension, value) in question.group_by.iter().zip(row.groups) {
                let Dimension::Tag(key) = dimension else { continue };
                if !value.is_empty() && !self.tag_scope.allows(key, &value, last) {
                    *invalid.entry((key.clone(), value.clone())).or_default() += row.amount;
                }
                sums.add_line((row.day, BillPart::ByTagValue, key.clone(), value, row.currency.clone()), row.amount);
            }
        }
        Ok(())
    }
}

/// The spend under tag values that the policy does not allow, by key and value.
type InvalidValueSpend = BTreeMap<(String, String), Amount>;

fn sort_by_spend(spend: InvalidValueSpend) -> InvalidValues {
    let mut spend: Vec<_> = spend.into_iter().collect();
    spend.sort_by_key(|(_, amount)| std::cmp::Reverse(*amount));
    let mut invalid = InvalidValues::new();
    for ((key, value), _) in spend {
        invalid.entry(key).or_default().push(value);
    }
    invalid
}

/// Returns the services with usage charges.
fn used_services(charges: &CostQueryResponse) -> BilledServices {
    let names = charges.rows.iter().filter_map(|row| match row.groups.as_slice() {
        [service, record_type] => {
            (charge_category(service, record_type) == ChargeCategory::Usage).then(|| service.clone())
        }
        _ => None,
    });
    names.collect()
}

type Line = (Date, BillPart, String, String, String);

/// The sums of the bill lines of a request.
#[derive(Default)]
struct Sums {
    lines: BTreeMap<Line, Amount>,
    metric: Option<Metric>,
}

impl Sums {
    fn add(&mut self, part: BillPart, response: CostQueryResponse) -> Result<(), CostQueryError> {
        self.check_metric(&response)?;
        for row in response.rows {
            let mut groups = row.groups.into_iter();
            let (a, b) = (groups.next().unwrap_or_default(), groups.next().unwrap_or_default());
            self.add_line((row.day, part, a, b, row.currency), row.amount);
        }
        Ok(())
    }

    fn add_line(&mut self, line: Line, amount: Amount) {
        *self.lines.entry(line).or_default() += amount;
    }

    /// Returns an error if the responses have different metrics, because their amounts must not be added.
    fn check_metric(&mut self, response: &CostQueryResponse) -> Result<(), CostQueryError> {
        if response.rows.is_empty() || *self.metric.get_or_insert(response.metric) == response.metric {
            return Ok(());
        }
        let message = "some responses have net amounts and some do not".to_owned();
        let operation = "ce:GetCostAndUsage".to_owned();
        Err(CostQueryError::Gap(Gap { reason: GapReason::Failed, operation, message }))
    }

    fn into_lines(self) -> Vec<BillLine> {
        let line = |((day, part, a, b, currency), amount)| BillLine { day, part, key_a: a, key_b: b, currency, amount };
        self.lines.into_iter().filter(|(_, amount)| *amount != Amount::ZERO).map(line).collect()
    }
}
