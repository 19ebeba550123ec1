//! `GET /health`: whether the ledger is up to date.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use tagledger_cloud::Cloud;
use tagledger_ledger::{LedgerError, Snapshot};
use tagledger_model::error_chain::ErrorChain;
use tracing::warn;

use crate::{
    control::state::{Shared, next_scheduled},
    daemon::{
        job::{Job, JobState, Trigger},
        run::Daemon,
    },
};

/// Only scans of the complete estate count: a narrowed rescan, or a rescan that failed, does not change the health.
pub(crate) async fn health<C: Cloud>(State(control): Shared<C>) -> Response {
    let daemon = &control.daemon;
    let jobs = daemon.jobs.all();
    let (snapshot, reason) = match daemon.reader.read(|session| Ok((session.newest()?, session.newest_full()?))) {
        Ok((newest, full)) => {
            (newest, stale_reason(daemon, full.as_ref()).or_else(|| failure_reason(&jobs, full.as_ref())))
        }
        Err(LedgerError::Missing { .. }) => (None, stale_reason(daemon, None)),
        Err(error) => {
            warn!("health: {}", ErrorChain(&error));
            (None, Some("the ledger cannot be read; see the log of the scanner".to_owned()))
        }
    };
    let running = jobs.iter().find(|job| job.state == JobState::Running).map(|job| job.id.clone());
    let status = if reason.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({
        "status": if reason.is_none() { "healthy" } else { "unhealthy" },
        "reason": reason,
        "version": daemon.settings.app_version,
        "uptime_seconds": daemon.now().duration_since(daemon.started_at).as_secs().max(0),
        "snapshot": snapshot.map(|snapshot| describe(&snapshot, daemon.now())),
        "running": running,
        "next_scheduled": next_scheduled(&control),
    });
    (status, Json(body)).into_response()
}

fn stale_reason<C: Cloud>(daemon: &Daemon<C>, newest_full: Option<&Snapshot>) -> Option<String> {
    let Some(newest_full) = newest_full else { return Some("the estate was not scanned yet".to_owned()) };
    let limit = jiff::SignedDuration::try_from(daemon.settings.max_age).unwrap_or(jiff::SignedDuration::MAX);
    let age = daemon.now().duration_since(newest_full.finished_at);
    (age > limit).then(|| format!("the newest scan of the complete estate is older than {} h", limit.as_hours()))
}

fn failure_reason(jobs: &[Job], newest_full: Option<&Snapshot>) -> Option<String> {
    let last = jobs.iter().find(|job| job.trigger != Trigger::Http && job.state != JobState::Running)?;
    let is_superseded = newest_full
        .is_some_and(|full| last.finished_at.is_none_or(|ended| full.finished_at.as_second() >= ended.as_second()));
    let failed = last.state == JobState::Failed && !is_superseded;
    failed.then(|| format!("the last scheduled scan failed; see GET /scans/{}", last.id))
}

fn describe(snapshot: &Snapshot, now: Timestamp) -> Value {
    json!({
        "id": snapshot.id,
        "taken_at": snapshot.started_at.to_string(),
        "age_seconds": now.duration_since(snapshot.finished_at).as_secs(),
        "complete": snapshot.complete,
        "narrowed": snapshot.narrowed,
    })
}
