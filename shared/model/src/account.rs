//! Accounts and creation events.

use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, Arn, Partition};

/// An account to scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The account ID.
    pub id: AccountId,
    /// The partition of the account.
    pub partition: Partition,
    /// The name in the organization, if it is known.
    pub name: Option<String>,
}

/// The creation of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creation {
    /// The created resource.
    pub arn: Arn,
    /// The ARN of the principal that created it: `arn:aws:sts::111111111111:assumed-role/Developer/ada@example.com`.
    pub principal: String,
}
