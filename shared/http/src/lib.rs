//! The HTTP layer that the server and the scanner share: API keys, OAuth tokens, host check, rate limits, connection
//! serving, and metrics in the Prometheus text format.

mod api_key;
mod api_key_file;
mod api_keys;
mod guard;
mod host_allowlist;
#[cfg(feature = "oauth")]
mod jwks_fetch;
mod metrics;
#[cfg(not(feature = "oauth"))]
#[path = "no_oauth.rs"]
mod oauth;
#[cfg(feature = "oauth")]
mod oauth;
mod oauth_settings;
mod principal;
mod rate_limiter;
mod serve;

pub use crate::{
    api_key::{ApiKey, Expiry, KeyState, UnknownExpiry},
    api_key_file::{ApiKeyFile, ApiKeyFileError},
    api_keys::{KeyRejected, NewKey},
    guard::{GuardError, GuardSettings, METADATA, Port, RequestGuard, guard},
    metrics::{metrics_response, register_counter, register_gauge},
    oauth::{OAuth, OAuthError},
    oauth_settings::OAuthSettings,
    principal::{AuthMethod, LOCAL, Principal, Scope, UnknownScope},
    serve::{Limits, serve},
};
