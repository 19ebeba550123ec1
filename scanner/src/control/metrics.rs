//! Metrics in Prometheus' text format.

use std::{fs, path::Path};

use tagledger_cloud::Cloud;
use tagledger_http::Page;
use tagledger_ledger::{cost::bill_query, log_bytes};
use tagledger_model::epoch_day::day_of;

use crate::daemon::{job::JobState, run::Daemon};

/// All metrics of a daemon.
pub(crate) fn page<C: Cloud>(daemon: &Daemon<C>) -> Page {
    let mut page = Page::default();
    let totals = daemon.jobs.totals();
    let jobs = daemon.jobs.all();
    let running = jobs.iter().find(|job| job.state == JobState::Running);
    page.one("tagledger_scan_running", "gauge", "Whether a scan runs.", u8::from(running.is_some()));
    let done = running.map_or((0, 0), |job| (job.done, job.planned));
    page.one("tagledger_scan_scopes_done", "gauge", "Scopes recorded by the running scan.", done.0);
    page.one("tagledger_scan_scopes_planned", "gauge", "Scopes planned by the running scan.", done.1);
    page.head("tagledger_scans_total", "counter", "Scans that ended, by trigger and outcome.");
    for ((trigger, state), n) in &totals.scans {
        page.value("tagledger_scans_total", &[("trigger", &name(trigger)), ("outcome", &name(state))], n);
    }
    page.head("tagledger_aws_requests_total", "counter", "Requests sent to AWS, by operation; retries not counted.");
    for (operation, (requests, _)) in &totals.calls {
        page.value("tagledger_aws_requests_total", &[("operation", operation)], requests);
    }
    page.head("tagledger_aws_throttled_total", "counter", "Answers of AWS that said to slow down, by operation.");
    for (operation, (_, throttled)) in &totals.calls {
        page.value("tagledger_aws_throttled_total", &[("operation", operation)], throttled);
    }
    if let Some(last) = &totals.last {
        page.one("tagledger_last_scan_duration_seconds", "gauge", "Of the last scan that recorded.", last.seconds);
        page.one("tagledger_last_scan_scopes", "gauge", "Scopes of the last scan that recorded.", last.scopes);
        page.one("tagledger_last_scan_resources", "gauge", "Resources of the last scan that recorded.", last.resources);
        page.head("tagledger_last_scan_gaps", "gauge", "Scopes with a gap in the last scan that recorded, by reason.");
        for (reason, n) in &last.gaps {
            page.value("tagledger_last_scan_gaps", &[("reason", reason)], n);
        }
    }
    ledger(&mut page, daemon);
    page
}

fn ledger<C: Cloud>(page: &mut Page, daemon: &Daemon<C>) {
    if let Ok(Some(snapshot)) = daemon.reader.read(|view| view.newest()) {
        let age = daemon.now().duration_since(snapshot.finished_at).as_secs();
        page.one("tagledger_snapshot_id", "gauge", "Number of the newest snapshot.", snapshot.id);
        page.one("tagledger_snapshot_age_seconds", "gauge", "Since the newest snapshot was recorded.", age);
        let complete = u8::from(snapshot.complete);
        page.one("tagledger_snapshot_complete", "gauge", "Whether the newest snapshot has no gap.", complete);
    }
    if let Ok(requests) = daemon.reader.read(|view| bill_query::count_requests(view, day_of(daemon.now()))) {
        let help = "Requests to Cost Explorer recorded today, at USD 0.01 each.";
        page.one("tagledger_cost_requests_today", "gauge", help, requests);
    }
    let help = "Requests to Cost Explorer that a day may take.";
    page.one("tagledger_cost_request_budget", "gauge", help, daemon.settings.cost_request_budget);
    let store = &daemon.settings.store;
    page.one("tagledger_store_bytes", "gauge", "Size of the ledger.", size(store));
    page.one("tagledger_store_log_bytes", "gauge", "Size of the ledger's write-ahead log.", log_bytes(store));
    if let Some(next) = daemon.next_run() {
        page.one("tagledger_next_scan_timestamp_seconds", "gauge", "When the next scan is due.", next.as_second());
    }
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// A unit variant as it is told elsewhere.
fn name(variant: &impl serde::Serialize) -> String {
    serde_json::to_value(variant).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
