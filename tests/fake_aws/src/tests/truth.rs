//! The arithmetic of an estate.

use crate::{
    Estate,
    cell::{Mix, Place},
};

#[test]
fn after_every_k_live_things_stands_a_dead_one_and_none_is_lost() {
    let mix = Mix { live: 10, every: 3 };
    let places: Vec<Place> = (0..mix.len()).map(|at| mix.at(at)).collect();
    assert_eq!(places.len(), 13);
    assert_eq!(places[3], Place::Dead(0));
    let live: Vec<usize> = places.iter().filter_map(|p| if let Place::Live(i) = p { Some(*i) } else { None }).collect();
    assert_eq!(live, (0..10).collect::<Vec<_>>());
    assert_eq!(Mix { live: 4, every: 0 }.at(3), Place::Live(3));
}

#[test]
fn the_truth_leaves_out_suspended_accounts_and_regions_not_opted_in() {
    let estate = Estate::small();
    assert_eq!(estate.resources().count(), 2 * 3 * (7 * 10 + 2));
    assert_eq!(estate.total(), 432);
    assert!(estate.resources().all(|r| r.account != "777788889999" && r.region != "me-south-1"));
    let short = estate.resources().filter(|r| !r.taggable).collect::<Vec<_>>();
    assert_eq!(short.len(), 2 * 3 * 2);
    assert!(short.iter().all(|r| r.tags.is_empty() && r.arn.matches('/').count() == 1), "{short:?}");
}

#[test]
fn a_million_instances_cost_nothing_to_count() {
    assert_eq!(Estate::large().total(), 1_000_000 + 6 * 5_000 + 100);
}
