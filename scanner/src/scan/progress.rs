//! What a scan reports while it runs, and why it fails.

use tagledger_ledger::{LedgerError, ScopeSummary};
use tagledger_model::{
    AccountId,
    inventory::{Gap, Scope},
};
use tokio::task::JoinError;

use crate::scan::plan::PlanError;

/// An event of a running scan.
#[derive(Debug, Clone)]
pub enum Progress {
    /// The scan is planned.
    Planned {
        /// In the order of accounts, regions and types. Scopes that are already known to be gaps are last.
        scopes: Vec<Scope>,
        /// The number of accounts of these scopes.
        accounts: usize,
    },
    /// A scope is recorded.
    Scope(ScopeSummary),
    /// All scopes are recorded. The scan can no longer be cancelled.
    Committing,
}

/// Why a scan recorded nothing.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The account of the credentials cannot be determined.
    #[error("the scan cannot start")]
    Accounts(#[source] Gap),
    /// The scan cannot be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The ledger cannot be written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The thread that writes the snapshot ended early.
    #[error("the thread that writes the ledger ended unexpectedly; nothing was recorded")]
    Writer(#[source] Option<JoinError>),
    /// Another scanner that uses the same Redis holds the lease of the account, or held it after this scan lost it.
    #[error("another scanner holds the lease of account {account} ({holder}); nothing was recorded")]
    Elsewhere {
        /// The account of the credentials.
        account: AccountId,
        /// Process, host and start of the lease.
        holder: String,
    },
    /// The scan was cancelled.
    #[error("the scan was cancelled; nothing was recorded")]
    Cancelled,
}

impl ScanError {
    /// The kind of error for traces.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Accounts(_) => "accounts",
            Self::Plan(_) => "plan",
            Self::Ledger(_) => "store",
            Self::Writer(_) => "writer",
            Self::Elsewhere { .. } => "elsewhere",
            Self::Cancelled => "cancelled",
        }
    }
}
