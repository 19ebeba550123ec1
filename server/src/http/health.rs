//! The health check: whether the server has a recent snapshot.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode, response::IntoResponse};
use serde::Serialize;
use tagledger_ledger::Snapshot;
use tagledger_model::error_chain::ErrorChain;
use tracing::warn;

use crate::app_state::AppState;

#[derive(Debug, Serialize)]
struct Health {
    /// `healthy`, or `unhealthy` with a reason.
    status: &'static str,
    version: &'static str,
    cloud_providers: [&'static str; 1],
    uptime_seconds: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot: Option<SnapshotHealth>,
}

#[derive(Debug, Serialize)]
struct SnapshotHealth {
    id: i64,
    taken_at: String,
    age_seconds: i64,
    complete: bool,
}

pub(crate) async fn health(State(state): State<Arc<AppState>>) -> impl IntoResponse {
    let now = state.now();
    let (snapshot, reason) = match state.latest_snapshots() {
        Ok(Some((snapshot, full))) => {
            let limit = jiff::SignedDuration::try_from(state.max_age()).unwrap_or(jiff::SignedDuration::MAX);
            // A scan of a part of the estate does not update the rest.
            let too_old = full.is_none_or(|full| now.duration_since(full.finished_at) > limit);
            let hours = limit.as_hours();
            (
                Some(describe(&snapshot, now.duration_since(snapshot.finished_at).as_secs())),
                too_old.then(|| format!("the newest scan of the whole estate is older than {hours} h")),
            )
        }
        Ok(None) => (None, Some("there is no snapshot yet; run `tagledger scan`".to_owned())),
        Err(error) => {
            warn!("the ledger cannot be read for the health check: {}", ErrorChain(&error));
            (None, Some("the ledger cannot be read; the server's log says why".to_owned()))
        }
    };
    let (status, code) = match reason {
        None => ("healthy", StatusCode::OK),
        Some(_) => ("unhealthy", StatusCode::SERVICE_UNAVAILABLE),
    };
    let health = Health {
        status,
        version: env!("CARGO_PKG_VERSION"),
        cloud_providers: ["aws"],
        uptime_seconds: now.duration_since(state.started_at()).as_secs().max(0),
        reason,
        snapshot,
    };
    (code, Json(health))
}

fn describe(snapshot: &Snapshot, age_seconds: i64) -> SnapshotHealth {
    let taken_at = snapshot.started_at.to_string();
    SnapshotHealth { id: snapshot.id, taken_at, age_seconds, complete: snapshot.complete }
}
