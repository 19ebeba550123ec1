//! The key file. The command line changes it, and the server and the scanner poll it.
//!
//! When the file cannot be read, no key is accepted. The keys that were read before can contain one that is being revoked.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::{
    api_key::ApiKey,
    api_keys::{ApiKeys, KeyRejected, NewKey},
    principal::Principal,
};

/// Time between two polls.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Why the key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ApiKeyFileError {
    /// It cannot be read or written.
    #[error("the keys in {} cannot be {what}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// `read` or `written`.
        what: &'static str,
        /// The error of the operating system.
        source: io::Error,
    },
    /// It is not a key file.
    #[error("{} does not hold keys ({source}); `tagledger key create` makes such a file", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// The error and its position.
        source: serde_json::Error,
    },
    /// There is no such key to revoke.
    #[error("there is no key with the id or name {which} in {}", path.display())]
    NoSuchKey {
        /// Which file.
        path: PathBuf,
        /// As given.
        which: String,
    },
    /// No key can be generated.
    #[error("the system has no random numbers: {0}")]
    Random(getrandom::Error),
}

impl ApiKeyFileError {
    /// Whether the file does not exist, as opposed to being unreadable.
    fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// A key file, and its content as last read.
#[derive(Debug)]
pub struct ApiKeyFile {
    path: PathBuf,
    /// The content as last read.
    current: RwLock<State>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// The file has not existed so far.
    Absent,
    Keys(ApiKeys),
    /// The file exists or existed, and cannot be read: no key is accepted.
    Unreadable(String),
}

impl ApiKeyFile {
    /// Opens a key file. It may be created later; from then on a key is required.
    ///
    /// # Errors
    ///
    /// When it exists and cannot be read, or is not a key file.
    pub fn open(path: &Path) -> Result<Arc<Self>, ApiKeyFileError> {
        let state = match read(path) {
            Ok(api_keys) => {
                info!(keys = api_keys.keys.len(), "a key is required");
                State::Keys(api_keys)
            }
            Err(error) if error.is_not_found() => State::Absent,
            Err(error) => return Err(error),
        };
        Ok(Arc::new(Self { path: path.to_owned(), current: RwLock::new(state) }))
    }

    /// Whether the file has not existed so far.
    pub fn is_absent(&self) -> bool {
        *self.current.read().unwrap_or_else(PoisonError::into_inner) == State::Absent
    }

    /// The principal of a key.
    ///
    /// # Errors
    ///
    /// When the key is not accepted.
    pub fn authenticate(&self, token: &str, now: Timestamp) -> Result<Principal, KeyRejected> {
        match &*self.current.read().unwrap_or_else(PoisonError::into_inner) {
            State::Keys(api_keys) => api_keys.authenticate(token, now),
            State::Absent | State::Unreadable(_) => Err(KeyRejected::Unknown),
        }
    }

    /// Reads the file again.
    pub fn reload(&self) {
        let after = match read(&self.path) {
            Ok(api_keys) => State::Keys(api_keys),
            Err(error) if error.is_not_found() && self.is_absent() => State::Absent,
            Err(error) => State::Unreadable(error.to_string()),
        };
        let before = {
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, after.clone())
        };
        match &after {
            _ if before == after => {}
            State::Absent => {}
            State::Keys(api_keys) => info!(keys = api_keys.keys.len(), "the key file was reloaded"),
            State::Unreadable(error) => error!("no key is accepted: {error}"),
        }
    }

    /// Polls the file until `end` is cancelled.
    pub async fn follow(self: Arc<Self>, end: CancellationToken) {
        while tokio::time::timeout(POLL_INTERVAL, end.cancelled()).await.is_err() {
            self.reload();
        }
    }

    /// Creates a key. Returns the stored key and the secret, which is not stored.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or written.
    pub fn create(path: &Path, new: NewKey, now: Timestamp) -> Result<(ApiKey, String), ApiKeyFileError> {
        update(path, |api_keys| api_keys.add(new, now).map_err(ApiKeyFileError::Random))
    }

    /// Revokes the key with this id, or all keys with this name. Returns the keys that were not revoked before.
    ///
    /// # Errors
    ///
    /// When there is none, or the file cannot be read or written.
    pub fn revoke(path: &Path, which: &str, now: Timestamp) -> Result<Vec<ApiKey>, ApiKeyFileError> {
        let none = || ApiKeyFileError::NoSuchKey { path: path.to_owned(), which: which.to_owned() };
        update(path, |api_keys| api_keys.revoke(which, now).ok_or_else(none))
    }

    /// All keys, the oldest first.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn list(path: &Path) -> Result<Vec<ApiKey>, ApiKeyFileError> {
        Ok(read(path)?.keys)
    }
}

fn read(path: &Path) -> Result<ApiKeys, ApiKeyFileError> {
    let failed = |source| ApiKeyFileError::Io { path: path.to_owned(), what: "read", source };
    let text = fs::read_to_string(path).map_err(failed)?;
    serde_json::from_str(&text).map_err(|source| ApiKeyFileError::Content { path: path.to_owned(), source })
}

/// Changes the file atomically, under a lock.
fn update<T>(
    path: &Path,
    apply: impl FnOnce(&mut ApiKeys) -> Result<T, ApiKeyFileError>,
) -> Result<T, ApiKeyFileError> {
    let failed = |source| ApiKeyFileError::Io { path: path.to_owned(), what: "written", source };
    let sibling = |extension: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(extension);
        PathBuf::from(name)
    };
    let lock = open_private(&sibling(".lock")).map_err(failed)?;
    lock.lock().map_err(failed)?;
    let mut api_keys = match read(path) {
        Err(error) if error.is_not_found() => ApiKeys::default(),
        other => other?,
    };
    let result = apply(&mut api_keys)?;
    let new_path = sibling(".new");
    let write_file = || -> io::Result<()> {
        let mut file = open_private(&new_path)?;
        file.set_len(0)?;
        serde_json::to_writer_pretty(&mut file, &api_keys)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&new_path, path)
    };
    write_file().map_err(failed)?;
    Ok(result)
}

/// Opens a file that only its owner can read.
fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}
