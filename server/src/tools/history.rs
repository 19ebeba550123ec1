//! Tools that compare snapshots.

pub(crate) mod costs;
pub(crate) mod detect_tag_drift;
pub(crate) mod explain_compliance_change;
pub(crate) mod get_violation_history;
pub(crate) mod points;
pub(crate) mod request;
pub(crate) mod snapshot_pair;
pub(crate) mod trend;
