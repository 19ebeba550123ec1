//! Queries on the ledger, one file for each subject.

pub mod change_causes;
pub mod compliance;
pub mod coverage;
pub mod history;
pub mod missing_tags;
pub mod policy_simulation;
pub mod remediation;
pub mod resource_by_arn;
pub(crate) mod resource_pages;
pub mod snapshot_diff;
pub(crate) mod snapshot_insights;
pub mod spend;
pub(crate) mod stored_insights;
pub mod tag_changes;
pub mod tag_groups;
