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
use serde::Deserialize;
use serde_json::{Value, json};
use tagledger_audit::AuditEntry;
use tagledger_http::{
    AuthMethod, GuardError, GuardSettings, Limits, METADATA, Port, Principal, RequestGuard, Scope, metrics_response,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::{
    app_state::AppState,
    audit_writer::digest,
    http::{health::health, metrics::MetricSources},
    mcp::{call_metrics::CallMetrics, handler::Mcp, tool_names::known_tool, transport::Transport},
    snapshot_watcher,
    tools::registry::required_scope,
};

/// Maximum size of a request body, bytes. A tool call has a few hundred, a draft policy a few thousand.
const MAX_BODY_BYTES: usize = 1 << 20;

const PORT: Port = Port { body: MAX_BODY_BYTES, refusal, remedy: "make one with `tagledger key create`" };

/// A client uses one or two connections, and another one for a subscription.
const LIMITS: Limits = Limits { connections: 2_048, head: Duration::from_secs(5) };

/// Error codes of JSON-RPC, and a code from its server range for requests that the guard refuses.
const PARSE_ERROR: i32 = -32_700;

const INVALID_REQUEST: i32 = -32_600;

const REFUSED: i32 = -32_001;

/// Why the HTTP server could not run.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {}; name another address with --listen or TAGLEDGER_LISTEN", describe(.source))]
pub struct HttpError {
    /// The configured address.
    pub address: SocketAddr,
    /// The error of the operating system.
    pub source: io::Error,
}

fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "the port is in use".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        _ => error.to_string(),
    }
}

/// The request guard of the MCP port.
///
/// # Errors
///
/// When the port would be reachable without a key, or the keys cannot be read.
pub fn guard(settings: GuardSettings) -> Result<RequestGuard, GuardError> {
    RequestGuard::new(settings, PORT)
}

/// Serves `/mcp`, `/health` and `/metrics` until `end` is cancelled. Calls `listening` with the address when it listens.
///
/// # Errors
///
/// When the address cannot be listened on.
pub async fn serve_http(
    state: Arc<AppState>,
    guard: RequestGuard,
    end: CancellationToken,
    listening: impl FnOnce(SocketAddr),
) -> Result<(), HttpError> {
    let address = guard.listen();
    let failed = |source| HttpError { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    info!(listen = %address, "serving MCP at /mcp");
    listening(address);
    let policy_task = tokio::spawn(Arc::clone(state.policy()).follow(end.clone()));
    let snapshot_task = snapshot_watcher::watch(Arc::clone(&state), end.clone());
    let key_task = guard.keys().map(|keys| tokio::spawn(keys.follow(end.clone())));
    state.set_shutdown(&end);
    tagledger_http::serve(listener, router(state, guard, &end), LIMITS, end).await;
    policy_task.abort();
    snapshot_task.abort();
    key_task.into_iter().for_each(|task| task.abort());
    Ok(())
}

/// The routes, for a listener of the caller.
pub fn router(state: Arc<AppState>, guard: RequestGuard, end: &CancellationToken) -> Router {
    let (calls, guard) = (CallMetrics::default(), Arc::new(guard));
    let mcp = Mcp::new(Arc::clone(&state), Transport::Requests, calls.clone());
    let sources = MetricSources { state: Arc::clone(&state), calls, guard: Arc::clone(&guard) };
    let config = StreamableHttpServerConfig::default()
        // Without sessions a client continues after a restart, or on another server behind a load balancer.
        .with_legacy_session_mode(false)
        .with_json_response(true)
        // The request guard verifies Host and Origin against the configured names.
        .disable_allowed_hosts()
        .with_max_request_body_bytes(MAX_BODY_BYTES)
        .with_cancellation_token(end.child_token());
    let service = StreamableHttpService::new(move || Ok(mcp.clone()), Arc::new(NeverSessionManager::default()), config);
    let mcp = Router::new()
        .fallback_service(service)
        .layer(middleware::from_fn_with_state((Arc::clone(&guard), Arc::clone(&state)), check_message));
    let metadata = get({
        let metadata = guard.metadata().map(axum::Json);
        async || {
            metadata
                .map_or_else(|| refusal(StatusCode::NOT_FOUND, "no tokens are accepted"), IntoResponse::into_response)
        }
    });
    Router::new()
        .nest("/mcp", mcp)
        .route(METADATA, metadata.clone())
        .route(&format!("{METADATA}/mcp"), metadata)
        .route("/health", get(health))
        .with_state(state)
        .route("/metrics", get(metrics))
        .with_state(sources)
        .fallback(async || refusal(StatusCode::NOT_FOUND, "no such path; there are /mcp, /health and /metrics"))
        .layer(middleware::from_fn_with_state(guard, tagledger_http::guard))
}

async fn metrics(State(sources): State<MetricSources>, Extension(caller): Extension<Principal>) -> Response {
    if caller.may(Scope::Read) {
        return metrics_response(&sources.collect());
    }
    refusal(StatusCode::FORBIDDEN, "this key may not be used here: it lacks the scope `read`")
}

fn refusal(status: StatusCode, reason: &str) -> Response {
    json_rpc_error(status, REFUSED, reason, &Value::Null)
}

fn json_rpc_error(status: StatusCode, code: i32, message: &str, id: &Value) -> Response {
    let error = json!({"code": code, "message": message});
    (status, axum::Json(json!({"jsonrpc": "2.0", "id": id, "error": error}))).into_response()
}

/// Refuses tokens without the scope of a request, and replaces the plain-text errors of the MCP library by JSON-RPC errors.
///
/// The MCP library parses the body. This function reads the method and the name of the tool for a token, because the HTTP
/// response must name the missing scope, and it parses a body that the library has rejected, to say why.
async fn check_message(
    State((guard, state)): State<(Arc<RequestGuard>, Arc<AppState>)>,
    request: Request,
    next: Next,
) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    // The request guard has read the body into memory.
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return refusal(StatusCode::BAD_REQUEST, "the request was not received completely");
    };
    if let Some(caller) = parts.extensions.get::<Principal>()
        && let Some((target, scopes)) = find_missing_scopes(caller, &body)
    {
        if let Some(audit) = state.audit() {
            let entry = AuditEntry::begun(state.now(), caller.id.clone(), target, digest(&body));
            audit.add(AuditEntry { outcome: "refused".to_owned(), ..entry });
        }
        return guard.insufficient_scope(&scopes);
    }
    let is_json =
        parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let response = next.run(Request::from_parts(parts, Body::from(body.clone()))).await;
    if response.status() != StatusCode::UNSUPPORTED_MEDIA_TYPE {
        return response;
    }
    match serde_json::from_slice(&body) {
        Err(error) => {
            let message = format!("the request is not valid JSON: {error}");
            json_rpc_error(StatusCode::BAD_REQUEST, PARSE_ERROR, &message, &Value::Null)
        }
        Ok(message) if is_json => explain_invalid_message(&message),
        Ok(_) => response,
    }
}

/// The method of a message. The parser skips the other fields without building them.
#[derive(Deserialize)]
struct MessageHead {
    method: String,
}

/// The tool of a message whose method is `tools/call`.
#[derive(Deserialize)]
struct ToolCall {
    params: ToolCallParams,
}

#[derive(Deserialize)]
struct ToolCallParams {
    name: String,
}

/// What a token was used for, and the scopes to request, if the token does not have the scope of the request. For a key
/// there are none: the answer says which scope the key needs.
fn find_missing_scopes(caller: &Principal, body: &[u8]) -> Option<(String, Vec<Scope>)> {
    if caller.by != AuthMethod::Token {
        return None;
    }
    let MessageHead { method } = serde_json::from_slice(body).ok()?;
    let (target, scope) = match method.as_str() {
        "tools/call" => {
            let ToolCall { params } = serde_json::from_slice(body).ok()?;
            (known_tool(&params.name), required_scope(&params.name))
        }
        "resources/read" => ("resources/read", Scope::Read),
        "prompts/get" => ("prompts/get", Scope::Read),
        "completion/complete" => ("completion/complete", Scope::Read),
        _ if caller.scopes.is_disjoint(&[Scope::Read, Scope::Live].into()) => ("other", Scope::Read),
        _ => return None,
    };
    let mut scopes = caller.scopes.clone();
    scopes.insert(scope).then(|| (target.to_owned(), scopes.into_iter().collect()))
}

/// Says why a JSON value is not a message of MCP.
fn explain_invalid_message(message: &Value) -> Response {
    let id = message.get("id").filter(|id| id.is_string() || id.is_number()).unwrap_or(&Value::Null);
    let reason = match message {
        Value::Array(_) => "MCP no longer has batches; send one request at a time",
        Value::Object(fields) if fields.get("jsonrpc") != Some(&"2.0".into()) => "`jsonrpc` must be \"2.0\"",
        Value::Object(fields) if !fields.get("method").is_some_and(Value::is_string) => "`method` must be a string",
        Value::Object(fields) if fields.contains_key("id") && id.is_null() => "`id` must be a string or a whole number",
        Value::Object(_) => "`params` do not have the form that this method takes",
        _ => "a request must be an object",
    };
    json_rpc_error(StatusCode::BAD_REQUEST, INVALID_REQUEST, reason, id)
}
