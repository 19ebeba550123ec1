//! Access tokens of an OAuth 2.1 authorization server: signed JWTs whose audience is this server (RFC 9068), and the
//! metadata by which clients find the authorization server (RFC 9728).

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
    api_key::deserialize_nonempty,
    api_keys::KeyRejected,
    jwks_fetch::{FetchError, Fetcher},
    oauth_settings::OAuthSettings,
    principal::{AuthMethod, Principal, Scope},
};

/// The accepted signature algorithms. With a symmetric algorithm this server could also issue tokens. `none` is not accepted.
const ALGORITHMS: [Algorithm; 2] = [Algorithm::RS256, Algorithm::ES256];

/// Maximum difference of the clocks, seconds.
const LEEWAY: i64 = 30;

/// The key set is read again after this time.
const KEY_SET_TTL: Duration = Duration::from_secs(3600);

/// Minimum time between two reads of the key set.
const MIN_READ_INTERVAL: Duration = Duration::from_secs(5);

/// The prefix of a scope in a token. Several servers can share an authorization server.
const PREFIX: &str = "tagledger:";

/// A longer subject is logged as a digest.
const MAX_SUBJECT_LENGTH: usize = 64;

/// Why tokens cannot be accepted.
#[derive(Debug, thiserror::Error)]
pub enum OAuthError {
    /// A setting is missing or invalid.
    #[error("{0}")]
    Setting(String),
    /// The keys cannot be read.
    #[error("the keys of the authorization server at {place} cannot be read: {source}")]
    Keys {
        /// The configured location.
        place: String,
        /// The error of reading it.
        source: FetchError,
    },
}

/// Verifies tokens.
#[derive(Debug)]
pub struct OAuth {
    settings: OAuthSettings,
    source: Source,
    cache: RwLock<JwksCache>,
    /// Held while the key set is read again.
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

/// The claims that are read from a token.
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
    /// The accounts that it may read; all when absent.
    #[serde(default, deserialize_with = "deserialize_nonempty")]
    tagledger_accounts: Option<BTreeSet<AccountId>>,
    /// A proof-of-possession key, which this server does not verify. Such a token is refused.
    #[serde(default)]
    cnf: Option<Value>,
}

impl OAuth {
    /// Reads the key set of the authorization server.
    ///
    /// # Errors
    ///
    /// When a setting is invalid or the key set cannot be read.
    pub async fn open(settings: OAuthSettings) -> Result<Self, OAuthError> {
        let OAuthSettings { issuer, resource, keys } = &settings;
        for (name, address) in [("TAGLEDGER_OAUTH_ISSUER", issuer), ("TAGLEDGER_OAUTH_RESOURCE", resource)] {
            if !is_https_or_loopback(address) {
                let why = format!("{name} must be an https address, such as https://login.example.com: {address}");
                return Err(OAuthError::Setting(why));
            }
        }
        let source = if keys.contains("://") {
            if !is_https_or_loopback(keys) {
                return Err(OAuthError::Setting(format!(
                    "TAGLEDGER_OAUTH_JWKS must be an https address or a file: {keys}"
                )));
            }
            Source::Web(Box::new(Fetcher::new().map_err(|source| OAuthError::Keys { place: keys.clone(), source })?))
        } else {
            Source::File(keys.into())
        };
        let read = read_key_set(&source, keys).await;
        let set = read.map_err(|source| OAuthError::Keys { place: keys.clone(), source })?;
        let (read, tried) = (Instant::now(), Instant::now());
        Ok(Self { settings, source, cache: RwLock::new(JwksCache { set, read, tried }), reading: Mutex::new(()) })
    }

    /// The principal of a token.
    pub(crate) async fn authenticate(&self, token: &str, now: Timestamp) -> Result<Principal, KeyRejected> {
        let header = decode_header(token).map_err(|_| KeyRejected::Unknown)?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(KeyRejected::Unknown);
        }
        let key = self.find_key(header.kid.as_deref(), header.alg).await.ok_or(KeyRejected::Unknown)?;
        let claims = self.verify_signature(token, &key, header.alg)?;
        let now = now.as_second();
        if claims.exp.saturating_add(LEEWAY) <= now {
            return Err(KeyRejected::Expired);
        }
        if claims.nbf.is_some_and(|from| from.saturating_sub(LEEWAY) > now) || claims.cnf.is_some() {
            return Err(KeyRejected::Unknown);
        }
        let scopes = parse_scopes(&claims);
        let id = format_subject(&self.settings.issuer, &claims.sub);
        Ok(Principal { id, by: AuthMethod::Token, scopes, accounts: claims.tagledger_accounts })
    }

    fn verify_signature(&self, token: &str, key: &DecodingKey, algorithm: Algorithm) -> Result<Claims, KeyRejected> {
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[&self.settings.issuer]);
        validation.set_audience(&[&self.settings.resource]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The caller compares with the clock of the settings.
        validation.validate_exp = false;
        decode(token, key, &validation).map(|decoded| decoded.claims).map_err(|_| KeyRejected::Unknown)
    }

    /// The key with this id. For an unknown id the key set is read again, because authorization servers rotate their keys.
    /// Only one request at a time reads it, and only once per interval, because clients can invent ids.
    async fn find_key(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
        let found = self.find_cached_key(kid, algorithm).await;
        let (fresh, recently_read) = {
            let cache = self.cache.read().await;
            (cache.read.elapsed() < KEY_SET_TTL, cache.tried.elapsed() < MIN_READ_INTERVAL)
        };
        if (fresh && found.is_some()) || recently_read {
            return found;
        }
        let Ok(_reading) = self.reading.try_lock() else { return found };
        let result = read_key_set(&self.source, &self.settings.keys).await;
        let mut cache = self.cache.write().await;
        cache.tried = Instant::now();
        match result {
            Ok(set) => {
                cache.set = set;
                cache.read = Instant::now();
                find_key(&cache.set, kid, algorithm)
            }
            Err(error) => {
                warn!("the keys of {} cannot be read again: {error}", self.settings.issuer);
                found
            }
        }
    }

    async fn find_cached_key(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
        find_key(&self.cache.read().await.set, kid, algorithm)
    }

    /// The protected resource metadata of RFC 9728.
    pub fn metadata(&self) -> Value {
        json!({
            "resource": self.settings.resource,
            "authorization_servers": [self.settings.issuer],
            "scopes_supported": [format_scope(Scope::Read), format_scope(Scope::Live)],
            "bearer_methods_supported": ["header"],
            "resource_name": "TagLedger",
        })
    }

    /// The part of a challenge that names the metadata URL and the scopes to request.
    pub(crate) fn challenge_parameters(&self, scopes: &[Scope]) -> String {
        let resource = &self.settings.resource;
        let (origin, path) =
            resource.match_indices('/').nth(2).map_or((resource.as_str(), ""), |(at, _)| resource.split_at(at));
        let scopes: Vec<String> = scopes.iter().map(|scope| format_scope(*scope)).collect();
        let metadata = format!("{origin}/.well-known/oauth-protected-resource{path}");
        format!("resource_metadata=\"{metadata}\", scope=\"{}\"", scopes.join(" "))
    }
}

/// Whether a bearer token is a JWT, and not a key.
pub(crate) fn is_token(token: &str) -> bool {
    token.matches('.').count() == 2
}

fn format_scope(scope: Scope) -> String {
    format!("{PREFIX}{}", scope.as_str())
}

/// Whether a URL uses `https` or a loopback host.
fn is_https_or_loopback(address: &str) -> bool {
    let local = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
    let clean = !address.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '"' | '\\'));
    clean
        && (address.strip_prefix("https://").is_some_and(|rest| !rest.is_empty())
            || local.iter().any(|l| address.starts_with(l)))
}

async fn read_key_set(source: &Source, place: &str) -> Result<JwkSet, FetchError> {
    let bytes = match source {
        Source::File(path) => std::fs::read(path).map_err(|error| FetchError::from(error.to_string()))?,
        Source::Web(fetcher) => fetcher.get(place).await?,
    };
    // A key of another use that cannot be parsed is skipped.
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

/// The key with this id, or the only key, if it is for this algorithm and for signatures.
fn find_key(set: &JwkSet, kid: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
    let candidate = match (kid, set.keys.as_slice()) {
        (Some(kid), _) => set.find(kid),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    let key_algorithm = match algorithm {
        Algorithm::ES256 => KeyAlgorithm::ES256,
        _ => KeyAlgorithm::RS256,
    };
    let is_usable = |key: &&Jwk| {
        let common = &key.common;
        common.key_algorithm.is_none_or(|of| of == key_algorithm)
            && common.public_key_use.as_ref().is_none_or(|of| *of == PublicKeyUse::Signature)
    };
    let key = DecodingKey::from_jwk(candidate.filter(is_usable)?).ok()?;
    (key.family() == algorithm.family()).then_some(key)
}

fn parse_scopes(claims: &Claims) -> BTreeSet<Scope> {
    let spaced = claims.scope.iter().flat_map(|text| text.split(' ').map(str::to_owned));
    let listed: Vec<String> = match &claims.scp {
        Some(Value::String(text)) => text.split(' ').map(str::to_owned).collect(),
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    spaced.chain(listed).filter_map(|scope| scope.strip_prefix(PREFIX)?.parse().ok()).collect()
}

/// The id of a subject for logs. It cannot equal the id of a key. A subject with unusual characters is replaced by a digest.
fn format_subject(issuer: &str, sub: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '|' | ':');
    if !sub.is_empty()
        && sub.len() <= MAX_SUBJECT_LENGTH
        && sub.chars().all(plain)
        && sub.starts_with(|c: char| c.is_ascii_alphanumeric())
    {
        return format!("token:{sub}");
    }
    let digest = Sha256::digest([issuer.as_bytes(), b" ", sub.as_bytes()].concat());
    let digest: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("token:subject-{digest}")
}
