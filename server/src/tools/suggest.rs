//! Tools that suggest tag values.

pub(crate) mod suggest_tags;
pub(crate) mod suggest_tags_bulk;
