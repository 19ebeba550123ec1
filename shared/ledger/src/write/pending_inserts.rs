//! New resources that are not written yet.

use std::{mem, sync::Arc};

use crate::{
    db::resource_state::ResourceState,
    model::{findings::Findings, scope_ids::ScopeIds},
};

/// The number of resources of the first snapshot that are written in one batch. A key is a hash, so the resources of one scope are spread
/// over all pages of the file, and writing them one by one writes a page for each. In a batch in key order, neighbors share a page.
const BATCH_SIZE: usize = if cfg!(test) { 8 } else { 1 << 16 };

/// A resource that is not written yet.
pub(crate) struct PendingInsert {
    pub(crate) ids: ScopeIds,
    pub(crate) key: i64,
    pub(crate) local: String,
    /// Creation time in seconds since the Unix epoch; none when AWS does not return it.
    pub(crate) created: Option<i64>,
    pub(crate) state: ResourceState,
    pub(crate) findings: Arc<Findings>,
}

/// The resources that the next batch writes.
#[derive(Default)]
pub(crate) struct PendingInserts(Vec<PendingInsert>);

impl PendingInserts {
    pub(crate) fn push(&mut self, insert: PendingInsert) {
        self.0.push(insert);
    }

    pub(crate) fn is_batch_full(&self) -> bool {
        self.0.len() >= BATCH_SIZE
    }

    /// Removes all inserts and returns them sorted by key. The sort is stable: when a resource was listed in two scopes, the scope that was
    /// recorded last is last.
    pub(crate) fn drain_sorted(&mut self) -> Vec<PendingInsert> {
        let mut inserts = mem::take(&mut self.0);
        inserts.sort_by_key(|insert| insert.key);
        inserts
    }
}
