//! One scan: plan the scopes, list each scope, record a snapshot.

pub(crate) mod after_commit;
pub(crate) mod creators;
pub(crate) mod plan;
pub(crate) mod progress;
pub(crate) mod recorder;
pub(crate) mod run;
pub(crate) mod spans;
