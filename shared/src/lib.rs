//! TagLedger's domain, and what it stands on.
//!
//! In reading order: [`ids`] names things, [`resource_type`] lists what can be scanned, [`named`] reads what people call a resource,
//! [`inventory`] is what a scan saw, [`policy`] judges it, [`money`] is what it costs, [`store`] keeps both, [`cloud`] is the seam through which AWS is read.

#[macro_use]
pub mod resource_type;

pub mod advice;
pub mod chain;
pub mod checksum;
pub mod cloud;
pub mod cursor;
pub mod day;
pub mod explain;
pub mod fixes;
pub mod ids;
pub mod inventory;
pub mod money;
pub mod named;
pub mod policy;
pub mod store;
pub mod suggest;
pub mod trend;

pub use ids::{AccountId, Arn, Partition, Region};
pub use resource_type::ResourceType;
