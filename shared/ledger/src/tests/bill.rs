//! The bill in the ledger.

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, date},
};
use tagledger_cost::{AllocationTag, Amount, Days, Metric, TagStatus};
use tagledger_policy::Policy;

use crate::{
    cost::{
        bill_lines_index::BillLinesIndex,
        bill_query::{self, sum_lines},
    },
    model::bill::{BillCollection, BillGap, BillLine, BillPart, Line, MonthBill},
    tests::{COMPLIANT, POLICY, TestLedger, complete, instance, instances, representative, resource_costs},
    write::writer::LedgerWriter,
};

fn month(first: Date, open_from: Option<Date>, lines: &[(Date, BillPart, &str, &str, &str, i64)]) -> MonthBill {
    let line = |(day, part, a, b, currency, micros): &(Date, BillPart, &str, &str, &str, i64)| BillLine {
        day: *day,
        part: *part,
        key_a: (*a).to_owned(),
        key_b: (*b).to_owned(),
        currency: (*currency).to_owned(),
        amount: Amount::from_micros(*micros),
    };
    let (days, scope_fingerprint, payer) = (Days::of_month(first), "terms".to_owned(), "111122223333".to_owned());
    let lines = lines.iter().map(line).collect();
    let asked_at = Timestamp::constant(1_767_398_400, 0);
    MonthBill { days, asked_at, open_from, metric: Metric::NetAmortized, payer, scope_fingerprint, requests: 7, lines }
}

/// Two months with every part, a tag, a gap, and two currencies.
pub(crate) fn bill_collection() -> BillCollection {
    let (november, december) = (date(2025, 11, 30), date(2025, 12, 31));
    BillCollection {
        asked_at: Timestamp::constant(1_767_398_400, 0),
        requests: 9,
        months: vec![
            month(
                date(2025, 12, 1),
                Some(december),
                &[
                    (december, BillPart::Charges, "AWS Lambda", "Usage", "USD", 70),
                    (december, BillPart::Charges, "AWS Lambda", "Usage", "CNY", 1_000),
                    (december, BillPart::ByRegion, "eu-west-1", "111122223333", "USD", 60),
                    (december, BillPart::GapByService, "AWS Lambda", "111122223333", "USD", 50),
                    (december, BillPart::GapByRegion, "eu-west-1", "111122223333", "USD", 50),
                    (december, BillPart::ByTagValue, "Owner", "", "USD", -3),
                ],
            ),
            month(date(2025, 11, 1), None, &[(november, BillPart::Charges, "AWS Lambda", "Usage", "USD", 7)]),
        ],
        tags: Some(vec![AllocationTag { key: "Owner".to_owned(), status: TagStatus::Active }]),
        resource_costs: Some(resource_costs::costs(Days::of_month(november))),
        gap: Some(BillGap {
            asked_at: Timestamp::constant(1_767_398_400, 0),
            reason: "budget".to_owned(),
            operation: "ce:GetCostAndUsage".to_owned(),
            message: "later".to_owned(),
            needs: 11,
        }),
    }
}

/// December as it was read a day before.
pub(crate) fn earlier_bill() -> BillCollection {
    let day = date(2025, 12, 31);
    let december = month(date(2025, 12, 1), Some(day), &[(day, BillPart::Charges, "AWS Lambda", "Usage", "USD", 60)]);
    let asked_at = Timestamp::constant(1_767_312_000, 0);
    let december = MonthBill { asked_at, ..december };
    BillCollection { asked_at, requests: 1, months: vec![december], ..BillCollection::default() }
}

/// A ledger with nine days of different lines, some of which have an amount of zero.
fn nine_days() -> TestLedger {
    let mut lines = Vec::new();
    for day in 1..=9_i8 {
        let on = date(2025, 12, 3 * day);
        for (n, service) in
            ["AWS Lambda", "Amazon RDS", "Amazon S3"].into_iter().enumerate().skip(usize::from(day % 3 == 0))
        {
            let micros = (i64::from(day) - 5) * (n as i64 + 1);
            lines.push((on, BillPart::Charges, service, "Usage", "USD", micros));
            lines.push((on, BillPart::GapByService, service, "111122223333", "CNY", 10 * micros));
        }
    }
    let mut ledger = TestLedger::new();
    let months = vec![month(date(2025, 12, 1), None, &lines)];
    ledger.record_with(&[(instances(), complete(vec![instance("1", COMPLIANT)]))], |snapshot| {
        snapshot.record_bill(&BillCollection {
            months,
            resource_costs: None,
            tags: None,
            gap: None,
            ..bill_collection()
        })
    });
    ledger
}

/// For every range of days, the sums of the cached bill lines equal the sums that SQL computes. A range that begins
/// before the cached lines are complete has no cached sum.
#[test]
fn cached_sums_equal_ledger_and_omit_partial_days() {
    let ledger = nine_days();
    let db = ledger.sql();
    let range = "SELECT min(day), max(day) + 1, count(*) FROM bill";
    let (first, end, lines): (i64, i64, u32) =
        db.query_row(range, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    assert!(lines > 40);
    let mut compared = 0;
    for max_lines in [lines + 1, lines, lines - 1, lines / 2, 1] {
        let index = BillLinesIndex::load_newest(&db, max_lines).unwrap();
        for from in first - 1..=end {
            for until in from..=end + 1 {
                let mut expected: Vec<(Line, i64)> = sum_lines(&db, from, until).unwrap().into_iter().collect();
                expected.sort_unstable();
                let Some(mut sums) = index.sum_days(from, until) else {
                    // The index does not have the lines of the day at which it was cut.
                    let older = "SELECT count(*) FROM bill WHERE day >= ?1";
                    let rest: u32 = db.query_row(older, [from], |row| row.get(0)).unwrap();
                    assert!(rest > max_lines, "no sum from {from}, of {max_lines} lines");
                    continue;
                };
                sums.sort_unstable();
                assert_eq!(sums, expected, "{from} to {until}, {max_lines} lines");
                compared += 1;
            }
        }
    }
    assert!(compared > 500, "{compared}");
}

fn charges(ledger: &TestLedger, first: Date, end: Date) -> Vec<(String, i64)> {
    let bill = ledger.reader().read(|view| bill_query::load_bill(view, Days { first, end })).unwrap();
    let sum = |(currency, _): (String, Amount)| {
        let charges = bill.sums_in(&currency).charges;
        (currency, charges.iter().map(|(.., amount)| amount.micros()).sum())
    };
    bill.currencies().into_iter().map(sum).collect()
}

/// Amounts are added over days only within one currency, and the totals of each bill part are available for that
/// currency.
#[test]
fn amounts_are_summed_per_currency() {
    let ledger = representative();
    let usd = |micros| ("USD".to_owned(), micros);
    assert_eq!(charges(&ledger, date(2025, 11, 1), date(2025, 12, 1)), [usd(7)]);
    assert_eq!(charges(&ledger, date(2025, 11, 30), date(2026, 1, 1)), [("CNY".to_owned(), 1_000), usd(77)]);
    assert_eq!(charges(&ledger, date(2025, 12, 1), date(2025, 12, 31)), []);
    let bill = ledger.reader().read(|view| bill_query::load_bill(view, Days::of_month(date(2025, 12, 1)))).unwrap();
    let sums = bill.sums_in("USD");
    let line = |a: &str, b: &str, micros| vec![(a.to_owned(), b.to_owned(), Amount::from_micros(micros))];
    assert_eq!(sums.by_region, line("eu-west-1", "111122223333", 60));
    assert_eq!(sums.gap_by_service, line("AWS Lambda", "111122223333", 50));
    assert_eq!(sums.by_value, line("Owner", "", -3));
    let (months, tags) = ledger
        .reader()
        .read(|view| {
            Ok((
                bill_query::load_billed_months(view, Days::of_month(date(2025, 12, 1)))?,
                bill_query::load_allocation_tags(view)?,
            ))
        })
        .unwrap();
    assert_eq!((months.len(), months[0].month.open_from), (1, Some(date(2025, 12, 31))));
    assert_eq!((&months[0].bill, months[0].policy.version()), (&bill, "1"));
    assert_eq!(tags, [AllocationTag { key: "Owner".to_owned(), status: TagStatus::Active }]);
}

/// A month that is collected again replaces the recorded lines of that month only. Other months and the allocation tags
/// stay, the request counts of the day are added, and the gap is cleared.
#[test]
fn month_collected_again_replaces_only_itself() {
    let mut ledger = representative();
    let december = date(2025, 12, 2);
    let again = BillCollection {
        requests: 3,
        months: vec![month(
            date(2025, 12, 1),
            None,
            &[(december, BillPart::Charges, "AWS Lambda", "Usage", "USD", 500)],
        )],
        tags: None,
        gap: None,
        ..bill_collection()
    };
    ledger.record_with(&[], |snapshot| snapshot.record_bill(&again));
    assert_eq!(charges(&ledger, date(2025, 11, 1), date(2026, 1, 1)), [("USD".to_owned(), 507)]);
    let (gap, tags, requests) = ledger
        .reader()
        .read(|view| {
            Ok((
                bill_query::load_bill_gap(view)?,
                bill_query::load_allocation_tags(view)?,
                bill_query::count_requests(view, date(2026, 1, 3))?,
            ))
        })
        .unwrap();
    assert_eq!((gap, tags.len(), requests), (None, 1, 12));
}

/// A collection that read no month leaves all recorded months unchanged and records the reason of the gap.
#[test]
fn failed_collection_keeps_months_and_records_reason() {
    let mut ledger = representative();
    let before = charges(&ledger, date(2025, 1, 1), date(2026, 1, 1));
    let gap = bill_collection().gap.map(|gap| BillGap { reason: "denied".to_owned(), ..gap });
    ledger.record_with(&[], |snapshot| {
        snapshot.record_bill(&BillCollection { months: Vec::new(), tags: None, gap, ..bill_collection() })
    });
    assert_eq!(charges(&ledger, date(2025, 1, 1), date(2026, 1, 1)), before);
    assert_eq!(ledger.reader().read(bill_query::load_bill_gap).unwrap().unwrap().reason, "denied");
}

/// Before a collection, the writer returns the recorded months, their terms, the allocation tags, the outstanding
/// requests and the requests of the given day.
#[test]
fn recorded_bill_is_available_to_next_collection() {
    let ledger = representative();
    let recorded = LedgerWriter::open(&ledger.path()).unwrap().recorded_bill(date(2026, 1, 3)).unwrap();
    assert_eq!((recorded.requests_today, recorded.needs, recorded.tags.len()), (9, 11, 1));
    let months: Vec<_> =
        recorded.months.iter().map(|month| (month.days.first, month.scope_fingerprint.as_str())).collect();
    assert_eq!(months, [(date(2025, 11, 1), "terms"), (date(2025, 12, 1), "terms")]);
    assert_eq!(LedgerWriter::open(&ledger.path()).unwrap().recorded_bill(date(2026, 1, 4)).unwrap().requests_today, 0);
}

/// When the payer account changes, a query over both returns only the months of the payer collected last.
#[test]
fn bills_of_different_payers_are_never_added() {
    let mut ledger = representative();
    let mut other =
        month(date(2025, 12, 1), None, &[(date(2025, 12, 2), BillPart::Charges, "AWS Lambda", "Usage", "USD", 500)]);
    other.payer = "999988887777".to_owned();
    let asked_at = bill_collection().asked_at + 24.hours();
    other.asked_at = asked_at;
    ledger.record_with(&[], |snapshot| {
        snapshot.record_bill(&BillCollection { asked_at, months: vec![other], ..BillCollection::default() })
    });
    let year = Days { first: date(2025, 1, 1), end: date(2026, 1, 1) };
    let billed = ledger.reader().read(|view| bill_query::load_billed_months(view, year)).unwrap();
    let answer: Vec<_> = billed.iter().map(|month| (month.month.payer.as_str(), month.days.first)).collect();
    assert_eq!(answer, [("999988887777", date(2025, 12, 1))], "November is another account's");
}

/// Each month is attributed by the policy that was in effect when the month was collected.
#[test]
fn month_uses_policy_of_its_collection() {
    let mut ledger = representative();
    ledger.policy = Policy::parse(&POLICY.replace(r#""version": "1""#, r#""version": "2""#)).unwrap();
    let december = month(date(2025, 12, 1), None, &[]);
    ledger.record_with(&[], |snapshot| {
        snapshot.record_bill(&BillCollection { months: vec![december], ..bill_collection() })
    });
    let year = Days { first: date(2025, 1, 1), end: date(2026, 1, 1) };
    let billed = ledger.reader().read(|view| bill_query::load_billed_months(view, year)).unwrap();
    let versions: Vec<_> = billed.iter().map(|month| month.policy.version().to_owned()).collect();
    assert_eq!(versions, ["1", "2"]);
}
