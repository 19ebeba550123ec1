//! The checksum file: size and SHA-256 of the ledger, in a file beside it with the suffix `.seal`.
//!
//! SQLite has no checksums of its pages, so a flipped bit on the disk can change a count without an error. A writer removes the
//! checksum file before it changes the ledger, and writes a new one after it has moved the log into the file. A checksum that does
//! not match therefore means damage. Without a checksum file, the bytes cannot be verified.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::LedgerError;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ChecksumFile {
    bytes: u64,
    sha256: String,
}

/// The result of comparing a ledger with its checksum file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumState {
    /// The file has the recorded checksum.
    Matches,
    /// There is no checksum file, or the log has changes that are not in the file.
    Absent,
    /// The file is damaged, or another program changed it.
    Mismatch,
}

/// `tagledger.sqlite.seal`.
fn checksum_path(ledger: &Path) -> PathBuf {
    with_suffix(ledger, "seal")
}

/// The path of the ledger with a suffix.
pub(crate) fn with_suffix(ledger: &Path, suffix: &str) -> PathBuf {
    let mut name = ledger.as_os_str().to_owned();
    name.push(format!(".{suffix}"));
    name.into()
}

fn compute(ledger: &Path) -> io::Result<ChecksumFile> {
    let (mut file, mut hash, mut bytes) = (fs::File::open(ledger)?, Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 18];
    loop {
        let read = file.read(&mut buffer)?;
        let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else { break };
        hash.update(part);
        bytes += part.len() as u64;
    }
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(ChecksumFile { bytes, sha256 })
}

/// Writes the checksum file of a ledger whose log is empty.
pub(crate) fn write(ledger: &Path) -> Result<(), LedgerError> {
    let write_file = || {
        let text = serde_json::to_vec(&compute(ledger)?)?;
        let unfinished = with_suffix(ledger, "seal.new");
        fs::write(&unfinished, text)?;
        fs::rename(unfinished, checksum_path(ledger))
    };
    write_file().map_err(|source| LedgerError::ChecksumFile { path: checksum_path(ledger), source })
}

/// Removes the checksum file. To be called before every change of the ledger.
pub(crate) fn remove(ledger: &Path) -> Result<(), LedgerError> {
    match fs::remove_file(checksum_path(ledger)) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(LedgerError::ChecksumFile { path: checksum_path(ledger), source })
        }
        _ => Ok(()),
    }
}

/// Compares a ledger with its checksum file.
pub(crate) fn compare(ledger: &Path) -> Result<ChecksumState, LedgerError> {
    let at = checksum_path(ledger);
    let read = |source| LedgerError::ChecksumFile { path: at.clone(), source };
    let text = match fs::read(&at) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(ChecksumState::Absent),
        other => other.map_err(read)?,
    };
    if log_bytes(ledger) > 0 {
        return Ok(ChecksumState::Absent);
    }
    let same = serde_json::from_slice::<ChecksumFile>(&text)
        .is_ok_and(|recorded| compute(ledger).is_ok_and(|now| now == recorded));
    Ok(if same { ChecksumState::Matches } else { ChecksumState::Mismatch })
}

/// Size of the ledger's write-ahead log; 0 when there is none.
pub fn log_bytes(ledger: &Path) -> u64 {
    let mut name = ledger.as_os_str().to_owned();
    name.push("-wal");
    fs::metadata(PathBuf::from(name)).map_or(0, |metadata| metadata.len())
}
