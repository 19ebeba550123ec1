//! Arguments for access over HTTP and for API keys.

use std::{num::NonZeroU32, path::PathBuf};

use clap::{Args, Subcommand};
use tagledger_http::{Expiry, OAuthSettings, Scope};
use tagledger_model::AccountId;

use crate::failure::Failure;

#[derive(Debug, Clone, Args)]
pub(crate) struct KeysSetting {
    /// The API key file. When it exists, every request needs a key. Without it, only requests from this machine are accepted.
    #[arg(long, env = "TAGLEDGER_KEYS", value_name = "FILE", default_value = "tagledger-keys.json")]
    pub(crate) keys: PathBuf,
}

/// Access over HTTP.
#[derive(Debug, Clone, Args)]
pub(crate) struct GuardArguments {
    #[command(flatten)]
    pub(crate) keys: KeysSetting,
    #[command(flatten)]
    pub(crate) oauth: OAuthArguments,
    /// Host names of the port in addition to localhost. Needed when a proxy forwards requests to a port on 127.0.0.1.
    #[arg(long, env = "TAGLEDGER_ALLOWED_HOSTS", value_name = "NAME,...", value_delimiter = ',')]
    pub(crate) allowed_hosts: Vec<String>,
    /// Maximum number of requests a minute for each key; one sixth of them may arrive at once.
    #[arg(long, env = "TAGLEDGER_REQUESTS_PER_MINUTE", value_name = "N", default_value = "6000")]
    pub(crate) requests_per_minute: NonZeroU32,
}

/// The OAuth authorization server whose tokens are accepted. All three settings are required, or none.
#[derive(Debug, Clone, Args)]
pub(crate) struct OAuthArguments {
    /// The OAuth authorization server whose tokens are accepted, equal to the claim `iss` [default: none].
    #[arg(long, env = "TAGLEDGER_OAUTH_ISSUER", value_name = "URL")]
    pub(crate) oauth_issuer: Option<String>,
    /// The public URL of this server, equal to the claim `aud`, such as `https://ledger.example.com/mcp`.
    #[arg(long, env = "TAGLEDGER_OAUTH_RESOURCE", value_name = "URL")]
    pub(crate) oauth_resource: Option<String>,
    /// The public keys of the authorization server, a JWK set: an https URL or a file.
    #[arg(long, env = "TAGLEDGER_OAUTH_JWKS", value_name = "URL|FILE")]
    pub(crate) oauth_jwks: Option<String>,
}

impl OAuthArguments {
    pub(crate) fn settings(self) -> Result<Option<OAuthSettings>, Failure> {
        match (self.oauth_issuer, self.oauth_resource, self.oauth_jwks) {
            (None, None, None) => Ok(None),
            (Some(issuer), Some(resource), Some(keys)) => Ok(Some(OAuthSettings { issuer, resource, keys })),
            _ => Err(Failure::IncompleteOAuth),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct KeyArguments {
    #[command(flatten)]
    pub(crate) keys: KeysSetting,
    #[command(subcommand)]
    pub(crate) command: KeyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Create a key and print it once. Only its hash is stored.
    Create {
        /// The name of the owner, for lists and logs.
        #[arg(long, value_name = "NAME")]
        name: String,
        /// Scopes of the key: read (the ledger), live (tools that read from AWS), rescan (the control port of the scanner).
        #[arg(long, value_name = "SCOPE,...", value_delimiter = ',', default_value = "read,live")]
        scopes: Vec<Scope>,
        /// Accounts that the key gives access to [default: all].
        #[arg(long, value_name = "ACCOUNT,...", value_delimiter = ',')]
        accounts: Vec<AccountId>,
        /// Expiry: a number of days (`90d`), a date (`2027-06-30`) or `never`.
        #[arg(long, value_name = "WHEN", default_value = "365d")]
        expires: Expiry,
    },
    /// List the keys and their states.
    List,
    /// Revoke the key with an ID, or all keys with a name. Running servers reject it within a second.
    Revoke {
        /// An ID or a name.
        key: String,
    },
}
