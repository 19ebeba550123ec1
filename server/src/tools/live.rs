//! Tools that look up resources in AWS.

pub(crate) mod validate_resource_tags;
pub(crate) mod validation_result;
