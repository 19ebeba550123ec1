//! The number of requests that may be sent to Cost Explorer in one day. Each request costs USD 0.01.

use jiff::Timestamp;
use tagledger_ledger::BillGap;

/// The requests of a day: those that remain, and those that this scan has sent.
#[derive(Debug)]
pub(crate) struct RequestBudget {
    /// The maximum number of requests in a day.
    daily: u64,
    /// Requests that may still be sent today.
    pub(crate) remaining: u64,
    /// Requests that this scan has sent.
    pub(crate) sent: u64,
}

impl RequestBudget {
    /// The budget of a day. `sent_today`: the requests that earlier scans of the day have sent.
    pub(crate) fn new(daily: u64, sent_today: u64) -> Self {
        Self { daily, remaining: daily.saturating_sub(sent_today), sent: 0 }
    }

    /// Subtracts requests that were sent.
    pub(crate) fn record(&mut self, requests: u64) {
        self.remaining = self.remaining.saturating_sub(requests);
        self.sent += requests;
    }

    /// The gap of a bill that the budget does not suffice for. `needs`: the requests that a month takes. `tag_requests`: the
    /// requests for the allocation tags. `months`: the number of months that were not read.
    pub(crate) fn exhausted(&self, needs: u64, tag_requests: u64, months: usize, now: Timestamp) -> BillGap {
        let (daily, remaining, minimum) = (self.daily, self.remaining, needs + tag_requests);
        let message = if daily < minimum {
            format!(
                "a month of this bill takes at least {needs} requests, and the budget of a day is {daily}; increase \
                 TAGLEDGER_COST_REQUEST_BUDGET to {minimum} or more"
            )
        } else {
            format!(
                "{months} months are not read yet; {remaining} requests of the daily budget of {daily} remain, and the scans of the \
                 next days continue"
            )
        };
        let (reason, operation) = ("budget".to_owned(), "ce:GetCostAndUsage".to_owned());
        BillGap { asked_at: now, reason, operation, message, needs }
    }
}
