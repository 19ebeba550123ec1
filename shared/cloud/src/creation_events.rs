//! Creation events, which record the creators of resources.

use tagledger_model::{account::Creation, inventory::Gap};

/// The creation events that a cloud has recorded for one scope and a period.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CreationEvents {
    /// The events that could be read, newest first.
    pub found: Vec<Creation>,
    /// The reason why the list may be incomplete.
    pub gap: Option<Gap>,
}
