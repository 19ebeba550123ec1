//! Tools that plan how to fix tags.

pub(crate) mod plan_fixes;
pub(crate) mod scripts;
