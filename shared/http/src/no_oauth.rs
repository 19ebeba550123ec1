//! A build without the cryptography for tokens has none.

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    api_keys::KeyRejected,
    oauth_settings::OAuthSettings,
    principal::{Principal, Scope},
};

/// Why tokens cannot be accepted.
#[derive(Debug, thiserror::Error)]
#[error("this build accepts no tokens; build without --no-default-features")]
pub struct OAuthError;

/// There is none.
#[derive(Debug)]
pub enum OAuth {}

impl OAuth {
    /// Says that there is none.
    ///
    /// # Errors
    ///
    /// Always.
    #[expect(clippy::unused_async, reason = "the other one reads keys")]
    pub async fn open(_: OAuthSettings) -> Result<Self, OAuthError> {
        Err(OAuthError)
    }

    #[expect(clippy::unused_async, reason = "the other one reads keys")]
    pub(crate) async fn caller(&self, _: &str, _: Timestamp) -> Result<Principal, KeyRejected> {
        match *self {}
    }

    /// Nothing.
    pub fn metadata(&self) -> Value {
        match *self {}
    }

    pub(crate) fn hint(&self, _: &[Scope]) -> String {
        match *self {}
    }
}

pub(crate) fn is_token(_: &str) -> bool {
    false
}
