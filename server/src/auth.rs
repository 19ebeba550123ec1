//! Who calls, and which accounts the caller may read.

pub(crate) mod account_scope;
pub(crate) mod caller;
