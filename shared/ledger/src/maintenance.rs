//! Verification, pruning, retention and backup of the file.

pub(crate) mod backup;
pub(crate) mod insights;
pub(crate) mod prune;
pub(crate) mod retention;
pub(crate) mod verify;
