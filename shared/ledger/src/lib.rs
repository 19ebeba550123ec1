//! The ledger: snapshots of an AWS estate in one SQLite file.
//!
//! `schema.sql` describes the tables. The scanner uses [`LedgerWriter`]. It opens the file for reading and writing, creates it when it
//! does not exist, and writes one snapshot in one transaction with [`SnapshotWriter`]. All other programs use [`LedgerReader`], which
//! cannot write. Every query reads one state of the ledger in one read transaction.
//!
//! # Locks and file systems
//!
//! The ledger uses SQLite's write-ahead log (WAL). Readers do not wait for the writer and do not see uncommitted rows. WAL needs shared
//! memory: the file must not be on a network file system, and its folder must be writable for readers too. A snapshot holds SQLite's
//! write lock from its beginning to its commit. A second writer fails immediately with [`crate::error::LedgerError::Busy`].

pub mod cost;
mod db;
mod error;
mod file_format;
mod index;
pub mod learn;
mod maintenance;
mod model;
pub mod page_token;
pub mod query;
pub mod read;
#[cfg(test)]
mod tests;
pub mod warmup;
pub mod write;

pub use crate::{
    cost::{bill_as_of::BillAsOf, bill_query::find_default_month},
    db::{
        checksum_file::{ChecksumState, log_bytes},
        migrations::MigrationProgress,
    },
    error::{LedgerError, Operation},
    file_format::SCHEMA_VERSION,
    index::missing_tags_by_cost::{AgeAndCostFilter, MissingTagTotals},
    learn::{
        cross_validation::{Baselines, EvaluationReport, TagEvaluation},
        predict::{Prediction, TargetContext, TargetResource, TrainedModel},
        train::TrainReport,
    },
    maintenance::{
        backup::LedgerStats,
        prune::PruneReport,
        retention::{InvalidRetentionPolicy, RetentionPolicy},
        verify::VerifyReport,
    },
    model::{
        bill::{
            Bill, BillCollection, BillGap, BillLine, BillPart, BilledMonth, MonthBill, MonthSpend, RecordedBasis,
            RecordedBill, RecordedMonth,
        },
        change::{ResourceChange, ResourceVersion, TagChange, TagValue},
        change_cause::{Cause, CauseContribution, CauseContributions},
        compliance_totals::{ComplianceTotals, SimulatedTotals},
        counts::ComplianceCounts,
        history::{DaySpend, FlowFilter, SnapshotTotals, ViolationFlow},
        page::PageStart,
        resource_cost::{CostBasis, CostSource, CurrentTagSpend, RemediatedSpend, ResourceCost, ScopeSpend},
        resource_row::{OrderByMissingTags, OrderBySeverity, ResourcePage, ResourceRow},
        snapshot::{Rule, ScopeRow, Snapshot},
    },
    query::{
        coverage::ScanCoverage,
        policy_simulation::{PolicySimulation, SimulatedSnapshot},
        remediation::RemediationBacklog,
        snapshot_diff::SnapshotDiff,
        tag_changes::TagChanges,
    },
    read::{
        filter::Filter,
        memo::CacheUsage,
        session::{LedgerReader, ReadSession},
    },
    write::{
        snapshot_writer::{ScopeSummary, SnapshotSummary, SnapshotWriter},
        transaction::SnapshotHeader,
        writer::LedgerWriter,
    },
};
