//! The authenticated caller of a request, and its scopes.

use std::{collections::BTreeSet, str::FromStr};

use serde::{Deserialize, Serialize};
use tagledger_model::AccountId;

/// A permission of a key or token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Read the ledger.
    Read,
    /// Look up resources in AWS: `validate_resource_tags` and `suggest_tags`.
    Live,
    /// The scanner's control port: rescans, progress, metrics.
    Rescan,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 3] = [Self::Read, Self::Live, Self::Rescan];

    /// The name of the scope.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Live => "live",
            Self::Rescan => "rescan",
        }
    }
}

/// The text is not a scope.
#[derive(Debug, thiserror::Error)]
#[error("no such scope: {given}; there are read, live and rescan")]
pub struct UnknownScope {
    given: String,
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        let found = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        found.ok_or_else(|| UnknownScope { given: text.to_owned() })
    }
}

/// How a caller is authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMethod {
    /// Not at all: a local caller, when no keys are configured.
    Place,
    /// By an API key.
    Key,
    /// By a token of an OAuth authorization server.
    Token,
}

/// The id of a caller without a key.
pub const LOCAL: &str = "local";

/// The caller of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The id of the key (not a secret), or the subject of the token; [`LOCAL`] without either.
    pub id: String,
    /// How the caller is authenticated.
    pub by: AuthMethod,
    /// The scopes of the key or token.
    pub scopes: BTreeSet<Scope>,
    /// The accounts that the caller may read; none: all.
    pub accounts: Option<BTreeSet<AccountId>>,
}

impl Principal {
    /// A local caller, when no keys are configured.
    pub fn local() -> Self {
        Self { id: LOCAL.to_owned(), by: AuthMethod::Place, scopes: Scope::ALL.into(), accounts: None }
    }

    /// Whether the caller has this scope.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}
