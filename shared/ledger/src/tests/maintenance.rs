//! Verification, pruning, checksum files and backups.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use jiff::{Timestamp, ToSpan};
use tagledger_model::inventory::{Listing, Resource, Scope, Usage};

use crate::{
    db::checksum_file::{self, ChecksumState, log_bytes},
    error::LedgerError,
    maintenance::prune::PruneReport,
    model::{
        page::PageStart,
        resource_row::{OrderByMissingTags, OrderBySeverity},
    },
    query::{compliance, policy_simulation, remediation, tag_groups},
    read::{filter::Filter, session::LedgerReader},
    tests::{
        COMPLIANT, INVALID_VALUE, MISSPELLED_KEY, TestLedger, UNTAGGED, account, bucket, complete, incomplete,
        instance, instances, representative, scope, tagged,
    },
    write::{transaction::SnapshotHeader, writer::LedgerWriter},
};

/// A SplitMix64 generator with a fixed seed, so that a failing test can be repeated.
struct Random(u64);

impl Random {
    /// Returns a number from 0 to `bound - 1`.
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(bound).unwrap()).unwrap()
    }
}

/// A ledger with 24 instances and 6 buckets, some of which change, are removed or are new in each snapshot.
fn changing_ledger(snapshot_count: i64) -> TestLedger {
    let mut test_ledger = TestLedger::new();
    for snapshot in 0..snapshot_count {
        test_ledger.record_snapshot(&changing_estate(snapshot));
    }
    test_ledger
}

fn changing_estate(snapshot: i64) -> Vec<(Scope, Listing)> {
    let tags = |n: i64| {
        [COMPLIANT, INVALID_VALUE, UNTAGGED, MISSPELLED_KEY][usize::try_from((n * 7 + (snapshot + n) / 5) % 4).unwrap()]
    };
    let exists = |n: &i64| (n + snapshot / 3) % 6 != 0;
    let usage =
        |n: i64| Some(Usage { driver: format!("m{}.large", n % 3), quantity: u32::from((n + snapshot) % 4 > 0) });
    let running = |n: i64| Resource { usage: usage(n), ..instance(&format!("{:x}", n + snapshot / 10), tags(n)) };
    let instances_now = (0..24).filter(exists).map(running).collect();
    let buckets = (0..6).filter(exists).map(|n| bucket(&format!("b{n}"), tagged(tags(n)))).collect();
    let listing = if snapshot % 9 == 4 { incomplete(buckets) } else { complete(buckets) };
    vec![(instances(), complete(instances_now)), (scope("eu-west-1", "s3:bucket"), listing)]
}

/// All answers about a snapshot as text; none when it is not retained.
fn answers(reader: &LedgerReader, id: i64) -> Result<Option<String>, LedgerError> {
    reader.read(|view| {
        let Some(snapshot) = view.snapshot(id)? else { return Ok(None) };
        let all = Filter::default();
        let here = Filter { regions: vec!["eu-west-1".parse().unwrap()], ..Filter::default() };
        let order = OrderBySeverity { errors: true, warnings: true };
        let evaluated = policy_simulation::simulate(view, &snapshot, &all, &*view.policy(&snapshot)?, 100)?;
        Ok(Some(format!(
            "{snapshot:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {evaluated:?}",
            compliance::count_by_scope(view, &snapshot, &all)?,
            compliance::list_scopes(view, &snapshot)?,
            compliance::count_by_rule(view, &snapshot, &all)?,
            compliance::count_by_rule(view, &snapshot, &here)?,
            compliance::list_by_severity(view, &snapshot, &all, order, PageStart::FIRST, 100)?,
            compliance::list_missing_tags(view, &snapshot, &all, OrderByMissingTags::default(), PageStart::FIRST, 100)?,
            tag_groups::find_recommendations(view, &snapshot)?,
            remediation::find_backlog(view, &snapshot, &all, usize::MAX)?,
        )))
    })
}

pub(crate) fn faults(ledger: &TestLedger) -> Vec<String> {
    ledger.reader().verify(true, |_| {}).unwrap().faults
}

/// Verification finds no fault in an empty ledger, in the representative ledger and in one with 25 changing snapshots.
/// The report contains the number of snapshots and a matching checksum.
#[test]
fn scanned_ledger_passes_verification() {
    for ledger in [TestLedger::new(), representative(), changing_ledger(25)] {
        drop(LedgerWriter::open(&ledger.path()).unwrap());
        assert_eq!(faults(&ledger), Vec::<String>::new());
    }
    let report = changing_ledger(3).reader().verify(true, |_| {}).unwrap();
    assert_eq!((report.snapshots, report.checksum), (3, ChecksumState::Matches));
}

/// Verification reports each of 18 manipulations of rollups, tags, findings, resources, history, violations, usage and
/// snapshots, with a text that identifies the affected figure.
#[test]
fn verify_detects_figures_that_contradict_facts() {
    for (change, answer) in [
        ("UPDATE rollup_cell SET compliant = compliant + 1 WHERE snapshot_id = 7", "snapshot 7"),
        ("DELETE FROM rollup_cell WHERE snapshot_id = 12", "snapshot 12"),
        ("UPDATE rollup_rule SET resources = 99 WHERE snapshot_id = 3", "counts of findings"),
        ("UPDATE rollup_tag SET non_compliant = 99 WHERE snapshot_id = 3", "counts of tags"),
        ("UPDATE tag SET value = 'b@b.example' WHERE value = 'a@b.example'", "does not have the tags"),
        ("UPDATE finding_set SET rules = x'03' WHERE rules <> x'03'", "does not have the findings"),
        ("UPDATE resource SET local = 'instance/i-x' WHERE local = 'instance/i-9'", "an ARN with another key"),
        ("UPDATE current SET name = 'other' WHERE name IS NOT NULL", "another fingerprint"),
        ("UPDATE history SET state = 0 WHERE until = 5", "snapshot 4"),
        ("DELETE FROM violation WHERE closed IS NULL", "other open violations than findings"),
        ("UPDATE rollup_life SET fixed = fixed + 1 WHERE snapshot_id = 9", "opened and closed violations"),
        ("UPDATE rollup_fixed SET days = days + 1000", "opened and closed violations"),
        ("UPDATE usage SET attributable = 2 WHERE attributable = 0", "recorded usage"),
        ("UPDATE usage SET quantity = quantity + 1", "recorded usage"),
        ("UPDATE current SET quantity = 0 WHERE quantity = 1", "recorded usage"),
        ("UPDATE snapshot SET status = 'complete'", "its status differs"),
        ("DELETE FROM snapshot WHERE id = 6", "ids have gaps"),
        ("DELETE FROM current WHERE state = 0", "snapshot 12"),
    ] {
        let ledger = changing_ledger(12);
        let sql = ledger.sql();
        sql.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        assert!(sql.execute(change, []).unwrap() > 0, "{change}");
        let faults = faults(&ledger);
        assert!(faults.iter().any(|fault| fault.contains(answer)), "{change}: {faults:#?}");
    }
}

/// Pruning does not change any answer of a retained snapshot, deletes superseded history and leaves a ledger that
/// passes verification. A second run with the same date does nothing.
#[test]
fn pruning_preserves_answers_of_retained_snapshots() {
    let ledger = changing_ledger(60);
    let reader = ledger.reader();
    let before: BTreeMap<i64, _> = (1..=60).map(|id| (id, answers(&reader, id).unwrap())).collect();
    let mut writer = LedgerWriter::open(&ledger.path()).unwrap();
    // The first snapshot is of 2026-01-02. This is the day of the last one.
    let today = jiff::civil::date(2026, 3, 2);
    let pruned = writer.prune(&"7d,3w,m".parse().unwrap(), today).unwrap();
    writer.checkpoint().unwrap();
    let after: BTreeMap<i64, _> = (1..=60).map(|id| (id, answers(&reader, id).unwrap())).collect();
    let stored: Vec<i64> = (1..=60).filter(|id| after[id].is_some()).collect();
    assert_eq!(stored.len() as u64 + pruned.snapshots, 60);
    assert!((10..=14).contains(&stored.len()) && stored.ends_with(&[54, 55, 56, 57, 58, 59, 60]), "{stored:?}");
    for id in &stored {
        assert_eq!(after[id], before[id], "snapshot {id}");
    }
    assert!(pruned.states > 0);
    assert_eq!(faults(&ledger), Vec::<String>::new());
    assert_eq!(writer.prune(&"7d,3w,m".parse().unwrap(), today).unwrap(), PruneReport::default());
}

/// A ledger that is pruned before each snapshot has the fingerprints and the newest answers of an unpruned ledger, with
/// less than a third of its history rows.
#[test]
fn pruned_ledger_grows_like_an_unpruned_one() {
    let (mut pruned, mut unpruned) = (changing_ledger(30), changing_ledger(30));
    for recorded in 30..60 {
        let mut writer = LedgerWriter::open(&pruned.path()).unwrap();
        let today = jiff::civil::date(2026, 1, 2).saturating_add(recorded.days());
        writer.prune(&"3d,2w".parse().unwrap(), today).unwrap();
        writer.checkpoint().unwrap();
        drop(writer);
        let ledger =
            (pruned.record_snapshot(&changing_estate(recorded)), unpruned.record_snapshot(&changing_estate(recorded)));
        assert_eq!(ledger.0.snapshot.fingerprint, ledger.1.snapshot.fingerprint);
    }
    assert_eq!(answers(&pruned.reader(), 60).unwrap(), answers(&unpruned.reader(), 60).unwrap());
    assert_eq!(faults(&pruned), Vec::<String>::new());
    assert!(pruned.number("SELECT count(*) FROM history") < unpruned.number("SELECT count(*) FROM history") / 3);
    assert!(pruned.number("SELECT count(*) FROM resource") <= unpruned.number("SELECT count(*) FROM resource"));
}

/// Pruning deletes resources and tag sets that no retained snapshot uses, although a much earlier snapshot is retained
/// permanently.
#[test]
fn pruning_deletes_rows_unused_by_retained_snapshots() {
    let mut ledger = TestLedger::new();
    for snapshot in 0..60 {
        let run = snapshot.to_string();
        let tags = [("Owner", "a@b.example"), ("Run", run.as_str())];
        ledger.record_snapshot(&[(
            instances(),
            complete(vec![instance("1", COMPLIANT), instance(&format!("a{snapshot}"), &tags)]),
        )]);
    }
    let mut writer = LedgerWriter::open(&ledger.path()).unwrap();
    let pruned = writer.prune(&"7d,1w,m".parse().unwrap(), jiff::civil::date(2026, 3, 2)).unwrap();
    assert!(answers(&ledger.reader(), 30).unwrap().is_some(), "the last snapshot of January is retained");
    let unused = "SELECT count(*) FROM tag_set WHERE id NOT IN (SELECT tag_set_id FROM current)
        AND id NOT IN (SELECT tag_set_id FROM history)";
    assert_eq!(ledger.number(unused), 0);
    assert!(pruned.resources >= 20 && ledger.number("SELECT count(*) FROM tag_set") < 30, "{pruned:?}");
    assert_eq!(faults(&ledger), Vec::<String>::new());
}

/// Verification detects each of 400 random single-bit flips in a ledger file. No reader panics on such a file.
#[test]
fn flipped_bit_is_detected_and_never_panics() {
    let ledger = changing_ledger(12);
    let intact = fs::read(ledger.path()).unwrap();
    let expected: BTreeMap<i64, _> = (1..=12).map(|id| (id, answers(&ledger.reader(), id).unwrap())).collect();
    let (mut random, mut invalid) = (Random(1), 0);
    for _ in 0..400 {
        let mut bytes = intact.clone();
        let at = random.below(bytes.len());
        bytes[at] ^= 1 << random.below(8);
        fs::write(ledger.path(), &bytes).unwrap();
        let reader = ledger.reader();
        let found = reader.verify(true, |_| {}).map_or(true, |report| !report.faults.is_empty());
        assert!(found, "a bit of byte {at}");
        invalid += usize::from((1..=12).any(|id| answers(&reader, id).is_ok_and(|now| now != expected[&id])));
    }
    assert!(invalid > 0, "no flipped bit changed an answer: the test shows nothing");
}

/// A ledger with a truncated or partly zeroed write-ahead log opens at a complete earlier snapshot, passes verification
/// and keeps the answers of the five snapshots already in the file.
#[test]
fn torn_wal_recovers_an_earlier_snapshot() {
    let mut test_ledger = changing_ledger(5);
    let expected: BTreeMap<i64, _> = (1..=5).map(|id| (id, answers(&test_ledger.reader(), id).unwrap())).collect();
    // Two more snapshots that are only in the log.
    let open_reader = test_ledger.reader();
    let log = open_reader.read(|_| {
        for recorded in 5..7 {
            test_ledger.record_in_log(&changing_estate(recorded));
        }
        Ok(fs::read(with_suffix(&test_ledger.path(), "-wal")).unwrap())
    });
    let (log, file) = (log.unwrap(), fs::read(test_ledger.path()).unwrap());
    let (mut random, mut newest_seen) = (Random(2), BTreeSet::new());
    for number in 0..100 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite");
        let mut torn = log.clone();
        let at = random.below(log.len());
        if number % 2 == 0 {
            torn.truncate(at)
        } else {
            torn.iter_mut().skip(at).take(512).for_each(|byte| *byte = 0)
        }
        fs::write(&path, &file).unwrap();
        fs::write(with_suffix(&path, "-wal"), torn).unwrap();
        drop(LedgerWriter::open(&path).unwrap());
        let reader = LedgerReader::new(&path);
        let newest = reader.read(|view| view.newest()).unwrap().unwrap().id;
        assert_eq!(reader.verify(true, |_| {}).unwrap().faults, Vec::<String>::new(), "damage {number} at {at}");
        for id in 1..=5 {
            assert_eq!(answers(&reader, id).unwrap(), expected[&id], "damage {number} at {at}, snapshot {id}");
        }
        newest_seen.insert(newest);
    }
    assert!(newest_seen.contains(&5) && newest_seen.contains(&6), "{newest_seen:?}");
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

/// A backup made during a scan contains all finished snapshots and not the open one, and has a matching checksum. It
/// does not overwrite an existing file and can replace the ledger for further scans.
#[test]
fn backup_during_scan_holds_previous_snapshots() {
    let mut test_ledger = changing_ledger(6);
    let policy = test_ledger.policy.clone();
    let header =
        SnapshotHeader { started_at: Timestamp::constant(1_800_000_000, 0), policy: &policy, app_version: "test" };
    let mut writer = LedgerWriter::open(&test_ledger.path()).unwrap();
    let mut recorded = writer.begin_snapshot(header).unwrap();
    recorded.add_account(&account()).unwrap();
    recorded.record(&instances(), &complete(vec![instance("during-backup", UNTAGGED)])).unwrap();
    let copy = test_ledger.folder.path().join("copy.sqlite");
    let bytes = test_ledger.reader().backup(&copy).unwrap();
    recorded.finish(header.started_at, 0).unwrap();
    drop(writer);
    assert_eq!(fs::metadata(&copy).unwrap().len(), bytes);
    let copied = LedgerReader::new(&copy);
    for id in 1..=6 {
        assert_eq!(answers(&copied, id).unwrap(), answers(&test_ledger.reader(), id).unwrap());
    }
    assert_eq!(answers(&copied, 7).unwrap(), None);
    let report = copied.verify(true, |_| {}).unwrap();
    assert_eq!((report.faults, report.checksum), (Vec::new(), ChecksumState::Matches));
    let error = test_ledger.reader().backup(&copy).unwrap_err();
    assert!(error.to_string().contains("copy.sqlite"), "{error}");
    // The copy is a ledger: a scan can record further snapshots in it.
    fs::rename(&copy, test_ledger.path()).unwrap();
    fs::rename(with_suffix(&copy, ".seal"), with_suffix(&test_ledger.path(), ".seal")).unwrap();
    drop(LedgerWriter::open(&test_ledger.path()).unwrap());
    assert_eq!(test_ledger.reader().verify(true, |_| {}).unwrap().faults, Vec::<String>::new());
    test_ledger.snapshots = 6;
    assert_eq!(test_ledger.record_snapshot(&changing_estate(6)).snapshot.id, 7);
}

/// The checksum file is removed before the ledger changes and written again by the checkpoint. An unreadable checksum
/// file is reported as a mismatch.
#[test]
fn checksum_is_removed_before_change_and_restored_after() {
    let ledger = changing_ledger(2);
    let state = || checksum_file::compare(&ledger.path()).unwrap();
    assert_eq!(state(), ChecksumState::Matches);
    let mut writer = LedgerWriter::open(&ledger.path()).unwrap();
    assert_eq!(state(), ChecksumState::Matches);
    writer.prune(&"1d".parse().unwrap(), jiff::civil::date(2027, 1, 1)).unwrap();
    assert_eq!(state(), ChecksumState::Absent);
    writer.checkpoint().unwrap();
    assert_eq!(state(), ChecksumState::Matches);
    drop(writer);
    fs::write(with_suffix(&ledger.path(), ".seal"), "nonsense").unwrap();
    assert_eq!(state(), ChecksumState::Mismatch);
}

/// A checkpoint waits for an open read session and then moves the complete write-ahead log into the ledger file. The
/// checksum matches afterwards.
#[test]
fn checkpoint_waits_for_reader_and_empties_wal() {
    let mut ledger = changing_ledger(2);
    let (reader, path) = (ledger.reader(), ledger.path());
    let (started, wait) = std::sync::mpsc::channel();
    let reading = std::thread::spawn(move || {
        reader.read(|view| {
            view.newest()?;
            started.send(()).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(300));
            Ok(())
        })
    });
    wait.recv().unwrap();
    let (writer, _) = ledger.record_without_checkpoint(&changing_estate(2), |_| Ok(()));
    assert!(log_bytes(&path) > 0);
    assert!(writer.checkpoint().unwrap());
    assert_eq!(log_bytes(&path), 0);
    reading.join().unwrap().unwrap();
    assert_eq!(ledger.reader().verify(false, |_| {}).unwrap().checksum, ChecksumState::Matches);
}

/// The statistics of a ledger agree with its tables and its file size: retained and pruned snapshots, history rows,
/// bytes of each table and the time span.
#[test]
fn stats_match_tables() {
    let ledger = changing_ledger(9);
    let stats = ledger.reader().stats().unwrap();
    assert_eq!((stats.retained, stats.pruned), (9, 0));
    assert_eq!(stats.superseded_states, ledger.number("SELECT count(*) FROM history").unsigned_abs());
    assert_eq!(stats.file_bytes, fs::metadata(ledger.path()).unwrap().len());
    let pages: u64 = stats.tables.iter().map(|(_, bytes)| bytes).sum();
    assert_eq!(pages + stats.free_bytes, stats.file_bytes);
    let (first, last) = stats.span.unwrap();
    assert_eq!(last.duration_since(first).as_hours(), 8 * 24);
}
