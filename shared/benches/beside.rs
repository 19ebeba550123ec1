//! What a reader notices of the writer: questions while nights are written and committed, beside the same at rest.
//!
//! `cargo bench -p shared --bench beside -- [RESOURCES [NIGHTS]]`. The two need a processor each.

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
use shared::{
    policy::Policy,
    store::{Filter, Lacking, NightHeader, PageStart, Reader, Worst, Writer},
};

#[path = "nights/estate.rs"]
mod estate;

use estate::Estate;

const FIRST: Timestamp = Timestamp::constant(1_767_225_600, 0);

fn main() {
    // Only `cargo bench` says --bench; `cargo test` runs this too, to see that it runs.
    let measured = std::env::args().any(|argument| argument == "--bench");
    let mut given = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let mut number = |default: usize| given.next().map_or(default, |text| text.parse().expect("a number"));
    let (resources, nights) = (number(if measured { 100_000 } else { 2_000 }), number(if measured { 10 } else { 2 }));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = folder.path().join("ledger.sqlite");
    let policy = Policy::parse(include_str!("../../policies/tagging_policy.json")).expect("the sample policy");
    let mut estate = Estate::new(resources);
    write(&mut estate, &store, &policy, 1);
    println!("{} resources, {nights} nights; microseconds of {ASKED}", estate.size());

    let rest = Duration::from_secs(if measured { 10 } else { 1 });
    let at_rest = ask_while(&store, || thread::sleep(rest));
    let path = store.clone();
    let beside = ask_while(&store, move || (2..2 + nights).for_each(|night| write(&mut estate, &path, &policy, night)));
    let (quiet, busy) = (tell("at rest", &at_rest), tell("while nights are written", &beside));
    println!("p99 beside the writer: {:.2} times that at rest", busy as f64 / quiet as f64);
}

const ASKED: &str = "counts by scope, by rule, and two pages of 50, in one transaction";

/// How long each question took until the work was done.
fn ask_while(store: &Path, work: impl FnOnce() + Send) -> Vec<Duration> {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            work();
            done.store(true, Ordering::Relaxed);
        });
        let (reader, mut times) = (Reader::new(store), Vec::new());
        while !done.load(Ordering::Relaxed) {
            let begun = Instant::now();
            ask(&reader);
            times.push(begun.elapsed());
        }
        times
    })
}

fn ask(reader: &Reader) {
    let asked = reader.read(|view| {
        let (newest, all) = (view.newest()?.expect("a snapshot"), Filter::default());
        view.cells(&newest, &all)?;
        view.rules(&newest, &all)?;
        view.worst(&newest, &all, Worst { errors: true, warnings: true }, PageStart::FIRST, 50)?;
        view.lacking(&newest, &all, Lacking::default(), PageStart::FIRST, 50)
    });
    asked.expect("an answer");
}

fn tell(name: &str, times: &[Duration]) -> u128 {
    let mut times = times.to_vec();
    times.sort();
    let at = |thousandths: usize| times[(times.len() * thousandths / 1000).min(times.len() - 1)].as_micros();
    println!(
        "{name:<26} {:>7} questions, median {:>6}, p99 {:>6}, most {:>8}",
        times.len(),
        at(500),
        at(990),
        at(1000)
    );
    at(990)
}

fn write(estate: &mut Estate, store: &Path, policy: &Policy, number: usize) {
    let started_at = FIRST + (24 * i64::try_from(number).expect("few nights")).hours();
    let mut writer = Writer::open(store).expect("the ledger opens");
    let mut night = writer.begin(NightHeader { started_at, policy, app_version: "bench" }).expect("a night");
    estate.accounts.iter().for_each(|account| night.account(account).expect("an account"));
    for (scope, listing) in estate.listings() {
        night.record(scope, &listing).expect("a scope");
    }
    night.finish(started_at + 1.minute(), 0).expect("a commit");
    writer.checkpoint().expect("a checkpoint");
    estate.sleep();
}
