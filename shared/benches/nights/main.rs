//! What a ledger costs over the years: bytes, processor time and memory, night by night.
//!
//! `cargo bench -p shared --bench nights -- [RESOURCES [NIGHTS [FILE]]]`; without FILE the ledger is made in a temporary
//! folder. Processor time is of the writing thread, listing apart, and of all threads while a night is told; it is the figure to trust
//! on a busy machine.

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
use shared::{
    day::day_of,
    policy::Policy,
    store::{Harvest, NightHeader, Writer},
};

mod bill;
mod estate;

use estate::Estate;

const FIRST: Timestamp = Timestamp::constant(1_767_225_600, 0);

fn main() {
    // Only `cargo bench` says --bench; `cargo test` runs this too, to see that it runs.
    let measured = std::env::args().any(|argument| argument == "--bench");
    let (most, year) = if measured { (100_000, 365) } else { (2_000, 4) };
    let mut given = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let mut number = |default: usize| given.next().map_or(default, |text| text.parse().expect("a number"));
    let (resources, nights) = (number(most), number(year));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = given.next().map_or_else(|| folder.path().join("ledger.sqlite"), PathBuf::from);
    let policy = Policy::parse(include_str!("../../../policies/tagging_policy.json")).expect("the sample policy");
    let mut estate = Estate::new(resources);
    println!("{} resources, {} accounts, {nights} nights", estate.size(), estate.accounts.len());
    let (mut later, mut first_size) = (Vec::new(), 0);
    for night in 1..=nights {
        let (cpu, changes) = write(&estate, &store, &policy, night, night == nights);
        let size = fs::metadata(&store).expect("the ledger").len();
        if night == 1 {
            first_size = size;
            println!("first night: {:.1} s CPU, {} MB", cpu.as_secs_f64(), size / 1_000_000);
        } else {
            later.push(cpu);
        }
        if night.is_power_of_two() || night % 50 == 0 || night == nights {
            let all = (estate.size() * night) as f64;
            println!(
                "night {night}: {changes} changes, {:.2} s CPU, {} MB, {:.3} bytes per resource-night, {} MiB at most",
                cpu.as_secs_f64(),
                size / 1_000_000,
                size as f64 / all,
                peak_memory() / 1024
            );
        }
        estate.sleep();
    }
    later.sort();
    if let Some(median) = later.get(later.len() / 2) {
        let last = fs::metadata(&store).expect("the ledger").len();
        let grown = (last - first_size) as f64 / (nights - 1) as f64;
        println!("a later night: median {:.2} s CPU, {:.0} KB", median.as_secs_f64(), grown / 1000.0);
        let year = first_size as f64 + 364.0 * grown;
        println!("at 365 nights: {:.2} bytes per resource-night", year / (365.0 * estate.size() as f64));
    }
    learn(&store);
}

/// After the last night what suggestions rest on is learnt, as after every scan.
fn learn(store: &Path) {
    let before = fs::metadata(store).expect("the ledger").len();
    let mut writer = Writer::open(store).expect("the ledger opens");
    let begun = thread_cpu();
    let learned = writer.learn().expect("evidence").expect("a snapshot");
    writer.checkpoint().expect("a checkpoint");
    let spent = thread_cpu() - begun;
    println!(
        "learning: {:.2} s CPU, {} features and {} cases, {} KB more, {} MiB at most",
        spent.as_secs_f64(),
        learned.features,
        learned.cases,
        fs::metadata(store).expect("the ledger").len().saturating_sub(before) / 1000,
        peak_memory() / 1024
    );
}

/// The last night reads a bill too, so that questions about money can be measured on the ledger.
fn write(estate: &Estate, store: &Path, policy: &Policy, number: usize, last: bool) -> (Duration, u64) {
    let started_at = FIRST + (24 * i64::try_from(number).expect("few nights")).hours();
    let begun = thread_cpu();
    let mut writer = Writer::open(store).expect("the ledger opens");
    let mut night = writer.begin(NightHeader { started_at, policy, app_version: "bench" }).expect("a night");
    estate.accounts.iter().for_each(|account| night.account(account).expect("an account"));
    let mut spent = thread_cpu() - begun;
    for (scope, listing) in estate.listings() {
        let begun = thread_cpu();
        night.record(scope, &listing).expect("a scope");
        spent += thread_cpu() - begun;
    }
    let harvest = last.then(|| bill::harvest(estate, day_of(started_at)));
    let begun = thread_cpu();
    if let Some(harvest) = harvest {
        night.bill(&Harvest { asked_at: started_at, ..harvest }).expect("a bill");
    }
    let summary = night.finish(started_at + 1.minute(), 0).expect("a commit");
    spent += thread_cpu() - begun;
    // What is told of the night is read by two threads.
    let begun = process_cpu();
    writer.tell().expect("the night is told");
    spent += process_cpu() - begun;
    let begun = thread_cpu();
    writer.checkpoint().expect("a checkpoint");
    (spent + (thread_cpu() - begun), summary.changes.values().sum())
}

/// Of all threads of this process that live, and those that have ended: in hundredths of a second.
fn process_cpu() -> Duration {
    let text = fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields = text.rsplit(") ").next().expect("fields").split(' ').skip(11).take(2);
    Duration::from_millis(fields.map(|ticks| ticks.parse::<u64>().expect("ticks") * 10).sum())
}

/// Of this thread, as Linux counts it.
fn thread_cpu() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    Duration::from_nanos(text.split(' ').next().and_then(|field| field.parse().ok()).expect("nanoseconds"))
}

/// Of this process, KiB.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.split_whitespace().next().and_then(|field| field.parse().ok()).expect("a number")
}
