//! Live lookups of named resources in AWS.

pub(crate) mod cache;
pub(crate) mod client;
pub(crate) mod observation;
