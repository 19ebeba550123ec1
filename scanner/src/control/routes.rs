//! The routes of the control port.

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
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use jiff::Timestamp;
use serde_json::{Value, json};
use tagledger_cloud::Cloud;
use tagledger_http::{RequestGuard, guard, metrics_response};
use tracing::info;

use crate::{
    control::{
        authorize::{authorize, error_response},
        health::health,
        metrics, rescan_request,
        state::{Control, Shared, next_scheduled},
    },
    daemon::{
        job::{Cancelled, Job, Trigger},
        jobs::JobRejected,
    },
    scan::plan::ScanScopeFilter,
};

/// Number of rescans that may start without a pause; one more is allowed each minute.
const BURST: NonZeroU32 = NonZeroU32::new(3).unwrap();

pub(crate) fn limiter() -> DefaultDirectRateLimiter {
    RateLimiter::direct(Quota::per_minute(NonZeroU32::MIN).allow_burst(BURST))
}

pub(crate) fn router<C: Cloud>(control: Arc<Control<C>>, request_guard: Arc<RequestGuard>) -> Router {
    Router::new()
        .route("/rescan", post(rescan::<C>))
        .route("/scans", get(scans::<C>))
        .route("/scans/{id}", get(scan::<C>).delete(cancel::<C>))
        .route("/health", get(health::<C>))
        .route("/metrics", get(metrics::<C>))
        .fallback(async || {
            let paths = "POST /rescan, GET /scans, GET and DELETE /scans/{id}, GET /health, GET /metrics";
            error_response(StatusCode::NOT_FOUND, &format!("no such path; the paths are {paths}"))
        })
        .method_not_allowed_fallback(async || {
            error_response(StatusCode::METHOD_NOT_ALLOWED, "this path does not have this method")
        })
        .layer(middleware::from_fn(authorize))
        .layer(middleware::from_fn_with_state(request_guard, guard))
        .with_state(control)
}

async fn rescan<C: Cloud>(State(control): Shared<C>, body: Bytes) -> Response {
    let filter = match rescan_request::parse_body(&body) {
        Ok(filter) => filter,
        Err(error) => return error_response(StatusCode::BAD_REQUEST, &error),
    };
    let narrowed = !filter.is_empty();
    let full_scan_missing = narrowed && control.daemon.newest_full().is_none();
    let admit = || match control.rescans.check() {
        _ if full_scan_missing => Err(JobRejected::NoFullScan),
        Ok(()) => Ok(()),
        Err(_) => Err(JobRejected::TooMany),
    };
    match control.daemon.start(Trigger::Http, filter, admit) {
        Ok(id) => {
            info!(scan.id = id, narrowed, "scan started: {}", Trigger::Http.describe());
            let location = format!("/scans/{id}");
            let mut body = json!({ "scan_id": id, "narrowed": narrowed });
            if let (true, Some(body)) = (narrowed, body.as_object_mut()) {
                let note = "only the requested scopes are scanned; the other scopes are carried over from the previous snapshot";
                body.insert("note".to_owned(), note.into());
            }
            let mut response = (StatusCode::ACCEPTED, Json(body)).into_response();
            if let Ok(location) = HeaderValue::from_str(&location) {
                response.headers_mut().insert(header::LOCATION, location);
            }
            response
        }
        Err(JobRejected::Running(id)) => {
            let error = "a scan is running; wait until it finishes, or cancel it with DELETE /scans/{scan_id}";
            (StatusCode::CONFLICT, Json(json!({ "error": error, "scan_id": id }))).into_response()
        }
        Err(JobRejected::NoFullScan) => {
            let error = "the complete estate was never scanned; send POST /rescan without a body first";
            error_response(StatusCode::CONFLICT, error)
        }
        Err(JobRejected::ShuttingDown) => {
            error_response(StatusCode::SERVICE_UNAVAILABLE, "the scanner is shutting down")
        }
        Err(JobRejected::TooMany) => {
            let mut response =
                error_response(StatusCode::TOO_MANY_REQUESTS, "too many rescans; one rescan a minute is allowed");
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
            response
        }
    }
}

async fn scans<C: Cloud>(State(control): Shared<C>) -> Response {
    let now = control.daemon.now();
    let scans: Vec<Value> = control.daemon.jobs.all().iter().map(|job| summary(job, now)).collect();
    Json(json!({ "scans": scans, "next_scheduled": next_scheduled(&control) })).into_response()
}

async fn scan<C: Cloud>(State(control): Shared<C>, Path(id): Path<String>) -> Response {
    let Some(job) = control.daemon.jobs.get(&id) else { return unknown_scan() };
    let mut response = summary(&job, control.daemon.now());
    if let Some(response) = response.as_object_mut() {
        response.insert("scopes".to_owned(), json!(job.scopes()));
    }
    Json(response).into_response()
}

async fn cancel<C: Cloud>(State(control): Shared<C>, Path(id): Path<String>) -> Response {
    match control.daemon.jobs.cancel(&id) {
        Cancelled::Yes => {
            info!(scan.id = id, "scan cancelled: requested over HTTP");
            let note = "the scan records nothing";
            (StatusCode::ACCEPTED, Json(json!({ "scan_id": id, "note": note }))).into_response()
        }
        Cancelled::TooLate => {
            error_response(StatusCode::CONFLICT, "the scan has finished or is committing; its snapshot is retained")
        }
        Cancelled::Unknown => unknown_scan(),
    }
}

fn unknown_scan() -> Response {
    error_response(StatusCode::NOT_FOUND, "no such scan; GET /scans lists the last 100 scans since the scanner started")
}

fn summary(job: &Job, now: Timestamp) -> Value {
    json!({
        "scan_id": job.id,
        "state": job.state,
        "trigger": job.trigger,
        "narrowed": !job.filter.is_empty(),
        "asked_for": requested_part(&job.filter),
        "started_at": format_time(job.started_at),
        "finished_at": job.finished_at.map(format_time),
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

/// A time in UTC to the second.
fn format_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn requested_part(filter: &ScanScopeFilter) -> Value {
    if filter.is_empty() {
        return Value::Null;
    }
    json!({
        "accounts": filter.accounts.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "regions": filter.regions.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "types": filter.types.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

async fn metrics<C: Cloud>(State(control): Shared<C>) -> Response {
    metrics_response(&metrics::collect(&control.daemon))
}
