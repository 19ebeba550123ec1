//! What each path answers.

use std::{num::NonZeroU32, sync::Arc};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use gate::{Door, guard};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::cloud::Cloud;
use tracing::info;

use super::{
    Control,
    health::health,
    metrics,
    permit::{permit, refusal},
    wish,
};
use crate::{
    jobs::{Cancelled, Job, Refused, Trigger},
    plan::Narrow,
};

/// Rescans that may follow each other at once; one more each minute.
const BURST: NonZeroU32 = NonZeroU32::new(3).unwrap();

pub(super) type Shared<C> = State<Arc<Control<C>>>;

pub(super) fn limiter() -> DefaultDirectRateLimiter {
    RateLimiter::direct(Quota::per_minute(NonZeroU32::MIN).allow_burst(BURST))
}

pub(super) fn router<C: Cloud>(control: Arc<Control<C>>, door: Arc<Door>) -> Router {
    Router::new()
        .route("/rescan", post(rescan::<C>))
        .route("/scans", get(scans::<C>))
        .route("/scans/{id}", get(scan::<C>).delete(cancel::<C>))
        .route("/health", get(health::<C>))
        .route("/metrics", get(metrics::<C>))
        .fallback(async || {
            let paths = "POST /rescan, GET /scans, GET and DELETE /scans/{id}, GET /health, GET /metrics";
            refusal(StatusCode::NOT_FOUND, &format!("no such path; there are {paths}"))
        })
        .method_not_allowed_fallback(async || refusal(StatusCode::METHOD_NOT_ALLOWED, "this path has another method"))
        .layer(middleware::from_fn(permit))
        .layer(middleware::from_fn_with_state(door, guard))
        .with_state(control)
}

async fn rescan<C: Cloud>(State(control): Shared<C>, body: Bytes) -> Response {
    let narrow = match wish::read(&body) {
        Ok(narrow) => narrow,
        Err(error) => return refusal(StatusCode::BAD_REQUEST, &error),
    };
    let narrowed = !narrow.is_whole();
    let nothing_to_keep = narrowed && control.daemon.newest_whole().is_none();
    let admit = || match control.rescans.check() {
        _ if nothing_to_keep => Err(Refused::NothingToKeep),
        Ok(()) => Ok(()),
        Err(_) => Err(Refused::TooMany),
    };
    match control.daemon.start(Trigger::Http, narrow, admit) {
        Ok(id) => {
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
        Err(Refused::NothingToKeep) => {
            let error =
                "the whole estate was never scanned, so nothing is known of the rest; POST /rescan without a body";
            refusal(StatusCode::CONFLICT, error)
        }
        Err(Refused::Ending) => refusal(StatusCode::SERVICE_UNAVAILABLE, "the scanner is ending"),
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
        answer.insert("scopes".to_owned(), json!(job.scopes()));
    }
    Json(answer).into_response()
}

async fn cancel<C: Cloud>(State(control): Shared<C>, Path(id): Path<String>) -> Response {
    match control.daemon.jobs.cancel(&id) {
        Cancelled::Yes => {
            info!(scan.id = id, "scan to be ended: asked over HTTP");
            let note = "nothing of the scan will be recorded";
            (StatusCode::ACCEPTED, Json(json!({ "scan_id": id, "note": note }))).into_response()
        }
        Cancelled::TooLate => {
            refusal(StatusCode::CONFLICT, "the scan is over, or is just being committed; what it recorded stays")
        }
        Cancelled::Unknown => unknown(),
    }
}

fn unknown() -> Response {
    refusal(StatusCode::NOT_FOUND, "no such scan; GET /scans lists the last hundred since the scanner started")
}

fn summary(job: &Job, now: Timestamp) -> Value {
    json!({
        "scan_id": job.id,
        "state": job.state,
        "trigger": job.trigger,
        "narrowed": !job.narrow.is_whole(),
        "asked_for": asked_for(&job.narrow),
        "started_at": seconds(job.started_at),
        "finished_at": job.finished_at.map(seconds),
        "scopes_planned": job.planned,
        "scopes_done": job.done,
        "scopes_with_gaps": job.gaps,
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

pub(super) fn next<C: Cloud>(control: &Control<C>) -> Option<String> {
    control.daemon.next_run().map(|next| next.to_string())
}

async fn metrics<C: Cloud>(State(control): Shared<C>) -> Response {
    metrics::page(&control.daemon).into_response()
}
