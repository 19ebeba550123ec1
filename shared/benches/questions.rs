//! What every question to a ledger costs: time on the wall, median and 99th percentile; measure on a quiet machine.
//!
//! `cargo bench -p shared --bench questions -- FILE`, with a file that the bench `nights` has made. The newest night is read ahead, as a
//! server does when it starts.

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

use shared::store::{Filter, Lacking, LifeOf, Narrowing, PageStart, Reader, Snapshot, StoreError, View, Worst};

const TIMES: usize = 400;

fn main() {
    let given = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let Some(file) = given else {
        println!("no FILE given: make one with `cargo bench -p shared --bench nights -- 1000000 25 FILE`");
        return;
    };
    let reader = Reader::new(Path::new(&file));
    let newest = reader.read(|view| view.newest()).expect("a ledger").expect("a snapshot");
    let warmed = reader.read(|view| {
        view.warm(&newest).and_then(|()| view.warm_living(&newest)).and_then(|()| view.warm_lookups(&newest))
    });
    warmed.expect("the newest night is read ahead");
    let account = reader.read(|view| view.scopes(&newest)).expect("scopes")[0].scope.account.clone();
    let everything = Filter::default();
    let region = Filter { regions: vec!["eu-west-1".parse().expect("a region")], ..Filter::default() };
    let kind = Filter { types: vec!["ec2:instance".parse().expect("a type")], ..Filter::default() };
    let of_account = Filter { accounts: vec![account], ..Filter::default() };
    let narrow =
        Filter { regions: region.regions.clone(), types: kind.types.clone(), accounts: of_account.accounts.clone() };
    println!("{:<34} {:>10} {:>10}", "microseconds", "median", "p99");
    time(&reader, "newest snapshot", |view, _| view.newest().map(drop));
    time(&reader, "scopes (coverage)", |view, s| view.scopes(s).map(drop));
    for (name, filter) in
        [("all", &everything), ("region", &region), ("type", &kind), ("account", &of_account), ("all three", &narrow)]
    {
        time(&reader, &format!("counts by scope, {name}"), |view, s| view.cells(s, filter).map(drop));
        time(&reader, &format!("counts by rule, {name}"), |view, s| view.rules(s, filter).map(drop));
        let worst = Worst { errors: true, warnings: true };
        time(&reader, &format!("page of 50 violations, {name}"), |view, s| {
            view.worst(s, filter, worst, PageStart::FIRST, 50).map(drop)
        });
        time(&reader, &format!("page of 50 untagged, {name}"), |view, s| {
            view.lacking(s, filter, Lacking::default(), PageStart::FIRST, 50).map(drop)
        });
        time(&reader, &format!("count of untagged, {name}"), |view, s| {
            view.lacking_sums(s, filter, Narrowing::default()).map(drop)
        });
    }
    let deep = PageStart { rank: 1, key: i64::MAX / 8 };
    let worst = Worst { errors: true, warnings: true };
    time(&reader, "page of 50 violations, deep", |view, s| view.worst(s, &everything, worst, deep, 50).map(drop));
    time(&reader, "what changed in the last night, with tags", |view, s| {
        view.differences(&before(view, s)?, s).map(drop)
    });
    // Each time another of forty nights at most: the first ones of the ledger, and the last ones but that which is read ahead.
    for (name, old) in [("old", true), ("late", false)] {
        let asked = Cell::new(0);
        time(&reader, &format!("what changed in another {name} night"), |view, s| {
            let nth = asked.replace(asked.get() + 1) % 40.min(s.id - 2);
            let night = if old { nth + 2 } else { s.id - 1 - nth };
            let [before, after] =
                [night - 1, night].map(|id| view.snapshot(id).map(|found| found.expect("no night thinned out")));
            view.differences(&before?, &after?).map(drop)
        });
    }
    time(&reader, "what happened in 90 nights", |view, s| {
        let since = s.started_at - Duration::from_secs(90 * 86_400);
        view.lives(since, &LifeOf::default(), &everything).map(drop)
    });
}

fn before(view: &View<'_>, newest: &Snapshot) -> Result<Snapshot, StoreError> {
    Ok(view.night_before(newest.started_at)?.unwrap_or_else(|| newest.clone()))
}

fn time(reader: &Reader, name: &str, ask: impl Fn(&View<'_>, &Snapshot) -> Result<(), StoreError>) {
    let once = || {
        let begun = Instant::now();
        let asked = reader.read(|view| {
            let newest = view.newest()?.expect("a snapshot");
            ask(view, &newest)
        });
        asked.expect("an answer");
        begun.elapsed()
    };
    for _ in 0..5 {
        once();
    }
    let mut times: Vec<Duration> = (0..TIMES).map(|_| once()).collect();
    times.sort();
    let at = |share: usize| times[(TIMES * share / 100).min(TIMES - 1)].as_nanos() as f64 / 1000.0;
    println!("{name:<34} {:>10.1} {:>10.1}", at(50), at(99));
}
