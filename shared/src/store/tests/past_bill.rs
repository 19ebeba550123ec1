//! What was known of the bill in earlier nights.

use jiff::civil::{Date, date};
use proptest::prelude::*;

use super::*;
use crate::money::{AllocationTag, Amount, Days, Metric, TagStatus};

/// Three months of five days: few, so that nights often read the same lines otherwise.
const MONTHS: [Date; 3] = [date(2025, 11, 1), date(2025, 12, 1), date(2026, 1, 1)];

fn all_days() -> Days {
    Days { first: date(2025, 1, 1), end: date(2027, 1, 1) }
}

/// A month by its number: how many of its days are known, whose bill it is, and lines by day, part, name and amount.
type Month = (usize, i8, bool, Vec<(i8, usize, u8, i64)>);

fn months() -> impl Strategy<Value = Vec<Month>> {
    let line = (0_i8..5, 0_usize..5, 0_u8..3, -2_i64..4);
    let month = (0_usize..3, 1_i8..6, prop::bool::weighted(0.95), prop::collection::vec(line, 0..12));
    prop::collection::vec(month, 0..4)
}

fn harvest_of(months: &[Month], tags: u8, night: i64) -> Harvest {
    let mut harvest =
        Harvest { asked_at: Timestamp::constant(1_767_225_600 + 86_400 * night, 0), requests: 1, ..Harvest::default() };
    for (number, known, own, lines) in months {
        let first = MONTHS[*number];
        let day = |n: i8| first + i64::from(n).days();
        let end = day(*known);
        let line = |(on, part, name, micros): &(i8, usize, u8, i64)| BillLine {
            day: day(*on % *known),
            part: BillPart::ALL[*part],
            a: format!("a{name}"),
            b: format!("b{}", name % 2),
            currency: if *name == 2 { "EUR" } else { "USD" }.to_owned(),
            amount: Amount::from_micros(*micros),
        };
        harvest.months.retain(|month: &MonthBill| month.days.first != first);
        harvest.months.push(MonthBill {
            days: Days { first, end },
            asked_at: harvest.asked_at,
            open_from: (known % 2 == 0).then(|| day(2)),
            metric: Metric::NetAmortized,
            payer: if *own { "111122223333" } else { "999988887777" }.to_owned(),
            terms: format!("terms {night}"),
            requests: 3,
            lines: lines.iter().map(line).collect(),
        });
    }
    let tag = |status| AllocationTag { key: "Owner".to_owned(), status };
    harvest.tags = match tags {
        0 => None,
        1 => Some(Vec::new()),
        _ => Some(vec![tag(if tags == 2 { TagStatus::Active } else { TagStatus::Inactive })]),
    };
    harvest.gap = (tags == 3).then(|| BillGap {
        asked_at: harvest.asked_at,
        reason: "denied".to_owned(),
        operation: "ce:GetCostAndUsage".to_owned(),
        message: format!("in night {night}"),
        needs: 0,
    });
    harvest
}

/// All that is known of the bill, in words.
fn now(book: &Book) -> String {
    let told = book.reader().read(|view| {
        let billed = view.billed(all_days())?;
        let billed: Vec<_> = billed.into_iter().map(|one| (one.month, one.days, without_nothing(&one.bill))).collect();
        Ok(format!("{billed:?} {:?} {:?}", view.allocation_tags()?, view.bill_gap()?))
    });
    told.unwrap()
}

fn then(book: &Book, snapshot: i64) -> Option<String> {
    let told = book.reader().read(|view| {
        let snapshot = view.snapshot(snapshot)?.expect("it is kept");
        let Some(then) = view.bill_then(&snapshot)? else { return Ok(None) };
        let billed = then.billed(view, all_days())?;
        let billed: Vec<_> = billed.into_iter().map(|one| (one.month, one.days, without_nothing(&one.bill))).collect();
        Ok(Some(format!("{billed:?} {:?} {:?}", then.tags, then.gap)))
    });
    told.unwrap()
}

/// A sum of lines that are nothing together is as none.
fn without_nothing(bill: &Bill) -> Bill {
    Bill { sums: bill.sums.clone().into_iter().filter(|(_, amount)| *amount != Amount::ZERO).collect() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn the_bill_as_of_a_night_is_what_the_ledger_said_when_that_night_ended(
        nights in prop::collection::vec((months(), 0_u8..4, any::<bool>()), 1..9),
    ) {
        let mut book = Book::new();
        let mut told = Vec::new();
        for (night, (months, tags, asked)) in (0_i64..).zip(&nights) {
            book.write(&[], |writing| if *asked { writing.bill(&harvest_of(months, *tags, night)) } else { Ok(()) });
            told.push(now(&book));
        }
        for (snapshot, told) in (1_i64..).zip(&told) {
            prop_assert_eq!(then(&book, snapshot), Some(told.clone()), "as of snapshot {}", snapshot);
        }
    }
}

#[test]
fn thinning_leaves_what_kept_nights_knew_of_the_bill_and_drops_what_none_knew() {
    let mut book = Book::new();
    let mut told = Vec::new();
    for night in 0_i64..40 {
        let micros = 1 + night % 7;
        let months = [(1, 5, true, vec![(1, 0, 0, micros), (2, 1, 1, night)])];
        book.write(&[], |writing| writing.bill(&harvest_of(&months, u8::try_from(night % 4).unwrap(), night)));
        told.push(now(&book));
    }
    let mut writer = Writer::open(&book.path()).unwrap();
    writer.thin(&"5d,2w".parse().unwrap(), date(2026, 2, 10)).unwrap();
    drop(writer);
    let kept: Vec<i64> = book
        .reader()
        .read(|view| Ok((1..=40).filter(|id| view.snapshot(*id).is_ok_and(|found| found.is_some())).collect()))
        .unwrap();
    assert!(kept.len() < 12 && kept[0] > 10, "{kept:?}");
    for snapshot in &kept {
        let told = &told[usize::try_from(*snapshot).unwrap() - 1];
        assert_eq!(then(&book, *snapshot).as_ref(), Some(told), "as of snapshot {snapshot}");
    }
    for table in ["bill_before", "bill_known_before"] {
        assert_eq!(book.number(&format!("SELECT min(snapshot_id) FROM {table}")), kept[0] + 1, "{table}");
    }
    // Between two kept nights a line and what else was known stand there once.
    let spans = kept.windows(2).map(|pair| (pair[0], pair[1]));
    for (from, to) in spans {
        let between = format!("snapshot_id > {from} AND snapshot_id <= {to}");
        assert_eq!(book.number(&format!("SELECT count(*) FROM bill_known_before WHERE {between}")), 1);
        let twice = format!(
            "SELECT count(*) FROM (SELECT 1 FROM bill_before WHERE {between}
             GROUP BY day, part, a, b, currency_id HAVING count(*) > 1)"
        );
        assert_eq!(book.number(&twice), 0);
    }
}

#[test]
fn a_ledger_of_version_5_knows_the_bill_of_its_newest_night_and_of_later_ones() {
    let mut book = upgrades::kept(5);
    let before = now_of_version_5();
    drop(Writer::open(&book.path()).unwrap());
    book.nights = 2;
    assert_eq!((then(&book, 1), then(&book, 2)), (None, Some(before.clone())));
    book.write(&[], |writing| writing.bill(&harvest_of(&[(1, 5, true, vec![(1, 0, 0, 9)])], 1, 3)));
    assert_eq!((then(&book, 1), then(&book, 2)), (None, Some(before)));
    assert_eq!(then(&book, 3), Some(now(&book)));
}

/// What version 5 wrote into the file that is kept.
fn now_of_version_5() -> String {
    now(&representative())
}
