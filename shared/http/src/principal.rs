//! Whoever asks, and what they may.

use std::{collections::BTreeSet, str::FromStr};

use serde::{Deserialize, Serialize};
use tagledger_model::AccountId;

/// What a key may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Questions to the ledger.
    Read,
    /// Questions that go to AWS: `validate_resource_tags` and `suggest_tags`.
    Live,
    /// The scanner's control port: rescans, progress, metrics.
    Rescan,
}

impl Scope {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Read, Self::Live, Self::Rescan];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Live => "live",
            Self::Rescan => "rescan",
        }
    }
}

/// No such scope.
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

/// How somebody is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMethod {
    /// Not at all: they are on this machine.
    Place,
    /// By a key.
    Key,
    /// By a token of an authorization server.
    Token,
}

/// Who needs no key.
pub const LOCAL: &str = "local";

/// Whoever asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The id of their key, which is no secret, or the subject of their token; [`LOCAL`] for whoever needs none.
    pub id: String,
    /// How they are known.
    pub by: AuthMethod,
    /// What they may do.
    pub scopes: BTreeSet<Scope>,
    /// The accounts that they may ask about; none: all.
    pub accounts: Option<BTreeSet<AccountId>>,
}

impl Principal {
    /// Someone on this machine, where no keys are asked for.
    pub fn local() -> Self {
        Self { id: LOCAL.to_owned(), by: AuthMethod::Place, scopes: Scope::ALL.into(), accounts: None }
    }

    /// Whether they may do this.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}
