//! Whole scans of the simulated company, with and without faults.

#![cfg(test)]

mod support;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use scanner::{Choice, Progress, Scan, ScanError};
use shared::{
    ResourceType,
    cloud::{
        Cloud,
        faulty::{Fault, Faulty},
        simulated::Simulated,
    },
    inventory::{Gap, GapReason, Scope},
    policy::Policy,
    store::{Filter, NightHeader, NightSummary, Reader, StoreError, Tally, Writer},
};
use support::scan_of;

const LAST: Date = Date::constant(2026, 11, 1);

fn policy() -> Arc<Policy> {
    Arc::new(Policy::parse(include_str!("../../policies/tagging_policy.json")).unwrap())
}

fn estate() -> Simulated {
    Simulated::new(1, 3000, LAST)
}

fn at(day: Date) -> Timestamp {
    TimeZone::UTC.to_timestamp(day.at(23, 0, 0, 0)).unwrap()
}

async fn scan(cloud: &impl Cloud, day: Date, store: &Path, choice: Choice) -> Result<NightSummary, ScanError> {
    let now = || at(day);
    let scan = Scan { choice, ..scan_of(cloud, policy(), &now) };
    scan.run(Writer::open(store).unwrap(), |_| {}).await
}

fn gap() -> Gap {
    Gap { reason: GapReason::DeniedByScp, operation: "ec2:DescribeInstances".to_owned(), message: "no".to_owned() }
}

fn changes(summary: &NightSummary) -> BTreeMap<&str, u64> {
    summary.changes.iter().map(|(kind, resources)| (kind.as_str(), *resources)).collect()
}

#[tokio::test]
async fn a_scan_records_every_resource_of_every_scope_judged_as_the_policy_says() {
    let folder = tempfile::tempdir().unwrap();
    let (store, estate) = (folder.path().join("ledger.sqlite"), estate());
    let summary = scan(&estate, LAST, &store, Choice::default()).await.unwrap();
    assert!(summary.snapshot.complete);
    assert_eq!(summary.scopes.len(), 3 * 3 * ResourceType::ALL.len());

    let cells = Reader::new(&store).read(|view| view.cells(&view.newest()?.unwrap(), &Filter::default())).unwrap();
    let mut recorded = 0;
    for row in &summary.scopes {
        let listed = estate.list(&row.scope).await.resources;
        let tally = cells.iter().find(|(scope, _)| *scope == row.scope).map_or(Tally::default(), |(_, tally)| *tally);
        assert_eq!(tally.total(), listed.len() as u64, "{}", row.scope);
        recorded += tally.total();
    }
    assert_eq!(recorded, summary.tally.total());
    assert!(recorded > 2000);
}

#[tokio::test]
async fn a_denied_region_for_a_week_is_neither_removed_nor_new_nor_resolved() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("ledger.sqlite");
    let estate = Arc::new(estate());
    let denied = |scope: &Scope| (scope.region.as_str() == "eu-west-1").then(|| Fault::Refused(gap()));
    let healthy = scan(&estate.on_day(40), LAST, &store, Choice::default()).await.unwrap();
    for _ in 0..7 {
        let week = scan(&Faulty::new(estate.on_day(40), denied), LAST, &store, Choice::default()).await.unwrap();
        assert!(!week.snapshot.complete);
        assert_eq!(week.tally.total(), healthy.tally.total());
        assert!(changes(&week).keys().all(|kind| *kind == "lost"), "{:?}", week.changes);
    }
    let healed = scan(&estate.on_day(40), LAST, &store, Choice::default()).await.unwrap();
    assert_eq!(changes(&healed).keys().copied().collect::<Vec<_>>(), ["regained"]);
    assert_eq!(healed.tally, healthy.tally);
    assert_eq!(healed.snapshot.fingerprint, healthy.snapshot.fingerprint);
}

#[tokio::test]
async fn any_mix_of_faults_makes_no_false_finding_and_removes_nothing() {
    let estate = estate();
    let folder = tempfile::tempdir().unwrap();
    let clean = folder.path().join("clean.sqlite");
    let truth = scan(&estate.on_day(90), LAST, &clean, Choice::default()).await.unwrap();
    for seed in 0..6_u64 {
        let store = folder.path().join(format!("{seed}.sqlite"));
        let faults = move |scope: &Scope| match (scope.to_string().len() as u64).wrapping_mul(seed + 3) % 4 {
            0 => Some(Fault::Refused(gap())),
            1 => Some(Fault::CutAfter(7, gap())),
            2 => Some(Fault::TagsUnread(3, gap())),
            _ => None,
        };
        let broken = scan(&Faulty::new(estate.on_day(90), faults), LAST, &store, Choice::default()).await.unwrap();
        assert!(!broken.snapshot.complete);
        assert!(broken.tally.non_compliant <= truth.tally.non_compliant);
        assert!(broken.tally.untagged <= truth.tally.untagged);
        let healed = scan(&estate.on_day(90), LAST, &store, Choice::default()).await.unwrap();
        assert_eq!(healed.tally, truth.tally);
        assert_eq!(healed.snapshot.fingerprint, truth.snapshot.fingerprint);
        assert!(!healed.changes.contains_key("removed"), "{:?}", healed.changes);
    }
}

#[tokio::test]
async fn the_ledger_of_many_nights_says_of_the_last_what_a_ledger_of_one_says() {
    let folder = tempfile::tempdir().unwrap();
    let (many, one) = (folder.path().join("many.sqlite"), folder.path().join("one.sqlite"));
    let estate = estate();
    let mut last = None;
    for day in (0..=90).step_by(15) {
        let estate = estate.on_day(day);
        last = Some(scan(&estate, estate.date(), &many, Choice::default()).await.unwrap());
    }
    let single = scan(&estate, LAST, &one, Choice::default()).await.unwrap();
    let last = last.unwrap();
    assert_eq!((last.tally, last.snapshot.fingerprint), (single.tally, single.snapshot.fingerprint));
}

#[tokio::test]
async fn a_scan_of_one_type_in_one_region_plans_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("ledger.sqlite");
    let choice = Choice { regions: vec!["us-east-1".parse().unwrap()], types: vec![ResourceType::S3Bucket] };
    let planned = Arc::new(Mutex::new(Vec::new()));
    let (estate, seen) = (estate(), Arc::clone(&planned));
    let now = || at(LAST);
    let scan = Scan { choice, ..scan_of(&estate, policy(), &now) };
    let tell = move |progress| seen.lock().unwrap().push(progress);
    let summary = scan.run(Writer::open(&store).unwrap(), tell).await.unwrap();
    assert_eq!(summary.scopes.len(), 3);
    let planned = planned.lock().unwrap();
    assert!(matches!(&planned[0], Progress::Planned { scopes, accounts: 3 } if scopes.len() == 3), "{planned:?}");
    assert!(planned[1..4].iter().all(|progress| matches!(progress, Progress::Scope(_))), "{planned:?}");
    assert!(matches!(planned[4..], [Progress::Committing]), "{planned:?}");
}

#[tokio::test]
async fn a_second_scan_is_refused_before_it_asks_the_cloud_anything() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("ledger.sqlite");
    let (policy, estate) = (policy(), estate());
    let mut first = Writer::open(&store).unwrap();
    let header = NightHeader { started_at: at(LAST), policy: &policy, app_version: "test" };
    let _night = first.begin(header).unwrap();
    let refused = scan(&estate, LAST, &store, Choice::default()).await.unwrap_err();
    assert!(matches!(refused, ScanError::Store(StoreError::Busy { .. })), "{refused}");
    assert_eq!(estate.requests(), 0);
}
