//! An API key as it is stored: everything except the secret.

use std::{collections::BTreeSet, fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tagledger_model::AccountId;

use crate::principal::{AuthMethod, Principal, Scope};

/// The prefix of every key, by which people and secret scanners recognize it.
const PREFIX: &str = "tagledger_";

/// Number of characters of an id.
const ID_LENGTH: usize = 8;

/// The characters of an id. Characters that are easily confused are left out.
const ID_LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Random bytes of a secret.
const SECRET_BYTES: usize = 32;

/// A stored API key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// The public part of the key, for logs and lists.
    pub id: String,
    /// The name of the owner.
    pub name: String,
    /// SHA-256 of the whole key, in hexadecimal. The key has 256 random bits, so a slower hash is not needed.
    pub(crate) sha256: String,
    /// The scopes of the key.
    pub scopes: BTreeSet<Scope>,
    /// The accounts that it may read; none: all.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "deserialize_nonempty")]
    pub accounts: Option<BTreeSet<AccountId>>,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time of expiry; none: it does not expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Time of revocation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

/// A list of at least one account. An empty list, or null, would mean "none" to people and "all" to filters.
pub(crate) fn deserialize_nonempty<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<BTreeSet<AccountId>>, D::Error> {
    let accounts = BTreeSet::<AccountId>::deserialize(deserializer)?;
    if accounts.is_empty() {
        return Err(D::Error::custom("the list of accounts is empty; leave it out for all accounts"));
    }
    Ok(Some(accounts))
}

/// The state of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// It is accepted.
    Active,
    /// It has expired.
    Expired,
    /// It was revoked.
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
    /// The state at this time.
    pub fn state(&self, now: Timestamp) -> KeyState {
        if self.revoked_at.is_some() {
            KeyState::Revoked
        } else if self.expires_at.is_some_and(|end| end <= now) {
            KeyState::Expired
        } else {
            KeyState::Active
        }
    }

    /// Compares in constant time.
    pub(crate) fn matches(&self, token: &str) -> bool {
        bool::from(digest(token).as_bytes().ct_eq(self.sha256.as_bytes()))
    }

    pub(crate) fn principal(&self) -> Principal {
        Principal {
            id: self.id.clone(),
            by: AuthMethod::Key,
            scopes: self.scopes.clone(),
            accounts: self.accounts.clone(),
        }
    }
}

/// The id in a token. It is not verified.
pub(crate) fn parse_key_id(token: &str) -> Option<&str> {
    token.strip_prefix(PREFIX)?.get(..ID_LENGTH)
}

pub(crate) fn digest(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Generates an id and a key.
///
/// # Errors
///
/// When the system has no source of random numbers.
pub(crate) fn generate_key() -> Result<(String, String), getrandom::Error> {
    let (mut id_bytes, mut secret) = ([0_u8; ID_LENGTH], [0_u8; SECRET_BYTES]);
    getrandom::fill(&mut id_bytes)?;
    getrandom::fill(&mut secret)?;
    let letter = |byte: u8| ID_LETTERS.get(usize::from(byte) % ID_LETTERS.len()).copied().map_or('a', char::from);
    let id: String = id_bytes.into_iter().map(letter).collect();
    let token = format!("{PREFIX}{id}_{}", URL_SAFE_NO_PAD.encode(secret));
    Ok((id, token))
}

/// The expiry of a new key: `90d`, `2027-06-30` or `never`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// This number of days from now.
    Days(i32),
    /// At the end of this day, UTC.
    Day(Date),
    /// It does not expire.
    Never,
}

/// The text is not an expiry.
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
    /// The time of expiry; none: never.
    pub(crate) fn expires_at(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Days(days) => now.checked_add((i64::from(days) * 24).hours()).ok(),
            Self::Day(day) => TimeZone::UTC.to_timestamp(day.saturating_add(1.day()).at(0, 0, 0, 0)).ok(),
            Self::Never => None,
        }
    }
}
