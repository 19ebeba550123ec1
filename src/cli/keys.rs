//! Who is let in over HTTP, and the keys for that.

use std::{num::NonZeroU32, path::PathBuf};

use clap::{Args, Subcommand};
use gate::{Expiry, OAuthSettings, Scope};
use shared::AccountId;

use crate::failure::Failure;

#[derive(Debug, Clone, Args)]
pub(crate) struct KeysSetting {
    /// The file of keys. Where there is one, everybody needs a key; without it only this machine is let in.
    #[arg(long, env = "TAGLEDGER_KEYS", value_name = "FILE", default_value = "tagledger-keys.json")]
    pub(crate) keys: PathBuf,
}

/// Who is let in over HTTP.
#[derive(Debug, Clone, Args)]
pub(crate) struct DoorArguments {
    #[command(flatten)]
    pub(crate) keys: KeysSetting,
    #[command(flatten)]
    pub(crate) oauth: OAuthArguments,
    /// Names by which the port is reached beside localhost; needed where it listens on this machine only, behind a proxy.
    #[arg(long, env = "TAGLEDGER_ALLOWED_HOSTS", value_name = "NAME,...", value_delimiter = ',')]
    pub(crate) allowed_hosts: Vec<String>,
    /// Requests a minute and key; a sixth of them may come at once.
    #[arg(long, env = "TAGLEDGER_REQUESTS_PER_MINUTE", value_name = "N", default_value = "6000")]
    pub(crate) requests_per_minute: NonZeroU32,
}

/// Whose tokens are accepted: all three, or none.
#[derive(Debug, Clone, Args)]
pub(crate) struct OAuthArguments {
    /// The OAuth authorization server whose tokens are accepted, as `iss` of its tokens says [default: none].
    #[arg(long, env = "TAGLEDGER_OAUTH_ISSUER", value_name = "URL")]
    pub(crate) oauth_issuer: Option<String>,
    /// The address of this server as clients know it, which its tokens have as `aud`, such as `https://ledger.example.com/mcp`.
    #[arg(long, env = "TAGLEDGER_OAUTH_RESOURCE", value_name = "URL")]
    pub(crate) oauth_resource: Option<String>,
    /// The public keys of that authorization server, a JWK set: an https address or a file.
    #[arg(long, env = "TAGLEDGER_OAUTH_JWKS", value_name = "URL|FILE")]
    pub(crate) oauth_jwks: Option<String>,
}

impl OAuthArguments {
    pub(crate) fn settings(self) -> Result<Option<OAuthSettings>, Failure> {
        match (self.oauth_issuer, self.oauth_resource, self.oauth_jwks) {
            (None, None, None) => Ok(None),
            (Some(issuer), Some(resource), Some(keys)) => Ok(Some(OAuthSettings { issuer, resource, keys })),
            _ => Err(Failure::HalfOAuth),
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
    /// Make a key and print it, once: only its hash is kept.
    Create {
        /// Whose it is, for lists and logs.
        #[arg(long, value_name = "NAME")]
        name: String,
        /// What it may be used for: read (the ledger), live (tools that ask AWS), rescan (the scanner's control port).
        #[arg(long, value_name = "SCOPE,...", value_delimiter = ',', default_value = "read,live")]
        scopes: Vec<Scope>,
        /// The accounts that may be asked about [default: all].
        #[arg(long, value_name = "ACCOUNT,...", value_delimiter = ',')]
        accounts: Vec<AccountId>,
        /// Until when: a number of days (`90d`), a day (`2027-06-30`), or `never`.
        #[arg(long, value_name = "WHEN", default_value = "365d")]
        expires: Expiry,
    },
    /// List the keys that were made, and whether they are accepted.
    List,
    /// Take a key back, by its id, or all of a name. Running servers refuse it within a second.
    Revoke {
        /// An id or a name.
        key: String,
    },
}
