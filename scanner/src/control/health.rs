//! Whether the ledger is kept up to date.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::{
    chain::Chain,
    cloud::Cloud,
    store::{Snapshot, StoreError},
};
use tracing::warn;

use super::answers::{Shared, next};
use crate::{
    daemon::Daemon,
    jobs::{Job, JobState, Trigger},
};

/// The ledger is kept up to date by scans of the whole estate: one that was narrowed, or that somebody asked for in vain,
/// says nothing of that.
pub(super) async fn health<C: Cloud>(State(control): Shared<C>) -> Response {
    let daemon = &control.daemon;
    let jobs = daemon.jobs.all();
    let (snapshot, reason) = match daemon.reader.read(|view| Ok((view.newest()?, view.newest_whole()?))) {
        Ok((newest, whole)) => (newest, stale(daemon, whole.as_ref()).or_else(|| failed(&jobs, whole.as_ref()))),
        Err(StoreError::Missing { .. }) => (None, stale(daemon, None)),
        Err(error) => {
            warn!("health: {}", Chain(&error));
            (None, Some("the ledger cannot be read; the scanner's log says why".to_owned()))
        }
    };
    let running = jobs.iter().find(|job| job.state == JobState::Running).map(|job| job.id.clone());
    let status = if reason.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({
        "status": if reason.is_none() { "healthy" } else { "unhealthy" },
        "reason": reason,
        "version": daemon.settings.app_version,
        "uptime_seconds": daemon.now().duration_since(daemon.started_at).as_secs().max(0),
        "snapshot": snapshot.map(|snapshot| told(&snapshot, daemon.now())),
        "running": running,
        "next_scheduled": next(&control),
    });
    (status, Json(body)).into_response()
}

fn stale<C: Cloud>(daemon: &Daemon<C>, whole: Option<&Snapshot>) -> Option<String> {
    let Some(whole) = whole else { return Some("the estate was not scanned yet".to_owned()) };
    let limit = jiff::SignedDuration::try_from(daemon.settings.max_age).unwrap_or(jiff::SignedDuration::MAX);
    let age = daemon.now().duration_since(whole.finished_at);
    (age > limit).then(|| format!("the newest scan of the whole estate is older than {} h", limit.as_hours()))
}

fn failed(jobs: &[Job], whole: Option<&Snapshot>) -> Option<String> {
    let last = jobs.iter().find(|job| job.trigger != Trigger::Http && job.state != JobState::Running)?;
    let made_good = whole
        .is_some_and(|whole| last.finished_at.is_none_or(|ended| whole.finished_at.as_second() >= ended.as_second()));
    let failed = last.state == JobState::Failed && !made_good;
    failed.then(|| format!("the last scheduled scan failed; GET /scans/{} says why", last.id))
}

fn told(snapshot: &Snapshot, now: Timestamp) -> Value {
    json!({
        "id": snapshot.id,
        "taken_at": snapshot.started_at.to_string(),
        "age_seconds": now.duration_since(snapshot.finished_at).as_secs(),
        "complete": snapshot.complete,
        "narrowed": snapshot.narrowed,
    })
}
