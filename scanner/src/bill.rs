//! Collection of the bill from Cost Explorer.

pub(crate) mod bill_reader;
pub(crate) mod collect;
pub(crate) mod request_budget;
pub(crate) mod resource_costs;
pub(crate) mod shared_cache;
