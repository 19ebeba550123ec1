//! What an operator does with a ledger: copy it while it is in use, and see how large it is.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::{
    Attempt, Reader, StoreError,
    intern::statement,
    rows::{all, time},
    seal, sql,
};

/// How large a ledger is, and of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreStats {
    /// Of the file.
    pub file_bytes: u64,
    /// Of the write-ahead log.
    pub log_bytes: u64,
    /// In the file, free for later nights.
    pub free_bytes: u64,
    /// Snapshots that are kept.
    pub kept: u64,
    /// Snapshots that were thinned out.
    pub thinned: u64,
    /// When the oldest and the newest kept scan began; none before the first.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Resources in the newest snapshot.
    pub living: u64,
    /// Resources ever seen that a kept snapshot knows.
    pub resources: u64,
    /// Versions that have ended.
    pub versions: u64,
    /// Violations that are open.
    pub open_violations: u64,
    /// Violations that are closed.
    pub closed_violations: u64,
    /// Bytes by table and index, the largest first.
    pub tables: Vec<(String, u64)>,
}

impl Reader {
    /// Measures the ledger. Reads every page of the file.
    ///
    /// # Errors
    ///
    /// When there is no ledger, or it cannot be read.
    pub fn stats(&self) -> Result<StoreStats, StoreError> {
        let file_bytes = fs::metadata(self.path()).map_or(0, |metadata| metadata.len());
        let log_bytes = seal::log_bytes(self.path());
        self.read_unhurried(|db| {
            let one = |text: &str| -> Result<u64, StoreError> {
                let number = statement(db, text)?.query_row([], |row| row.get::<_, i64>(0));
                number.map(i64::unsigned_abs).attempt("be measured")
            };
            let ends = all(db, sql::SPAN, |row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?)))?;
            let span = match ends.first() {
                Some((Some(first), Some(last))) => Some((time(*first)?, time(*last)?)),
                _ => None,
            };
            Ok(StoreStats {
                file_bytes,
                log_bytes,
                free_bytes: one(sql::FREE_BYTES)?,
                kept: one(sql::COUNT_KEPT)?,
                thinned: one(sql::COUNT_THINNED)?,
                span,
                living: one(sql::COUNT_LIVING)?,
                resources: one(sql::COUNT_RESOURCES)?,
                versions: one(sql::COUNT_VERSIONS)?,
                open_violations: one(sql::COUNT_OPEN)?,
                closed_violations: one(sql::COUNT_CLOSED)?,
                tables: all(db, sql::TABLE_SIZES, |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?,
            })
        })
    }

    /// Copies the ledger as its newest snapshot left it to a new file, packed and sealed; a scan can go on meanwhile.
    ///
    /// The copy is made beside its place under another name and moved there when it is whole. Returns its size in bytes.
    ///
    /// # Errors
    ///
    /// When the place is taken, cannot be written, or the ledger cannot be read.
    pub fn backup(&self, to: &Path) -> Result<u64, StoreError> {
        let failed = |source| StoreError::Backup { path: to.to_owned(), source };
        if to.symlink_metadata().is_ok() {
            return Err(failed(io::ErrorKind::AlreadyExists.into()));
        }
        let unfinished = seal::beside(to, "unfinished");
        remove_if_there(&unfinished).map_err(failed)?;
        let copied = self.copy(&unfinished).and_then(|()| settle(&unfinished, to).map_err(failed));
        if copied.is_err() {
            // What failed is told; that its remains could not be removed is not worth another word.
            drop(remove_if_there(&unfinished));
        }
        copied?;
        seal::put(to)?;
        fs::metadata(to).map(|metadata| metadata.len()).map_err(failed)
    }

    fn copy(&self, to: &Path) -> Result<(), StoreError> {
        let Some(text) = to.to_str() else {
            return Err(StoreError::Backup { path: to.to_owned(), source: io::ErrorKind::InvalidFilename.into() });
        };
        self.read_alone(|db| {
            // The copy counts as a write, though the ledger itself is open for reading only.
            db.execute_batch(sql::ALLOW_WRITES).attempt("be copied")?;
            db.execute(sql::COPY_INTO, [text]).map(drop).attempt("be copied")
        })
    }
}

/// Durable under its own name, or not there.
fn settle(unfinished: &PathBuf, to: &Path) -> io::Result<()> {
    fs::File::open(unfinished)?.sync_all()?;
    fs::rename(unfinished, to)?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(folder)?.sync_all()
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
