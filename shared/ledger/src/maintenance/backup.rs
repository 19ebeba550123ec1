//! Copies a ledger while it is in use, and measures it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use crate::{
    db::{
        checksum_file, sql,
        statements::{prepare, query_all},
        values::parse_time,
    },
    error::{ErrorContext, LedgerError, Operation},
    read::session::LedgerReader,
};

/// The size of a ledger and the numbers of its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerStats {
    /// Size of the file.
    pub file_bytes: u64,
    /// Size of the write-ahead log.
    pub log_bytes: u64,
    /// Size of the free pages in the file, which later snapshots use.
    pub free_bytes: u64,
    /// Retained snapshots.
    pub retained: u64,
    /// Pruned snapshots.
    pub pruned: u64,
    /// When the oldest and the newest retained scan began; none before the first scan.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Resources in the newest snapshot.
    pub current: u64,
    /// Resources in any retained snapshot.
    pub resources: u64,
    /// States of resources that have ended.
    pub superseded_states: u64,
    /// Open violations.
    pub open_violations: u64,
    /// Closed violations.
    pub closed_violations: u64,
    /// Size in bytes of each table and index, the largest first.
    pub tables: Vec<(String, u64)>,
}

impl LedgerReader {
    /// Measures the ledger. This reads every page of the file.
    ///
    /// # Errors
    ///
    /// When there is no ledger, or it cannot be read.
    pub fn stats(&self) -> Result<LedgerStats, LedgerError> {
        let file_bytes = fs::metadata(self.path()).map_or(0, |metadata| metadata.len());
        let log_bytes = checksum_file::log_bytes(self.path());
        self.read_without_deadline(|db| {
            let one = |text: &str| -> Result<u64, LedgerError> {
                prepare(db, text)?.query_row([], |row| row.get(0)).context(Operation::Measure)
            };
            let ends = query_all(db, sql::RETAINED_SPAN, |row| {
                Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?))
            })?;
            let span = match ends.first() {
                Some((Some(first), Some(last))) => Some((parse_time(*first)?, parse_time(*last)?)),
                _ => None,
            };
            Ok(LedgerStats {
                file_bytes,
                log_bytes,
                free_bytes: one(sql::FREE_BYTES)?,
                retained: one(sql::COUNT_RETAINED)?,
                pruned: one(sql::COUNT_PRUNED)?,
                span,
                current: one(sql::COUNT_CURRENT)?,
                resources: one(sql::COUNT_RESOURCES)?,
                superseded_states: one(sql::COUNT_ENDED_STATES)?,
                open_violations: one(sql::COUNT_OPEN)?,
                closed_violations: one(sql::COUNT_CLOSED)?,
                tables: query_all(db, sql::TABLE_SIZES, |row| Ok((row.get(0)?, row.get(1)?)))?,
            })
        })
    }

    /// Copies the ledger to a new file without free pages, and writes its checksum file. A scan can write at the same time.
    ///
    /// The copy is written to a temporary file in the same folder and renamed when it is complete. Returns its size in bytes.
    ///
    /// # Errors
    ///
    /// When the file exists or cannot be written, or when the ledger cannot be read.
    pub fn backup(&self, to: &Path) -> Result<u64, LedgerError> {
        let failed = |source| LedgerError::Backup { path: to.to_owned(), source };
        if to.symlink_metadata().is_ok() {
            return Err(failed(io::ErrorKind::AlreadyExists.into()));
        }
        let unfinished = checksum_file::with_suffix(to, "unfinished");
        remove_if_present(&unfinished).map_err(failed)?;
        let copied = self.copy(&unfinished).and_then(|()| publish(&unfinished, to).map_err(failed));
        if copied.is_err() {
            // The caller gets the error of the copy. The next backup removes the temporary file.
            drop(remove_if_present(&unfinished));
        }
        copied?;
        checksum_file::write(to)?;
        fs::metadata(to).map(|metadata| metadata.len()).map_err(failed)
    }

    fn copy(&self, to: &Path) -> Result<(), LedgerError> {
        let Some(text) = to.to_str() else {
            return Err(LedgerError::Backup { path: to.to_owned(), source: io::ErrorKind::InvalidFilename.into() });
        };
        self.read_on_new_connection(|db| {
            // SQLite counts `VACUUM INTO` as a write, although the ledger itself is open for reading only.
            db.execute_batch(sql::ALLOW_WRITES).context(Operation::BackUp)?;
            db.execute(sql::COPY_INTO, [text]).map(drop).context(Operation::BackUp)
        })
    }
}

/// Renames the file after its content is on the disk, so that a file with the final name is complete.
fn publish(unfinished: &PathBuf, to: &Path) -> io::Result<()> {
    fs::File::open(unfinished)?.sync_all()?;
    fs::rename(unfinished, to)?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(folder)?.sync_all()
}

fn remove_if_present(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
