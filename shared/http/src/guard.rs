//! The door that every request passes: names, key, allowance, and a body that arrives in time.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::Response,
};
use jiff::Timestamp;
use prometheus_client::{metrics::family::Family, registry::Registry};
use serde_json::Value;
use subtle::ConstantTimeEq;

use crate::{
    api_key_file::{ApiKeyFile, ApiKeyFileError},
    api_keys::KeyRejected,
    host_allowlist::HostAllowlist,
    metrics::TotalCounter,
    oauth::{OAuth, is_token},
    principal::{AuthMethod, Principal, Scope},
    rate_limiter::RateLimiter,
};

/// For how long the body of a request may take to arrive.
const BODY: Duration = Duration::from_secs(4);

/// Where clients look for what RFC 9728 has them read; what a resource's path is may follow.
pub const METADATA: &str = "/.well-known/oauth-protected-resource";

/// The shortest single key that is accepted, in bytes.
const SHORTEST_KEY: usize = 16;

/// Who is let in.
#[derive(Debug, Clone)]
pub struct GuardSettings {
    /// Where the port listens. On loopback nobody needs a key unless there are some.
    pub listen: SocketAddr,
    /// The file of keys; none: there are no keys of that kind. One that is not there yet is waited for.
    pub keys: Option<PathBuf>,
    /// Whose tokens are accepted; none: nobody's.
    pub oauth: Option<Arc<OAuth>>,
    /// A single key that lets in whoever has it, for [`crate::principal::Scope::Rescan`].
    pub single: Option<String>,
    /// Names by which the port is reached, beside those of this machine to itself.
    pub names: Vec<String>,
    /// Requests a minute and key.
    pub a_minute: NonZeroU32,
    /// Where the time comes from.
    pub clock: fn() -> Timestamp,
}

/// What one port differs in from another.
#[derive(Debug, Clone, Copy)]
pub struct Port {
    /// Largest body, bytes.
    pub body: usize,
    /// How it is written why a request is refused.
    pub refusal: fn(StatusCode, &str) -> Response,
    /// What makes a key for it.
    pub remedy: &'static str,
}

/// Why there is no door.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// Anybody could come in.
    #[error(
        "{address} can be reached from other machines and nobody would need a key; {remedy}, or listen on 127.0.0.1 and \
         allow no further hosts"
    )]
    Open {
        /// As configured.
        address: SocketAddr,
        /// What makes keys.
        remedy: &'static str,
    },
    /// A short key can be guessed.
    #[error("the control key is shorter than {SHORTEST_KEY} characters; `openssl rand -hex 24` makes a good one")]
    ShortKey,
    /// The file of keys is unusable.
    #[error(transparent)]
    Keys(#[from] ApiKeyFileError),
}

/// The door.
#[derive(Debug)]
pub struct RequestGuard {
    listen: SocketAddr,
    keys: Option<Arc<ApiKeyFile>>,
    oauth: Option<Arc<OAuth>>,
    single: Option<String>,
    names: HostAllowlist,
    allowance: RateLimiter,
    port: Port,
    clock: fn() -> Timestamp,
    /// Requests answered, by status.
    requests: Family<[(&'static str, u16); 1], TotalCounter>,
}

impl RequestGuard {
    /// The door of a port.
    ///
    /// # Errors
    ///
    /// When strangers could come in, or the keys cannot be read.
    pub fn new(settings: GuardSettings, port: Port) -> Result<Self, GuardError> {
        let GuardSettings { listen, keys, oauth, single, names, a_minute, clock } = settings;
        if single.as_ref().is_some_and(|key| key.len() < SHORTEST_KEY) {
            return Err(GuardError::ShortKey);
        }
        let keys = keys.map(|path| ApiKeyFile::open(&path)).transpose()?;
        // Whoever names hosts has a proxy before this machine, which lets strangers in.
        let reachable = !listen.ip().is_loopback() || !names.is_empty();
        let none = keys.as_ref().is_none_or(|keys| keys.is_absent());
        if none && single.is_none() && oauth.is_none() && reachable {
            return Err(GuardError::Open { address: listen, remedy: port.remedy });
        }
        let (names, allowance) = (HostAllowlist::new(&names, listen.ip().is_loopback()), RateLimiter::new(a_minute));
        Ok(Self { listen, keys, oauth, single, names, allowance, port, clock, requests: Family::default() })
    }

    /// Where the port listens, as configured.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// The file of keys, to be followed.
    pub fn keys(&self) -> Option<Arc<ApiKeyFile>> {
        self.keys.clone()
    }

    /// Registers the number of requests answered, by status.
    pub fn register_metrics(&self, registry: &mut Registry) {
        let help = "Requests answered, by status";
        registry.register("tagledger_http_requests_total", help, self.requests.clone());
    }

    /// Where clients learn whom to ask for a token; nothing where tokens are not accepted.
    pub fn metadata(&self) -> Option<Value> {
        self.oauth.as_ref().map(|oauth| oauth.metadata())
    }

    /// Whether everybody on this machine is let in.
    fn is_open(&self) -> bool {
        self.keys.as_ref().is_none_or(|keys| keys.is_absent()) && self.single.is_none() && self.oauth.is_none()
    }

    /// Who sends a request.
    async fn caller(&self, headers: &HeaderMap) -> Result<Principal, KeyRejected> {
        if self.is_open() {
            return Ok(Principal::local());
        }
        let token = token(headers).ok_or(KeyRejected::Missing)?;
        let single = self.single.as_deref();
        if single.is_some_and(|key| bool::from(token.as_bytes().ct_eq(key.as_bytes()))) {
            let scopes = [Scope::Rescan].into();
            return Ok(Principal { id: "control".to_owned(), by: AuthMethod::Key, scopes, accounts: None });
        }
        let now = (self.clock)();
        if let Some(oauth) = self.oauth.as_ref().filter(|_| is_token(token)) {
            return oauth.caller(token, now).await;
        }
        self.keys.as_ref().map_or(Err(KeyRejected::Unknown), |keys| keys.caller(token, now))
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
        self.challenging(StatusCode::UNAUTHORIZED, &refused.to_string(), error, &[Scope::Read, Scope::Live])
    }

    /// Says which scopes a token needs that was asked with.
    pub fn lacking(&self, scopes: &[Scope]) -> Response {
        let names: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
        let why = format!("the token lacks a scope; this needs {}", names.join(" and "));
        self.challenging(StatusCode::FORBIDDEN, &why, r#"error="insufficient_scope""#, scopes)
    }

    fn challenging(&self, status: StatusCode, why: &str, error: &str, scopes: &[Scope]) -> Response {
        let mut answer = self.refuse(status, why);
        let hint = self.oauth.as_ref().map(|oauth| oauth.hint(scopes)).unwrap_or_default();
        let parts: Vec<&str> = [error, &hint].into_iter().filter(|part| !part.is_empty()).collect();
        let challenge = format!("Bearer {}", parts.join(", "));
        let challenge = HeaderValue::from_str(challenge.trim_end()).unwrap_or(HeaderValue::from_static("Bearer"));
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        answer
    }

    /// A request whose body has arrived, from a caller who is known; or why not.
    async fn admit(&self, request: Request) -> Result<Request, Response> {
        let (mut parts, body) = request.into_parts();
        if !self.names.admit(&parts.headers) {
            let why = "this server does not answer to that host name, nor to pages of other sites; TAGLEDGER_ALLOWED_HOSTS \
                adds names";
            return Err(self.refuse(StatusCode::FORBIDDEN, why));
        }
        if !is_public(parts.uri.path()) {
            let caller = self.caller(&parts.headers).await.map_err(|refused| self.challenge(refused))?;
            parts.extensions.insert(caller);
        }
        let body = tokio::time::timeout(BODY, to_bytes(body, self.port.body)).await;
        let Ok(read) = body else {
            let why = "the request took too long to arrive";
            return Err(closing(self.refuse(StatusCode::REQUEST_TIMEOUT, why)));
        };
        let body = read.map_err(|_| {
            let why = format!("the request is larger than {} bytes, or broke off", self.port.body);
            closing(self.refuse(StatusCode::PAYLOAD_TOO_LARGE, &why))
        })?;
        Ok(Request::from_parts(parts, Body::from(body)))
    }
}

/// Lets a request pass, or says why not.
pub async fn guard(State(door): State<Arc<RequestGuard>>, request: Request, next: Next) -> Response {
    let answer = passed(&door, request, next).await;
    door.requests.get_or_create(&[("status", answer.status().as_u16())]).inc();
    answer
}

async fn passed(door: &RequestGuard, request: Request, next: Next) -> Response {
    let request = match door.admit(request).await {
        Ok(request) => request,
        Err(refused) => return refused,
    };
    let caller = request.extensions().get::<Principal>().filter(|_| !door.is_open());
    let _place = match caller.map(|caller| door.allowance.admit(&caller.id)).transpose() {
        Ok(place) => place,
        Err(wait) => {
            let mut answer = door.refuse(StatusCode::TOO_MANY_REQUESTS, &wait.why);
            answer.headers_mut().insert(header::RETRY_AFTER, wait.seconds.into());
            return answer;
        }
    };
    next.run(request).await
}

/// Who watches over a process has no key and learns nothing of the estate, and who has no token must learn where to get one.
fn is_public(path: &str) -> bool {
    path == "/health" || path.starts_with(METADATA)
}

fn token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// What is still to come of the request is not waited for.
fn closing(mut answer: Response) -> Response {
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}
