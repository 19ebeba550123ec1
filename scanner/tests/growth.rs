//! Two hundred nights in one process. Alone in it: what other tests leave behind is none of their growth.

#![cfg(test)]

mod support;

use std::sync::Arc;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use shared::{cloud::simulated::Simulated, policy::Policy, store::Writer};
use support::scan_of;

const LAST: Date = Date::constant(2026, 11, 1);

fn now() -> Timestamp {
    TimeZone::UTC.to_timestamp(LAST.at(23, 0, 0, 0)).unwrap()
}

/// Resident memory of this process in KiB, as Linux counts it.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn two_hundred_nights_in_one_process_do_not_make_it_grow() {
    let folder = tempfile::tempdir().unwrap();
    let (store, estate) = (folder.path().join("ledger.sqlite"), Simulated::new(1, 1000, LAST));
    let policy = Arc::new(Policy::parse(include_str!("../../policies/tagging_policy.json")).unwrap());
    let mut after_fifty = 0;
    for night in 1..=200_u16 {
        let estate = estate.on_day(1 + night % 90);
        let scan = scan_of(&estate, Arc::clone(&policy), &now);
        scan.run(Writer::open(&store).unwrap(), |_| {}).await.unwrap();
        if night == 50 {
            after_fifty = resident();
        }
    }
    let after_all = resident();
    assert!(after_all < after_fifty + after_fifty / 10, "{after_fifty} KiB after 50 nights, {after_all} KiB after 200");
}
