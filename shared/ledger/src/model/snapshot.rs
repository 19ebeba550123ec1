//! One snapshot, its scopes and its rules.

use jiff::Timestamp;
use tagledger_model::inventory::{Gap, Scope};
use tagledger_policy::{Code, Severity};

/// One snapshot of the estate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The number of the snapshot, from 1 on without gaps.
    pub id: i64,
    /// When the scan began. The snapshot shows the estate at this time.
    pub started_at: Timestamp,
    /// When the scan ended.
    pub finished_at: Timestamp,
    /// Whether every scope was read completely.
    pub complete: bool,
    /// The digest of the policy that evaluated it.
    pub policy_digest: String,
    /// The number of requests that the scan sent to AWS.
    pub requests: u64,
    /// A hash of the resources. Equal estates with equal evaluations have equal fingerprints.
    pub fingerprint: i64,
    /// Whether only a part of the estate was scanned. The rest was carried over from earlier snapshots.
    pub narrowed: bool,
}

/// The result of the scan of one scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeRow {
    /// The scope.
    pub scope: Scope,
    /// The snapshot whose scan read the scope; an earlier one when the scope was carried over.
    pub scanned_in: i64,
    /// Whether the list of resources was read to its last page.
    pub listed_all: bool,
    /// The number of listed resources.
    pub resources: u64,
    /// The number of listed resources whose tags could not be read.
    pub unknown: u64,
    /// The number of resources of the previous snapshot that the scan did not list because of the gap.
    pub stale: u64,
    /// The first error that left a part of the scope unread; none when it was read completely.
    pub gap: Option<Gap>,
}

/// A kind of finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    /// The finding code.
    pub code: Code,
    /// The severity.
    pub severity: Severity,
    /// The tag key; empty when the finding is about the resource.
    pub tag: String,
}
