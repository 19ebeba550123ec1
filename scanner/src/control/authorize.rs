//! Authorization of requests to the control port.

use axum::{
    Json,
    extract::Request,
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::json;
use tagledger_http::{Principal, Scope};

/// Creates an error response. The text contains the error and its remedy.
pub(crate) fn error_response(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}

/// Accepts principals with the scope `rescan`. `GET /health` needs no key and has no principal.
pub(crate) async fn authorize(request: Request, next: Next) -> Response {
    match request.extensions().get::<Principal>() {
        Some(principal) if !principal.may(Scope::Rescan) => {
            error_response(StatusCode::FORBIDDEN, "the key does not have the scope `rescan`, which this port requires")
        }
        Some(Principal { accounts: Some(_), .. }) => {
            let error =
                "the key is limited to some accounts, and this port covers all accounts; use a key without accounts";
            error_response(StatusCode::FORBIDDEN, error)
        }
        _ => next.run(request).await,
    }
}
