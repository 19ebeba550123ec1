//! Parts that several tools share.

pub(crate) mod account_filter;
pub(crate) mod arguments;
pub(crate) mod calendar;
pub(crate) mod compliance_by_cost;
pub(crate) mod envelope;
pub(crate) mod resource_cost;
pub(crate) mod resource_identity;
pub(crate) mod resource_locator;
pub(crate) mod scope_counts;
pub(crate) mod suggestions;
pub(crate) mod time_period;
pub(crate) mod violation;
