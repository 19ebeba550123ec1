//! Read sessions: one transaction over one snapshot, with a deadline and a cache.

pub(crate) mod filter;
pub(crate) mod memo;
pub(crate) mod partition;
pub(crate) mod session;
