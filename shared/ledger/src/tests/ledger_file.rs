//! The ledger file: opening, refused files, query plans and deadlines.

use jiff::Timestamp;

use crate::{
    db::connection,
    error::{ErrorContext, LedgerError, Operation},
    index::tag_sets,
    read::{partition, session::LedgerReader},
    tests::{TestLedger, complete, instances, representative},
    warmup,
    write::{transaction::SnapshotHeader, writer::LedgerWriter},
};

/// The representative ledger of these tests has at least one row in each of the 42 tables.
#[test]
fn representative_ledger_fills_every_table() {
    let ledger = representative();
    let sql = ledger.sql();
    let mut tables =
        sql.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").unwrap();
    let names: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(names.len(), 42);
    for name in names {
        let rows: i64 = sql.query_row(&format!("SELECT count(*) FROM {name}"), [], |row| row.get(0)).unwrap();
        assert!(rows > 0, "{name} is empty");
    }
}

/// The error for a ledger file that does not exist tells the user to run `tagledger scan`.
#[test]
fn missing_ledger_error_names_scan_command() {
    let error = TestLedger::new().reader().read(|view| view.newest()).unwrap_err();
    assert!(error.to_string().contains("run `tagledger scan`"), "{error}");
}

/// The writer and the reader refuse a ledger with a later schema version and do not change the file.
#[test]
fn newer_schema_version_is_refused_and_unchanged() {
    let ledger = representative();
    ledger.sql().execute_batch("PRAGMA user_version = 99").unwrap();
    let before = std::fs::read(ledger.path()).unwrap();
    assert!(matches!(LedgerWriter::open(&ledger.path()), Err(LedgerError::Newer { found: 99, .. })));
    assert!(matches!(ledger.reader().read(|view| view.newest()), Err(LedgerError::Newer { found: 99, .. })));
    assert_eq!(std::fs::read(ledger.path()).unwrap(), before);
}

/// The writer refuses a file that is not an SQLite database and does not overwrite it.
#[test]
fn non_sqlite_file_is_refused_and_unchanged() {
    let ledger = TestLedger::new();
    std::fs::write(ledger.path(), "dear diary, ".repeat(500)).unwrap();
    let error = LedgerWriter::open(&ledger.path()).unwrap_err();
    assert!(error.to_string().contains("it is not a ledger"), "{error}");
    assert!(std::fs::read_to_string(ledger.path()).unwrap().starts_with("dear diary"));
}

/// The writer refuses the SQLite database of another program and does not change the file.
#[test]
fn foreign_database_is_refused_and_unchanged() {
    let ledger = TestLedger::new();
    ledger.sql().execute_batch("CREATE TABLE mine (x); PRAGMA user_version = 3").unwrap();
    let before = std::fs::read(ledger.path()).unwrap();
    let error = LedgerWriter::open(&ledger.path()).unwrap_err();
    assert!(error.to_string().contains("the database of another program"), "{error}");
    assert_eq!(std::fs::read(ledger.path()).unwrap(), before);
}

/// Opening or reading a ledger with overwritten pages fails with an error that says the ledger is damaged. The file
/// stays as it was.
#[test]
fn damaged_ledger_is_refused_and_unchanged() {
    let ledger = representative();
    let mut bytes = std::fs::read(ledger.path()).unwrap();
    for byte in bytes.iter_mut().skip(4096).take(60_000) {
        *byte = 0xA5;
    }
    std::fs::write(ledger.path(), &bytes).unwrap();
    let writer = LedgerWriter::open(&ledger.path());
    let error = writer.and_then(|writer| writer.current_scopes()).unwrap_err();
    assert!(error.to_string().contains("is damaged"), "{error}");
    assert_eq!(std::fs::read(ledger.path()).unwrap(), bytes);
}

/// A database file without tables, as a killed process can leave it, is accepted and becomes a ledger with snapshot 1.
#[test]
fn empty_database_file_becomes_a_ledger() {
    let mut ledger = TestLedger::new();
    ledger.sql().execute_batch("PRAGMA journal_mode = WAL").unwrap();
    assert!(std::fs::metadata(ledger.path()).unwrap().len() > 0);
    assert_eq!(ledger.record_snapshot(&[]).snapshot.id, 1);
}

/// A path that is a folder is refused as such. For a path in a folder that does not exist, the error tells the user to
/// check the folder.
#[test]
fn folder_path_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = LedgerWriter::open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("it is a folder"), "{error}");
    let error = LedgerWriter::open(&folder.path().join("missing").join("ledger.sqlite")).unwrap_err();
    assert!(error.to_string().contains("check that its folder exists"), "{error}");
}

/// While one writer has a snapshot open, a second writer fails at once with the busy error. The first writer finishes
/// its snapshot.
#[test]
fn second_writer_is_refused_while_first_continues() {
    let mut ledger = representative();
    let policy = ledger.policy.clone();
    let header =
        SnapshotHeader { started_at: Timestamp::constant(1_800_000_000, 0), policy: &policy, app_version: "test" };
    let mut first = LedgerWriter::open(&ledger.path()).unwrap();
    let recorded = first.begin_snapshot(header).unwrap();
    let mut second = LedgerWriter::open(&ledger.path()).unwrap();
    assert!(matches!(second.begin_snapshot(header), Err(LedgerError::Busy { .. })));
    recorded.finish(header.started_at, 0).unwrap();
    drop(second);
    assert_eq!(ledger.record_snapshot(&[]).snapshot.id, 4);
}

/// An open reader reads the new file after the ledger is replaced by a rename.
#[test]
fn reader_follows_replaced_file() {
    let (old, mut new) = (representative(), representative());
    new.record_snapshot(&[(instances(), complete(vec![]))]);
    let reader = old.reader();
    let newest = || reader.read(|view| view.newest()).unwrap().unwrap().id;
    assert_eq!(newest(), 2);
    std::fs::rename(new.path(), old.path()).unwrap();
    assert_eq!(newest(), 3);
}

/// A connection opened for reading refuses a statement that deletes rows.
#[test]
fn read_only_connection_cannot_write() {
    let ledger = representative();
    let connection = connection::open_read_only(&ledger.path()).unwrap();
    assert!(connection.execute("DELETE FROM snapshot", []).is_err());
}

/// Statements that scan a table on purpose.
fn full_scan_statements() -> Vec<&'static str> {
    // Dimensions, snapshots, months, tag keys and shared costs are few. A scan reads the scopes and the current state once. Pruning,
    // verification, statistics and sums read complete tables.
    [
        &["ACCOUNTS", "REGIONS", "TYPES", "CURRENT_RESOURCES", "CURRENT_SCOPES"][..],
        &[
            "NEWEST_SNAPSHOT",
            "NEWEST_FULL_SNAPSHOT",
            "SNAPSHOT_IDS",
            "SNAPSHOTS",
            "RETAINED_SNAPSHOTS",
            "COUNT_RETAINED",
            "COUNT_PRUNED",
            "RETAINED_SPAN",
        ],
        &["DROP_OLD_VIOLATIONS", "DROP_UNREFERENCED_RESOURCES", "DROP_UNUSED_TAG_SETS"],
        &["DROP_LINES_BETWEEN", "DROP_BILL_BEFORE"],
        &["TAG_SETS", "TAG_IDS", "COUNTED_TAGS"],
        &[
            "TAG_SET_ROWS",
            "FINDING_SETS",
            "RESOURCES",
            "CURRENT_FINDING_SETS",
            "RESOURCES_AS_OF",
            "INTEGRITY",
            "FREE_BYTES",
            "TABLE_SIZES",
        ],
        &["BILL_MONTHS", "ALLOCATION_TAGS", "BILL_REQUESTS_NEEDED", "BILL_GAP", "SNAPSHOT_BEFORE"],
        &["COST_BASIS", "POOLS", "USAGE", "CHARGED_SERVICES", "LOCALS_OF_TYPE", "COSTS_BY_VERDICT"],
        &["CURRENT_FOR_TRAINING", "FEATURE_COUNTS_MODEL"],
        &["DROP_FEATURE_COUNTS", "DROP_FEATURE_COUNTS_VALUES", "DROP_FEATURE_COUNTS_MODEL"],
        &[
            "DROP_UNUSED_LINK_SETS",
            "LINK_SETS",
            "LINK_IDS",
            "ALL_TAGS",
            "ALL_TAG_SETS",
            "ALL_TAG_KEYS",
            "ALL_FOR_SIMULATION",
            "EVALUATED_FOR_REMEDIATION",
        ],
        &["USAGE_COUNTED", "VIOLATION_FLOW_COUNTED", "FIXED_COUNTED", "COUNT_TAG_VALUES"],
        &[
            "SNAPSHOTS_SINCE",
            "OLDEST_RETAINED",
            "VIOLATION_FLOW",
            "FIXED_DAYS",
            "RULES",
            "SPEND_BY_DAY",
            "BILL_DAY_OF_LINE",
            "EVALUATED_WITH_TAGS",
            "EVALUATED_FOR_INSIGHTS",
            "STATES_BEGUN_BETWEEN",
            "TRAIL",
            "DROP_CREATORS",
            "DROP_PRINCIPALS",
            "PRINCIPALS",
        ],
        &["COUNT_CURRENT", "COUNT_RESOURCES", "COUNT_ENDED_STATES", "COUNT_OPEN", "COUNT_CLOSED", "COPY_INTO"],
    ]
    .concat()
}

/// The query plan of every statement uses an index and sorts nothing large, except for the listed statements that read
/// a complete table on purpose.
#[test]
fn every_query_uses_an_index() {
    let ledger = representative();
    let sql = ledger.sql();
    sql.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    let full_scans = full_scan_statements();
    for (name, text) in crate::db::sql::ALL.iter().chain(crate::db::sql::QUERIES) {
        if full_scans.contains(name) {
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
        // Current states come from an index in the order of the result. Only the few states that have ended since are sorted.
        let sorts = steps.iter().position(|step| step == "USE TEMP B-TREE FOR ORDER BY");
        let ended = steps.iter().position(|step| step == "RIGHT");
        assert!(sorts.is_none() || ended < sorts, "{name}: {steps:#?}");
    }
}

/// The deadline of a read starts with that read. Time that passed since earlier reads does not count, on 3,000 reads in
/// succession.
#[test]
fn each_read_gets_its_own_deadline() {
    let ledger = representative();
    let reader = LedgerReader::with_timeout(&ledger.path(), std::time::Duration::from_millis(50));
    reader.read(|view| view.newest()).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(60));
    for requested in 0..3_000 {
        assert!(reader.newest().is_ok(), "the question after {requested} others was ended");
    }
}

/// A read past its deadline fails with an error that advises to ask again. The cache of the reader stays valid.
#[test]
fn timed_out_read_fails_and_keeps_cache() {
    const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n";
    let ledger = representative();
    let reader = LedgerReader::with_timeout(&ledger.path(), std::time::Duration::from_millis(500));
    let newest = reader.newest().unwrap().unwrap();
    reader.read(|view| warmup::run(view, &newest)).unwrap();
    let ended =
        reader.read(|view| view.db().query_row(ENDLESS, [], |row| row.get::<_, i64>(0)).context(Operation::ReadCounts));
    let error = ended.unwrap_err();
    assert!(matches!(error, LedgerError::OutOfTime));
    assert!(error.to_string().contains("ask again"), "{error}");
    let cached = reader.read(|view| Ok((view.newest()?, tag_sets::cached(view)?.is_some()))).unwrap();
    assert_eq!(cached, (Some(newest), true));
}

/// Both partitions of a parallel read obey the deadline of their session: when it has passed, both statements are
/// interrupted.
#[test]
fn both_partitions_obey_the_read_deadline() {
    const LONG: &str =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT sum(i) FROM n";
    let (ledger, ended) = (representative(), std::sync::atomic::AtomicUsize::new(0));
    let reader = LedgerReader::with_timeout(&ledger.path(), std::time::Duration::from_millis(500));
    let requested = reader.read(|view| {
        std::thread::sleep(std::time::Duration::from_millis(501));
        partition::par_partitions(view, |view, _| {
            let counted = view.db().query_row(LONG, [], |row| row.get::<_, i64>(0)).context(Operation::ReadCounts);
            ended.fetch_add(usize::from(counted.is_err()), std::sync::atomic::Ordering::Relaxed);
            counted
        })
    });
    assert!(matches!(requested, Err(LedgerError::OutOfTime)));
    assert_eq!(ended.into_inner(), 2);
}
