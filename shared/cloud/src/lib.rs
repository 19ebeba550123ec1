//! The interface between TagLedger and a cloud, and two implementations for demos and tests.
//!
//! [`Cloud`] is the interface that the scanner uses, and [`Lookup`] is the part of it that the server uses.
//! [`simulated::Simulated`] implements it without a network, and [`fault_injection::FaultInjector`] adds errors to another
//! implementation. The implementation for AWS is the crate `tagledger-aws`.

mod account;
mod creation_events;
pub mod fault_injection;
mod interface;
mod lookup;
mod lookup_result;
mod operation_calls;
pub mod simulated;

pub use crate::{
    account::{AccountRegion, Accounts},
    creation_events::CreationEvents,
    interface::Cloud,
    lookup::{BoxFuture, Lookup},
    lookup_result::{LookupResult, resolve_lookups},
    operation_calls::OperationCalls,
};
