//! The ledger: nights of an estate in one SQLite file.
//!
//! `schema.sql` tells what is kept and how. [`LedgerWriter`] is the scanner's: it opens read-write, creates the file, and
//! writes one [`SnapshotWriter`] in one transaction. [`LedgerReader`] is everybody else's: it can only read, and every question is
//! answered from one snapshot in one read transaction.
//!
//! # Locking, filesystems
//!
//! Write-ahead log: readers never wait for the writer, nor see half a night. WAL needs shared memory, so the file must
//! not stand on a network filesystem, and its folder must be writable for readers too. One night holds SQLite's write
//! lock from its beginning to its commit; a second one is refused at once with [`crate::error::LedgerError::Busy`].

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
    cost::{bill_as_of::BillAsOf, bill_query::default_month},
    db::{
        checksum_file::{ChecksumState, log_bytes},
        migrations::UpgradeProgress,
    },
    error::{LedgerError, Operation},
    file_format::SCHEMA_VERSION,
    index::missing_tags_by_cost::{MissingTagTotals, ScopeFilter},
    learn::{
        evaluate::{Baselines, EvaluationReport, TagEvaluation},
        predict::{LocatedPrediction, Prediction, TargetResource, TrainedModel},
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
