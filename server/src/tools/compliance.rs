//! Tools that report how resources comply with the policy.

pub(crate) mod check_tag_compliance;
pub(crate) mod find_untagged_resources;
