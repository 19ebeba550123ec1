//! Checking, thinning out, sealing and copying.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use super::*;
use crate::cloud::simulated::Dice;

/// Nights of 24 instances and 6 buckets, each night some other ones tagged otherwise, gone or new.
fn lively(nights: i64) -> Book {
    let mut book = Book::new();
    for night in 0..nights {
        book.night(&lively_estate(night));
    }
    book
}

fn lively_estate(night: i64) -> Vec<(Scope, Listing)> {
    let tags = |n: i64| [GOOD, SHORT, BARE, OWNERLESS][usize::try_from((n * 7 + (night + n) / 5) % 4).unwrap()];
    let there = |n: &i64| (n + night / 3) % 6 != 0;
    let usage = |n: i64| Some(Usage { driver: format!("m{}.large", n % 3), quantity: u32::from((n + night) % 4 > 0) });
    let running = |n: i64| Resource { usage: usage(n), ..instance(&format!("{:x}", n + night / 10), tags(n)) };
    let instances_now = (0..24).filter(there).map(running).collect();
    let buckets = (0..6).filter(there).map(|n| bucket(&format!("b{n}"), tagged(tags(n)))).collect();
    let listing = if night % 9 == 4 { broken(buckets) } else { whole(buckets) };
    vec![(instances(), whole(instances_now)), (scope("eu-west-1", "s3:bucket"), listing)]
}

/// All that can be asked of a snapshot; none when it is not kept.
fn answers(reader: &Reader, id: i64) -> Result<Option<String>, StoreError> {
    reader.read(|view| {
        let Some(snapshot) = view.snapshot(id)? else { return Ok(None) };
        let all = Filter::default();
        let here = Filter { regions: vec!["eu-west-1".parse().unwrap()], ..Filter::default() };
        let worst = Worst { errors: true, warnings: true };
        let judged = view.rejudge(&snapshot, &all, &*view.policy(&snapshot)?, 100)?;
        Ok(Some(format!(
            "{snapshot:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {judged:?}",
            view.cells(&snapshot, &all)?,
            view.scopes(&snapshot)?,
            view.rules(&snapshot, &all)?,
            view.rules(&snapshot, &here)?,
            view.worst(&snapshot, &all, worst, PageStart::FIRST, 100)?,
            view.lacking(&snapshot, &all, Lacking::default(), PageStart::FIRST, 100)?,
            view.advised(&snapshot, Clone::clone)?,
            view.to_fix(&snapshot, &all, usize::MAX)?,
        )))
    })
}

pub(super) fn faults(book: &Book) -> Vec<String> {
    book.reader().check(true, |_| {}).unwrap().faults
}

#[test]
fn a_ledger_that_was_only_ever_scanned_into_passes_its_check() {
    for book in [Book::new(), representative(), lively(25)] {
        drop(Writer::open(&book.path()).unwrap());
        assert_eq!(faults(&book), Vec::<String>::new());
    }
    let report = lively(3).reader().check(true, |_| {}).unwrap();
    assert_eq!((report.snapshots, report.seal), (3, SealState::Fits));
}

#[test]
fn a_check_finds_every_figure_that_does_not_follow_from_the_facts() {
    for (sabotage, told) in [
        ("UPDATE rollup_cell SET compliant = compliant + 1 WHERE snapshot_id = 7", "snapshot 7"),
        ("DELETE FROM rollup_cell WHERE snapshot_id = 12", "snapshot 12"),
        ("UPDATE rollup_rule SET resources = 99 WHERE snapshot_id = 3", "counts of findings"),
        ("UPDATE rollup_tag SET non_compliant = 99 WHERE snapshot_id = 3", "counts of tags"),
        ("UPDATE tag SET value = 'b@b.example' WHERE value = 'a@b.example'", "other tags than its hash says"),
        ("UPDATE finding_set SET rules = x'03' WHERE rules <> x'03'", "other findings than its hash says"),
        ("UPDATE resource SET local = 'instance/i-x' WHERE local = 'instance/i-9'", "an ARN of another key"),
        ("UPDATE current SET name = 'other' WHERE name IS NOT NULL", "another fingerprint"),
        ("UPDATE history SET state = 0 WHERE until = 5", "snapshot 4"),
        ("DELETE FROM violation WHERE closed IS NULL", "open violations"),
        ("UPDATE rollup_life SET fixed = fixed + 1 WHERE snapshot_id = 9", "began and ended"),
        ("UPDATE rollup_fixed SET days = days + 1000", "began and ended"),
        ("UPDATE usage SET attributable = 2 WHERE attributable = 0", "what resources take"),
        ("UPDATE usage SET quantity = quantity + 1", "what resources take"),
        ("UPDATE current SET quantity = 0 WHERE quantity = 1", "what resources take"),
        ("UPDATE snapshot SET status = 'complete'", "whether it is complete"),
        ("DELETE FROM snapshot WHERE id = 6", "holes"),
        ("DELETE FROM current WHERE state = 0", "snapshot 12"),
    ] {
        let book = lively(12);
        let sql = book.sql();
        sql.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        assert!(sql.execute(sabotage, []).unwrap() > 0, "{sabotage}");
        let faults = faults(&book);
        assert!(faults.iter().any(|fault| fault.contains(told)), "{sabotage}: {faults:#?}");
    }
}

#[test]
fn thinning_never_changes_what_a_kept_night_says() {
    let book = lively(60);
    let reader = book.reader();
    let before: BTreeMap<i64, _> = (1..=60).map(|id| (id, answers(&reader, id).unwrap())).collect();
    let mut writer = Writer::open(&book.path()).unwrap();
    // The nights begin at 2026-01-02; this is the day of the last one.
    let today = jiff::civil::date(2026, 3, 2);
    let thinned = writer.thin(&"7d,3w,m".parse().unwrap(), today).unwrap();
    writer.checkpoint().unwrap();
    let after: BTreeMap<i64, _> = (1..=60).map(|id| (id, answers(&reader, id).unwrap())).collect();
    let kept: Vec<i64> = (1..=60).filter(|id| after[id].is_some()).collect();
    assert_eq!(kept.len() as u64 + thinned.nights, 60);
    assert!((10..=14).contains(&kept.len()) && kept.ends_with(&[54, 55, 56, 57, 58, 59, 60]), "{kept:?}");
    for id in &kept {
        assert_eq!(after[id], before[id], "snapshot {id}");
    }
    assert!(thinned.versions > 0);
    assert_eq!(faults(&book), Vec::<String>::new());
    assert_eq!(writer.thin(&"7d,3w,m".parse().unwrap(), today).unwrap(), Thinned::default());
}

#[test]
fn a_thinned_ledger_grows_on_as_if_nothing_had_gone() {
    let (mut thinned, mut whole) = (lively(30), lively(30));
    for night in 30..60 {
        let mut writer = Writer::open(&thinned.path()).unwrap();
        let today = jiff::civil::date(2026, 1, 2).saturating_add(night.days());
        writer.thin(&"3d,2w".parse().unwrap(), today).unwrap();
        writer.checkpoint().unwrap();
        drop(writer);
        let nights = (thinned.night(&lively_estate(night)), whole.night(&lively_estate(night)));
        assert_eq!(nights.0.snapshot.fingerprint, nights.1.snapshot.fingerprint);
    }
    assert_eq!(answers(&thinned.reader(), 60).unwrap(), answers(&whole.reader(), 60).unwrap());
    assert_eq!(faults(&thinned), Vec::<String>::new());
    assert!(thinned.number("SELECT count(*) FROM history") < whole.number("SELECT count(*) FROM history") / 3);
    assert!(thinned.number("SELECT count(*) FROM resource") <= whole.number("SELECT count(*) FROM resource"));
}

#[test]
fn what_no_kept_night_needs_goes_though_the_very_first_night_stays() {
    let mut book = Book::new();
    for night in 0..60 {
        let run = night.to_string();
        let tags = [("Owner", "a@b.example"), ("Run", run.as_str())];
        book.night(&[(instances(), whole(vec![instance("1", GOOD), instance(&format!("a{night}"), &tags)]))]);
    }
    let mut writer = Writer::open(&book.path()).unwrap();
    let thinned = writer.thin(&"7d,1w,m".parse().unwrap(), jiff::civil::date(2026, 3, 2)).unwrap();
    assert!(answers(&book.reader(), 30).unwrap().is_some(), "the last night of January is kept for ever");
    let unused = "SELECT count(*) FROM tag_set WHERE id NOT IN (SELECT tag_set_id FROM current)
        AND id NOT IN (SELECT tag_set_id FROM history)";
    assert_eq!(book.number(unused), 0);
    assert!(thinned.resources >= 20 && book.number("SELECT count(*) FROM tag_set") < 30, "{thinned:?}");
    assert_eq!(faults(&book), Vec::<String>::new());
}

#[test]
fn any_flipped_bit_in_a_ledger_at_rest_is_found_and_none_makes_a_reader_panic() {
    let book = lively(12);
    let sound = fs::read(book.path()).unwrap();
    let right: BTreeMap<i64, _> = (1..=12).map(|id| (id, answers(&book.reader(), id).unwrap())).collect();
    let (mut dice, mut wrong) = (Dice::new(1, "bits", 0), 0);
    for _ in 0..400 {
        let mut bytes = sound.clone();
        let at = dice.below(u32::try_from(bytes.len()).unwrap()) as usize;
        bytes[at] ^= 1 << dice.below(8);
        fs::write(book.path(), &bytes).unwrap();
        let reader = book.reader();
        let found = reader.check(true, |_| {}).map_or(true, |report| !report.faults.is_empty());
        assert!(found, "a bit of byte {at}");
        wrong += usize::from((1..=12).any(|id| answers(&reader, id).is_ok_and(|now| now != right[&id])));
    }
    assert!(wrong > 0, "no flipped bit changed an answer: the test shows nothing");
}

#[test]
fn a_torn_log_leaves_a_whole_earlier_night() {
    let mut book = lively(5);
    let right: BTreeMap<i64, _> = (1..=5).map(|id| (id, answers(&book.reader(), id).unwrap())).collect();
    // Two more nights that only stand in the log.
    let held = book.reader();
    let log = held.read(|_| {
        for night in 5..7 {
            book.night_in_the_log(&lively_estate(night));
        }
        Ok(fs::read(with_suffix(&book.path(), "-wal")).unwrap())
    });
    let (log, file) = (log.unwrap(), fs::read(book.path()).unwrap());
    let (mut dice, mut newest_seen) = (Dice::new(2, "tears", 0), BTreeSet::new());
    for tear in 0..100 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite");
        let mut torn = log.clone();
        let at = dice.below(u32::try_from(log.len()).unwrap()) as usize;
        if tear % 2 == 0 {
            torn.truncate(at)
        } else {
            torn.iter_mut().skip(at).take(512).for_each(|byte| *byte = 0)
        }
        fs::write(&path, &file).unwrap();
        fs::write(with_suffix(&path, "-wal"), torn).unwrap();
        drop(Writer::open(&path).unwrap());
        let reader = Reader::new(&path);
        let newest = reader.read(|view| view.newest()).unwrap().unwrap().id;
        assert_eq!(reader.check(true, |_| {}).unwrap().faults, Vec::<String>::new(), "tear {tear} at {at}");
        for id in 1..=5 {
            assert_eq!(answers(&reader, id).unwrap(), right[&id], "tear {tear} at {at}, snapshot {id}");
        }
        newest_seen.insert(newest);
    }
    assert!(newest_seen.contains(&5) && newest_seen.contains(&6), "{newest_seen:?}");
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

#[test]
fn a_copy_made_amid_a_scan_is_the_ledger_before_it() {
    let mut book = lively(6);
    let policy = book.policy.clone();
    let header =
        NightHeader { started_at: Timestamp::constant(1_800_000_000, 0), policy: &policy, app_version: "test" };
    let mut writer = Writer::open(&book.path()).unwrap();
    let mut night = writer.begin(header).unwrap();
    night.account(&account()).unwrap();
    night.record(&instances(), &whole(vec![instance("amid", BARE)])).unwrap();
    let copy = book.folder.path().join("copy.sqlite");
    let bytes = book.reader().backup(&copy).unwrap();
    night.finish(header.started_at, 0).unwrap();
    drop(writer);
    assert_eq!(fs::metadata(&copy).unwrap().len(), bytes);
    let copied = Reader::new(&copy);
    for id in 1..=6 {
        assert_eq!(answers(&copied, id).unwrap(), answers(&book.reader(), id).unwrap());
    }
    assert_eq!(answers(&copied, 7).unwrap(), None);
    let report = copied.check(true, |_| {}).unwrap();
    assert_eq!((report.faults, report.seal), (Vec::new(), SealState::Fits));
    let taken = book.reader().backup(&copy).unwrap_err();
    assert!(taken.to_string().contains("copy.sqlite"), "{taken}");
    // The copy is a ledger: a scan can go on in it, or fail in it, which is no damage.
    fs::rename(&copy, book.path()).unwrap();
    fs::rename(with_suffix(&copy, ".seal"), with_suffix(&book.path(), ".seal")).unwrap();
    drop(Writer::open(&book.path()).unwrap());
    assert_eq!(book.reader().check(true, |_| {}).unwrap().faults, Vec::<String>::new());
    book.nights = 6;
    assert_eq!(book.night(&lively_estate(6)).snapshot.id, 7);
}

#[test]
fn the_seal_goes_before_a_change_and_comes_back_after_it() {
    let book = lively(2);
    let seal = || super::super::seal::check(&book.path()).unwrap();
    assert_eq!(seal(), SealState::Fits);
    let mut writer = Writer::open(&book.path()).unwrap();
    assert_eq!(seal(), SealState::Fits);
    writer.thin(&"1d".parse().unwrap(), jiff::civil::date(2027, 1, 1)).unwrap();
    assert_eq!(seal(), SealState::Absent);
    writer.checkpoint().unwrap();
    assert_eq!(seal(), SealState::Fits);
    drop(writer);
    fs::write(with_suffix(&book.path(), ".seal"), "nonsense").unwrap();
    assert_eq!(seal(), SealState::Broken);
}

#[test]
fn the_log_waits_for_a_question_and_is_then_moved() {
    let mut book = lively(2);
    let (reader, path) = (book.reader(), book.path());
    let (began, begun) = std::sync::mpsc::channel();
    let question = std::thread::spawn(move || {
        reader.read(|view| {
            view.newest()?;
            began.send(()).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(300));
            Ok(())
        })
    });
    begun.recv().unwrap();
    let (writer, _) = book.write_in_the_log(&lively_estate(2), |_| Ok(()));
    assert!(log_bytes(&path) > 0);
    assert!(writer.checkpoint().unwrap());
    assert_eq!(log_bytes(&path), 0);
    question.join().unwrap().unwrap();
    assert_eq!(book.reader().check(false, |_| {}).unwrap().seal, SealState::Fits);
}

#[test]
fn the_figures_of_a_ledger_are_those_of_its_tables() {
    let book = lively(9);
    let stats = book.reader().stats().unwrap();
    assert_eq!((stats.kept, stats.thinned), (9, 0));
    assert_eq!(stats.versions, book.number("SELECT count(*) FROM history").unsigned_abs());
    assert_eq!(stats.file_bytes, fs::metadata(book.path()).unwrap().len());
    let pages: u64 = stats.tables.iter().map(|(_, bytes)| bytes).sum();
    assert_eq!(pages + stats.free_bytes, stats.file_bytes);
    let (first, last) = stats.span.unwrap();
    assert_eq!(last.duration_since(first).as_hours(), 8 * 24);
}
