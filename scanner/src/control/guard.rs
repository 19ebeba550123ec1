//! Who may ask: the key, and protection against web pages.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::json;
use shared::cloud::Cloud;
use subtle::ConstantTimeEq;

use super::Control;

/// For how long a request may take, its body included.
const TIMEOUT: Duration = Duration::from_secs(15);

/// An answer that says what is wrong, and what to do.
pub(super) fn refusal(status: StatusCode, error: impl Into<String>) -> Response {
    (status, Json(json!({ "error": error.into() }))).into_response()
}

/// Lets a request pass, or says why not.
pub(super) async fn guard<C: Cloud>(State(control): State<Arc<Control<C>>>, request: Request, next: Next) -> Response {
    if let Some(refused) = refuse(&control, &request) {
        return refused;
    }
    let late = || refusal(StatusCode::REQUEST_TIMEOUT, "the request took too long to arrive");
    tokio::time::timeout(TIMEOUT, next.run(request)).await.unwrap_or_else(|_| late())
}

fn refuse<C>(control: &Control<C>, request: &Request) -> Option<Response> {
    let headers = request.headers();
    // A name that a stranger's DNS server maps to this machine, or a page of another site, is no operator.
    if control.loopback && !(is_local(headers, &header::HOST) && is_local(headers, &header::ORIGIN)) {
        let error = "this port answers to localhost and 127.0.0.1 only, and not to pages of other sites";
        return Some(refusal(StatusCode::FORBIDDEN, error));
    }
    let key = control.key.as_deref().filter(|_| request.uri().path() != "/health")?;
    if given(headers).is_some_and(|given| bool::from(given.as_bytes().ct_eq(key.as_bytes()))) {
        return None;
    }
    let error = "give the control key: `Authorization: Bearer KEY`";
    let mut answer = refusal(StatusCode::UNAUTHORIZED, error);
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
    Some(answer)
}

fn given(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Whether a header is absent or names this machine.
fn is_local(headers: &HeaderMap, name: &header::HeaderName) -> bool {
    let Some(value) = headers.get(name) else { return true };
    let host = value.to_str().unwrap_or_default();
    let host = host.strip_prefix("http://").unwrap_or(host);
    let port = |rest: &str| rest.is_empty() || rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|local| host.strip_prefix(local).is_some_and(port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_local() {
        let local = |value: &'static str| {
            let headers = HeaderMap::from_iter([(header::HOST, header::HeaderValue::from_static(value))]);
            is_local(&headers, &header::HOST)
        };
        for name in ["localhost", "localhost:8081", "127.0.0.1:8081", "[::1]:8081", "http://localhost:3000"] {
            assert!(local(name), "{name}");
        }
        for name in ["localhost.evil.example", "evil.example", "127.0.0.1.evil.example:80", "https://localhost", "null"]
        {
            assert!(!local(name), "{name}");
        }
        assert!(is_local(&HeaderMap::new(), &header::ORIGIN));
    }
}
