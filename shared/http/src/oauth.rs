//! Tokens of an OAuth 2.1 authorization server: signed JWTs that are for this server and nobody else's (RFC 9068), and where
//! clients learn whom to ask for one (RFC 9728).

use std::{
    collections::BTreeSet,
    path::PathBuf,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, decode, decode_header,
    jwk::{Jwk, JwkSet, KeyAlgorithm, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tagledger_model::AccountId;
use tokio::sync::{Mutex, RwLock};
use tracing::warn;

use crate::{
    api_key::some,
    api_keys::KeyRejected,
    jwks_fetch::{FetchError, Fetcher},
    oauth_settings::OAuthSettings,
    principal::{AuthMethod, Principal, Scope},
};

/// What signs tokens. Nothing symmetric: whoever could check such a token could also make one. And never `none`.
const ALGORITHMS: [Algorithm; 2] = [Algorithm::RS256, Algorithm::ES256];

/// By how much clocks may differ, seconds.
const LEEWAY: i64 = 30;

/// How long keys are used before they are read anew, and how long a reader of unknown keys waits in between.
const FRESH: Duration = Duration::from_secs(3600);

const PAUSE: Duration = Duration::from_secs(5);

/// Stands before a scope in a token, as several servers may share an authorization server.
const PREFIX: &str = "tagledger:";

/// Longest subject that is told as it is.
const LONGEST: usize = 64;

/// Why tokens cannot be accepted.
#[derive(Debug, thiserror::Error)]
pub enum OAuthError {
    /// A setting is missing or makes no sense.
    #[error("{0}")]
    Setting(String),
    /// The keys cannot be read.
    #[error("the keys of the authorization server at {place} cannot be read: {source}")]
    Keys {
        /// Where they should be.
        place: String,
        /// Why not.
        source: FetchError,
    },
}

/// Checks tokens.
#[derive(Debug)]
pub struct OAuth {
    settings: OAuthSettings,
    source: Source,
    known: RwLock<JwksCache>,
    /// Held by whoever reads keys anew.
    reading: Mutex<()>,
}

#[derive(Debug)]
enum Source {
    File(PathBuf),
    Web(Box<Fetcher>),
}

#[derive(Debug)]
struct JwksCache {
    set: JwkSet,
    read: Instant,
    tried: Instant,
}

/// What is read of a token.
#[derive(Debug, Deserialize)]
struct Claims {
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
    sub: String,
    #[serde(default)]
    scope: Option<String>,
    #[serde(default)]
    scp: Option<Value>,
    /// Accounts that it is for; all when absent.
    #[serde(default, deserialize_with = "some")]
    tagledger_accounts: Option<BTreeSet<AccountId>>,
    /// Bound to a key of the client's, which is not asked for here.
    #[serde(default)]
    cnf: Option<Value>,
}

impl OAuth {
    /// Reads the keys of the authorization server once.
    ///
    /// # Errors
    ///
    /// When a setting makes no sense or the keys cannot be read.
    pub async fn open(settings: OAuthSettings) -> Result<Self, OAuthError> {
        let OAuthSettings { issuer, resource, keys } = &settings;
        for (name, address) in [("TAGLEDGER_OAUTH_ISSUER", issuer), ("TAGLEDGER_OAUTH_RESOURCE", resource)] {
            if !is_web(address) {
                let why = format!("{name} must be an https address, such as https://login.example.com: {address}");
                return Err(OAuthError::Setting(why));
            }
        }
        let source = if keys.contains("://") {
            if !is_web(keys) {
                return Err(OAuthError::Setting(format!(
                    "TAGLEDGER_OAUTH_JWKS must be an https address or a file: {keys}"
                )));
            }
            Source::Web(Box::new(Fetcher::new().map_err(|source| OAuthError::Keys { place: keys.clone(), source })?))
        } else {
            Source::File(keys.into())
        };
        let read = read(&source, keys).await;
        let set = read.map_err(|source| OAuthError::Keys { place: keys.clone(), source })?;
        let (read, tried) = (Instant::now(), Instant::now());
        Ok(Self { settings, source, known: RwLock::new(JwksCache { set, read, tried }), reading: Mutex::new(()) })
    }

    /// Who a token is of.
    pub(crate) async fn caller(&self, token: &str, now: Timestamp) -> Result<Principal, KeyRejected> {
        let header = decode_header(token).map_err(|_| KeyRejected::Unknown)?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(KeyRejected::Unknown);
        }
        let key = self.key(header.kid.as_deref(), header.alg).await.ok_or(KeyRejected::Unknown)?;
        let claims = self.claims(token, &key, header.alg)?;
        let now = now.as_second();
        if claims.exp.saturating_add(LEEWAY) <= now {
            return Err(KeyRejected::Expired);
        }
        if claims.nbf.is_some_and(|from| from.saturating_sub(LEEWAY) > now) || claims.cnf.is_some() {
            return Err(KeyRejected::Unknown);
        }
        let scopes = scopes(&claims);
        let id = subject(&self.settings.issuer, &claims.sub);
        Ok(Principal { id, by: AuthMethod::Token, scopes, accounts: claims.tagledger_accounts })
    }

    fn claims(&self, token: &str, key: &DecodingKey, algorithm: Algorithm) -> Result<Claims, KeyRejected> {
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[&self.settings.issuer]);
        validation.set_audience(&[&self.settings.resource]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // By the clock that is handed in.
        validation.validate_exp = false;
        decode(token, key, &validation).map(|decoded| decoded.claims).map_err(|_| KeyRejected::Unknown)
    }

    /// The key of that name. One that is not known is looked for anew, by one request at a time and not by those whose key is
    /// known: authorization servers change their keys, and anybody can make up the name of one.
    async fn key(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
        let found = self.known_key(kid, algorithm).await;
        let (fresh, paused) = {
            let known = self.known.read().await;
            (known.read.elapsed() < FRESH, known.tried.elapsed() < PAUSE)
        };
        if (fresh && found.is_some()) || paused {
            return found;
        }
        let Ok(_alone) = self.reading.try_lock() else { return found };
        let anew = read(&self.source, &self.settings.keys).await;
        let mut known = self.known.write().await;
        known.tried = Instant::now();
        match anew {
            Ok(set) => {
                known.set = set;
                known.read = Instant::now();
                find(&known.set, kid, algorithm)
            }
            Err(error) => {
                warn!("the keys of {} cannot be read anew: {error}", self.settings.issuer);
                found
            }
        }
    }

    async fn known_key(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
        find(&self.known.read().await.set, kid, algorithm)
    }

    /// What RFC 9728 has clients read.
    pub fn metadata(&self) -> Value {
        json!({
            "resource": self.settings.resource,
            "authorization_servers": [self.settings.issuer],
            "scopes_supported": [written(Scope::Read), written(Scope::Live)],
            "bearer_methods_supported": ["header"],
            "resource_name": "TagLedger",
        })
    }

    /// What a challenge says beside what is wrong: where the metadata is, and what to ask for.
    pub(crate) fn hint(&self, scopes: &[Scope]) -> String {
        let resource = &self.settings.resource;
        let (origin, path) =
            resource.match_indices('/').nth(2).map_or((resource.as_str(), ""), |(at, _)| resource.split_at(at));
        let scopes: Vec<String> = scopes.iter().map(|scope| written(*scope)).collect();
        let metadata = format!("{origin}/.well-known/oauth-protected-resource{path}");
        format!("resource_metadata=\"{metadata}\", scope=\"{}\"", scopes.join(" "))
    }
}

/// Whether a token is one of these, and not a key.
pub(crate) fn is_token(token: &str) -> bool {
    token.matches('.').count() == 2
}

fn written(scope: Scope) -> String {
    format!("{PREFIX}{}", scope.as_str())
}

/// Over `https`, or to this machine.
fn is_web(address: &str) -> bool {
    let local = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
    let clean = !address.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '"' | '\\'));
    clean
        && (address.strip_prefix("https://").is_some_and(|rest| !rest.is_empty())
            || local.iter().any(|l| address.starts_with(l)))
}

async fn read(source: &Source, place: &str) -> Result<JwkSet, FetchError> {
    let bytes = match source {
        Source::File(path) => std::fs::read(path).map_err(|error| FetchError::from(error.to_string()))?,
        Source::Web(fetcher) => fetcher.get(place).await?,
    };
    // What other uses a set has keys for is none of our business: one that cannot be read spoils no other.
    let set: Value = serde_json::from_slice(&bytes).map_err(|error| FetchError::from(error.to_string()))?;
    let keys = set
        .get("keys")
        .and_then(Value::as_array)
        .ok_or_else(|| FetchError::from("there is no list `keys`".to_owned()))?;
    let keys: Vec<Jwk> = keys.iter().filter_map(|key| serde_json::from_value(key.clone()).ok()).collect();
    if keys.is_empty() {
        return Err(FetchError::from("it holds no key".to_owned()));
    }
    Ok(JwkSet { keys })
}

/// The key of that name, or the only one there is, if it is for this algorithm and for signatures.
fn find(set: &JwkSet, kid: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
    let named = match (kid, set.keys.as_slice()) {
        (Some(kid), _) => set.find(kid),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    let wanted = match algorithm {
        Algorithm::ES256 => KeyAlgorithm::ES256,
        _ => KeyAlgorithm::RS256,
    };
    let fits = |key: &&Jwk| {
        let common = &key.common;
        common.key_algorithm.is_none_or(|of| of == wanted)
            && common.public_key_use.as_ref().is_none_or(|of| *of == PublicKeyUse::Signature)
    };
    let key = DecodingKey::from_jwk(named.filter(fits)?).ok()?;
    (key.family() == algorithm.family()).then_some(key)
}

fn scopes(claims: &Claims) -> BTreeSet<Scope> {
    let spaced = claims.scope.iter().flat_map(|text| text.split(' ').map(str::to_owned));
    let listed: Vec<String> = match &claims.scp {
        Some(Value::String(text)) => text.split(' ').map(str::to_owned).collect(),
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    spaced.chain(listed).filter_map(|scope| scope.strip_prefix(PREFIX)?.parse().ok()).collect()
}

/// A subject as logs name it, never as a key is named. What could be anything but a name there stands as a digest.
fn subject(issuer: &str, sub: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '|' | ':');
    if !sub.is_empty()
        && sub.len() <= LONGEST
        && sub.chars().all(plain)
        && sub.starts_with(|c: char| c.is_ascii_alphanumeric())
    {
        return format!("token:{sub}");
    }
    let digest = Sha256::digest([issuer.as_bytes(), b" ", sub.as_bytes()].concat());
    let digest: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("token:subject-{digest}")
}
