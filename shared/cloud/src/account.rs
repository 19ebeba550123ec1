//! The accounts that a scan covers, and the regions of an account.

use tagledger_model::{Region, account::Account, inventory::Gap};

/// The accounts that a scan covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accounts {
    /// The accounts that could be listed. The caller's own account is first.
    pub found: Vec<Account>,
    /// The reason why the list may be incomplete, such as a failed call to AWS Organizations.
    pub gap: Option<Gap>,
}

/// A region of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRegion {
    /// The region.
    pub region: Region,
    /// Whether the region is enabled in the account.
    pub enabled: bool,
}
