//! In-memory indexes of the newest snapshot.

pub(crate) mod missing_tags_by_cost;
pub(crate) mod ranked_by_scope;
pub(crate) mod superseded;
pub(crate) mod tag_sets;
