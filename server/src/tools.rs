//! The tools: one file for each, grouped by subject.

pub(crate) mod common;
pub(crate) mod compliance;
pub(crate) mod cost;
pub(crate) mod history;
pub(crate) mod live;
pub(crate) mod policy;
pub(crate) mod registry;
pub(crate) mod remediate;
pub(crate) mod report;
pub(crate) mod suggest;
