//! Protocol clients over the runtime of the SDK, for services without an SDK crate.

pub(crate) mod query;
