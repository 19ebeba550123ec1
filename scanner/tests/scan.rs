//! Complete scans of the simulated company, with and without faults.

#![cfg(test)]

mod support;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use support::scan_of;
use tagledger_cloud::{
    Cloud,
    fault_injection::{FaultInjector, InjectedFault},
    simulated::Simulated,
};
use tagledger_ledger::{
    ComplianceCounts, Filter, LedgerError, LedgerReader, LedgerWriter, SnapshotHeader, SnapshotSummary,
    query::compliance,
};
use tagledger_model::{
    ResourceType,
    inventory::{Gap, GapReason, Scope},
};
use tagledger_policy::Policy;
use tagledger_scanner::{Progress, Scan, ScanError, ScanTargets};

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

async fn scan(cloud: &impl Cloud, day: Date, store: &Path, targets: ScanTargets) -> Result<SnapshotSummary, ScanError> {
    let now = || at(day);
    let scan = Scan { targets, ..scan_of(cloud, policy(), &now) };
    scan.run(LedgerWriter::open(store).unwrap(), |_| {}).await
}

fn gap() -> Gap {
    Gap { reason: GapReason::DeniedByScp, operation: "ec2:DescribeInstances".to_owned(), message: "no".to_owned() }
}

fn changes(summary: &SnapshotSummary) -> BTreeMap<&str, u64> {
    summary.changes.iter().map(|(kind, resources)| (kind.as_str(), *resources)).collect()
}

/// A complete scan records, for every scope of the plan, as many evaluated resources as the cloud lists there.
#[tokio::test]
async fn scan_records_every_resource_of_every_scope() {
    let folder = tempfile::tempdir().unwrap();
    let (store, estate) = (folder.path().join("ledger.sqlite"), estate());
    let summary = scan(&estate, LAST, &store, ScanTargets::default()).await.unwrap();
    assert!(summary.snapshot.complete);
    assert_eq!(summary.scopes.len(), 3 * 3 * ResourceType::ALL.len());

    let cells = LedgerReader::new(&store)
        .read(|view| compliance::count_by_scope(view, &view.newest()?.unwrap(), &Filter::default()))
        .unwrap();
    let mut recorded = 0;
    for row in &summary.scopes {
        let listed = estate.list(&row.scope).await.resources;
        let tally = cells
            .iter()
            .find(|(scope, _)| *scope == row.scope)
            .map_or(ComplianceCounts::default(), |(_, tally)| *tally);
        assert_eq!(tally.total(), listed.len() as u64, "{}", row.scope);
        recorded += tally.total();
    }
    assert_eq!(recorded, summary.tally.total());
    assert!(recorded > 2000);
}

/// A region that is denied for seven scans keeps its resources, which are only marked as lost and later as regained.
/// The counts and the fingerprint then equal those before.
#[tokio::test]
async fn denied_region_causes_no_removals() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("ledger.sqlite");
    let estate = Arc::new(estate());
    let denied = |scope: &Scope| (scope.region.as_str() == "eu-west-1").then(|| InjectedFault::Refused(gap()));
    let healthy = scan(&estate.on_day(40), LAST, &store, ScanTargets::default()).await.unwrap();
    for _ in 0..7 {
        let week =
            scan(&FaultInjector::new(estate.on_day(40), denied), LAST, &store, ScanTargets::default()).await.unwrap();
        assert!(!week.snapshot.complete);
        assert_eq!(week.tally.total(), healthy.tally.total());
        assert!(changes(&week).keys().all(|kind| *kind == "lost"), "{:?}", week.changes);
    }
    let healed = scan(&estate.on_day(40), LAST, &store, ScanTargets::default()).await.unwrap();
    assert_eq!(changes(&healed).keys().copied().collect::<Vec<_>>(), ["regained"]);
    assert_eq!(healed.tally, healthy.tally);
    assert_eq!(healed.snapshot.fingerprint, healthy.snapshot.fingerprint);
}

/// For several mixes of injected faults, a partial scan reports no more violations than the true ones, and the next
/// complete scan has the true fingerprint and no removals.
#[tokio::test]
async fn faults_cause_no_false_findings_or_removals() {
    let estate = estate();
    let folder = tempfile::tempdir().unwrap();
    let clean = folder.path().join("clean.sqlite");
    let truth = scan(&estate.on_day(90), LAST, &clean, ScanTargets::default()).await.unwrap();
    for seed in 0..6_u64 {
        let store = folder.path().join(format!("{seed}.sqlite"));
        let faults = move |scope: &Scope| match (scope.to_string().len() as u64).wrapping_mul(seed + 3) % 4 {
            0 => Some(InjectedFault::Refused(gap())),
            1 => Some(InjectedFault::CutAfter(7, gap())),
            2 => Some(InjectedFault::TagsUnread(3, gap())),
            _ => None,
        };
        let broken =
            scan(&FaultInjector::new(estate.on_day(90), faults), LAST, &store, ScanTargets::default()).await.unwrap();
        assert!(!broken.snapshot.complete);
        assert!(broken.tally.non_compliant <= truth.tally.non_compliant);
        assert!(broken.tally.untagged <= truth.tally.untagged);
        let healed = scan(&estate.on_day(90), LAST, &store, ScanTargets::default()).await.unwrap();
        assert_eq!(healed.tally, truth.tally);
        assert_eq!(healed.snapshot.fingerprint, truth.snapshot.fingerprint);
        assert!(!healed.changes.contains_key("removed"), "{:?}", healed.changes);
    }
}

/// The latest snapshot after several scans has the same counts and the same fingerprint as the only snapshot of a new
/// ledger.
#[tokio::test]
async fn incremental_scans_equal_single_scan() {
    let folder = tempfile::tempdir().unwrap();
    let (many, one) = (folder.path().join("many.sqlite"), folder.path().join("one.sqlite"));
    let estate = estate();
    let mut last = None;
    for day in (0..=90).step_by(15) {
        let estate = estate.on_day(day);
        last = Some(scan(&estate, estate.date(), &many, ScanTargets::default()).await.unwrap());
    }
    let single = scan(&estate, LAST, &one, ScanTargets::default()).await.unwrap();
    let last = last.unwrap();
    assert_eq!((last.tally, last.snapshot.fingerprint), (single.tally, single.snapshot.fingerprint));
}

/// A scan limited to one type and one region plans one scope for each account, and reports the plan, each scope and the
/// commit in this order.
#[tokio::test]
async fn filtered_scan_plans_only_selected_scopes() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("ledger.sqlite");
    let targets = ScanTargets { regions: vec!["us-east-1".parse().unwrap()], types: vec![ResourceType::S3Bucket] };
    let planned = Arc::new(Mutex::new(Vec::new()));
    let (estate, seen) = (estate(), Arc::clone(&planned));
    let now = || at(LAST);
    let scan = Scan { targets, ..scan_of(&estate, policy(), &now) };
    let tell = move |progress| seen.lock().unwrap().push(progress);
    let summary = scan.run(LedgerWriter::open(&store).unwrap(), tell).await.unwrap();
    assert_eq!(summary.scopes.len(), 3);
    let planned = planned.lock().unwrap();
    assert!(matches!(&planned[0], Progress::Planned { scopes, accounts: 3 } if scopes.len() == 3), "{planned:?}");
    assert!(planned[1..4].iter().all(|progress| matches!(progress, Progress::Scope(_))), "{planned:?}");
    assert!(matches!(planned[4..], [Progress::Committing]), "{planned:?}");
}

/// While a snapshot is being written, a second scan of the same ledger is refused as busy before it sends any request
/// to the cloud.
#[tokio::test]
async fn concurrent_scan_is_refused_before_requests() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("ledger.sqlite");
    let (policy, estate) = (policy(), estate());
    let mut first = LedgerWriter::open(&store).unwrap();
    let header = SnapshotHeader { started_at: at(LAST), policy: &policy, app_version: "test" };
    let _night = first.begin_snapshot(header).unwrap();
    let refused = scan(&estate, LAST, &store, ScanTargets::default()).await.unwrap_err();
    assert!(matches!(refused, ScanError::Ledger(LedgerError::Busy { .. })), "{refused}");
    assert_eq!(estate.request_count(), 0);
}
