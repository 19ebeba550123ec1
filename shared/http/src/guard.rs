//! The request guard: host names, authentication, rate limits, and a timeout for the body.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::Response,
};
use jiff::Timestamp;
use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use serde_json::Value;
use subtle::ConstantTimeEq;

use crate::{
    api_key_file::{ApiKeyFile, ApiKeyFileError},
    api_keys::KeyRejected,
    host_allowlist::HostAllowlist,
    metrics::register_counter,
    oauth::{OAuth, is_token},
    principal::{AuthMethod, Principal, Scope},
    rate_limiter::RateLimiter,
};

/// Maximum time for receiving the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(4);

/// The path of the protected resource metadata of RFC 9728. The path of the resource can follow it.
pub const METADATA: &str = "/.well-known/oauth-protected-resource";

/// Minimum length of a control key, bytes.
const MIN_CONTROL_KEY_BYTES: usize = 16;

/// Settings of a request guard.
#[derive(Debug, Clone)]
pub struct GuardSettings {
    /// The address of the port. On a loopback address no key is needed if none is configured.
    pub listen: SocketAddr,
    /// The key file; none: keys of this kind are not accepted. The file may be created later.
    pub keys: Option<PathBuf>,
    /// The authorization server whose tokens are accepted; none: tokens are not accepted.
    pub oauth: Option<Arc<OAuth>>,
    /// The control key, which has the scope [`crate::principal::Scope::Rescan`].
    pub control_key: Option<String>,
    /// Host names by which the port is reached, in addition to the loopback names.
    pub names: Vec<String>,
    /// Maximum number of requests per minute and caller.
    pub requests_per_minute: NonZeroU32,
    /// The source of the current time.
    pub clock: fn() -> Timestamp,
}

/// The differences between the ports of the server and the scanner.
#[derive(Debug, Clone, Copy)]
pub struct Port {
    /// Maximum size of a request body, bytes.
    pub body: usize,
    /// Makes the response to a refused request.
    pub refusal: fn(StatusCode, &str) -> Response,
    /// The instruction for creating a key.
    pub remedy: &'static str,
}

/// Why a port is not opened.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// The port would be reachable without a key.
    #[error(
        "{address} can be reached from other machines without a key; {remedy}, or listen on 127.0.0.1 and \
         allow no further hosts"
    )]
    Open {
        /// The configured address.
        address: SocketAddr,
        /// The instruction for creating a key.
        remedy: &'static str,
    },
    /// The control key is too short.
    #[error(
        "the control key is shorter than {MIN_CONTROL_KEY_BYTES} characters; `openssl rand -hex 24` makes a good one"
    )]
    ShortKey,
    /// The key file cannot be used.
    #[error(transparent)]
    Keys(#[from] ApiKeyFileError),
}

/// Authenticates and limits the requests to a port.
#[derive(Debug)]
pub struct RequestGuard {
    listen: SocketAddr,
    keys: Option<Arc<ApiKeyFile>>,
    oauth: Option<Arc<OAuth>>,
    control_key: Option<String>,
    names: HostAllowlist,
    rate_limiter: RateLimiter,
    port: Port,
    clock: fn() -> Timestamp,
    /// Requests answered, by status.
    requests: Family<[(&'static str, u16); 1], Counter>,
}

impl RequestGuard {
    /// The guard of a port.
    ///
    /// # Errors
    ///
    /// When the port would be reachable without a key, or the keys cannot be read.
    pub fn new(settings: GuardSettings, port: Port) -> Result<Self, GuardError> {
        let GuardSettings { listen, keys, oauth, control_key, names, requests_per_minute, clock } = settings;
        if control_key.as_ref().is_some_and(|key| key.len() < MIN_CONTROL_KEY_BYTES) {
            return Err(GuardError::ShortKey);
        }
        let keys = keys.map(|path| ApiKeyFile::open(&path)).transpose()?;
        // A configured host name means that a proxy forwards requests from other machines.
        let reachable = !listen.ip().is_loopback() || !names.is_empty();
        let no_keys = keys.as_ref().is_none_or(|keys| keys.is_absent());
        if no_keys && control_key.is_none() && oauth.is_none() && reachable {
            return Err(GuardError::Open { address: listen, remedy: port.remedy });
        }
        let (names, rate_limiter) =
            (HostAllowlist::new(&names, listen.ip().is_loopback()), RateLimiter::new(requests_per_minute));
        Ok(Self { listen, keys, oauth, control_key, names, rate_limiter, port, clock, requests: Family::default() })
    }

    /// The configured address.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// The key file, which must be polled.
    pub fn keys(&self) -> Option<Arc<ApiKeyFile>> {
        self.keys.clone()
    }

    /// Registers the number of requests answered, by status.
    pub fn register_metrics(&self, registry: &mut Registry) {
        let help = "Requests answered, by status";
        register_counter(registry, "tagledger_http_requests_total", help, self.requests.clone());
    }

    /// The protected resource metadata; none when tokens are not accepted.
    pub fn metadata(&self) -> Option<Value> {
        self.oauth.as_ref().map(|oauth| oauth.metadata())
    }

    /// Whether requests need no key.
    fn allows_anonymous(&self) -> bool {
        self.keys.as_ref().is_none_or(|keys| keys.is_absent()) && self.control_key.is_none() && self.oauth.is_none()
    }

    /// Authenticates a request.
    async fn authenticate(&self, headers: &HeaderMap) -> Result<Principal, KeyRejected> {
        if self.allows_anonymous() {
            return Ok(Principal::local());
        }
        let token = bearer_token(headers).ok_or(KeyRejected::Missing)?;
        let control_key = self.control_key.as_deref();
        if control_key.is_some_and(|key| bool::from(token.as_bytes().ct_eq(key.as_bytes()))) {
            let scopes = [Scope::Rescan].into();
            return Ok(Principal { id: "control".to_owned(), by: AuthMethod::Key, scopes, accounts: None });
        }
        let now = (self.clock)();
        if let Some(oauth) = self.oauth.as_ref().filter(|_| is_token(token)) {
            return oauth.authenticate(token, now).await;
        }
        self.keys.as_ref().map_or(Err(KeyRejected::Unknown), |keys| keys.authenticate(token, now))
    }

    fn refuse(&self, status: StatusCode, why: &str) -> Response {
        (self.port.refusal)(status, why)
    }

    /// The challenge of RFC 6750.
    fn challenge(&self, refused: KeyRejected) -> Response {
        let error = match refused {
            KeyRejected::Missing => "",
            KeyRejected::Unknown | KeyRejected::Expired | KeyRejected::Revoked => r#"error="invalid_token""#,
        };
        self.challenge_response(StatusCode::UNAUTHORIZED, &refused.to_string(), error, &[Scope::Read, Scope::Live])
    }

    /// The response to a token that lacks a scope. It names the scopes to request.
    pub fn insufficient_scope(&self, scopes: &[Scope]) -> Response {
        let names: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
        let why = format!("the token lacks a scope; this needs {}", names.join(" and "));
        self.challenge_response(StatusCode::FORBIDDEN, &why, r#"error="insufficient_scope""#, scopes)
    }

    fn challenge_response(&self, status: StatusCode, why: &str, error: &str, scopes: &[Scope]) -> Response {
        let mut response = self.refuse(status, why);
        let parameters = self.oauth.as_ref().map(|oauth| oauth.challenge_parameters(scopes)).unwrap_or_default();
        let parts: Vec<&str> = [error, &parameters].into_iter().filter(|part| !part.is_empty()).collect();
        let challenge = format!("Bearer {}", parts.join(", "));
        let challenge = HeaderValue::from_str(challenge.trim_end()).unwrap_or(HeaderValue::from_static("Bearer"));
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        response
    }

    /// Verifies the host name, authenticates the caller, and receives the body; or returns the refusal.
    async fn admit(&self, request: Request) -> Result<Request, Response> {
        let (mut parts, body) = request.into_parts();
        if !self.names.admit(&parts.headers) {
            let why = "this host name or this origin is not allowed; TAGLEDGER_ALLOWED_HOSTS adds names";
            return Err(self.refuse(StatusCode::FORBIDDEN, why));
        }
        if !is_public(parts.uri.path()) {
            let caller = self.authenticate(&parts.headers).await.map_err(|refused| self.challenge(refused))?;
            parts.extensions.insert(caller);
        }
        let body = tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, self.port.body)).await;
        let Ok(read) = body else {
            let why = "the request took too long to arrive";
            return Err(close_connection(self.refuse(StatusCode::REQUEST_TIMEOUT, why)));
        };
        let body = read.map_err(|_| {
            let why = format!("the request is larger than {} bytes, or was not received completely", self.port.body);
            close_connection(self.refuse(StatusCode::PAYLOAD_TOO_LARGE, &why))
        })?;
        Ok(Request::from_parts(parts, Body::from(body)))
    }
}

/// The middleware: passes a request on, or refuses it.
pub async fn guard(State(guard): State<Arc<RequestGuard>>, request: Request, next: Next) -> Response {
    let response = handle(&guard, request, next).await;
    guard.requests.get_or_create(&[("status", response.status().as_u16())]).inc();
    response
}

async fn handle(guard: &RequestGuard, request: Request, next: Next) -> Response {
    let request = match guard.admit(request).await {
        Ok(request) => request,
        Err(refused) => return refused,
    };
    let caller = request.extensions().get::<Principal>().filter(|_| !guard.allows_anonymous());
    let _permit = match caller.map(|caller| guard.rate_limiter.admit(&caller.id)).transpose() {
        Ok(permit) => permit,
        Err(wait) => {
            let mut response = guard.refuse(StatusCode::TOO_MANY_REQUESTS, &wait.why);
            response.headers_mut().insert(header::RETRY_AFTER, wait.seconds.into());
            return response;
        }
    };
    next.run(request).await
}

/// The health check contains no data of the estate, and clients read the metadata before they have a token.
fn is_public(path: &str) -> bool {
    path == "/health" || path.starts_with(METADATA)
}

fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Closes the connection, because the rest of the request is not received.
fn close_connection(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
