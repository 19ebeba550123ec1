//! Why the ledger cannot be opened, read or written.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use rusqlite::ErrorCode;

use crate::file_format::SCHEMA_VERSION;

/// Why the ledger could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file does not exist.
    #[error("there is no ledger at {}; run `tagledger scan` to make one, or name another with --store", path.display())]
    Missing {
        /// The expected path of the file.
        path: PathBuf,
    },
    /// The file cannot be opened or created.
    #[error("the ledger {} cannot be opened: {remedy}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What to do.
        remedy: &'static str,
        /// SQLite's error; none when SQLite was not called.
        #[source]
        source: Option<rusqlite::Error>,
    },
    /// The file was written by a newer version of TagLedger.
    #[error("the ledger {} has schema version {found}, newer than this build's {SCHEMA_VERSION}; upgrade tagledger",
        path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
    },
    /// The file was written by an older version of TagLedger. Only a writer can migrate it.
    #[error("the ledger {} has schema version {found}, older than this build's {SCHEMA_VERSION}; the next scan upgrades \
        it, or run `tagledger store upgrade`", path.display())]
    Older {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
    },
    /// The caller cancelled the migration of the file.
    #[error("the upgrade of the ledger was ended; the ledger is as it was before")]
    MigrationCancelled,
    /// SQLite finds the file damaged.
    #[error("the ledger {} is damaged; keep the file, and go on with a backup or with another --store", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// SQLite's error.
        #[source]
        source: rusqlite::Error,
    },
    /// The checksum file beside the ledger cannot be read, written or removed.
    #[error("the checksum file {} cannot be read or written; check the permissions of the ledger's folder", path.display())]
    ChecksumFile {
        /// The checksum file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// The ledger cannot be copied.
    #[error("the ledger cannot be copied to {}", path.display())]
    Backup {
        /// The path of the copy.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// The disk has no room for the snapshot.
    #[error("the disk is full; make room and scan again: nothing of this scan was recorded")]
    Full(#[source] rusqlite::Error),
    /// Another process writes to the ledger.
    #[error("another scan is writing to the ledger {}; wait for it to end", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// A query took longer than its deadline.
    #[error("reading the ledger took too long and was stopped; the machine may be busy: ask again in a moment")]
    OutOfTime,
    /// A statement failed.
    #[error("{operation}")]
    Query {
        /// What the ledger was doing.
        operation: Operation,
        /// SQLite's error.
        #[source]
        source: rusqlite::Error,
    },
    /// A stored value is not valid for this build.
    #[error("the ledger holds {what} that this build cannot read: {given}")]
    Content {
        /// A noun for the value.
        what: &'static str,
        /// The value as text.
        given: String,
    },
    /// A value cannot be encoded as JSON.
    #[error("{what} cannot be written to the ledger")]
    Encode {
        /// A noun for the value.
        what: &'static str,
        /// The encoder's error.
        #[source]
        source: serde_json::Error,
    },
    /// Two values have the same hash, so the ledger cannot tell them apart.
    #[error("two {what} have the same hash {hash}: {given}; nothing of this scan was recorded")]
    HashCollision {
        /// A plural noun for the values.
        what: &'static str,
        /// The hash.
        hash: i64,
        /// Both values as text.
        given: String,
    },
    /// A number is negative or has more than 63 bits.
    #[error("{what} is out of range for the ledger; nothing was recorded")]
    CountOutOfRange {
        /// A noun for the number.
        what: &'static str,
    },
}

/// What the ledger was doing when a statement failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Starting a read transaction.
    StartSession,
    /// Preparing a statement.
    PrepareStatement,
    /// Reading the list of snapshots.
    ReadSnapshots,
    /// Reading resources.
    ReadResources,
    /// Reading tags or tag sets.
    ReadTags,
    /// Reading findings or rules.
    ReadFindings,
    /// Reading compliance counts.
    ReadCounts,
    /// Reading related resources.
    ReadRelationships,
    /// Reading a policy.
    ReadPolicy,
    /// Reading the bill.
    ReadBill,
    /// Reading costs of resources.
    ReadCosts,
    /// Reading the trained model.
    ReadModel,
    /// Reading or storing the insights of a snapshot.
    ReadInsights,
    /// Building an index in memory.
    BuildIndex,
    /// Comparing two snapshots.
    CompareSnapshots,
    /// Evaluating resources by another policy.
    SimulatePolicy,
    /// Writing a snapshot.
    WriteSnapshot,
    /// Training the model for predictions.
    Train,
    /// Migrating to this build's schema version.
    Migrate,
    /// Verifying the ledger.
    Verify,
    /// Pruning old snapshots.
    Prune,
    /// Copying the ledger.
    BackUp,
    /// Moving the write-ahead log into the file.
    Checkpoint,
    /// Measuring the ledger.
    Measure,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StartSession => "a read transaction on the ledger could not be started",
            Self::PrepareStatement => "a statement for the ledger could not be prepared",
            Self::ReadSnapshots => "the snapshots in the ledger could not be read",
            Self::ReadResources => "the resources in the ledger could not be read",
            Self::ReadTags => "the tags in the ledger could not be read",
            Self::ReadFindings => "the findings in the ledger could not be read",
            Self::ReadCounts => "the counts in the ledger could not be read",
            Self::ReadRelationships => "the related resources in the ledger could not be read",
            Self::ReadPolicy => "a policy in the ledger could not be read",
            Self::ReadBill => "the bill in the ledger could not be read",
            Self::ReadCosts => "the costs in the ledger could not be read",
            Self::ReadModel => "the trained model in the ledger could not be read",
            Self::ReadInsights => "the insights in the ledger could not be read or stored",
            Self::BuildIndex => "an index of the ledger could not be built",
            Self::CompareSnapshots => "the snapshots could not be compared",
            Self::SimulatePolicy => "the policy could not be simulated",
            Self::WriteSnapshot => "the snapshot could not be written to the ledger",
            Self::Train => "the model could not be trained",
            Self::Migrate => "the ledger could not be migrated to this build's schema version",
            Self::Verify => "the ledger could not be verified",
            Self::Prune => "old snapshots could not be pruned",
            Self::BackUp => "the ledger could not be copied",
            Self::Checkpoint => "the write-ahead log could not be moved into the ledger's file",
            Self::Measure => "the ledger could not be measured",
        })
    }
}

impl LedgerError {
    /// Adds the path of the file, which a statement does not know.
    pub(crate) fn at(self, file: &Path) -> Self {
        match self {
            Self::Damaged { source, .. } => Self::Damaged { path: file.to_owned(), source },
            other => other,
        }
    }
}

/// Whether the disk has no room for the ledger, its log, or the log's index in shared memory.
pub(crate) fn is_full(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    error.sqlite_error_code() == Some(ErrorCode::DiskFull) || code == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE)
}

/// Adds the operation to an error of SQLite.
pub(crate) trait ErrorContext<T> {
    fn context(self, operation: Operation) -> Result<T, LedgerError>;
}

impl<T> ErrorContext<T> for Result<T, rusqlite::Error> {
    fn context(self, operation: Operation) -> Result<T, LedgerError> {
        self.map_err(|source| match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt) => LedgerError::Damaged { path: PathBuf::new(), source },
            // Only the deadline of a query interrupts a statement.
            Some(ErrorCode::OperationInterrupted) => LedgerError::OutOfTime,
            _ if is_full(&source) => LedgerError::Full(source),
            _ => LedgerError::Query { operation, source },
        })
    }
}
