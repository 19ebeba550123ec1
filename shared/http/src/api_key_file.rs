//! The file of keys: changed by the command line, followed by whoever asks for keys.
//!
//! A file that cannot be read lets nobody in. To go on with the keys that were read before would also go on with those that
//! somebody tried to take back.

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

/// How often the file is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Why the file of keys could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ApiKeyFileError {
    /// It cannot be read or written.
    #[error("the keys in {} cannot be {what}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// `read` or `written`.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// It holds something else.
    #[error("{} does not hold keys ({source}); `tagledger key create` makes such a file", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
    /// Nothing to revoke.
    #[error("there is no key with the id or name {which} in {}", path.display())]
    NoSuchKey {
        /// Which file.
        path: PathBuf,
        /// As given.
        which: String,
    },
    /// No keys can be made.
    #[error("the system has no random numbers: {0}")]
    Random(getrandom::Error),
}

impl ApiKeyFileError {
    /// Whether it is that there is no such file, and not that one cannot be read.
    fn is_absence(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// The file of keys.
#[derive(Debug)]
pub struct ApiKeyFile {
    path: PathBuf,
    /// As read last.
    current: RwLock<State>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// There has never been such a file.
    Absent,
    Keys(ApiKeys),
    /// It was there, or is, and cannot be read: nobody is let in.
    Unreadable(String),
}

impl ApiKeyFile {
    /// The keys in a file, which may come to be later: from then on they are asked for.
    ///
    /// # Errors
    ///
    /// When it is there and cannot be read, or holds something else.
    pub fn open(path: &Path) -> Result<Arc<Self>, ApiKeyFileError> {
        let state = match read(path) {
            Ok(keyring) => {
                info!(keys = keyring.keys.len(), "keys are asked for");
                State::Keys(keyring)
            }
            Err(error) if error.is_absence() => State::Absent,
            Err(error) => return Err(error),
        };
        Ok(Arc::new(Self { path: path.to_owned(), current: RwLock::new(state) }))
    }

    /// Whether there has never been such a file.
    pub fn is_absent(&self) -> bool {
        *self.current.read().unwrap_or_else(PoisonError::into_inner) == State::Absent
    }

    /// Who a token is of.
    ///
    /// # Errors
    ///
    /// When it is not accepted.
    pub fn caller(&self, token: &str, now: Timestamp) -> Result<Principal, KeyRejected> {
        match &*self.current.read().unwrap_or_else(PoisonError::into_inner) {
            State::Keys(keyring) => keyring.caller(token, now),
            State::Absent | State::Unreadable(_) => Err(KeyRejected::Unknown),
        }
    }

    /// Reads the file again.
    pub fn reload(&self) {
        let after = match read(&self.path) {
            Ok(keyring) => State::Keys(keyring),
            Err(error) if error.is_absence() && self.is_absent() => State::Absent,
            Err(error) => State::Unreadable(error.to_string()),
        };
        let before = {
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, after.clone())
        };
        match &after {
            _ if before == after => {}
            State::Absent => {}
            State::Keys(keyring) => info!(keys = keyring.keys.len(), "keys read anew"),
            State::Unreadable(error) => error!("nobody is let in any more: {error}"),
        }
    }

    /// Follows the file until `end`.
    pub async fn follow(self: Arc<Self>, end: CancellationToken) {
        while tokio::time::timeout(EVERY, end.cancelled()).await.is_err() {
            self.reload();
        }
    }

    /// Makes a key and keeps what must be kept of it; gives that, and the key itself.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or written.
    pub fn create(path: &Path, new: NewKey, now: Timestamp) -> Result<(ApiKey, String), ApiKeyFileError> {
        change(path, |keyring| keyring.add(new, now).map_err(ApiKeyFileError::Random))
    }

    /// Takes back the key with an id, or all with a name; gives those that were still good.
    ///
    /// # Errors
    ///
    /// When there is none, or the file cannot be read or written.
    pub fn revoke(path: &Path, which: &str, now: Timestamp) -> Result<Vec<ApiKey>, ApiKeyFileError> {
        let none = || ApiKeyFileError::NoSuchKey { path: path.to_owned(), which: which.to_owned() };
        change(path, |keyring| keyring.revoke(which, now).ok_or_else(none))
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

/// Changes the file whole or not at all, one change after the other.
fn change<T>(path: &Path, how: impl FnOnce(&mut ApiKeys) -> Result<T, ApiKeyFileError>) -> Result<T, ApiKeyFileError> {
    let failed = |source| ApiKeyFileError::Io { path: path.to_owned(), what: "written", source };
    let beside = |extension: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(extension);
        PathBuf::from(name)
    };
    let lock = private(&beside(".lock")).map_err(failed)?;
    lock.lock().map_err(failed)?;
    let mut keyring = match read(path) {
        Err(error) if error.is_absence() => ApiKeys::default(),
        other => other?,
    };
    let changed = how(&mut keyring)?;
    let fresh = beside(".new");
    let written = || -> io::Result<()> {
        let mut file = private(&fresh)?;
        file.set_len(0)?;
        serde_json::to_writer_pretty(&mut file, &keyring)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    written().map_err(failed)?;
    Ok(changed)
}

/// A file that only its owner reads.
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}
