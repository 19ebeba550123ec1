//! Single resources, by their names.

use super::{Page, PageStart, Row, Snapshot, StoreError, View};
use crate::{Arn, cloud::Account};

impl View<'_> {
    /// What a snapshot says of these resources; those that it does not have are left out.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub fn resources(&self, snapshot: &Snapshot, arns: &[Arn]) -> Result<Vec<Row>, StoreError> {
        let places: Vec<PageStart> = arns.iter().map(|arn| PageStart { rank: 0, key: arn.key() }).collect();
        let pages = self.pages(snapshot);
        let Page { mut rows, .. } = pages.with_violations(pages.listed(&places, places.len())?)?;
        // The key is a part of a hash: only the name itself says which resource it is.
        rows.retain(|row| arns.contains(&row.arn));
        Ok(rows)
    }

    /// Every account that the ledger has ever heard of.
    pub fn accounts(&self) -> Vec<Account> {
        self.dimensions().accounts.values().cloned().collect()
    }
}
