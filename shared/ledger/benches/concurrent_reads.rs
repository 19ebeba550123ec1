//! Query latency while snapshots are written and committed, compared with an idle writer.
//!
//! `cargo bench -p tagledger-ledger --bench concurrent_reads -- [RESOURCES [SNAPSHOTS]]`. Reader and writer need a processor each.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a measurement prints, rounds, and ends where something is missing"
)]

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use jiff::{Timestamp, ToSpan};
use tagledger_ledger::{
    Filter, LedgerReader, LedgerWriter, OrderByMissingTags, OrderBySeverity, PageStart, SnapshotHeader,
    query::compliance,
};
use tagledger_policy::Policy;

#[path = "snapshots/estate.rs"]
mod estate;

use estate::Estate;

const FIRST: Timestamp = Timestamp::constant(1_767_225_600, 0);

fn main() {
    // `cargo bench` passes --bench. `cargo test` does not, and runs a small case to show that the benchmark works.
    let is_benchmark = std::env::args().any(|argument| argument == "--bench");
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let mut number = |default: usize| arguments.next().map_or(default, |text| text.parse().expect("a number"));
    let (resources, snapshots) =
        (number(if is_benchmark { 100_000 } else { 2_000 }), number(if is_benchmark { 10 } else { 2 }));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = folder.path().join("ledger.sqlite");
    let policy = Policy::parse(include_str!("../../../policies/tagging_policy.json")).expect("the sample policy");
    let mut estate = Estate::new(resources);
    write(&mut estate, &store, &policy, 1);
    println!("{} resources, {snapshots} snapshots; microseconds of {QUERIES}", estate.size());

    let idle_time = Duration::from_secs(if is_benchmark { 10 } else { 1 });
    let idle = query_while(&store, || thread::sleep(idle_time));
    let path = store.clone();
    let writing =
        query_while(&store, move || (2..2 + snapshots).for_each(|number| write(&mut estate, &path, &policy, number)));
    let (idle_p99, writing_p99) = (report("idle writer", &idle), report("active writer", &writing));
    println!("p99 with an active writer: {:.2} times that with an idle one", writing_p99 as f64 / idle_p99 as f64);
}

const QUERIES: &str = "counts by scope, by rule, and two pages of 50, in one transaction";

/// The latency of each query until the work ends.
fn query_while(store: &Path, work: impl FnOnce() + Send) -> Vec<Duration> {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            work();
            done.store(true, Ordering::Relaxed);
        });
        let (reader, mut times) = (LedgerReader::new(store), Vec::new());
        while !done.load(Ordering::Relaxed) {
            let start = Instant::now();
            query(&reader);
            times.push(start.elapsed());
        }
        times
    })
}

fn query(reader: &LedgerReader) {
    let answer = reader.read(|view| {
        let (newest, all) = (view.newest()?.expect("a snapshot"), Filter::default());
        compliance::count_by_scope(view, &newest, &all)?;
        compliance::count_by_rule(view, &newest, &all)?;
        compliance::list_by_severity(
            view,
            &newest,
            &all,
            OrderBySeverity { errors: true, warnings: true },
            PageStart::FIRST,
            50,
        )?;
        compliance::list_missing_tags(view, &newest, &all, OrderByMissingTags::default(), PageStart::FIRST, 50)
    });
    answer.expect("an answer");
}

fn report(name: &str, times: &[Duration]) -> u128 {
    let mut times = times.to_vec();
    times.sort();
    let at = |thousandths: usize| times[(times.len() * thousandths / 1000).min(times.len() - 1)].as_micros();
    println!(
        "{name:<26} {:>7} queries, median {:>6}, p99 {:>6}, maximum {:>8}",
        times.len(),
        at(500),
        at(990),
        at(1000)
    );
    at(990)
}

fn write(estate: &mut Estate, store: &Path, policy: &Policy, number: usize) {
    let started_at = FIRST + (24 * i64::try_from(number).expect("few snapshots")).hours();
    let mut writer = LedgerWriter::open(store).expect("the ledger opens");
    let mut snapshot =
        writer.begin_snapshot(SnapshotHeader { started_at, policy, app_version: "bench" }).expect("a snapshot");
    estate.accounts.iter().for_each(|account| snapshot.add_account(account).expect("an account"));
    for (scope, listing) in estate.listings() {
        snapshot.record(scope, &listing).expect("a scope");
    }
    snapshot.finish(started_at + 1.minute(), 0).expect("a commit");
    writer.checkpoint().expect("a checkpoint");
    estate.advance();
}
