//! The seal: size and SHA-256 of the ledger at rest, in a file beside it.
//!
//! SQLite keeps no checksums of its pages, so a bit that flips on the disk can change a figure in silence. Whoever moves
//! the log into the file seals it afterwards; whoever is about to change it removes the seal first. So a seal that is
//! there and does not fit means damage, and one that is not there means only that nobody can tell byte by byte.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::StoreError;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seal {
    bytes: u64,
    sha256: String,
}

/// What a seal says of a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealState {
    /// Every byte is as it was written.
    Fits,
    /// There is none, or changes wait in the log.
    Absent,
    /// The file was damaged, or changed by something else.
    Broken,
}

/// `tagledger.sqlite.seal`.
fn place(ledger: &Path) -> PathBuf {
    beside(ledger, "seal")
}

/// A file beside the ledger, with something appended to its name.
pub(super) fn beside(ledger: &Path, what: &str) -> PathBuf {
    let mut name = ledger.as_os_str().to_owned();
    name.push(format!(".{what}"));
    name.into()
}

fn of(ledger: &Path) -> io::Result<Seal> {
    let (mut file, mut hash, mut bytes) = (fs::File::open(ledger)?, Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 18];
    loop {
        let read = file.read(&mut buffer)?;
        let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else { break };
        hash.update(part);
        bytes += part.len() as u64;
    }
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Seal { bytes, sha256 })
}

/// Seals a ledger whose log is empty.
pub(super) fn put(ledger: &Path) -> Result<(), StoreError> {
    let write = || {
        let text = serde_json::to_vec(&of(ledger)?)?;
        let unfinished = beside(ledger, "seal.new");
        fs::write(&unfinished, text)?;
        fs::rename(unfinished, place(ledger))
    };
    write().map_err(|source| StoreError::Seal { path: place(ledger), source })
}

/// To be called before every change.
pub(super) fn remove(ledger: &Path) -> Result<(), StoreError> {
    match fs::remove_file(place(ledger)) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::Seal { path: place(ledger), source })
        }
        _ => Ok(()),
    }
}

/// Compares a ledger with its seal.
pub(super) fn check(ledger: &Path) -> Result<SealState, StoreError> {
    let at = place(ledger);
    let read = |source| StoreError::Seal { path: at.clone(), source };
    let text = match fs::read(&at) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(SealState::Absent),
        other => other.map_err(read)?,
    };
    if log_bytes(ledger) > 0 {
        return Ok(SealState::Absent);
    }
    let same = serde_json::from_slice::<Seal>(&text).is_ok_and(|seal| of(ledger).is_ok_and(|now| now == seal));
    Ok(if same { SealState::Fits } else { SealState::Broken })
}

/// Size of the ledger's write-ahead log; 0 when there is none.
pub fn log_bytes(ledger: &Path) -> u64 {
    let mut name = ledger.as_os_str().to_owned();
    name.push("-wal");
    fs::metadata(PathBuf::from(name)).map_or(0, |metadata| metadata.len())
}
