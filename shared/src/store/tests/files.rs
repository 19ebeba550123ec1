use super::*;

#[test]
fn a_representative_ledger_leaves_no_table_empty() {
    let book = representative();
    let sql = book.sql();
    let mut tables =
        sql.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").unwrap();
    let names: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(names.len(), 42);
    for name in names {
        let rows: i64 = sql.query_row(&format!("SELECT count(*) FROM {name}"), [], |row| row.get(0)).unwrap();
        assert!(rows > 0, "{name} is empty");
    }
}

#[test]
fn a_reader_of_a_ledger_that_is_not_there_says_how_to_make_one() {
    let error = Book::new().reader().read(|view| view.newest()).unwrap_err();
    assert!(error.to_string().contains("run `tagledger scan`"), "{error}");
}

#[test]
fn a_ledger_of_a_later_version_is_refused_and_left_as_it_is() {
    let book = representative();
    book.sql().execute_batch("PRAGMA user_version = 99").unwrap();
    let before = std::fs::read(book.path()).unwrap();
    assert!(matches!(Writer::open(&book.path()), Err(StoreError::Newer { found: 99, .. })));
    assert!(matches!(book.reader().read(|view| view.newest()), Err(StoreError::Newer { found: 99, .. })));
    assert_eq!(std::fs::read(book.path()).unwrap(), before);
}

#[test]
fn a_file_that_is_no_ledger_is_refused_and_left_as_it_is() {
    let book = Book::new();
    std::fs::write(book.path(), "dear diary, ".repeat(500)).unwrap();
    let error = Writer::open(&book.path()).unwrap_err();
    assert!(error.to_string().contains("it is not a ledger"), "{error}");
    assert!(std::fs::read_to_string(book.path()).unwrap().starts_with("dear diary"));
}

#[test]
fn another_programs_database_is_refused_and_left_as_it_is() {
    let book = Book::new();
    book.sql().execute_batch("CREATE TABLE mine (x); PRAGMA user_version = 3").unwrap();
    let before = std::fs::read(book.path()).unwrap();
    let error = Writer::open(&book.path()).unwrap_err();
    assert!(error.to_string().contains("some other program's database"), "{error}");
    assert_eq!(std::fs::read(book.path()).unwrap(), before);
}

#[test]
fn a_damaged_ledger_is_refused_in_words_and_left_as_it_is() {
    let book = representative();
    let mut bytes = std::fs::read(book.path()).unwrap();
    for byte in bytes.iter_mut().skip(4096).take(60_000) {
        *byte = 0xA5;
    }
    std::fs::write(book.path(), &bytes).unwrap();
    let writer = Writer::open(&book.path());
    let error = writer.and_then(|writer| writer.known_scopes()).unwrap_err();
    assert!(error.to_string().contains("is damaged"), "{error}");
    assert_eq!(std::fs::read(book.path()).unwrap(), bytes);
}

#[test]
fn a_file_left_empty_by_a_killed_process_becomes_a_ledger() {
    let mut book = Book::new();
    book.sql().execute_batch("PRAGMA journal_mode = WAL").unwrap();
    assert!(std::fs::metadata(book.path()).unwrap().len() > 0);
    assert_eq!(book.night(&[]).snapshot.id, 1);
}

#[test]
fn a_folder_is_no_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let error = Writer::open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("it is a folder"), "{error}");
    let error = Writer::open(&folder.path().join("missing").join("ledger.sqlite")).unwrap_err();
    assert!(error.to_string().contains("check that its folder exists"), "{error}");
}

#[test]
fn a_second_writer_is_refused_at_once_and_the_first_goes_on() {
    let mut book = representative();
    let policy = book.policy.clone();
    let header =
        NightHeader { started_at: Timestamp::constant(1_800_000_000, 0), policy: &policy, app_version: "test" };
    let mut first = Writer::open(&book.path()).unwrap();
    let night = first.begin(header).unwrap();
    let mut second = Writer::open(&book.path()).unwrap();
    assert!(matches!(second.begin(header), Err(StoreError::Busy { .. })));
    night.finish(header.started_at, 0).unwrap();
    drop(second);
    assert_eq!(book.night(&[]).snapshot.id, 4);
}

#[test]
fn a_reader_follows_a_ledger_that_is_replaced() {
    let (old, mut new) = (representative(), representative());
    new.night(&[(instances(), whole(vec![]))]);
    let reader = old.reader();
    let newest = || reader.read(|view| view.newest()).unwrap().unwrap().id;
    assert_eq!(newest(), 2);
    std::fs::rename(new.path(), old.path()).unwrap();
    assert_eq!(newest(), 3);
}

#[test]
fn a_reader_cannot_write() {
    let book = representative();
    let connection = super::super::open::open_read_only(&book.path()).unwrap();
    assert!(connection.execute("DELETE FROM snapshot", []).is_err());
}

/// Statements that look through a table, and are meant to.
fn whole_tables() -> Vec<&'static str> {
    // Dimensions are small; scopes are asked for once a scan, and what is known; snapshots, months and tag keys are few, and so is
    // what is shared out; who sweeps, checks, measures or adds up reads all.
    [
        &["ACCOUNTS", "REGIONS", "TYPES", "KNOWN", "KNOWN_SCOPES"][..],
        &[
            "NEWEST_SNAPSHOT",
            "NEWEST_WHOLE",
            "SNAPSHOT_IDS",
            "SNAPSHOTS",
            "KEPT_SNAPSHOTS",
            "COUNT_KEPT",
            "COUNT_THINNED",
            "SPAN",
        ],
        &["DROP_OLD_VIOLATIONS", "DROP_FORGOTTEN_RESOURCES", "DROP_UNUSED_TAG_SETS"],
        &["DROP_LINES_BETWEEN", "DROP_BILL_BEFORE"],
        &["TAG_SETS", "TAG_IDS", "COUNTED_TAGS"],
        &["TAG_SET_KEYS", "FINDING_SETS", "RESOURCES", "JUDGED", "AS_OF", "INTEGRITY", "FREE_BYTES", "TABLE_SIZES"],
        &["BILL_MONTHS", "ALLOCATION_TAGS", "BILL_NEEDS", "BILL_GAP", "SNAPSHOT_BEFORE"],
        &["COST_BASIS", "POOLS", "USAGE", "CHARGED_SERVICES", "LOCALS_OF_TYPE", "COSTS_BY_VERDICT"],
        &["LIVING_TAGGED", "EVIDENCE_MODEL", "DROP_EVIDENCE", "DROP_EVIDENCE_VALUES", "DROP_EVIDENCE_MODEL"],
        &[
            "DROP_UNUSED_LINK_SETS",
            "LINK_SETS",
            "LINK_IDS",
            "ALL_TAGS",
            "ALL_TAG_SETS",
            "ALL_TAG_KEYS",
            "LIVING",
            "LIVING_TO_JUDGE",
            "JUDGED_TO_FIX",
        ],
        &["USAGE_COUNTED", "LIFE_COUNTED", "FIXED_COUNTED", "TAG_VALUES"],
        &[
            "SNAPSHOTS_SINCE",
            "OLDEST_KEPT",
            "LIFE",
            "FIXED_DAYS",
            "RULES",
            "SPEND_BY_DAY",
            "BILL_DAY_OF_LINE",
            "JUDGED_WITH_TAGS",
            "JUDGED_TO_TELL",
            "BEGAN_BETWEEN",
            "TRAIL",
            "DROP_CREATORS",
            "DROP_PRINCIPALS",
            "PRINCIPALS",
        ],
        &["COUNT_LIVING", "COUNT_RESOURCES", "COUNT_VERSIONS", "COUNT_OPEN", "COUNT_CLOSED", "COPY_INTO"],
    ]
    .concat()
}

#[test]
fn every_question_goes_by_an_index() {
    let book = representative();
    let sql = book.sql();
    sql.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    let whole_table_on_purpose = whole_tables();
    for (name, text) in super::super::sql::ALL.iter().chain(super::super::sql::QUESTIONS) {
        if whole_table_on_purpose.contains(name) {
            continue;
        }
        let mut plan = sql.prepare(&format!("EXPLAIN QUERY PLAN {text}")).unwrap();
        let nulls = vec![rusqlite::types::Null; plan.parameter_count()];
        let steps = plan.query_map(rusqlite::params_from_iter(nulls), |row| row.get::<_, String>(3)).unwrap();
        let steps: Vec<String> = steps.map(Result::unwrap).collect();
        let indexed = |step: &String| {
            !step.starts_with("SCAN")
                || ["USING", "json_each", "finding_set", "(subquery"].iter().any(|ok| step.contains(ok))
        };
        assert!(steps.iter().all(indexed), "{name}: {steps:#?}");
        // The living come from an index in the order of the answer; only the few versions that ended since are sorted.
        let sorts = steps.iter().position(|step| step == "USE TEMP B-TREE FOR ORDER BY");
        let ended = steps.iter().position(|step| step == "RIGHT");
        assert!(sorts.is_none() || ended < sorts, "{name}: {steps:#?}");
    }
}

#[test]
fn a_question_has_its_own_time_however_long_ago_another_was_asked() {
    let book = representative();
    let reader = Reader::with_deadline(&book.path(), std::time::Duration::from_millis(50));
    reader.read(|view| view.newest()).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(60));
    for asked in 0..3_000 {
        assert!(reader.newest().is_ok(), "the question after {asked} others was ended");
    }
}

#[test]
fn a_question_that_takes_too_long_is_ended_in_words_and_what_is_held_stays() {
    const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n";
    let book = representative();
    let reader = Reader::with_deadline(&book.path(), std::time::Duration::from_millis(500));
    let newest = reader.newest().unwrap().unwrap();
    reader.read(|view| view.warm_lookups(&newest)).unwrap();
    let ended = reader.read(|view| view.db().query_row(ENDLESS, [], |row| row.get::<_, i64>(0)).attempt("count"));
    let error = ended.unwrap_err();
    assert!(matches!(error, StoreError::OutOfTime));
    assert!(error.to_string().contains("ask again"), "{error}");
    let held = reader.read(|view| Ok((view.newest()?, view.at_hand(&newest).is_some()))).unwrap();
    assert_eq!(held, (Some(newest), true));
}

#[test]
fn both_halves_of_a_question_have_the_time_that_it_has() {
    const LONG: &str =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT sum(i) FROM n";
    let (book, ended) = (representative(), std::sync::atomic::AtomicUsize::new(0));
    let reader = Reader::with_deadline(&book.path(), std::time::Duration::from_millis(500));
    let asked = reader.read(|view| {
        std::thread::sleep(std::time::Duration::from_millis(501));
        view.in_halves(|view, _| {
            let counted = view.db().query_row(LONG, [], |row| row.get::<_, i64>(0)).attempt("count");
            ended.fetch_add(usize::from(counted.is_err()), std::sync::atomic::Ordering::Relaxed);
            counted
        })
    });
    assert!(matches!(asked, Err(StoreError::OutOfTime)));
    assert_eq!(ended.into_inner(), 2);
}
