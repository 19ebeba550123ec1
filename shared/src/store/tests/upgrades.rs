//! Ledgers of earlier schema versions, kept as files that those versions wrote.

use std::{collections::BTreeMap, ops::ControlFlow, path::Path};

use super::*;

/// Four nights by version 1: one with a gap, one with another policy; resources that came, changed, moved, could not be
/// read, went and returned.
fn version_1() -> Book {
    kept(1)
}

/// Five nights by version 2, of which two were thinned out: one with a gap, one narrowed, one with another policy.
fn version_2() -> Book {
    kept(2)
}

/// Two nights by version 3, with two months of a bill.
fn version_3() -> Book {
    kept(3)
}

pub(super) fn kept(version: i64) -> Book {
    let book = Book::new();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/store/tests/kept/version-{version}.sqlite"));
    std::fs::copy(kept, book.path()).unwrap();
    assert_eq!(book.number("SELECT user_version FROM pragma_user_version"), version);
    book
}

/// Tables, views and indexes with their text, without comments and line breaks.
fn schema(book: &Book) -> BTreeMap<String, String> {
    let sql = book.sql();
    let mut statement = sql.prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").unwrap();
    let plain = |text: String| {
        let lines = text.lines().map(|line| line.split("--").next().unwrap());
        lines
            .flat_map(str::split_whitespace)
            .collect::<Vec<_>>()
            .join(" ")
            .replace('"', "")
            .replace(" ,", ",")
            .replace(" )", ")")
    };
    let rows = statement.query_map([], |row| Ok((row.get(0)?, plain(row.get(1)?)))).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn an_upgraded_ledger_has_the_schema_of_a_fresh_one() {
    for earlier in 1..SCHEMA_VERSION {
        let (upgraded, fresh) = (kept(earlier), Book::new());
        drop((Writer::open(&upgraded.path()).unwrap(), Writer::open(&fresh.path()).unwrap()));
        let (upgraded_schema, fresh_schema) = (schema(&upgraded), schema(&fresh));
        assert!(upgraded_schema.keys().eq(fresh_schema.keys()), "version {earlier}");
        for (name, text) in fresh_schema {
            assert_eq!(upgraded_schema[&name], text, "version {earlier}");
        }
        let version = "SELECT user_version FROM pragma_user_version";
        assert_eq!((upgraded.number(version), fresh.number(version)), (SCHEMA_VERSION, SCHEMA_VERSION));
        let report = upgraded.reader().check(true, |_| {}).unwrap();
        assert_eq!(report.faults, Vec::<String>::new(), "version {earlier}");
    }
}

#[test]
fn an_upgraded_ledger_says_of_every_night_what_it_said_before() {
    let book = version_1();
    // Read off the file with the sqlite3 program when it was made.
    let fingerprints = [-2_741_507_503_893_284_588, -8_452_513_343_279_338_200, 4_575_673_651_557_712_262];
    let before = "SELECT group_concat(kind || n, ' ') FROM (SELECT kind, count(*) AS n FROM change
        WHERE snapshot_id = 3 GROUP BY kind ORDER BY kind)";
    let changes = |book: &Book| book.sql().query_row(before, [], |row| row.get::<_, String>(0)).unwrap();
    let third_night = changes(&book);
    drop(Writer::open(&book.path()).unwrap());
    assert_eq!((changes(&book), third_night.as_str()), (third_night.clone(), "left_scope1 lost3"));
    let read = book.reader().read(|view| {
        let snapshots: Vec<_> = (1..=4).map(|id| view.snapshot(id).map(Option::unwrap)).collect::<Result<_, _>>()?;
        let totals = snapshots.iter().map(|snapshot| {
            let mut tally = Tally::default();
            view.cells(snapshot, &Filter::default())?.iter().for_each(|(_, cell)| tally += *cell);
            Ok((tally.compliant, tally.non_compliant, tally.unknown, tally.total()))
        });
        Ok((snapshots.clone(), totals.collect::<Result<Vec<_>, StoreError>>()?))
    });
    let (snapshots, totals) = read.unwrap();
    assert_eq!(snapshots[..3].iter().map(|s| s.fingerprint).collect::<Vec<_>>(), fingerprints);
    assert_eq!(totals, [(2, 3, 1, 9), (4, 2, 0, 9), (3, 0, 3, 8), (5, 2, 0, 10)]);
    assert_eq!(book.number("SELECT count(*) FROM change WHERE snapshot_id = 2 AND kind = 'moved'"), 1);
}

#[test]
fn an_upgraded_ledger_of_version_2_says_of_every_night_what_it_said_before() {
    let book = version_2();
    drop(Writer::open(&book.path()).unwrap());
    // Read off the file with the sqlite3 program when it was made.
    let expected = [
        (3, -5_956_868_462_356_223_452, false, (2, 0, 2, 1)),
        (4, 643_029_628_486_008_979, true, (2, 0, 2, 0)),
        (5, 8_382_365_411_607_637_657, false, (3, 2, 0, 1)),
    ];
    let told = book.reader().read(|view| {
        assert_eq!((view.snapshot(1)?, view.snapshot(2)?), (None, None), "thinned out");
        let told = (3..=5).map(|id| {
            let snapshot = view.snapshot(id)?.unwrap();
            let mut tally = Tally::default();
            view.cells(&snapshot, &Filter::default())?.iter().for_each(|(_, cell)| tally += *cell);
            let states = (tally.compliant, tally.non_compliant, tally.unknown, tally.exempt);
            Ok((id, snapshot.fingerprint, snapshot.narrowed, states))
        });
        told.collect::<Result<Vec<_>, StoreError>>()
    });
    assert_eq!(told.unwrap(), expected);
}

#[test]
fn an_upgraded_ledger_of_version_3_has_its_bill_and_learns_what_resources_take() {
    let mut book = version_3();
    drop(Writer::open(&book.path()).unwrap());
    let told = book.reader().read(|view| {
        let newest = view.newest()?.unwrap();
        let november = crate::money::Days::of_month(jiff::civil::Date::constant(2025, 11, 1));
        Ok((
            newest.fingerprint,
            view.bill_months()?.len(),
            view.bill(november)?.currencies(),
            view.cost_basis(&newest)?,
        ))
    });
    // Read off the file with the sqlite3 program when it was made.
    let seven = crate::money::Amount::from_micros(7);
    assert_eq!(told.unwrap(), (8_423_954_800_956_177_981, 2, vec![("USD".to_owned(), seven)], None));
    book.nights = 2;
    let usage = Some(Usage { driver: "m5.large".to_owned(), quantity: 1 });
    let next = book.narrowed(&[(instances(), whole(vec![Resource { usage, ..instance("1", GOOD) }]))]);
    assert_eq!((next.snapshot.id, next.changes.get("tags")), (3, None), "what a resource takes is no change of it");
    assert_eq!(book.number("SELECT quantity FROM current WHERE driver_id IS NOT NULL"), 1);
}

#[test]
fn an_upgraded_ledger_of_version_4_has_its_nights_and_learns_what_resources_stand_in() {
    let mut book = kept(4);
    drop(Writer::open(&book.path()).unwrap());
    let told = book.reader().read(|view| {
        let newest = view.newest()?.unwrap();
        Ok((newest.fingerprint, view.weighing(&newest)?))
    });
    // Read off the file with the sqlite3 program when it was made.
    assert_eq!(told.unwrap(), (-7_150_797_867_061_624_810, None));
    book.nights = 3;
    let links = Links::to(None, [(NeighbourKind::Vpc, Some("vpc-1")), (NeighbourKind::SecurityGroup, Some("sg-1"))]);
    let standing = |id: &str, tags| Resource { links: links.clone(), ..instance(id, tags) };
    let next = book.night(&[(instances(), whole(vec![standing("1", GOOD), standing("2", SHORT)]))]);
    assert_eq!(next.changes.get("tags"), None, "what a resource stands in is no change of it");
    let placed = book.reader().read(|view| view.placed(&instance("1", &[]).arn)).unwrap();
    assert_eq!(placed, Placed { neighbours: links.neighbours.clone(), ..Placed::default() });
    assert!(book.learn().is_some());
    let known = |book: &Book| book.reader().read(|view| view.weighing(&view.newest()?.unwrap())).unwrap();
    assert!(known(&book).is_some());
    // Its tags have other places: what was learnt by the one says nothing by the other.
    let other = r#"{"version": "9", "last_updated": "2026-01-01T00:00:00Z", "required_tags": [{"name": "Other"}]}"#;
    book.policy = Policy::parse(other).unwrap();
    book.night(&[(instances(), whole(vec![standing("1", GOOD)]))]);
    assert!(known(&book).is_none());
    book.learn();
    assert!(known(&book).is_some());
}

#[test]
fn an_upgraded_ledger_of_version_6_says_of_its_nights_and_of_what_changed_what_a_fresh_one_says() {
    let (upgraded, fresh) = (kept(6), representative());
    assert!(fresh.number("SELECT count(*) FROM history") > 0);
    drop(Writer::open(&upgraded.path()).unwrap());
    let told = |book: &Book| {
        let read = book.reader().read(|view| {
            let [first, second] = [1, 2].map(|id| view.snapshot(id).map(Option::unwrap));
            let (first, second) = (first?, second?);
            let changed = view.all_differences(&first, &second)?.changed;
            let all = Worst { errors: true, warnings: true };
            let then = view.worst(&first, &Filter::default(), all, PageStart::FIRST, 50)?.rows;
            Ok((first.fingerprint, second.fingerprint, changed, then))
        });
        read.unwrap()
    };
    assert_eq!(told(&upgraded), told(&fresh));
}

#[test]
fn an_upgraded_ledger_of_version_7_is_told_of_from_its_next_night_on() {
    let mut book = kept(7);
    drop(Writer::open(&book.path()).unwrap());
    let fix = |book: &Book, id: i64| {
        let read = book.reader().read(|view| {
            let night = view.snapshot(id)?.unwrap();
            Ok((
                night.fingerprint,
                view.advised(&night, Clone::clone)?,
                view.to_fix(&night, &Filter::default(), usize::MAX)?,
            ))
        });
        read.unwrap()
    };
    let first = fix(&book, 1);
    // Read off the file with the sqlite3 program when it was made.
    assert_eq!((first.0, first.2.standing.non_compliant), (5_359_856_732_603_370_370, 2));
    book.nights = 2;
    book.night(&[(instances(), whole(vec![instance("1", GOOD)]))]);
    book.tell();
    assert_eq!(book.number("SELECT max(snapshot_id) FROM told WHERE (SELECT count(*) FROM told) = 1"), 3);
    assert_eq!(fix(&book, 1), first);
}

#[test]
fn a_scan_goes_on_in_an_upgraded_ledger() {
    let mut book = version_1();
    let before = Writer::open(&book.path()).unwrap();
    drop(before);
    book.nights = 4;
    let next = book.narrowed(&[(instances(), whole(vec![instance("1", GOOD)]))]);
    assert_eq!((next.snapshot.id, next.changes["removed"]), (5, 4));
}

#[test]
fn a_reader_of_an_older_ledger_says_who_upgrades_it_and_reads_it_afterwards() {
    let book = version_1();
    let reader = book.reader();
    let error = reader.read(|view| view.newest()).unwrap_err().to_string();
    assert!(error.contains("schema version 1") && error.contains("tagledger store upgrade"), "{error}");
    drop(Writer::open(&book.path()).unwrap());
    assert_eq!(reader.read(|view| view.newest()).unwrap().unwrap().id, 4);
}

#[test]
fn an_upgrade_that_is_broken_off_leaves_the_old_ledger_and_can_begin_again() {
    let book = version_1();
    let broken = Writer::open_upgrading(&book.path(), |progress| match progress.done {
        2 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(matches!(broken, Err(StoreError::UpgradeEnded)));
    assert_eq!(book.number("SELECT user_version FROM pragma_user_version"), 1);
    let mut seen = Vec::new();
    let told = |progress: UpgradeProgress| {
        seen.push((progress.done, progress.of));
        ControlFlow::Continue(())
    };
    drop(Writer::open_upgrading(&book.path(), told).unwrap());
    let nights = [(0, 4), (1, 4), (2, 4), (3, 4)];
    let expected = [&nights[..], &[(0, 4)], &nights].concat();
    assert_eq!(
        seen, expected,
        "each night of the first step, one that looks at all at once, and each night of the last"
    );
    assert_eq!(book.number("SELECT user_version FROM pragma_user_version"), SCHEMA_VERSION);
}
