//! One snapshot, its scopes and its rules.

use jiff::Timestamp;
use tagledger_model::inventory::{Gap, Scope};
use tagledger_policy::{Code, Severity};

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
