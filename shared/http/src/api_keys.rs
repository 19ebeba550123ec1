//! All keys, and who a token is of.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tagledger_model::AccountId;

use crate::{
    api_key::{ApiKey, Expiry, KeyState, digest, id_of, random},
    principal::{Principal, Scope},
};

/// All keys that were ever made: revoked ones stay, for logs name them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApiKeys {
    pub(crate) keys: Vec<ApiKey>,
}

/// What a new key is to be.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Whose.
    pub name: String,
    /// What for.
    pub scopes: BTreeSet<Scope>,
    /// About which accounts; none: all.
    pub accounts: Option<BTreeSet<AccountId>>,
    /// Until when.
    pub expires: Expiry,
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyRejected {
    /// There is none.
    #[error("a key is needed: send it as `Authorization: Bearer KEY`; `tagledger key create` makes one")]
    Missing,
    /// It is no key of this server's, or a part of it is wrong.
    #[error("this key is not known here; `tagledger key list` shows those that are")]
    Unknown,
    /// Its time is over.
    #[error("this key has expired; `tagledger key create` makes another")]
    Expired,
    /// Somebody took it back.
    #[error("this key has been revoked; `tagledger key create` makes another")]
    Revoked,
}

impl ApiKeys {
    /// Who a token is of.
    pub(crate) fn caller(&self, token: &str, now: Timestamp) -> Result<Principal, KeyRejected> {
        let named = id_of(token).and_then(|id| self.keys.iter().find(|key| key.id == id));
        let key = named.filter(|key| key.is(token)).ok_or(KeyRejected::Unknown)?;
        match key.state(now) {
            KeyState::Active => Ok(key.caller()),
            KeyState::Expired => Err(KeyRejected::Expired),
            KeyState::Revoked => Err(KeyRejected::Revoked),
        }
    }

    /// Adds a key; gives what is kept of it, and the key itself, which is kept nowhere.
    pub(crate) fn add(&mut self, new: NewKey, now: Timestamp) -> Result<(ApiKey, String), getrandom::Error> {
        let (id, token) = loop {
            let (id, token) = random()?;
            if self.keys.iter().all(|key| key.id != id) {
                break (id, token);
            }
        };
        let NewKey { name, scopes, accounts, expires } = new;
        let (sha256, expires_at) = (digest(&token), expires.from(now));
        let key = ApiKey { id, name, sha256, scopes, accounts, created_at: now, expires_at, revoked_at: None };
        self.keys.push(key.clone());
        Ok((key, token))
    }

    /// Takes back the key of an id, or all of a name; gives those that were taken back now.
    pub(crate) fn revoke(&mut self, which: &str, now: Timestamp) -> Option<Vec<ApiKey>> {
        let mut found: Vec<&mut ApiKey> =
            self.keys.iter_mut().filter(|key| key.id == which || key.name == which).collect();
        if found.is_empty() {
            return None;
        }
        found.retain(|key| key.revoked_at.is_none());
        Some(
            found
                .into_iter()
                .map(|key| {
                    key.revoked_at = Some(now);
                    key.clone()
                })
                .collect(),
        )
    }
}
