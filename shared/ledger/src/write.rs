//! Writes one snapshot in one transaction.

pub mod carry_over;
pub mod change_log;
pub mod creators;
pub mod interner;
pub mod new_resources;
pub mod pending_inserts;
pub mod prior_state;
pub mod rollups;
pub mod scope_log;
pub mod snapshot_state;
pub mod snapshot_writer;
pub mod stored_tags;
pub mod transaction;
pub mod transitions;
pub mod usage_totals;
pub mod violation_rollups;
pub mod writer;
