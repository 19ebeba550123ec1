//! The lines about the bill in the summary of a scan.

use jiff::civil::Date;
use tagledger_cost::{Amount, TaggableSpend};
use tagledger_ledger::{BillGap, BilledMonth, LedgerError, LedgerReader, cost::bill_query, find_default_month};
use tagledger_model::epoch_day::day_of;

use crate::output::{format_count, print_line};

/// The price of one request to Cost Explorer, in US cents.
const CENTS_PER_REQUEST: i64 = 1;

/// The costs of a month in its main currency.
struct MonthlyCosts {
    month: Date,
    currency: String,
    total: Amount,
    spend: TaggableSpend,
}

impl MonthlyCosts {
    fn from_month(month: &BilledMonth) -> Option<Self> {
        let (currency, total) = month.bill.currencies().into_iter().next()?;
        let spend = month.attribution(&currency).spend;
        Some(Self { month: month.days.first, currency, total, spend })
    }
}

/// Prints the costs of the last complete month, or of the current month, and the price of the requests. Prints nothing when
/// the bill was never read.
pub(crate) fn print(reader: &LedgerReader) -> Result<(), LedgerError> {
    let (costs, requests, gap) = reader.read(|session| {
        let Some(snapshot) = session.newest()? else { return Ok((None, 0, None)) };
        let requests = bill_query::count_requests(session, day_of(snapshot.started_at))?;
        let gap = bill_query::load_bill_gap(session)?;
        let months = bill_query::load_months(session)?;
        let Some(month) = find_default_month(&months) else { return Ok((None, requests, gap)) };
        let billed = bill_query::load_billed_months(session, month.days)?;
        Ok((billed.first().and_then(MonthlyCosts::from_month), requests, gap))
    })?;
    let request_line = (requests > 0).then(|| {
        let cents = i64::try_from(requests).unwrap_or(i64::MAX).saturating_mul(CENTS_PER_REQUEST);
        let spent = Amount::from_micros(cents.saturating_mul(10_000));
        format!("{} to Cost Explorer today, USD {spent}", format_count(requests, "request"))
    });
    let lines =
        [costs.as_ref().map(describe_costs), request_line, gap.as_ref().map(describe_gap)].into_iter().flatten();
    for (index, line) in lines.enumerate() {
        print_line(format!("  {:<11} {line}", if index == 0 { "Costs" } else { "" }));
    }
    Ok(())
}

fn describe_costs(costs: &MonthlyCosts) -> String {
    let MonthlyCosts { month, currency, total, spend } = costs;
    let month = month.strftime("%B %Y");
    let Some(share) = spend.unattributable.share_of(spend.taggable) else {
        return format!("{currency} {total} in {month}; the policy requires no tags on these charges");
    };
    let percent = share * 100.0;
    format!(
        "{currency} {total} in {month}; of {} that requires tags, {} cannot be attributed ({percent:.1} %)",
        spend.taggable, spend.unattributable
    )
}

fn describe_gap(gap: &BillGap) -> String {
    let BillGap { reason, operation, message, .. } = gap;
    match reason.as_str() {
        "budget" => message.clone(),
        "denied" | "denied_by_scp" => {
            format!("no costs: {operation} is denied ({message}); grant it to read the bill")
        }
        _ => format!("the costs are incomplete: {operation}: {message}"),
    }
}
