//! The changes of the snapshot that is being written: resources by kind of change, and violations that open or close.

use std::collections::BTreeMap;

use crate::{db::resource_state::ChangeKind, write::violation_rollups::ViolationEvents};

/// The changes so far.
#[derive(Default)]
pub(crate) struct ChangeLog {
    /// By kind of change, as the view `change` of `schema.sql` names them.
    resources: BTreeMap<&'static str, u64>,
    pub(crate) violations: ViolationEvents,
    /// Whether creators of resources were recorded.
    pub(crate) has_creators: bool,
}

impl ChangeLog {
    pub(crate) fn count_arrival(&mut self, returned: bool) {
        self.count_named(if returned { "returned" } else { "new" });
    }

    pub(crate) fn count(&mut self, kind: ChangeKind) {
        self.count_named(kind.as_str());
    }

    /// Corrects the kind of a change that was already counted.
    pub(crate) fn recount(&mut self, from: ChangeKind, to: ChangeKind) {
        if let Some(count) = self.resources.get_mut(from.as_str()) {
            *count = count.saturating_sub(1);
        }
        self.count(to);
    }

    fn count_named(&mut self, kind: &'static str) {
        *self.resources.entry(kind).or_default() += 1;
    }

    /// The number of changed resources by kind of change. Kinds without a change are absent.
    pub(crate) fn into_resources(self) -> BTreeMap<String, u64> {
        self.resources.into_iter().filter(|(_, n)| *n > 0).map(|(kind, n)| (kind.to_owned(), n)).collect()
    }
}
