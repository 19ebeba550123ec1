//! Ledgers of earlier schema versions, stored as files that those versions wrote.

use std::{collections::BTreeMap, ops::ControlFlow, path::Path};

use tagledger_model::inventory::{RelationshipKind, Relationships, Resource, Usage};
use tagledger_policy::Policy;

use crate::{
    cost::bill_query,
    db::migrations::MigrationProgress,
    error::LedgerError,
    file_format::SCHEMA_VERSION,
    learn::predict::{self, TargetContext},
    model::{
        counts::ComplianceCounts,
        page::PageStart,
        resource_row::{OrderByMissingTags, OrderBySeverity},
    },
    query::{compliance, remediation, snapshot_diff, spend, tag_groups},
    read::filter::Filter,
    tests::{COMPLIANT, INVALID_VALUE, TestLedger, complete, instance, instances, representative},
    write::writer::LedgerWriter,
};

/// Four snapshots that version 1 wrote: one with a gap, and one with another policy. Resources were added, changed, moved, could not be
/// read, were removed and returned.
fn version_1() -> TestLedger {
    fixture(1)
}

/// Five snapshots that version 2 wrote, two of which were pruned: one with a gap, one narrowed, and one with another policy.
fn version_2() -> TestLedger {
    fixture(2)
}

/// Two snapshots that version 3 wrote, with two months of a bill.
fn version_3() -> TestLedger {
    fixture(3)
}

pub(crate) fn fixture(version: i64) -> TestLedger {
    let ledger = TestLedger::new();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/tests/ledgers/version-{version}.sqlite"));
    std::fs::copy(file, ledger.path()).unwrap();
    assert_eq!(ledger.number("SELECT user_version FROM pragma_user_version"), version);
    ledger
}

/// Tables, views and indexes with their text, without comments and line breaks.
fn schema(ledger: &TestLedger) -> BTreeMap<String, String> {
    let sql = ledger.sql();
    let mut statement = sql.prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").unwrap();
    let normalize = |text: String| {
        let lines = text.lines().map(|line| line.split("--").next().unwrap());
        lines
            .flat_map(str::split_whitespace)
            .collect::<Vec<_>>()
            .join(" ")
            .replace('"', "")
            .replace(" ,", ",")
            .replace(" )", ")")
    };
    let rows = statement.query_map([], |row| Ok((row.get(0)?, normalize(row.get(1)?)))).unwrap();
    rows.map(Result::unwrap).collect()
}

/// Migration from every earlier schema version gives the tables, views and indexes of a new ledger, and the result
/// passes verification.
#[test]
fn migrated_schema_equals_fresh_schema() {
    for earlier in 1..SCHEMA_VERSION {
        let (migrated, fresh) = (fixture(earlier), TestLedger::new());
        drop((LedgerWriter::open(&migrated.path()).unwrap(), LedgerWriter::open(&fresh.path()).unwrap()));
        let (migrated_schema, fresh_schema) = (schema(&migrated), schema(&fresh));
        assert!(migrated_schema.keys().eq(fresh_schema.keys()), "version {earlier}");
        for (name, text) in fresh_schema {
            assert_eq!(migrated_schema[&name], text, "version {earlier}");
        }
        let version = "SELECT user_version FROM pragma_user_version";
        assert_eq!((migrated.number(version), fresh.number(version)), (SCHEMA_VERSION, SCHEMA_VERSION));
        let report = migrated.reader().verify(true, |_| {}).unwrap();
        assert_eq!(report.faults, Vec::<String>::new(), "version {earlier}");
    }
}

/// After migration, every snapshot of a version 1 ledger has the fingerprint, compliance counts and changes that it had
/// before.
#[test]
fn version_1_keeps_fingerprints_and_counts() {
    let ledger = version_1();
    // Read with the sqlite3 program when version 1 wrote the file.
    let fingerprints = [-2_741_507_503_893_284_588, -8_452_513_343_279_338_200, 4_575_673_651_557_712_262];
    let before = "SELECT group_concat(kind || n, ' ') FROM (SELECT kind, count(*) AS n FROM change
        WHERE snapshot_id = 3 GROUP BY kind ORDER BY kind)";
    let changes = |ledger: &TestLedger| ledger.sql().query_row(before, [], |row| row.get::<_, String>(0)).unwrap();
    let third_snapshot = changes(&ledger);
    drop(LedgerWriter::open(&ledger.path()).unwrap());
    assert_eq!((changes(&ledger), third_snapshot.as_str()), (third_snapshot.clone(), "left_scope1 lost3"));
    let read = ledger.reader().read(|view| {
        let snapshots: Vec<_> = (1..=4).map(|id| view.snapshot(id).map(Option::unwrap)).collect::<Result<_, _>>()?;
        let totals = snapshots.iter().map(|snapshot| {
            let mut tally = ComplianceCounts::default();
            compliance::count_by_scope(view, snapshot, &Filter::default())?.iter().for_each(|(_, cell)| tally += *cell);
            Ok((tally.compliant, tally.non_compliant, tally.unknown, tally.total()))
        });
        Ok((snapshots.clone(), totals.collect::<Result<Vec<_>, LedgerError>>()?))
    });
    let (snapshots, totals) = read.unwrap();
    assert_eq!(snapshots[..3].iter().map(|s| s.fingerprint).collect::<Vec<_>>(), fingerprints);
    assert_eq!(totals, [(2, 3, 1, 9), (4, 2, 0, 9), (3, 0, 3, 8), (5, 2, 0, 10)]);
    assert_eq!(ledger.number("SELECT count(*) FROM change WHERE snapshot_id = 2 AND kind = 'moved'"), 1);
}

/// After migration, every retained snapshot of a version 2 ledger has its former fingerprint, compliance counts and
/// scope restriction; pruned snapshots stay absent.
#[test]
fn version_2_keeps_fingerprints_and_counts() {
    let ledger = version_2();
    drop(LedgerWriter::open(&ledger.path()).unwrap());
    // Read with the sqlite3 program when version 2 wrote the file.
    let expected = [
        (3, -5_956_868_462_356_223_452, false, (2, 0, 2, 1)),
        (4, 643_029_628_486_008_979, true, (2, 0, 2, 0)),
        (5, 8_382_365_411_607_637_657, false, (3, 2, 0, 1)),
    ];
    let answer = ledger.reader().read(|view| {
        assert_eq!((view.snapshot(1)?, view.snapshot(2)?), (None, None), "pruned");
        let answer = (3..=5).map(|id| {
            let snapshot = view.snapshot(id)?.unwrap();
            let mut tally = ComplianceCounts::default();
            compliance::count_by_scope(view, &snapshot, &Filter::default())?
                .iter()
                .for_each(|(_, cell)| tally += *cell);
            let states = (tally.compliant, tally.non_compliant, tally.unknown, tally.exempt);
            Ok((id, snapshot.fingerprint, snapshot.narrowed, states))
        });
        answer.collect::<Result<Vec<_>, LedgerError>>()
    });
    assert_eq!(answer.unwrap(), expected);
}

/// A migrated version 3 ledger has its fingerprint and its bill. The next scan adds the usage of resources and records
/// no tag change for it.
#[test]
fn version_3_keeps_bill_and_gains_usage() {
    let mut ledger = version_3();
    drop(LedgerWriter::open(&ledger.path()).unwrap());
    let answer = ledger.reader().read(|view| {
        let newest = view.newest()?.unwrap();
        let november = tagledger_cost::Days::of_month(jiff::civil::Date::constant(2025, 11, 1));
        Ok((
            newest.fingerprint,
            bill_query::load_months(view)?.len(),
            bill_query::load_bill(view, november)?.currencies(),
            spend::find_cost_basis(view, &newest)?,
        ))
    });
    // Read with the sqlite3 program when version 3 wrote the file.
    let amount = tagledger_cost::Amount::from_micros(7);
    assert_eq!(answer.unwrap(), (8_423_954_800_956_177_981, 2, vec![("USD".to_owned(), amount)], None));
    ledger.snapshots = 2;
    let usage = Some(Usage { driver: "m5.large".to_owned(), quantity: 1 });
    let next = ledger.record_narrowed(&[(instances(), complete(vec![Resource { usage, ..instance("1", COMPLIANT) }]))]);
    assert_eq!((next.snapshot.id, next.changes.get("tags")), (3, None), "usage is not a tag change");
    assert_eq!(ledger.number("SELECT quantity FROM current WHERE driver_id IS NOT NULL"), 1);
}

/// A migrated version 4 ledger has its fingerprint, and the next scan adds relationships of resources without recording
/// a tag change. A trained model is used only while the policy requires the tags that it was trained on.
#[test]
fn version_4_keeps_snapshots_and_gains_relationships() {
    let mut ledger = fixture(4);
    drop(LedgerWriter::open(&ledger.path()).unwrap());
    let answer = ledger.reader().read(|view| {
        let newest = view.newest()?.unwrap();
        Ok((newest.fingerprint, predict::load_model(view, &newest)?))
    });
    // Read with the sqlite3 program when version 4 wrote the file.
    assert_eq!(answer.unwrap(), (-7_150_797_867_061_624_810, None));
    ledger.snapshots = 3;
    let links = Relationships::to(
        None,
        [(RelationshipKind::Vpc, Some("vpc-1")), (RelationshipKind::SecurityGroup, Some("sg-1"))],
    );
    let with_links = |id: &str, tags| Resource { links: links.clone(), ..instance(id, tags) };
    let next = ledger
        .record_snapshot(&[(instances(), complete(vec![with_links("1", COMPLIANT), with_links("2", INVALID_VALUE)]))]);
    assert_eq!(next.changes.get("tags"), None, "relationships are not a tag change");
    let context = ledger.reader().read(|view| predict::locate(view, &instance("1", &[]).arn)).unwrap();
    assert_eq!(context, TargetContext { neighbours: links.neighbours.clone(), ..TargetContext::default() });
    assert!(ledger.train().is_some());
    let load_model =
        |ledger: &TestLedger| ledger.reader().read(|view| predict::load_model(view, &view.newest()?.unwrap())).unwrap();
    assert!(load_model(&ledger).is_some());
    // The policy has other tags at the same indexes, so that the trained model is not valid for it.
    let other = r#"{"version": "9", "last_updated": "2026-01-01T00:00:00Z", "required_tags": [{"name": "Other"}]}"#;
    ledger.policy = Policy::parse(other).unwrap();
    ledger.record_snapshot(&[(instances(), complete(vec![with_links("1", COMPLIANT)]))]);
    assert!(load_model(&ledger).is_none());
    ledger.train();
    assert!(load_model(&ledger).is_some());
}

/// A migrated version 6 ledger gives the same fingerprints, diff and resource pages as a new ledger with the same
/// snapshots.
#[test]
fn version_6_answers_equal_a_fresh_ledger() {
    let (migrated, fresh) = (fixture(6), representative());
    assert!(fresh.number("SELECT count(*) FROM history") > 0);
    drop(LedgerWriter::open(&migrated.path()).unwrap());
    let answer = |ledger: &TestLedger| {
        let read = ledger.reader().read(|view| {
            let [first, second] = [1, 2].map(|id| view.snapshot(id).map(Option::unwrap));
            let (first, second) = (first?, second?);
            let changed = snapshot_diff::compare_all(view, &first, &second)?.changed;
            let all = OrderBySeverity { errors: true, warnings: true };
            let then = compliance::list_by_severity(view, &first, &Filter::default(), all, PageStart::FIRST, 50)?.rows;
            Ok((first.fingerprint, second.fingerprint, changed, then))
        });
        read.unwrap()
    };
    assert_eq!(answer(&migrated), answer(&fresh));
}

/// In a migrated version 7 ledger, insights are materialized from the next snapshot on. The recommendations and the
/// backlog of earlier snapshots stay the same.
#[test]
fn version_7_gains_insights_from_next_snapshot() {
    let mut ledger = fixture(7);
    drop(LedgerWriter::open(&ledger.path()).unwrap());
    let answers = |ledger: &TestLedger, id: i64| {
        let read = ledger.reader().read(|view| {
            let recorded = view.snapshot(id)?.unwrap();
            Ok((
                recorded.fingerprint,
                tag_groups::find_recommendations(view, &recorded)?,
                remediation::find_backlog(view, &recorded, &Filter::default(), usize::MAX)?,
            ))
        });
        read.unwrap()
    };
    let first = answers(&ledger, 1);
    // Read with the sqlite3 program when version 7 wrote the file.
    assert_eq!((first.0, first.2.totals.non_compliant), (5_359_856_732_603_370_370, 2));
    ledger.snapshots = 2;
    ledger.record_snapshot(&[(instances(), complete(vec![instance("1", COMPLIANT)]))]);
    ledger.materialize_insights();
    assert_eq!(ledger.number("SELECT max(snapshot_id) FROM told WHERE (SELECT count(*) FROM told) = 1"), 3);
    assert_eq!(answers(&ledger, 1), first);
}

/// In a migrated version 8 ledger, a resource without user tags has its own column instead of 1000 added to the number of missing
/// tags. Fingerprints, compliance counts and the list of missing tags stay the same, for current and for superseded states.
#[test]
fn version_8_separates_untagged_from_missing_tags() {
    let ledger = fixture(8);
    drop(LedgerWriter::open(&ledger.path()).unwrap());
    let list = |id: i64| {
        let read = ledger.reader().read(|session| {
            let snapshot = session.snapshot(id)?.unwrap();
            let mut counts = ComplianceCounts::default();
            compliance::count_by_scope(session, &snapshot, &Filter::default())?
                .iter()
                .for_each(|(_, cell)| counts += *cell);
            let order = OrderByMissingTags::default();
            let page =
                compliance::list_missing_tags(session, &snapshot, &Filter::default(), order, PageStart::FIRST, 50)?;
            let untagged = page.rows.iter().map(|row| row.tags.user().next().is_none()).collect::<Vec<_>>();
            Ok((snapshot.fingerprint, (counts.untagged, counts.missing_required), untagged))
        });
        read.unwrap()
    };
    // Read with the sqlite3 program when version 8 wrote the file.
    assert_eq!(list(1), (5_359_856_732_603_370_370, (1, 0), vec![true]));
    assert_eq!(list(2), (8_423_954_800_956_177_981, (0, 0), vec![]));
    assert_eq!(list(3), (-4_731_964_780_674_654_313, (1, 0), vec![true]));
    let columns = "SELECT sum(untagged) * 100 + sum(missing_required) FROM";
    assert_eq!(
        (ledger.number(&format!("{columns} current")), ledger.number(&format!("{columns} history"))),
        (102, 102)
    );
}

/// A narrowed scan in a migrated version 1 ledger takes the next snapshot identifier and records removed resources.
#[test]
fn scan_continues_in_migrated_ledger() {
    let mut ledger = version_1();
    let before = LedgerWriter::open(&ledger.path()).unwrap();
    drop(before);
    ledger.snapshots = 4;
    let next = ledger.record_narrowed(&[(instances(), complete(vec![instance("1", COMPLIANT)]))]);
    assert_eq!((next.snapshot.id, next.changes["removed"]), (5, 4));
}

/// A reader refuses an older schema version with an error that contains the version and the command `tagledger store
/// upgrade`. The same reader works after the migration.
#[test]
fn reader_of_old_schema_names_upgrade_command() {
    let ledger = version_1();
    let reader = ledger.reader();
    let error = reader.read(|view| view.newest()).unwrap_err().to_string();
    assert!(error.contains("schema version 1") && error.contains("tagledger store upgrade"), "{error}");
    drop(LedgerWriter::open(&ledger.path()).unwrap());
    assert_eq!(reader.read(|view| view.newest()).unwrap().unwrap().id, 4);
}

/// A migration that the caller interrupts leaves the ledger at its former version. A second attempt starts from the
/// beginning, reports its progress by snapshot and succeeds.
#[test]
fn interrupted_migration_rolls_back_and_restarts() {
    let test_ledger = version_1();
    let interrupted = LedgerWriter::open_with_progress(&test_ledger.path(), |progress| match progress.done {
        2 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(matches!(interrupted, Err(LedgerError::MigrationCancelled)));
    assert_eq!(test_ledger.number("SELECT user_version FROM pragma_user_version"), 1);
    let mut seen = Vec::new();
    let answer = |progress: MigrationProgress| {
        seen.push((progress.done, progress.of));
        ControlFlow::Continue(())
    };
    drop(LedgerWriter::open_with_progress(&test_ledger.path(), answer).unwrap());
    let ledger = [(0, 4), (1, 4), (2, 4), (3, 4)];
    let expected = [&ledger[..], &[(0, 4)], &ledger, &[(0, 4)]].concat();
    assert_eq!(seen, expected, "two steps by snapshot, each followed by a step without parts");
    assert_eq!(test_ledger.number("SELECT user_version FROM pragma_user_version"), SCHEMA_VERSION);
}
