//! Tests of the expected resources of an estate.

use crate::{
    Estate,
    account_region::{InterleavedList, ListEntry},
};

/// One deleted entry follows after every given number of active entries, and every active resource appears exactly once.
#[test]
fn deleted_entries_interleave_with_active_ones() {
    let list = InterleavedList { active: 10, every: 3 };
    let entries: Vec<ListEntry> = (0..list.len()).map(|position| list.at(position)).collect();
    assert_eq!(entries.len(), 13);
    assert_eq!(entries[3], ListEntry::Deleted(0));
    let active: Vec<usize> = entries
        .iter()
        .filter_map(|entry| if let ListEntry::Active(index) = entry { Some(*index) } else { None })
        .collect();
    assert_eq!(active, (0..10).collect::<Vec<_>>());
    assert_eq!(InterleavedList { active: 4, every: 0 }.at(3), ListEntry::Active(3));
}

/// The expected resources exclude suspended accounts and regions that are not opted in, and untaggable ECS services
/// have short ARNs and no tags.
#[test]
fn expected_resources_exclude_unreachable_scopes() {
    let estate = Estate::small();
    assert_eq!(estate.resources().count(), 2 * 3 * (7 * 10 + 2));
    assert_eq!(estate.total(), 432);
    assert!(estate.resources().all(|r| r.account != "777788889999" && r.region != "me-south-1"));
    let short = estate.resources().filter(|r| !r.taggable).collect::<Vec<_>>();
    assert_eq!(short.len(), 2 * 3 * 2);
    assert!(short.iter().all(|r| r.tags.is_empty() && r.arn.matches('/').count() == 1), "{short:?}");
}

/// The total of the large estate is computed from its counts and includes one million instances.
#[test]
fn large_estate_total_is_computed() {
    assert_eq!(Estate::large().total(), 1_000_000 + 6 * 5_000 + 100);
}
