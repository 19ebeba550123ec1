//! Tools that show and simulate tagging policies.

pub(crate) mod draft_policy;
pub(crate) mod get_tagging_policy;
pub(crate) mod simulate_policy;
