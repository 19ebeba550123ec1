//! The bill as of past snapshots.

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, date},
};
use proptest::prelude::*;
use tagledger_cost::{AllocationTag, Amount, Days, Metric, TagStatus};

use crate::{
    cost::{bill_as_of, bill_query},
    model::bill::{Bill, BillCollection, BillGap, BillLine, BillPart, MonthBill},
    tests::{TestLedger, migrations, representative},
    write::writer::LedgerWriter,
};

/// Three months of five days: few, so that snapshots often correct the same lines.
const MONTHS: [Date; 3] = [date(2025, 11, 1), date(2025, 12, 1), date(2026, 1, 1)];

fn all_days() -> Days {
    Days { first: date(2025, 1, 1), end: date(2027, 1, 1) }
}

/// A month by its number: the number of recorded days, whether the payer is the usual one, and lines by day, part, name and amount.
type Month = (usize, i8, bool, Vec<(i8, usize, u8, i64)>);

fn months() -> impl Strategy<Value = Vec<Month>> {
    let line = (0_i8..5, 0_usize..5, 0_u8..3, -2_i64..4);
    let month = (0_usize..3, 1_i8..6, prop::bool::weighted(0.95), prop::collection::vec(line, 0..12));
    prop::collection::vec(month, 0..4)
}

fn collection_of(months: &[Month], tags: u8, snapshot: i64) -> BillCollection {
    let mut collection = BillCollection {
        asked_at: Timestamp::constant(1_767_225_600 + 86_400 * snapshot, 0),
        requests: 1,
        ..BillCollection::default()
    };
    for (number, recorded_days, usual_payer, lines) in months {
        let first = MONTHS[*number];
        let day = |n: i8| first + i64::from(n).days();
        let end = day(*recorded_days);
        let line = |(on, part, name, micros): &(i8, usize, u8, i64)| BillLine {
            day: day(*on % *recorded_days),
            part: BillPart::ALL[*part],
            key_a: format!("a{name}"),
            key_b: format!("b{}", name % 2),
            currency: if *name == 2 { "EUR" } else { "USD" }.to_owned(),
            amount: Amount::from_micros(*micros),
        };
        collection.months.retain(|month: &MonthBill| month.days.first != first);
        collection.months.push(MonthBill {
            days: Days { first, end },
            asked_at: collection.asked_at,
            open_from: (recorded_days % 2 == 0).then(|| day(2)),
            metric: Metric::NetAmortized,
            payer: if *usual_payer { "111122223333" } else { "999988887777" }.to_owned(),
            scope_fingerprint: format!("terms {snapshot}"),
            requests: 3,
            lines: lines.iter().map(line).collect(),
        });
    }
    let tag = |status| AllocationTag { key: "Owner".to_owned(), status };
    collection.tags = match tags {
        0 => None,
        1 => Some(Vec::new()),
        _ => Some(vec![tag(if tags == 2 { TagStatus::Active } else { TagStatus::Inactive })]),
    };
    collection.gap = (tags == 3).then(|| BillGap {
        asked_at: collection.asked_at,
        reason: "denied".to_owned(),
        operation: "ce:GetCostAndUsage".to_owned(),
        message: format!("in snapshot {snapshot}"),
        needs: 0,
    });
    collection
}

/// The recorded bill as text.
fn describe(ledger: &TestLedger) -> String {
    let recorded = ledger.reader().read(|view| {
        let billed = bill_query::load_billed_months(view, all_days())?;
        let billed: Vec<_> =
            billed.into_iter().map(|one| (one.month, one.days, without_zero_sums(&one.bill))).collect();
        Ok(format!("{billed:?} {:?} {:?}", bill_query::load_allocation_tags(view)?, bill_query::load_bill_gap(view)?))
    });
    recorded.unwrap()
}

fn describe_as_of(ledger: &TestLedger, snapshot: i64) -> Option<String> {
    let recorded = ledger.reader().read(|view| {
        let snapshot = view.snapshot(snapshot)?.expect("a retained snapshot");
        let Some(bill) = bill_as_of::load(view, &snapshot)? else { return Ok(None) };
        let billed = bill.billed(view, all_days())?;
        let billed: Vec<_> =
            billed.into_iter().map(|one| (one.month, one.days, without_zero_sums(&one.bill))).collect();
        Ok(Some(format!("{billed:?} {:?} {:?}", bill.tags, bill.gap)))
    });
    recorded.unwrap()
}

/// A bill without sums of zero, which are equal to absent sums.
fn without_zero_sums(bill: &Bill) -> Bill {
    Bill { sums: bill.sums.clone().into_iter().filter(|(_, amount)| *amount != Amount::ZERO).collect() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// For any sequence of bill collections, the bill as of a snapshot equals the bill that the ledger returned when
    /// that snapshot finished, including allocation tags and gaps.
    #[test]
    fn bill_at_snapshot_equals_bill_recorded_then(
        snapshots in prop::collection::vec((months(), 0_u8..4, any::<bool>()), 1..9),
    ) {
        let mut ledger = TestLedger::new();
        let mut recorded = Vec::new();
        for (number, (months, tags, has_bill)) in (0_i64..).zip(&snapshots) {
            ledger.record_with(&[], |writing| if *has_bill { writing.record_bill(&collection_of(months, *tags, number)) } else { Ok(()) });
            recorded.push(describe(&ledger));
        }
        for (snapshot, recorded) in (1_i64..).zip(&recorded) {
            prop_assert_eq!(describe_as_of(&ledger, snapshot), Some(recorded.clone()), "as of snapshot {}", snapshot);
        }
    }
}

/// Pruning preserves the bill as of each retained snapshot. It deletes superseded bill lines that no retained snapshot
/// needs and leaves at most one version of each line between two of them.
#[test]
fn pruning_preserves_bill_of_retained_snapshots() {
    let mut ledger = TestLedger::new();
    let mut recorded = Vec::new();
    for current_snapshot in 0_i64..40 {
        let micros = 1 + current_snapshot % 7;
        let months = [(1, 5, true, vec![(1, 0, 0, micros), (2, 1, 1, current_snapshot)])];
        ledger.record_with(&[], |writing| {
            writing.record_bill(&collection_of(&months, u8::try_from(current_snapshot % 4).unwrap(), current_snapshot))
        });
        recorded.push(describe(&ledger));
    }
    let mut writer = LedgerWriter::open(&ledger.path()).unwrap();
    writer.prune(&"5d,2w".parse().unwrap(), date(2026, 2, 10)).unwrap();
    drop(writer);
    let stored: Vec<i64> = ledger
        .reader()
        .read(|view| Ok((1..=40).filter(|id| view.snapshot(*id).is_ok_and(|found| found.is_some())).collect()))
        .unwrap();
    assert!(stored.len() < 12 && stored[0] > 10, "{stored:?}");
    for snapshot in &stored {
        let recorded = &recorded[usize::try_from(*snapshot).unwrap() - 1];
        assert_eq!(describe_as_of(&ledger, *snapshot).as_ref(), Some(recorded), "as of snapshot {snapshot}");
    }
    for table in ["bill_before", "bill_known_before"] {
        assert_eq!(ledger.number(&format!("SELECT min(snapshot_id) FROM {table}")), stored[0] + 1, "{table}");
    }
    // Between two retained snapshots there is one earlier version of each line and one bill state.
    let spans = stored.windows(2).map(|pair| (pair[0], pair[1]));
    for (from, to) in spans {
        let between = format!("snapshot_id > {from} AND snapshot_id <= {to}");
        assert_eq!(ledger.number(&format!("SELECT count(*) FROM bill_known_before WHERE {between}")), 1);
        let twice = format!(
            "SELECT count(*) FROM (SELECT 1 FROM bill_before WHERE {between}
             GROUP BY day, part, key_a, key_b, currency_id HAVING count(*) > 1)"
        );
        assert_eq!(ledger.number(&twice), 0);
    }
}

/// A migrated version 5 ledger returns the bill as of its newest snapshot and of later ones. For an earlier snapshot it
/// returns none.
#[test]
fn version_5_knows_bill_from_its_newest_snapshot_on() {
    let mut ledger = migrations::fixture(5);
    let before = bill_of_version_5();
    drop(LedgerWriter::open(&ledger.path()).unwrap());
    ledger.snapshots = 2;
    assert_eq!((describe_as_of(&ledger, 1), describe_as_of(&ledger, 2)), (None, Some(before.clone())));
    ledger.record_with(&[], |writing| writing.record_bill(&collection_of(&[(1, 5, true, vec![(1, 0, 0, 9)])], 1, 3)));
    assert_eq!((describe_as_of(&ledger, 1), describe_as_of(&ledger, 2)), (None, Some(before)));
    assert_eq!(describe_as_of(&ledger, 3), Some(describe(&ledger)));
}

/// The bill that version 5 wrote into the fixture.
fn bill_of_version_5() -> String {
    describe(&representative())
}
