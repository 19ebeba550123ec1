//! Helpers of the tests in this folder.

use std::sync::Arc;

use jiff::Timestamp;
use tagledger_policy::Policy;
use tagledger_scanner::{Scan, ScanScopeFilter, ScanTargets};
use tokio_util::sync::CancellationToken;

/// A scan of everything that a cloud has, without a bill.
pub(crate) fn scan_of<'c, C>(
    cloud: &'c C,
    policy: Arc<Policy>,
    now: &'c (dyn Fn() -> Timestamp + Sync),
) -> Scan<'c, C> {
    Scan {
        cloud,
        policy,
        targets: ScanTargets::default(),
        filter: ScanScopeFilter::default(),
        concurrency: 8,
        cost_request_budget: 0,
        creators: false,
        train: true,
        lease: None,
        now,
        app_version: "test",
        cancel: CancellationToken::new(),
    }
}
