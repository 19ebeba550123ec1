//! What a caller of the control port must be allowed.

use axum::{
    Json,
    extract::Request,
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};
use gate::{Caller, Scope};
use serde_json::json;

/// An answer that says what is wrong, and what to do.
pub(super) fn refusal(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}

/// Lets those pass who may rescan; whoever asks for health needs no key, and is nobody.
pub(super) async fn permit(request: Request, next: Next) -> Response {
    match request.extensions().get::<Caller>() {
        Some(caller) if !caller.may(Scope::Rescan) => {
            refusal(StatusCode::FORBIDDEN, "this key may not be used here: it lacks the scope `rescan`")
        }
        Some(Caller { accounts: Some(_), .. }) => {
            let error = "this key is for some accounts, and this port is about all of them; use a key without accounts";
            refusal(StatusCode::FORBIDDEN, error)
        }
        _ => next.run(request).await,
    }
}
