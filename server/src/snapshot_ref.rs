//! The snapshot that a request reads, and the clock.

use jiff::{Timestamp, civil::Date};
use tagledger_ledger::Snapshot;

/// The source of the current time.
pub type Clock = fn() -> Timestamp;

/// Identifies the content of the latest snapshot. An answer depends on it, on the request and on the policy file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SnapshotKey {
    /// ID, fingerprint and end time (nanoseconds since the epoch). The ID alone is not enough, because the file can be replaced by
    /// another ledger.
    snapshot: (i64, i64, i128),
}

impl SnapshotKey {
    pub(crate) fn from_snapshot(newest: &Snapshot) -> Self {
        Self { snapshot: (newest.id, newest.fingerprint, newest.finished_at.as_nanosecond()) }
    }
}

/// Selects the snapshot that a request reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SnapshotSelector {
    /// The latest snapshot.
    Latest,
    /// The snapshot with this ID, from a page token.
    Id(i64),
    /// The last snapshot up to the end of a day (UTC).
    AsOf(Date),
}
