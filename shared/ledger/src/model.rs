//! Rows of the ledger as Rust values.

pub(crate) mod attributable;
pub(crate) mod bill;
pub(crate) mod change;
pub(crate) mod change_cause;
pub(crate) mod compliance_totals;
pub(crate) mod counts;
pub(crate) mod findings;
pub(crate) mod history;
pub(crate) mod page;
pub(crate) mod resource_cost;
pub(crate) mod resource_row;
pub(crate) mod scope_ids;
pub(crate) mod snapshot;
