//! Tools that report what tagging gaps cost.

pub(crate) mod current_tags_gap;
pub(crate) mod gap_breakdown;
pub(crate) mod get_cost_attribution_gap;
