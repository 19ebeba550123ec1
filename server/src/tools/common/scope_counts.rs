//! Sums of compliance counts over scopes.

use std::{cmp::Reverse, collections::BTreeMap};

use tagledger_ledger::ComplianceCounts;
use tagledger_model::inventory::Scope;

/// The sum over all scopes.
pub(crate) fn sum_all(cells: &[(Scope, ComplianceCounts)]) -> ComplianceCounts {
    let mut total = ComplianceCounts::default();
    cells.iter().for_each(|(_, counts)| total += *counts);
    total
}

/// The sums by `name` of the scopes, the largest number of non-compliant resources first.
pub(crate) fn rank_by(
    cells: &[(Scope, ComplianceCounts)],
    name: impl Fn(&Scope) -> String,
) -> Vec<(String, ComplianceCounts)> {
    let mut sums: BTreeMap<String, ComplianceCounts> = BTreeMap::new();
    for (scope, counts) in cells {
        *sums.entry(name(scope)).or_default() += *counts;
    }
    let mut ranked: Vec<(String, ComplianceCounts)> = sums.into_iter().collect();
    ranked.sort_by_key(|(_, counts)| Reverse(counts.non_compliant));
    ranked
}
