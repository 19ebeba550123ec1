//! The domain types that all other crates use: IDs, ARNs, resource types and the inventory of a scan. No I/O.

pub mod account;
pub mod api;
pub mod epoch_day;
pub mod error_chain;
pub mod float;
pub mod ids;
pub mod inventory;
pub mod resource_ref;
mod resource_ref_error;
pub mod resource_types;

pub use crate::{
    ids::{AccountId, Arn, Partition, Region},
    resource_types::ResourceType,
};
