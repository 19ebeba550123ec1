//! Resources by ARN, and the accounts of the ledger.

use tagledger_model::{Arn, account::Account};

use crate::{
    error::LedgerError,
    model::{
        page::PageStart,
        resource_row::{ResourcePage, ResourceRow},
        snapshot::Snapshot,
    },
    query::resource_pages::ResourcePages,
    read::session::ReadSession,
};

/// The resources of a snapshot with these ARNs. An ARN that it does not have is left out.
///
/// # Errors
///
/// When the ledger cannot be read.
pub fn find_resources(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    arns: &[Arn],
) -> Result<Vec<ResourceRow>, LedgerError> {
    let starts: Vec<PageStart> = arns.iter().map(|arn| PageStart { rank: 0, key: arn.key() }).collect();
    let pages = ResourcePages::open(session, snapshot)?;
    let ResourcePage { mut rows, .. } = pages.with_violations(pages.list_given(&starts, starts.len())?)?;
    // A key is a hash of the ARN: two ARNs can have the same key.
    rows.retain(|row| arns.contains(&row.arn));
    Ok(rows)
}

/// All accounts that the ledger has recorded.
pub fn list_accounts(session: &ReadSession<'_>) -> Vec<Account> {
    session.dimensions().accounts.values().cloned().collect()
}
