//! What the tests of this folder share.

use std::sync::Arc;

use jiff::Timestamp;
use scanner::{Choice, Narrow, Scan};
use shared::policy::Policy;
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
        choice: Choice::default(),
        narrow: Narrow::default(),
        concurrency: 8,
        cost_requests: 0,
        creators: false,
        learn: true,
        lock: None,
        now,
        app_version: "test",
        end: CancellationToken::new(),
    }
}
