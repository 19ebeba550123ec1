//! The scanner's metrics, in the Prometheus text format.

use std::{fs, path::Path};

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use tagledger_cloud::Cloud;
use tagledger_http::{register_counter, register_gauge};
use tagledger_ledger::{cost::bill_query, log_bytes};
use tagledger_model::epoch_day::day_of;

use crate::daemon::{job::JobState, jobs::ScanCounters, run::Daemon};

type ByOperation = Family<[(&'static str, String); 1], Counter>;

/// The metrics of a daemon, as of now.
pub(crate) fn collect<C: Cloud>(daemon: &Daemon<C>) -> Registry {
    let mut registry = Registry::default();
    let totals = daemon.jobs.totals();
    let jobs = daemon.jobs.all();
    let running = jobs.iter().find(|job| job.state == JobState::Running);
    register_gauge(&mut registry, "tagledger_scan_running", "Whether a scan runs", u32::from(running.is_some()));
    let (done, planned) = running.map_or((0, 0), |job| (job.done, job.planned));
    register_gauge(&mut registry, "tagledger_scan_scopes_done", "Scopes recorded by the running scan", done);
    register_gauge(&mut registry, "tagledger_scan_scopes_planned", "Scopes planned by the running scan", planned);
    let scans = Family::<[(&'static str, String); 2], Counter>::default();
    for ((trigger, outcome), n) in &totals.scans {
        scans.get_or_create(&[("trigger", name(trigger)), ("outcome", name(outcome))]).inc_by(*n);
    }
    register_counter(&mut registry, "tagledger_scans_total", "Scans that ended, by trigger and outcome", scans);
    let (requests, throttled) = (ByOperation::default(), ByOperation::default());
    for (operation, (sent, slowed)) in &totals.calls {
        requests.get_or_create(&[("operation", (*operation).to_owned())]).inc_by(*sent);
        throttled.get_or_create(&[("operation", (*operation).to_owned())]).inc_by(*slowed);
    }
    let help = "Requests sent to AWS, by operation; retries not counted";
    register_counter(&mut registry, "tagledger_aws_requests_total", help, requests);
    let help = "Throttling responses of AWS, by operation";
    register_counter(&mut registry, "tagledger_aws_throttled_total", help, throttled);
    register_last_scan(&mut registry, &totals);
    register_ledger(&mut registry, daemon);
    registry
}

fn register_last_scan(registry: &mut Registry, totals: &ScanCounters) {
    let Some(last) = &totals.last else { return };
    let name = "tagledger_last_scan_duration_seconds";
    register_gauge(registry, name, "Duration of the last scan that recorded a snapshot", last.seconds);
    let name = "tagledger_last_scan_scopes";
    register_gauge(registry, name, "Scopes of the last scan that recorded a snapshot", last.scopes);
    let name = "tagledger_last_scan_resources";
    register_gauge(registry, name, "Resources of the last scan that recorded a snapshot", last.resources);
    let gaps = Family::<[(&'static str, String); 1], Gauge>::default();
    for (reason, n) in &last.gaps {
        gaps.get_or_create(&[("reason", (*reason).to_owned())]).set(i64::try_from(*n).unwrap_or(i64::MAX));
    }
    let help = "Scopes with a gap in the last scan that recorded a snapshot, by reason";
    registry.register("tagledger_last_scan_gaps", help, gaps);
}

fn register_ledger<C: Cloud>(registry: &mut Registry, daemon: &Daemon<C>) {
    if let Ok(Some(snapshot)) = daemon.reader.read(|view| view.newest()) {
        let age = daemon.now().duration_since(snapshot.finished_at).as_secs();
        register_gauge(registry, "tagledger_snapshot_id", "Number of the newest snapshot", snapshot.id);
        register_gauge(registry, "tagledger_snapshot_age_seconds", "Since the newest snapshot was recorded", age);
        let complete = u32::from(snapshot.complete);
        register_gauge(registry, "tagledger_snapshot_complete", "Whether the newest snapshot has no gap", complete);
    }
    if let Ok(requests) = daemon.reader.read(|view| bill_query::count_requests(view, day_of(daemon.now()))) {
        let help = "Requests to Cost Explorer recorded today, at USD 0.01 each";
        register_gauge(registry, "tagledger_cost_requests_today", help, requests);
    }
    let help = "Maximum number of requests to Cost Explorer in a day";
    register_gauge(registry, "tagledger_cost_request_budget", help, daemon.settings.cost_request_budget);
    let store = &daemon.settings.store;
    register_gauge(registry, "tagledger_store_bytes", "Size of the ledger", size(store));
    register_gauge(registry, "tagledger_store_log_bytes", "Size of the ledger's write-ahead log", log_bytes(store));
    if let Some(next) = daemon.next_run() {
        let name = "tagledger_next_scan_timestamp_seconds";
        register_gauge(registry, name, "When the next scan is due", next.as_second());
    }
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// The JSON name of a unit variant.
fn name(variant: &impl serde::Serialize) -> String {
    serde_json::to_value(variant).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
