//! Collects the bill from Cost Explorer within the request budget of a day.
//!
//! The unit is a calendar month, which is requested and recorded as one. The current month and months that AWS may still change
//! are requested every day, every other month once. Consecutive months are requested together: a question about several months
//! costs as many requests as a question about one month, except for additional pages.

use std::collections::VecDeque;

use jiff::{Timestamp, ToSpan, civil::Date};
use tagledger_cloud::Cloud;
use tagledger_cost::{CostQueryError, Days, TagScope};
use tagledger_ledger::{BillCollection, BillGap, RecordedBill, RecordedMonth};
use tagledger_model::{
    epoch_day::{day_of, number_of},
    inventory::{Gap, GapReason},
};
use tagledger_policy::Policy;
use tracing::info;

use crate::bill::{
    bill_reader::BillReader,
    request_budget::RequestBudget,
    shared_cache::{CachedToday, SharedBillCache},
};

/// Number of months before the current month that Cost Explorer retains by default.
const HISTORY_MONTHS: i32 = 13;

/// Maximum number of months in one request. When a request fails, all its months are lost.
const MAX_MONTHS: usize = 7;

/// Number of months in the first request: the current month and the month before, which are needed most.
const FIRST_MONTHS: usize = 2;

/// Days after which a final month is requested again: credits arrive late, and tags are backfilled.
const REFRESH_DAYS: i64 = 30;

/// The months to request. Months that are not recorded with this tag scope come first, newest first. Months that may have
/// changed follow.
fn plan_months(recorded: &[RecordedMonth], scope_fingerprint: &str, today: Date) -> Vec<Days> {
    let month = |back: i32| {
        let month = Days::of_month(today.first_of_month().saturating_sub(back.months()));
        // The usage of today is billed tomorrow.
        Days { end: month.end.min(today), ..month }
    };
    let find = |days: &Days| {
        recorded.iter().find(|month| month.days.first == days.first && month.scope_fingerprint == scope_fingerprint)
    };
    let is_fresh = |days: &Days| {
        find(days).is_some_and(|month| {
            let age = number_of(today) - number_of(day_of(month.asked_at));
            let is_final = month.open_from.is_none() && month.days.end >= days.end;
            age <= 0 || (is_final && age < REFRESH_DAYS)
        })
    };
    let months: Vec<Days> =
        (0..=HISTORY_MONTHS).map(month).filter(|days| days.first < days.end && !is_fresh(days)).collect();
    let (changed, new): (Vec<Days>, Vec<Days>) = months.into_iter().partition(|days| find(days).is_some());
    new.into_iter().chain(changed).collect()
}

/// Collects the bill. `budget` is the number of requests per day, including those that were already sent today. `shared` is the
/// cache in which scanners share the months that they have read.
pub(crate) async fn collect_bill<C: Cloud>(
    cloud: &C,
    policy: &Policy,
    recorded: &RecordedBill,
    budget: u64,
    now: Timestamp,
    shared: Option<SharedBillCache>,
) -> BillCollection {
    let mut collection = BillCollection { asked_at: now, ..BillCollection::default() };
    let Some(payer) = cloud.payer_account() else { return collection };
    let (tag_scope, budget) = (TagScope::from_policy(policy), RequestBudget::new(budget, recorded.requests_today));
    let (payer, scope_fingerprint) = (payer.to_string(), String::new());
    let mut reader = BillReader { cloud, tag_scope, payer, scope_fingerprint, budget, now };
    collection.tags = reader.read_allocation_tags(recorded).await;
    reader.scope_fingerprint =
        reader.tag_scope.fingerprint(&reader.payer, collection.tags.as_ref().unwrap_or(&recorded.tags));
    let mut cache = CachedToday::new(shared, &reader.payer, &reader.scope_fingerprint, now);
    let (months, read) = cache.load(plan_months(&recorded.months, &reader.scope_fingerprint, day_of(now))).await;
    collection.months = read;
    let mut months: VecDeque<Days> = months.into();
    // The expiry of a tag value is evaluated on the last day of a month, so each month needs its own questions.
    let mut max_months = if policy.depends_on_date() { 1 } else { MAX_MONTHS };
    let mut needs = RequestNeeds { questions: reader.tag_scope.max_questions() as u64, per_month: recorded.needs };
    while !months.is_empty() {
        // The costs of resources are read after the newest months and before older months, because most questions need them.
        if collection.resource_costs.is_none() && !collection.months.is_empty() {
            collection.resource_costs = reader.collect_resource_costs_if_due(recorded, &collection.months, now).await;
        }
        let requests_before = reader.budget.sent;
        let max_in_request = if collection.months.is_empty() { FIRST_MONTHS } else { MAX_MONTHS };
        let span =
            take_consecutive(&months, needs.months_for(reader.budget.remaining).min(max_months).min(max_in_request));
        let read = if span.is_empty() { Err(CostQueryError::PageLimit) } else { reader.read_months(&span).await };
        match read {
            Ok(read) => {
                months.drain(..span.len());
                cache.store(&read).await;
                collection.months.extend(read);
            }
            // Some of the months may be older than the account, so they are requested one by one.
            Err(CostQueryError::Gap(gap)) if gap.reason == GapReason::NotEnabled && span.len() > 1 => max_months = 1,
            // Cost Explorer has no data before the first month of the account.
            Err(CostQueryError::Gap(gap)) if gap.reason == GapReason::NotEnabled => {
                let first = span.first().map(|days| days.first);
                months.retain(|days| Some(days.first) > first);
                if months.is_empty() && collection.months.is_empty() {
                    collection.gap = Some(to_bill_gap(gap, now));
                }
            }
            Err(CostQueryError::Gap(gap)) => {
                collection.gap = Some(to_bill_gap(gap, now));
                break;
            }
            Err(CostQueryError::PageLimit) => {
                // The requests for incomplete months are lost. The recorded need prevents the same attempt with a budget that is too
                // small.
                let spent = reader.budget.sent - requests_before;
                needs.per_month = needs.per_month.max((2 * spent).div_ceil(span.len().max(1) as u64));
                let needs = needs.requests_per_month();
                collection.gap = Some(reader.budget.exhausted(needs, reader.tag_requests(), months.len(), now));
                break;
            }
        }
    }
    if collection.resource_costs.is_none() {
        collection.resource_costs = reader.collect_resource_costs_if_due(recorded, &collection.months, now).await;
    }
    collection.requests = reader.budget.sent;
    info!(months_n = collection.months.len(), requests_n = collection.requests, "bill read");
    collection
}

/// Returns the next consecutive months, newest first, with at most `max` months.
fn take_consecutive(months: &VecDeque<Days>, max: usize) -> Vec<Days> {
    let mut span: Vec<Days> = Vec::new();
    for days in months.iter().take(max) {
        if span.last().is_some_and(|later| later.first != days.end) {
            break;
        }
        span.push(*days);
    }
    span
}

/// The known minimum numbers of requests.
struct RequestNeeds {
    /// One request for each question, for any number of months.
    questions: u64,
    /// For one month; 0 when unknown.
    per_month: u64,
}

impl RequestNeeds {
    fn requests_per_month(&self) -> u64 {
        self.questions.max(self.per_month)
    }

    /// Returns the number of months that can be read with this number of requests.
    fn months_for(&self, requests: u64) -> usize {
        if requests < self.requests_per_month() {
            return 0;
        }
        requests.checked_div(self.per_month).map_or(usize::MAX, |months| usize::try_from(months).unwrap_or(usize::MAX))
    }
}

fn to_bill_gap(Gap { reason, operation, message }: Gap, now: Timestamp) -> BillGap {
    BillGap { asked_at: now, reason: reason.as_str().to_owned(), operation, message, needs: 0 }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tagledger_cost::{Days, Metric};
    use tagledger_ledger::RecordedMonth;

    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("{text}T02:00:00Z").parse().unwrap()
    }

    fn recorded_month(first: Date, end: Date, is_open: bool, asked_at: &str) -> RecordedMonth {
        let open_from = is_open.then_some(first);
        let scope_fingerprint = "t".to_owned();
        let (payer, policy_digest) = ("111122223333".to_owned(), "d".to_owned());
        let (days, asked_at, metric) = (Days { first, end }, at(asked_at), Metric::NetAmortized);
        RecordedMonth { days, open_from, asked_at, metric, payer, policy_digest, scope_fingerprint }
    }

    fn first_days(recorded: &[RecordedMonth], scope_fingerprint: &str, today: Date) -> BTreeSet<String> {
        plan_months(recorded, scope_fingerprint, today).iter().map(|days| days.first.to_string()).collect()
    }

    /// Without a recorded bill, the current month and the 13 months before it are requested, newest first. On the first
    /// day of a month, the current month is not yet requested.
    #[test]
    fn unknown_bill_requests_all_months_newest_first() {
        let months = plan_months(&[], "t", Date::constant(2026, 11, 24));
        assert_eq!(months.len(), 14);
        assert_eq!(months[0], Days { first: Date::constant(2026, 11, 1), end: Date::constant(2026, 11, 24) });
        assert_eq!(months[13], Days::of_month(Date::constant(2025, 10, 1)));
        // On the first day of a month, no day of it is complete.
        assert_eq!(plan_months(&[], "t", Date::constant(2026, 11, 1))[0].first, Date::constant(2026, 10, 1));
    }

    /// Open months are requested again, at most once a day. Settled months are requested again after 30 days, and a
    /// different tag scope causes all months to be requested.
    #[test]
    fn only_open_months_are_refreshed_once_a_day() {
        let mut recorded: Vec<RecordedMonth> = (1..=13)
            .map(|back| Days::of_month(Date::constant(2026, 11, 1).saturating_sub(back.months())))
            .map(|days| recorded_month(days.first, days.end, days.first == Date::constant(2026, 10, 1), "2026-11-23"))
            .collect();
        recorded.push(recorded_month(Date::constant(2026, 11, 1), Date::constant(2026, 11, 23), true, "2026-11-23"));
        let today = Date::constant(2026, 11, 24);
        let open = BTreeSet::from(["2026-10-01".to_owned(), "2026-11-01".to_owned()]);
        assert_eq!(first_days(&recorded, "t", today), open);
        assert_eq!(first_days(&recorded, "other", today).len(), 14);
        for month in &mut recorded {
            month.asked_at = at("2026-11-24");
            month.days.end = month.days.end.max(Days::of_month(month.days.first).end.min(today));
        }
        assert_eq!(first_days(&recorded, "t", today), BTreeSet::new());
        let later = Date::constant(2026, 12, 24);
        assert_eq!(first_days(&recorded, "t", later).len(), 14, "final months are requested again after a month");
    }

    /// Only consecutive months are combined into one request, and only as many as the remaining request budget allows.
    #[test]
    fn consecutive_months_share_requests_in_budget() {
        let month = |month| Days::of_month(Date::constant(2026, month, 1));
        let months: VecDeque<Days> = [11, 10, 8, 7, 6].map(month).into();
        assert_eq!(take_consecutive(&months, 7), [11, 10].map(month));
        assert_eq!(take_consecutive(&months, 1), [month(11)]);
        let later: VecDeque<Days> = [8, 7, 6].map(month).into();
        assert_eq!(take_consecutive(&later, 2), [8, 7].map(month));
        let needs = |questions, per_month, left| RequestNeeds { questions, per_month }.months_for(left);
        assert_eq!(needs(7, 0, 6), 0);
        assert_eq!((needs(7, 0, 7), needs(7, 4, 9)), (usize::MAX, 2));
        assert_eq!((needs(7, 30, 29), needs(7, 30, 50)), (0, 1));
    }

    /// Months that are not recorded are requested before recorded months that may have changed.
    #[test]
    fn unknown_months_precede_open_months() {
        let today = Date::constant(2026, 11, 24);
        let recorded = [recorded_month(Date::constant(2026, 11, 1), Date::constant(2026, 11, 23), true, "2026-11-23")];
        let months = plan_months(&recorded, "t", today);
        assert_eq!((months[0].first, months[13].first), (Date::constant(2026, 10, 1), Date::constant(2026, 11, 1)));
    }
}
