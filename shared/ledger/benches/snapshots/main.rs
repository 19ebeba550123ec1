//! Bytes, CPU time and memory of each snapshot over years.
//!
//! `cargo bench -p tagledger-ledger --bench snapshots -- [RESOURCES [SNAPSHOTS [FILE]]]`; without FILE the ledger is created in a
//! temporary folder. CPU time is that of the writing thread without the generation of listings, and that of all threads while insights
//! are computed. On a busy machine it is more reliable than wall time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a measurement prints, rounds, and ends where something is missing"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::{Timestamp, ToSpan};
use tagledger_ledger::{BillCollection, LedgerWriter, SnapshotHeader};
use tagledger_model::epoch_day::day_of;
use tagledger_policy::Policy;

mod bill;
mod estate;

use estate::Estate;

const FIRST: Timestamp = Timestamp::constant(1_767_225_600, 0);

fn main() {
    // `cargo bench` passes --bench. `cargo test` does not, and runs a small case to show that the benchmark works.
    let is_benchmark = std::env::args().any(|argument| argument == "--bench");
    let (size, year) = if is_benchmark { (100_000, 365) } else { (2_000, 4) };
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let mut number = |default: usize| arguments.next().map_or(default, |text| text.parse().expect("a number"));
    let (resources, snapshots) = (number(size), number(year));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = arguments.next().map_or_else(|| folder.path().join("ledger.sqlite"), PathBuf::from);
    let policy = Policy::parse(include_str!("../../../../policies/tagging_policy.json")).expect("the sample policy");
    let mut estate = Estate::new(resources);
    println!("{} resources, {} accounts, {snapshots} snapshots", estate.size(), estate.accounts.len());
    let (mut later, mut first_size) = (Vec::new(), 0);
    for number in 1..=snapshots {
        let (cpu, changes) = write(&estate, &store, &policy, number, number == snapshots);
        let size = fs::metadata(&store).expect("the ledger").len();
        if number == 1 {
            first_size = size;
            println!("first snapshot: {:.1} s CPU, {} MB", cpu.as_secs_f64(), size / 1_000_000);
        } else {
            later.push(cpu);
        }
        if number.is_power_of_two() || number % 50 == 0 || number == snapshots {
            let all = (estate.size() * number) as f64;
            println!(
                "snapshot {number}: {changes} changes, {:.2} s CPU, {} MB, {:.3} bytes per resource and snapshot, {} MiB peak memory",
                cpu.as_secs_f64(),
                size / 1_000_000,
                size as f64 / all,
                peak_memory() / 1024
            );
        }
        estate.advance();
    }
    later.sort();
    if let Some(median) = later.get(later.len() / 2) {
        let last = fs::metadata(&store).expect("the ledger").len();
        let growth = (last - first_size) as f64 / (snapshots - 1) as f64;
        println!("a later snapshot: median {:.2} s CPU, {:.0} KB", median.as_secs_f64(), growth / 1000.0);
        let year = first_size as f64 + 364.0 * growth;
        println!("at 365 snapshots: {:.2} bytes per resource and snapshot", year / (365.0 * estate.size() as f64));
    }
    train(&store);
}

/// Trains the prediction of tags on the last snapshot, as after every scan.
fn train(store: &Path) {
    let before = fs::metadata(store).expect("the ledger").len();
    let mut writer = LedgerWriter::open(store).expect("the ledger opens");
    let start = thread_cpu();
    let report = writer.train().expect("a trained model").expect("a snapshot");
    writer.checkpoint().expect("a checkpoint");
    let cpu_time = thread_cpu() - start;
    println!(
        "training: {:.2} s CPU, {} features and {} cases, {} KB more, {} MiB peak memory",
        cpu_time.as_secs_f64(),
        report.features,
        report.cases,
        fs::metadata(store).expect("the ledger").len().saturating_sub(before) / 1000,
        peak_memory() / 1024
    );
}

/// Writes a snapshot. The last one has a bill, so that queries about costs can be measured on the ledger.
fn write(estate: &Estate, store: &Path, policy: &Policy, number: usize, last: bool) -> (Duration, u64) {
    let started_at = FIRST + (24 * i64::try_from(number).expect("few snapshots")).hours();
    let start = thread_cpu();
    let mut writer = LedgerWriter::open(store).expect("the ledger opens");
    let mut snapshot =
        writer.begin_snapshot(SnapshotHeader { started_at, policy, app_version: "bench" }).expect("a snapshot");
    estate.accounts.iter().for_each(|account| snapshot.add_account(account).expect("an account"));
    let mut cpu_time = thread_cpu() - start;
    for (scope, listing) in estate.listings() {
        let start = thread_cpu();
        snapshot.record(scope, &listing).expect("a scope");
        cpu_time += thread_cpu() - start;
    }
    let collection = last.then(|| bill::collect_bill(estate, day_of(started_at)));
    let start = thread_cpu();
    if let Some(collection) = collection {
        snapshot.record_bill(&BillCollection { asked_at: started_at, ..collection }).expect("a bill");
    }
    let summary = snapshot.finish(started_at + 1.minute(), 0).expect("a commit");
    cpu_time += thread_cpu() - start;
    // Two threads compute the insights.
    let start = process_cpu();
    writer.materialize_insights().expect("stored insights");
    cpu_time += process_cpu() - start;
    let start = thread_cpu();
    writer.checkpoint().expect("a checkpoint");
    (cpu_time + (thread_cpu() - start), summary.changes.values().sum())
}

/// CPU time of all threads of this process, also of ended ones, with a resolution of 10 ms.
fn process_cpu() -> Duration {
    let text = fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields = text.rsplit(") ").next().expect("fields").split(' ').skip(11).take(2);
    Duration::from_millis(fields.map(|ticks| ticks.parse::<u64>().expect("ticks") * 10).sum())
}

/// CPU time of this thread.
fn thread_cpu() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    Duration::from_nanos(text.split(' ').next().and_then(|field| field.parse().ok()).expect("nanoseconds"))
}

/// Peak resident memory of this process, in KiB.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.split_whitespace().next().and_then(|field| field.parse().ok()).expect("a number")
}
