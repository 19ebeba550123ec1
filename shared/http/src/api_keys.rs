//! The list of API keys, and authentication by key.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tagledger_model::AccountId;

use crate::{
    api_key::{ApiKey, Expiry, KeyState, digest, generate_key, parse_key_id},
    principal::{Principal, Scope},
};

/// All keys. Revoked keys stay in the list, because logs contain their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApiKeys {
    pub(crate) keys: Vec<ApiKey>,
}

/// The properties of a new key.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// The name of the owner.
    pub name: String,
    /// The scopes of the key.
    pub scopes: BTreeSet<Scope>,
    /// The accounts that it may read; none: all.
    pub accounts: Option<BTreeSet<AccountId>>,
    /// Its expiry.
    pub expires: Expiry,
}

/// Why a request is not authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyRejected {
    /// It has no key or token.
    #[error("a key is needed: send it as `Authorization: Bearer KEY`; `tagledger key create` makes one")]
    Missing,
    /// The key or token is not valid for this server.
    #[error("this key is not known here; `tagledger key list` shows those that are")]
    Unknown,
    /// The key or token has expired.
    #[error("this key has expired; `tagledger key create` makes another")]
    Expired,
    /// The key was revoked.
    #[error("this key has been revoked; `tagledger key create` makes another")]
    Revoked,
}

impl ApiKeys {
    /// The principal of a key.
    pub(crate) fn authenticate(&self, token: &str, now: Timestamp) -> Result<Principal, KeyRejected> {
        let named = parse_key_id(token).and_then(|id| self.keys.iter().find(|key| key.id == id));
        let key = named.filter(|key| key.matches(token)).ok_or(KeyRejected::Unknown)?;
        match key.state(now) {
            KeyState::Active => Ok(key.principal()),
            KeyState::Expired => Err(KeyRejected::Expired),
            KeyState::Revoked => Err(KeyRejected::Revoked),
        }
    }

    /// Adds a key. Returns the stored key and the secret, which is not stored.
    pub(crate) fn add(&mut self, new: NewKey, now: Timestamp) -> Result<(ApiKey, String), getrandom::Error> {
        let (id, token) = loop {
            let (id, token) = generate_key()?;
            if self.keys.iter().all(|key| key.id != id) {
                break (id, token);
            }
        };
        let NewKey { name, scopes, accounts, expires } = new;
        let (sha256, expires_at) = (digest(&token), expires.expires_at(now));
        let key = ApiKey { id, name, sha256, scopes, accounts, created_at: now, expires_at, revoked_at: None };
        self.keys.push(key.clone());
        Ok((key, token))
    }

    /// Revokes the key with this id, or all keys with this name. Returns the keys that were not revoked before.
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
