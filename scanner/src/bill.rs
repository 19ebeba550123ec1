//! Collection of the bill from Cost Explorer.

pub(crate) mod collect;
pub(crate) mod questions;
pub(crate) mod resource_costs;
pub(crate) mod shared_cache;
