//! What each path answers.

use std::{num::NonZeroU32, sync::Arc};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderValue, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::{chain::Chain, cloud::Cloud, store::StoreError};
use tracing::{info, warn};

use super::{
    Control,
    guard::{guard, refusal},
    metrics, wish,
};
use crate::{
    jobs::{Job, JobState, Refused, Trigger},
    plan::Narrow,
};

/// Rescans that may follow each other at once; one more each minute.
const BURST: NonZeroU32 = NonZeroU32::new(3).unwrap();

/// Largest request body, bytes: all accounts of a large organization.
const MOST_BODY: usize = 1 << 18;

type Shared<C> = State<Arc<Control<C>>>;

pub(super) fn limiter() -> DefaultDirectRateLimiter {
    RateLimiter::direct(Quota::per_minute(NonZeroU32::MIN).allow_burst(BURST))
}

pub(super) fn router<C: Cloud>(control: Arc<Control<C>>) -> Router {
    Router::new()
        .route("/rescan", post(rescan::<C>))
        .route("/scans", get(scans::<C>))
        .route("/scans/{id}", get(scan::<C>).delete(cancel::<C>))
        .route("/health", get(health::<C>))
        .route("/metrics", get(metrics::<C>))
        .fallback(async || {
            let paths = "POST /rescan, GET /scans, GET and DELETE /scans/{id}, GET /health, GET /metrics";
            refusal(StatusCode::NOT_FOUND, format!("no such path; there are {paths}"))
        })
        .method_not_allowed_fallback(async || refusal(StatusCode::METHOD_NOT_ALLOWED, "this path has another method"))
        .layer(DefaultBodyLimit::max(MOST_BODY))
        .layer(middleware::from_fn_with_state(Arc::clone(&control), guard::<C>))
        .with_state(control)
}

async fn rescan<C: Cloud>(State(control): Shared<C>, body: Bytes) -> Response {
    let narrow = match wish::read(&body) {
        Ok(narrow) => narrow,
        Err(error) => return refusal(StatusCode::BAD_REQUEST, error),
    };
    let narrowed = !narrow.is_whole();
    match control.daemon.start(Trigger::Http, narrow, || control.rescans.check().is_ok()) {
        Ok((id, _)) => {
            info!(scan.id = id, narrowed, "scan begins: {}", Trigger::Http.words());
            let location = format!("/scans/{id}");
            let mut body = json!({ "scan_id": id, "narrowed": narrowed });
            if let (true, Some(body)) = (narrowed, body.as_object_mut()) {
                let note = "only the scopes asked for are scanned; the others keep what is known of them";
                body.insert("note".to_owned(), note.into());
            }
            let mut answer = (StatusCode::ACCEPTED, Json(body)).into_response();
            if let Ok(location) = HeaderValue::from_str(&location) {
                answer.headers_mut().insert(header::LOCATION, location);
            }
            answer
        }
        Err(Refused::Running(id)) => {
            let error = "a scan is running; wait for it, or end it with DELETE /scans/{scan_id}";
            (StatusCode::CONFLICT, Json(json!({ "error": error, "scan_id": id }))).into_response()
        }
        Err(Refused::TooMany) => {
            let mut answer = refusal(StatusCode::TOO_MANY_REQUESTS, "too many rescans; one a minute is allowed");
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
            answer
        }
    }
}

async fn scans<C: Cloud>(State(control): Shared<C>) -> Response {
    let now = control.daemon.now();
    let scans: Vec<Value> = control.daemon.jobs.all().iter().map(|job| summary(job, now)).collect();
    Json(json!({ "scans": scans, "next_scheduled": next(&control) })).into_response()
}

async fn scan<C: Cloud>(State(control): Shared<C>, Path(id): Path<String>) -> Response {
    let Some(job) = control.daemon.jobs.get(&id) else { return unknown() };
    let mut answer = summary(&job, control.daemon.now());
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("scopes".to_owned(), json!(job.scopes.values().collect::<Vec<_>>()));
    }
    Json(answer).into_response()
}

async fn cancel<C: Cloud>(State(control): Shared<C>, Path(id): Path<String>) -> Response {
    match control.daemon.jobs.cancel(&id) {
        Some(true) => {
            info!(scan.id = id, "scan to be ended: asked over HTTP");
            let note = "nothing of the scan will be recorded";
            (StatusCode::ACCEPTED, Json(json!({ "scan_id": id, "note": note }))).into_response()
        }
        Some(false) => refusal(StatusCode::CONFLICT, "the scan is over; what it recorded stays"),
        None => unknown(),
    }
}

fn unknown() -> Response {
    refusal(StatusCode::NOT_FOUND, "no such scan; GET /scans lists the last hundred since the scanner started")
}

fn summary(job: &Job, now: Timestamp) -> Value {
    let gaps = job.scopes.values().filter(|scope| scope.state == "gap").count();
    json!({
        "scan_id": job.id,
        "state": job.state,
        "trigger": job.trigger,
        "narrowed": !job.narrow.is_whole(),
        "asked_for": asked_for(&job.narrow),
        "started_at": seconds(job.started_at),
        "finished_at": job.finished_at.map(seconds),
        "scopes_planned": job.scopes.len(),
        "scopes_done": job.done,
        "scopes_with_gaps": gaps,
        "resources": job.resources,
        "estimated_seconds_remaining": job.remaining_seconds(now),
        "snapshot_id": job.snapshot_id,
        "requests": job.requests,
        "error": job.error,
    })
}

/// A time as it is told, to the second.
fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn asked_for(narrow: &Narrow) -> Value {
    if narrow.is_whole() {
        return Value::Null;
    }
    json!({
        "accounts": narrow.accounts.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "regions": narrow.regions.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "types": narrow.types.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn next<C: Cloud>(control: &Control<C>) -> Option<String> {
    control.daemon.next_run().map(|next| next.to_string())
}

async fn health<C: Cloud>(State(control): Shared<C>) -> Response {
    let daemon = &control.daemon;
    let (snapshot, reason) = match daemon.reader.read(|view| view.newest()) {
        Ok(Some(snapshot)) => {
            let age = daemon.now().duration_since(snapshot.finished_at);
            let limit = jiff::SignedDuration::try_from(daemon.settings.max_age).unwrap_or(jiff::SignedDuration::MAX);
            let old = (age > limit).then(|| format!("the newest snapshot is older than {} h", limit.as_hours()));
            (
                Some(json!({ "id": snapshot.id, "taken_at": snapshot.started_at.to_string(),
                "age_seconds": age.as_secs(), "complete": snapshot.complete })),
                old,
            )
        }
        Ok(None) | Err(StoreError::Missing { .. }) => (None, Some("there is no snapshot yet".to_owned())),
        Err(error) => {
            warn!("health: {}", Chain(&error));
            (None, Some("the ledger cannot be read; the scanner's log says why".to_owned()))
        }
    };
    let jobs = daemon.jobs.all();
    let running = jobs.iter().find(|job| job.state == JobState::Running).map(|job| job.id.clone());
    let failed = jobs.iter().find(|job| job.state != JobState::Running).filter(|job| job.state == JobState::Failed);
    let reason = reason.or_else(|| failed.map(|job| format!("the last scan failed; GET /scans/{} says why", job.id)));
    let status = if reason.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({
        "status": if reason.is_none() { "healthy" } else { "unhealthy" },
        "reason": reason,
        "version": daemon.settings.app_version,
        "uptime_seconds": daemon.now().duration_since(daemon.started_at).as_secs().max(0),
        "snapshot": snapshot,
        "running": running,
        "next_scheduled": next(&control),
    });
    (status, Json(body)).into_response()
}

async fn metrics<C: Cloud>(State(control): Shared<C>) -> Response {
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics::text(&control.daemon)).into_response()
}
