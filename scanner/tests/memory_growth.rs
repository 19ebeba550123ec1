//! Memory over two hundred snapshots in one process. It is the only test of its process, because other tests would
//! change the figure.

#![cfg(test)]

mod support;

use std::sync::Arc;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use peak_alloc::PeakAlloc;
use support::scan_of;
use tagledger_cloud::simulated::Simulated;
use tagledger_ledger::LedgerWriter;
use tagledger_policy::Policy;

const LAST: Date = Date::constant(2026, 11, 1);

fn now() -> Timestamp {
    TimeZone::UTC.to_timestamp(LAST.at(23, 0, 0, 0)).unwrap()
}

/// Counts what this program has allocated and not given back, to the byte.
#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Memory of this process that is no file's, in KiB, as Linux counts it: with SQLite's, and with what the allocator keeps. Pages of
/// the program itself are left out, which Linux takes and brings back as it likes; what it has put aside of the others is counted.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let figure = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    };
    figure("RssAnon:") + figure("VmSwap:")
}

/// What a night took.
#[derive(Debug, Clone, Copy)]
struct Memory {
    /// Bytes in use when it was over.
    kept: usize,
    /// Bytes in use at most while it was recorded.
    peak: usize,
    /// KiB resident when it was over.
    resident: u64,
}

/// Over 200 scans in one process, the heap usage after a scan, the peak during a scan and the resident memory do not
/// grow for equal simulated data.
#[tokio::test]
async fn memory_is_stable_over_200_scans() {
    let folder = tempfile::tempdir().unwrap();
    let (store, estate) = (folder.path().join("ledger.sqlite"), Simulated::new(1, 1000, LAST));
    let policy = Arc::new(Policy::parse(include_str!("../../policies/tagging_policy.json")).unwrap());
    let mut snapshots = Vec::with_capacity(200);
    for snapshot in 1..=200_u16 {
        HEAP.reset_peak_usage();
        let estate = estate.on_day(1 + snapshot % 90);
        let scan = scan_of(&estate, Arc::clone(&policy), &now);
        scan.run(LedgerWriter::open(&store).unwrap(), |_| {}).await.unwrap();
        snapshots.push(Memory { kept: HEAP.current_usage(), peak: HEAP.peak_usage(), resident: resident() });
    }
    // Ninety nights later the estate is the same again, and by the ninetieth the ledger has seen all of it.
    for (earlier, later) in snapshots[90..110].iter().zip(&snapshots[180..]) {
        assert!(later.kept < earlier.kept + 32_768, "kept after a night: {earlier:?}, ninety later {later:?}");
        assert!(later.peak < earlier.peak + earlier.peak / 10, "during a night: {earlier:?}, ninety later {later:?}");
    }
    // With what SQLite holds and what the allocator keeps, which need not be the same after the same night.
    let least = |snapshots: &[Memory]| snapshots.iter().map(|snapshot| snapshot.resident).min().unwrap();
    let (earlier, later) = (least(&snapshots[90..110]), least(&snapshots[180..]));
    assert!(
        later < earlier + earlier / 10,
        "{earlier} KiB resident after a hundred nights, {later} KiB after two hundred"
    );
}
