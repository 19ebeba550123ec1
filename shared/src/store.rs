//! The ledger: nights of an estate in one SQLite file.
//!
//! `schema.sql` tells what is kept and how. [`Writer`] is the scanner's: it opens read-write, creates the file, and
//! writes one [`Night`] in one transaction. [`Reader`] is everybody else's: it can only read, and every question is
//! answered from one snapshot in one read transaction.
//!
//! # Locking, filesystems
//!
//! Write-ahead log: readers never wait for the writer, nor see half a night. WAL needs shared memory, so the file must
//! not stand on a network filesystem, and its folder must be writable for readers too. One night holds SQLite's write
//! lock from its beginning to its commit; a second one is refused at once with [`StoreError::Busy`].

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::ErrorCode;

use crate::{
    inventory::{Gap, Scope},
    policy::{Code, Severity},
};

mod at_hand;
mod audit;
mod bill;
mod bill_lines;
mod billed;
mod by_scope;
mod carry;
mod causes;
mod check;
mod cost;
mod counter;
mod covered;
mod diff;
mod ended;
mod evidence;
mod examine;
mod fingerprint;
mod gathering;
mod groups;
mod guesses;
mod halves;
mod intern;
mod judge;
mod keep;
mod known;
mod lackers;
mod lessons;
mod lifecycle;
mod lives;
mod living;
mod lore;
mod named;
mod newcomers;
mod night;
mod open;
mod page;
mod past_bill;
mod reader;
mod rejudge;
mod retagged;
mod retention;
mod rows;
mod seal;
mod sets;
mod single;
mod sql;
mod standing;
mod tally;
#[cfg(test)]
mod tests;
mod thin;
mod timeline;
mod to_fix;
mod told;
mod trail;
mod upgrade;
mod usage;
mod version;
mod whole;

pub use audit::{AuditEntry, AuditError, AuditLog, AuditQuery, read_audit};
pub use bill::{BillGap, BillKnown, BillLine, BillPart, Harvest, KnownMonth, MonthBill};
pub use billed::{Bill, BilledMonth, MonthSpend, usual_month};
pub use causes::{Cause, Causes, Moved};
pub use check::CheckReport;
pub use cost::{CostBasis, CostSource, LiveSpend, ResourceCost, ScopeSpend, Turned};
pub use covered::Covered;
pub use diff::{Changed, Differences, Side};
pub use evidence::Learned;
pub use examine::{Baselines, Examination, TagExamination};
pub use guesses::{Guess, Placed, Suspect, Weighing};
pub use keep::StoreStats;
pub use lackers::{LackingSums, Narrowing};
pub use night::{Night, NightHeader, NightSummary, ScopeSummary};
pub use open::Writer;
pub use page::{Filter, Lacking, Page, PageStart, Row, Worst};
pub use past_bill::BillThen;
pub use reader::{Reader, View};
pub use rejudge::{DraftNight, Rejudging};
pub use retagged::{Retagged, TagChange, TagValue};
pub use retention::{InvalidRetention, Retention};
pub use seal::{SealState, log_bytes};
pub use single::KnownBasis;
pub use standing::{Rejudged, Standing};
pub use tally::Tally;
pub use thin::Thinned;
pub use timeline::{DaySpend, Life, LifeOf, NightTotals};
pub use to_fix::ToFix;
pub use upgrade::UpgradeProgress;

/// The version of `schema.sql`, as SQLite's `user_version`.
pub const SCHEMA_VERSION: i64 = 8;

/// Marks the file as ours, as SQLite's `application_id`: "TagL".
const APPLICATION_ID: i64 = 0x5461_674C;

/// One night of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Counts up from 1.
    pub id: i64,
    /// When the scan began: the moment that the snapshot stands for.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// Whether every scope was read whole.
    pub complete: bool,
    /// Digest of the policy that judged it.
    pub policy_digest: String,
    /// Requests sent to AWS for it.
    pub requests: u64,
    /// Of its content; equal estates judged alike have equal fingerprints.
    pub fingerprint: i64,
    /// Whether only a part of the estate was scanned. What was known of the rest was carried over from earlier snapshots.
    pub narrowed: bool,
}

/// How one scope of a snapshot ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeRow {
    /// Which.
    pub scope: Scope,
    /// The snapshot whose scan read it: an earlier one when it was carried over.
    pub scanned_in: i64,
    /// Whether its list was read to the last page.
    pub listed_all: bool,
    /// Resources seen.
    pub resources: u64,
    /// Of these, whose tags could not be read.
    pub unknown: u64,
    /// Known from before, but not seen because of the gap.
    pub stale: u64,
    /// The first thing that could not be read.
    pub gap: Option<Gap>,
}

/// One kind of finding: what, how bad, about which tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    /// What.
    pub code: Code,
    /// How bad.
    pub severity: Severity,
    /// The tag key; empty when it is about the whole resource.
    pub tag: String,
}

/// Why the ledger could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no file.
    #[error("there is no ledger at {}; run `tagledger scan` to make one, or name another with --store", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file cannot be opened or made.
    #[error("the ledger {} cannot be opened: {remedy}", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// What to do.
        remedy: &'static str,
        /// What SQLite says.
        #[source]
        source: Option<rusqlite::Error>,
    },
    /// A later TagLedger wrote the file.
    #[error("the ledger {} has schema version {found}, newer than this build's {SCHEMA_VERSION}; upgrade tagledger",
        path.display())]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
    /// An earlier TagLedger wrote the file, and only a writer may upgrade it.
    #[error("the ledger {} has schema version {found}, older than this build's {SCHEMA_VERSION}; the next scan upgrades \
        it, or run `tagledger store upgrade`", path.display())]
    Older {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
    /// Somebody ended the upgrade of the file.
    #[error("the upgrade of the ledger was ended; the ledger is as it was before")]
    UpgradeEnded,
    /// SQLite finds the file damaged.
    #[error("the ledger {} is damaged; keep the file, and go on with a backup or with another --store", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
    /// The seal beside the file cannot be read, written or removed.
    #[error("the seal {} cannot be written or read; check the permissions of the ledger's folder", path.display())]
    Seal {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A copy cannot be made.
    #[error("the ledger cannot be copied to {}", path.display())]
    Backup {
        /// Where to.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// There is no room for the night.
    #[error("the disk is full; make room and scan again: nothing of this scan was recorded")]
    Full(#[source] rusqlite::Error),
    /// Another process is writing.
    #[error("another scan is writing to the ledger {}; wait for it to end", path.display())]
    Busy {
        /// Which file.
        path: PathBuf,
    },
    /// A question took longer than a question may.
    #[error("reading the ledger took too long and was ended; the machine may be busy: ask again in a moment")]
    OutOfTime,
    /// A statement failed.
    #[error("the ledger could not {what}")]
    Query {
        /// In words.
        what: &'static str,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
    /// What stands in the file makes no sense to this build.
    #[error("the ledger holds {what} that this build cannot read: {given}")]
    Content {
        /// A noun.
        what: &'static str,
        /// The text in question.
        given: String,
    },
}

impl StoreError {
    /// Names the file, which a statement does not know.
    fn at(self, file: &Path) -> Self {
        match self {
            Self::Damaged { source, .. } => Self::Damaged { path: file.to_owned(), source },
            other => other,
        }
    }
}

/// Whether there is no room on the disk, be it for the ledger, its log, or the log's index in shared memory.
fn is_full(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    error.sqlite_error_code() == Some(ErrorCode::DiskFull) || code == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE)
}

/// Names what was attempted when SQLite fails.
trait Attempt<T> {
    fn attempt(self, what: &'static str) -> Result<T, StoreError>;
}

impl<T> Attempt<T> for Result<T, rusqlite::Error> {
    fn attempt(self, what: &'static str) -> Result<T, StoreError> {
        self.map_err(|source| match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt) => StoreError::Damaged { path: PathBuf::new(), source },
            // Nothing but a question's time ends a statement.
            Some(ErrorCode::OperationInterrupted) => StoreError::OutOfTime,
            _ if is_full(&source) => StoreError::Full(source),
            _ => StoreError::Query { what, source },
        })
    }
}
