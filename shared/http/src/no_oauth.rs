//! Replaces the OAuth module in a build without cryptography for tokens.

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

/// No value exists in this build.
#[derive(Debug)]
pub enum OAuth {}

impl OAuth {
    /// Always fails in this build.
    ///
    /// # Errors
    ///
    /// Always.
    #[expect(clippy::unused_async, reason = "the other one reads keys")]
    pub async fn open(_: OAuthSettings) -> Result<Self, OAuthError> {
        Err(OAuthError)
    }

    #[expect(clippy::unused_async, reason = "the other one reads keys")]
    pub(crate) async fn authenticate(&self, _: &str, _: Timestamp) -> Result<Principal, KeyRejected> {
        match *self {}
    }

    /// Cannot be called in this build.
    pub fn metadata(&self) -> Value {
        match *self {}
    }

    pub(crate) fn challenge_parameters(&self, _: &[Scope]) -> String {
        match *self {}
    }
}

pub(crate) fn is_token(_: &str) -> bool {
    false
}
