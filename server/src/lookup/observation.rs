//! The result of a lookup.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tagledger_cloud::LookupResult;

/// The result of a lookup of one resource, and its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Observation {
    pub(crate) result: LookupResult,
    pub(crate) at: Timestamp,
}
