//! What a person reads of the bill after a scan.

use jiff::civil::Date;
use shared::{
    day::day_of,
    money::{Amount, Spend},
    store::{BillGap, BilledMonth, Reader, StoreError, usual_month},
};

use crate::output::{count, say};

/// Of one request to Cost Explorer, in cents of a US dollar.
const CENTS_A_REQUEST: i64 = 1;

/// What is told of a month.
struct Told {
    month: Date,
    currency: String,
    total: Amount,
    spend: Spend,
}

impl Told {
    fn of(month: &BilledMonth) -> Option<Self> {
        let (currency, total) = month.bill.currencies().into_iter().next()?;
        let spend = month.attribution(&currency).spend;
        Some(Self { month: month.days.first, currency, total, spend })
    }
}

/// Prints the last whole month, or the running one, and what asking cost; nothing when the bill was never asked.
pub(crate) fn print(reader: &Reader) -> Result<(), StoreError> {
    let (told, requests, gap) = reader.read(|view| {
        let Some(snapshot) = view.newest()? else { return Ok((None, 0, None)) };
        let requests = view.bill_requests(day_of(snapshot.started_at))?;
        let gap = view.bill_gap()?;
        let months = view.bill_months()?;
        let Some(month) = usual_month(&months) else { return Ok((None, requests, gap)) };
        let billed = view.billed(month.days)?;
        Ok((billed.first().and_then(Told::of), requests, gap))
    })?;
    let asked = (requests > 0).then(|| {
        let cents = i64::try_from(requests).unwrap_or(i64::MAX).saturating_mul(CENTS_A_REQUEST);
        let spent = Amount::from_micros(cents.saturating_mul(10_000));
        format!("{} to Cost Explorer today, USD {spent}", count(requests, "request"))
    });
    let lines = [told.as_ref().map(line), asked, gap.as_ref().map(problem)].into_iter().flatten();
    for (place, line) in lines.enumerate() {
        say(format!("  {:<11} {line}", if place == 0 { "Costs" } else { "" }));
    }
    Ok(())
}

fn line(told: &Told) -> String {
    let Told { month, currency, total, spend } = told;
    let month = month.strftime("%B %Y");
    let Some(share) = spend.unattributable.share_of(spend.taggable) else {
        return format!("{currency} {total} in {month}; the policy requires no tag of what was used");
    };
    let percent = share * 100.0;
    format!(
        "{currency} {total} in {month}; of {} that must carry tags, {} cannot be attributed ({percent:.1} %)",
        spend.taggable, spend.unattributable
    )
}

fn problem(gap: &BillGap) -> String {
    let BillGap { reason, operation, message, .. } = gap;
    match reason.as_str() {
        "budget" => message.clone(),
        "denied" | "denied_by_scp" => {
            format!("no costs: {operation} is denied ({message}); grant it, and answers say what the gaps cost")
        }
        _ => format!("costs are not all known: {operation}: {message}"),
    }
}
