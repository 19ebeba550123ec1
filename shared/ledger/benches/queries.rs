//! Wall time of each query on a ledger, median and 99th percentile; measure on a quiet machine.
//!
//! `cargo bench -p tagledger-ledger --bench queries -- FILE`, with a file that the bench `snapshots` has made. The cache is loaded for
//! the newest snapshot first, as a server does when it starts.

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
    cell::Cell,
    path::Path,
    time::{Duration, Instant},
};

use tagledger_ledger::{
    AgeAndCostFilter, Filter, FlowFilter, LedgerError, LedgerReader, OrderByMissingTags, OrderBySeverity, PageStart,
    ReadSession, Snapshot,
    query::{compliance, history, missing_tags, snapshot_diff},
    warmup,
};

/// Repetitions of each query.
const REPETITIONS: usize = 400;

fn main() {
    let file = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let Some(file) = file else {
        println!(
            "no FILE given: create one with `cargo bench -p tagledger-ledger --bench snapshots -- 1000000 25 FILE`"
        );
        return;
    };
    let reader = LedgerReader::new(Path::new(&file));
    let newest = reader.read(|view| view.newest()).expect("a ledger").expect("a snapshot");
    for step in warmup::STEPS {
        reader.read(|view| step(view, &newest)).expect("the cache is loaded");
    }
    let usage = reader.cache_usage();
    println!("cache: {} bytes in {} entries", usage.bytes, usage.entries);
    let account = reader.read(|view| compliance::list_scopes(view, &newest)).expect("scopes")[0].scope.account.clone();
    let everything = Filter::default();
    let region = Filter { regions: vec!["eu-west-1".parse().expect("a region")], ..Filter::default() };
    let kind = Filter { types: vec!["ec2:instance".parse().expect("a type")], ..Filter::default() };
    let of_account = Filter { accounts: vec![account], ..Filter::default() };
    let all_three =
        Filter { regions: region.regions.clone(), types: kind.types.clone(), accounts: of_account.accounts.clone() };
    println!("{:<34} {:>10} {:>10}", "microseconds", "median", "p99");
    time(&reader, "newest snapshot", |view, _| view.newest().map(drop));
    time(&reader, "scopes (coverage)", |view, s| compliance::list_scopes(view, s).map(drop));
    for (name, filter) in [
        ("all", &everything),
        ("region", &region),
        ("type", &kind),
        ("account", &of_account),
        ("all three", &all_three),
    ] {
        time(&reader, &format!("counts by scope, {name}"), |view, s| {
            compliance::count_by_scope(view, s, filter).map(drop)
        });
        time(&reader, &format!("counts by rule, {name}"), |view, s| {
            compliance::count_by_rule(view, s, filter).map(drop)
        });
        let order = OrderBySeverity { errors: true, warnings: true };
        time(&reader, &format!("page of 50 violations, {name}"), |view, s| {
            compliance::list_by_severity(view, s, filter, order, PageStart::FIRST, 50).map(drop)
        });
        time(&reader, &format!("page of 50 untagged, {name}"), |view, s| {
            compliance::list_missing_tags(view, s, filter, OrderByMissingTags::default(), PageStart::FIRST, 50)
                .map(drop)
        });
        time(&reader, &format!("count of untagged, {name}"), |view, s| {
            missing_tags::sum_totals(view, s, filter, AgeAndCostFilter::default()).map(drop)
        });
    }
    time_across_snapshots(&reader, &everything);
}

/// Times the queries that read far into a list or compare snapshots.
fn time_across_snapshots(reader: &LedgerReader, everything: &Filter) {
    let deep = PageStart { rank: 1, key: i64::MAX / 8 };
    let order = OrderBySeverity { errors: true, warnings: true };
    time(reader, "page of 50 violations, deep", |view, s| {
        compliance::list_by_severity(view, s, everything, order, deep, 50).map(drop)
    });
    time(reader, "diff of the last two snapshots, with tags", |view, s| {
        snapshot_diff::compare(view, &before(view, s)?, s).map(drop)
    });
    // Each time another one of up to forty snapshots: the first ones of the ledger, and those before the last two.
    for (name, old) in [("old", true), ("late", false)] {
        let counter = Cell::new(0);
        time(reader, &format!("diff of two {name} snapshots"), |view, s| {
            let nth = counter.replace(counter.get() + 1) % 40.min(s.id - 2);
            let id = if old { nth + 2 } else { s.id - 1 - nth };
            let [before, after] =
                [id - 1, id].map(|id| view.snapshot(id).map(|found| found.expect("no pruned snapshot")));
            snapshot_diff::compare(view, &before?, &after?).map(drop)
        });
    }
    time(reader, "violation flow of 90 days", |view, s| {
        let since = s.started_at - Duration::from_secs(90 * 86_400);
        history::find_violation_flow(view, since, &FlowFilter::default(), everything).map(drop)
    });
}

fn before(view: &ReadSession<'_>, newest: &Snapshot) -> Result<Snapshot, LedgerError> {
    Ok(history::find_snapshot_before(view, newest.started_at)?.unwrap_or_else(|| newest.clone()))
}

fn time(reader: &LedgerReader, name: &str, query: impl Fn(&ReadSession<'_>, &Snapshot) -> Result<(), LedgerError>) {
    let once = || {
        let start = Instant::now();
        let answer = reader.read(|view| {
            let newest = view.newest()?.expect("a snapshot");
            query(view, &newest)
        });
        answer.expect("an answer");
        start.elapsed()
    };
    for _ in 0..5 {
        once();
    }
    let mut times: Vec<Duration> = (0..REPETITIONS).map(|_| once()).collect();
    times.sort();
    let at = |share: usize| times[(REPETITIONS * share / 100).min(REPETITIONS - 1)].as_nanos() as f64 / 1000.0;
    println!("{name:<34} {:>10.1} {:>10.1}", at(50), at(99));
}
