//! What one lookup observed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tagledger_cloud::LookupResult;

/// What was seen, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Observation {
    pub(crate) looked: LookupResult,
    pub(crate) at: Timestamp,
}
