//! MCP over streamable HTTP, health and metrics.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};
use tagledger_audit::AuditEntry;
use tagledger_http::{AuthMethod, GuardError, GuardSettings, Limits, METADATA, Port, Principal, RequestGuard, Scope};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::{
    app_state::AppState,
    audit_writer::digest,
    http::{health::health, metrics::Measured},
    mcp::{
        call_metrics::Calls,
        handler::{Mcp, Transport},
        tool_names::known_tool,
    },
    snapshot_watcher,
    tools::registry::required_scope,
};

/// Largest request body, bytes; a tool call is a few hundred, a draft policy some thousand.
const MOST_BODY: usize = 1 << 20;

const PORT: Port = Port { body: MOST_BODY, refusal, remedy: "make one with `tagledger key create`" };

/// Clients keep a connection or two each, and subscriptions another.
const LIMITS: Limits = Limits { connections: 2_048, head: Duration::from_secs(5) };

/// JSON-RPC's codes for what is no JSON and what is no request, and the one of ours for what the door refuses.
const PARSE_ERROR: i32 = -32_700;

const INVALID_REQUEST: i32 = -32_600;

const REFUSED: i32 = -32_001;

/// Why the HTTP server could not run.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {}; name another address with --listen or TAGLEDGER_LISTEN", words(.source))]
pub struct HttpError {
    /// As configured.
    pub address: SocketAddr,
    /// What the system says: the port is in use, or not ours to use.
    pub source: io::Error,
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "the port is in use".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        _ => error.to_string(),
    }
}

/// The door of the MCP port.
///
/// # Errors
///
/// When strangers could come in, or the keys cannot be read.
pub fn door(settings: GuardSettings) -> Result<RequestGuard, GuardError> {
    RequestGuard::new(settings, PORT)
}

/// Serves `/mcp`, `/health` and `/metrics` to those whom the door lets in, until `end` is cancelled; tells the address when it listens.
///
/// # Errors
///
/// When the address cannot be listened on.
pub async fn serve_http(
    ledger: Arc<AppState>,
    door: RequestGuard,
    end: CancellationToken,
    listening: impl FnOnce(SocketAddr),
) -> Result<(), HttpError> {
    let address = door.listen();
    let refused = |source| HttpError { address, source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    info!(listen = %address, "serving MCP at /mcp");
    listening(address);
    let follow = tokio::spawn(Arc::clone(ledger.policy()).follow(end.clone()));
    let watch = snapshot_watcher::watch(Arc::clone(&ledger), end.clone());
    let keys = door.keys().map(|keys| tokio::spawn(keys.follow(end.clone())));
    ledger.set_shutdown(&end);
    tagledger_http::serve(listener, router(ledger, door, &end), LIMITS, end).await;
    follow.abort();
    watch.abort();
    keys.into_iter().for_each(|task| task.abort());
    Ok(())
}

/// What answers at these paths, for a listener of the caller's own.
pub fn router(ledger: Arc<AppState>, door: RequestGuard, end: &CancellationToken) -> Router {
    let (calls, door) = (Arc::new(Calls::default()), Arc::new(door));
    let mcp = Mcp::new(Arc::clone(&ledger), Transport::Requests, Arc::clone(&calls));
    let measured = Measured { ledger: Arc::clone(&ledger), calls, door: Arc::clone(&door) };
    let config = StreamableHttpServerConfig::default()
        // No sessions: a restart or another server behind a load balancer loses nothing.
        .with_legacy_session_mode(false)
        .with_json_response(true)
        // The door has looked at Host and Origin, by names that are configured.
        .disable_allowed_hosts()
        .with_max_request_body_bytes(MOST_BODY)
        .with_cancellation_token(end.child_token());
    let service = StreamableHttpService::new(move || Ok(mcp.clone()), Arc::new(NeverSessionManager::default()), config);
    let mcp = Router::new()
        .fallback_service(service)
        .layer(middleware::from_fn_with_state((Arc::clone(&door), Arc::clone(&ledger)), parsed));
    let metadata = get({
        let metadata = door.metadata();
        async || metadata.map_or_else(|| refusal(StatusCode::NOT_FOUND, "no tokens are accepted"), told)
    });
    Router::new()
        .nest("/mcp", mcp)
        .route(METADATA, metadata.clone())
        .route(&format!("{METADATA}/mcp"), metadata)
        .route("/health", get(health))
        .with_state(ledger)
        .route("/metrics", get(metrics))
        .with_state(measured)
        .fallback(async || refusal(StatusCode::NOT_FOUND, "no such path; there are /mcp, /health and /metrics"))
        .layer(middleware::from_fn_with_state(door, tagledger_http::guard))
}

async fn metrics(State(measured): State<Measured>, Extension(caller): Extension<Principal>) -> Response {
    if caller.may(Scope::Read) {
        return measured.page().into_response();
    }
    refusal(StatusCode::FORBIDDEN, "this key may not be used here: it lacks the scope `read`")
}

fn told(metadata: Value) -> Response {
    axum::Json(metadata).into_response()
}

fn refusal(status: StatusCode, why: &str) -> Response {
    error(status, REFUSED, why, Value::Null)
}

fn error(status: StatusCode, code: i32, message: &str, id: Value) -> Response {
    let error = json!({"code": code, "message": message});
    (status, axum::Json(json!({"jsonrpc": "2.0", "id": id, "error": error}))).into_response()
}

/// What is no JSON, or no message of MCP, is told so in JSON-RPC's own terms; the library behind says it in plain text.
async fn parsed(
    State((door, ledger)): State<(Arc<RequestGuard>, Arc<AppState>)>,
    request: Request,
    next: Next,
) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    // Read already, by the door.
    let Ok(body) = to_bytes(body, MOST_BODY).await else {
        return refusal(StatusCode::BAD_REQUEST, "the request broke off");
    };
    if let Err(fault) = serde_json::from_slice::<IgnoredAny>(&body) {
        return error(StatusCode::BAD_REQUEST, PARSE_ERROR, &format!("the request is no JSON: {fault}"), Value::Null);
    }
    if let Some(caller) = parts.extensions.get::<Principal>()
        && let Some((what, scopes)) = lacking(caller, &body)
    {
        if let Some(audit) = ledger.audit() {
            let begun = AuditEntry::begun(ledger.now(), caller.id.clone(), what, digest(&body));
            audit.add(AuditEntry { outcome: "refused".to_owned(), ..begun });
        }
        return door.lacking(&scopes);
    }
    let is_json =
        parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let answer = next.run(Request::from_parts(parts, Body::from(body.clone()))).await;
    if answer.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE && is_json { no_message(&body) } else { answer }
}

/// The part of a request that says which scope it needs.
#[derive(Deserialize)]
struct Asked {
    method: String,
    #[serde(default)]
    params: Value,
}

/// What a token was used for without the scopes that it needs, and these, as the protocol has clients ask for more; of keys the
/// answer itself says it.
fn lacking(caller: &Principal, body: &[u8]) -> Option<(String, Vec<Scope>)> {
    if caller.by != AuthMethod::Token {
        return None;
    }
    let Asked { method, params } = serde_json::from_slice(body).ok()?;
    let (what, scope) = match method.as_str() {
        "tools/call" => {
            let tool = params.get("name")?.as_str()?;
            (known_tool(tool), required_scope(tool))
        }
        "resources/read" => ("resources/read", Scope::Read),
        "prompts/get" => ("prompts/get", Scope::Read),
        "completion/complete" => ("completion/complete", Scope::Read),
        _ if caller.scopes.is_disjoint(&[Scope::Read, Scope::Live].into()) => ("other", Scope::Read),
        _ => return None,
    };
    let mut all = caller.scopes.clone();
    all.insert(scope).then(|| (what.to_owned(), all.into_iter().collect()))
}

/// Says what of a request is wrong, as far as that can be told without the library.
fn no_message(body: &[u8]) -> Response {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let id = request.get("id").filter(|id| id.is_string() || id.is_number()).cloned().unwrap_or_default();
    let why = match &request {
        Value::Array(_) => "batches are no part of MCP any more; send one request at a time",
        Value::Object(fields) if fields.get("jsonrpc") != Some(&"2.0".into()) => "`jsonrpc` must be \"2.0\"",
        Value::Object(fields) if !fields.get("method").is_some_and(Value::is_string) => "`method` must be a text",
        Value::Object(fields) if fields.contains_key("id") && id.is_null() => "`id` must be a text or a whole number",
        Value::Object(_) => "`params` are not as this method takes them",
        _ => "a request must be an object",
    };
    error(StatusCode::BAD_REQUEST, INVALID_REQUEST, why, id)
}
