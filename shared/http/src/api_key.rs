//! A key: what is kept of it, which is everything but the key.

use std::{collections::BTreeSet, fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tagledger_model::AccountId;

use crate::principal::{AuthMethod, Principal, Scope};

/// What every key begins with, so that people and secret scanners see what it is.
const PREFIX: &str = "tagledger_";

/// Characters of an id, and what they are of: none that are read as another.
const ID_LENGTH: usize = 8;

const ID_LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Random bytes of a secret.
const SECRET_BYTES: usize = 32;

/// What is kept of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// Names it in logs and lists; a part of the key that is no secret.
    pub id: String,
    /// Whose it is, as whoever made it said.
    pub name: String,
    /// SHA-256 of the whole key, in hexadecimal. The key has 256 random bits, so that nothing slower is needed.
    pub(crate) sha256: String,
    /// What it may be used for.
    pub scopes: BTreeSet<Scope>,
    /// The accounts that may be asked about with it; none: all.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some")]
    pub accounts: Option<BTreeSet<AccountId>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it is accepted; none: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Since when it is not accepted any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

/// What stands there names accounts. An empty list, or null, would be read as "none" by people and as "all" by filters.
pub(crate) fn some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<BTreeSet<AccountId>>, D::Error> {
    let accounts = BTreeSet::<AccountId>::deserialize(deserializer)?;
    if accounts.is_empty() {
        return Err(D::Error::custom("the list of accounts names none; leave it out for all"));
    }
    Ok(Some(accounts))
}

/// Whether a key is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// It is.
    Active,
    /// Its time is over.
    Expired,
    /// Somebody took it back.
    Revoked,
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        })
    }
}

impl ApiKey {
    /// Whether it is accepted at that time.
    pub fn state(&self, now: Timestamp) -> KeyState {
        if self.revoked_at.is_some() {
            KeyState::Revoked
        } else if self.expires_at.is_some_and(|end| end <= now) {
            KeyState::Expired
        } else {
            KeyState::Active
        }
    }

    /// Whether this is the key, in a time that does not tell how much of it is right.
    pub(crate) fn is(&self, token: &str) -> bool {
        bool::from(digest(token).as_bytes().ct_eq(self.sha256.as_bytes()))
    }

    pub(crate) fn caller(&self) -> Principal {
        Principal {
            id: self.id.clone(),
            by: AuthMethod::Key,
            scopes: self.scopes.clone(),
            accounts: self.accounts.clone(),
        }
    }
}

/// The id that a token claims to be of.
pub(crate) fn id_of(token: &str) -> Option<&str> {
    token.strip_prefix(PREFIX)?.get(..ID_LENGTH)
}

pub(crate) fn digest(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A new id and the whole key.
///
/// # Errors
///
/// When the system has no randomness.
pub(crate) fn random() -> Result<(String, String), getrandom::Error> {
    let (mut letters, mut secret) = ([0_u8; ID_LENGTH], [0_u8; SECRET_BYTES]);
    getrandom::fill(&mut letters)?;
    getrandom::fill(&mut secret)?;
    let letter = |byte: u8| ID_LETTERS.get(usize::from(byte) % ID_LETTERS.len()).copied().map_or('a', char::from);
    let id: String = letters.into_iter().map(letter).collect();
    let token = format!("{PREFIX}{id}_{}", URL_SAFE_NO_PAD.encode(secret));
    Ok((id, token))
}

/// Until when a new key is accepted, as people say it: `90d`, `2027-06-30` or `never`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// So many days from now.
    Days(i32),
    /// To the end of that day, UTC.
    Day(Date),
    /// For ever.
    Never,
}

/// No such time.
#[derive(Debug, thiserror::Error)]
#[error("neither a number of days (`90d`), a day (`2027-06-30`) nor `never`: {given}")]
pub struct UnknownExpiry {
    given: String,
}

impl FromStr for Expiry {
    type Err = UnknownExpiry;

    fn from_str(text: &str) -> Result<Self, UnknownExpiry> {
        let days = text.strip_suffix('d').and_then(|days| days.parse().ok()).filter(|days| (1..=36_500).contains(days));
        match (text, days, text.parse()) {
            ("never", ..) => Ok(Self::Never),
            (_, Some(days), _) => Ok(Self::Days(days)),
            (_, _, Ok(day)) => Ok(Self::Day(day)),
            _ => Err(UnknownExpiry { given: text.to_owned() }),
        }
    }
}

impl Expiry {
    /// The moment; none: never.
    pub(crate) fn from(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Days(days) => now.checked_add((i64::from(days) * 24).hours()).ok(),
            Self::Day(day) => TimeZone::UTC.to_timestamp(day.saturating_add(1.day()).at(0, 0, 0, 0)).ok(),
            Self::Never => None,
        }
    }
}
