//! Resources with missing tags by cost and age: totals and pages.

use crate::{
    error::LedgerError,
    index::missing_tags_by_cost::{self, AgeAndCostFilter, MissingTagTotals},
    model::{page::PageStart, resource_row::ResourcePage, snapshot::Snapshot},
    query::resource_pages::ResourcePages,
    read::{filter::Filter, session::ReadSession},
};

/// A page of resources with missing tags, the most expensive first and those without a known cost last. None for a past snapshot, because
/// the ledger does not store its costs, unless they are still cached from the time when it was the newest.
///
/// # Errors
///
/// When the ledger cannot be read. The same applies to the functions below.
pub fn list_by_cost(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    filter: &Filter,
    limits: AgeAndCostFilter,
    start: PageStart,
    limit: usize,
) -> Result<Option<ResourcePage>, LedgerError> {
    let index = missing_tags_by_cost::load(session, snapshot)?;
    if !index.has_own_costs {
        return Ok(None);
    }
    let starts = index.list_page(filter, limits, start, limit + 1);
    ResourcePages::open(session, snapshot)?.list_given(&starts, limit).map(Some)
}

/// The number and cost of resources with missing tags.
pub fn sum_totals(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    filter: &Filter,
    limits: AgeAndCostFilter,
) -> Result<MissingTagTotals, LedgerError> {
    Ok(missing_tags_by_cost::load(session, snapshot)?.sum_totals(filter, limits))
}
