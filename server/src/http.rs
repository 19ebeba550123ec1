//! MCP over streamable HTTP, and health.

use std::{io, net::SocketAddr, sync::Arc};

use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get, serve::ListenerExt};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
};
use serde::Serialize;
use shared::{chain::Chain, store::Snapshot};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    announce,
    ledger::Ledger,
    mcp::{Mcp, Transport},
};

/// Largest request body, bytes; a tool call is a few hundred.
const MOST_BODY: usize = 1 << 20;

/// Why the HTTP server could not run.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The port is in use, or not ours to use.
    #[error("cannot listen on {address}: {}; name another address with --listen or TAGLEDGER_LISTEN", words(.source))]
    Listen {
        /// As configured.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Serving failed.
    #[error("serving HTTP failed")]
    Serve(#[source] io::Error),
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "the port is in use".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        _ => error.to_string(),
    }
}

/// Serves `/mcp` and `/health` until `end` is cancelled; tells the address when it listens.
///
/// # Errors
///
/// When the address cannot be listened on, or serving fails.
pub async fn serve_http(
    ledger: Arc<Ledger>,
    address: SocketAddr,
    end: CancellationToken,
    listening: impl FnOnce(SocketAddr),
) -> Result<(), HttpError> {
    let refused = |source| HttpError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    // With Nagle's algorithm an answer in two parts waits for the client's delayed acknowledgement, 40 ms.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            warn!("TCP_NODELAY cannot be set: {error}");
        }
    });
    info!(listen = %address, "serving MCP at /mcp");
    listening(address);
    let follow = tokio::spawn(Arc::clone(ledger.policy()).follow(end.clone()));
    let watch = announce::watch(Arc::clone(&ledger), end.clone());
    ledger.end_with(&end);
    let served = axum::serve(listener, router(ledger, &end)).with_graceful_shutdown(end.cancelled_owned()).await;
    follow.abort();
    watch.abort();
    served.map_err(HttpError::Serve)
}

/// What answers at `/mcp` and `/health`, for a listener of the caller's own.
pub fn router(ledger: Arc<Ledger>, end: &CancellationToken) -> Router {
    let mcp = Mcp::new(Arc::clone(&ledger), Transport::Requests);
    let config = StreamableHttpServerConfig::default()
        // No sessions: a restart or another server behind a load balancer loses nothing.
        .with_legacy_session_mode(false)
        .with_json_response(true)
        // A page in a browser must not reach a server on the same machine, by whatever name.
        .with_allowed_hosts(["localhost", "127.0.0.1", "::1"])
        .with_allowed_origins(["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"])
        .enforce_origin_validation()
        .with_max_request_body_bytes(MOST_BODY)
        .with_cancellation_token(end.child_token());
    let service = StreamableHttpService::new(move || Ok(mcp.clone()), Arc::new(NeverSessionManager::default()), config);
    Router::new().nest_service("/mcp", service).route("/health", get(health)).with_state(ledger)
}

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

async fn health(State(ledger): State<Arc<Ledger>>) -> impl IntoResponse {
    let now = ledger.now();
    let (snapshot, reason) = match ledger.newest_two() {
        Ok(Some((snapshot, whole))) => {
            let limit = jiff::SignedDuration::try_from(ledger.max_age()).unwrap_or(jiff::SignedDuration::MAX);
            // A scan that was narrowed to a part says nothing new of the rest.
            let too_old = whole.is_none_or(|whole| now.duration_since(whole.finished_at) > limit);
            let hours = limit.as_hours();
            (
                Some(described(&snapshot, now.duration_since(snapshot.finished_at).as_secs())),
                too_old.then(|| format!("the newest scan of the whole estate is older than {hours} h")),
            )
        }
        Ok(None) => (None, Some("there is no snapshot yet; run `tagledger scan`".to_owned())),
        Err(error) => {
            warn!("health: {}", Chain(&error));
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
        uptime_seconds: now.duration_since(ledger.started_at()).as_secs().max(0),
        reason,
        snapshot,
    };
    (code, Json(health))
}

fn described(snapshot: &Snapshot, age_seconds: i64) -> SnapshotHealth {
    let taken_at = snapshot.started_at.to_string();
    SnapshotHealth { id: snapshot.id, taken_at, age_seconds, complete: snapshot.complete }
}
