//! Reads the creators of resources from CloudTrail. CloudTrail is read by scope and period while the resources are listed, never
//! for a single resource.

use std::{collections::HashMap, time::Duration};

use futures::{StreamExt, stream};
use jiff::{Timestamp, ToSpan};
use tagledger_cloud::{Cloud, CreationEvents};
use tagledger_model::inventory::{Gap, Scope};
use tracing::{info, warn};

use crate::scan::recorder::Recorder;

/// CloudTrail retains management events for 90 days.
const RETENTION_HOURS: i64 = 90 * 24;

/// Events arrive late, so the last hour is read again. An event that is read twice is recorded once.
const OVERLAP_HOURS: i64 = 1;

/// Maximum number of requests for one scope and scan, with 50 events each. The oldest events beyond that are not read.
const MAX_REQUESTS: u64 = 40;

/// Maximum number of scopes that are read concurrently. Each waits for the rate limit of CloudTrail: two requests a second for
/// each account and region.
const MAX_CONCURRENT_SCOPES: usize = 2_048;

/// How long the scan waits for CloudTrail after all resources are listed. The next scan reads what did not arrive by then.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// Reads the creation events of all scopes since each scope was read last, and records them as they arrive. `read_until`: for
/// each scope, the end of the period that was read before.
pub(crate) async fn read_creators<C: Cloud>(
    cloud: &C,
    scopes: Vec<Scope>,
    read_until: &HashMap<Scope, Timestamp>,
    now: Timestamp,
    recorder: &Recorder,
) {
    let (scope_count, earliest) = (scopes.len(), now - RETENTION_HOURS.hours());
    let events = stream::iter(scopes).map(async |scope| {
        let from = read_until.get(&scope).map_or(earliest, |until| (*until - OVERLAP_HOURS.hours()).max(earliest));
        let CreationEvents { found, gap } = cloud.list_creation_events(&scope, from, now, MAX_REQUESTS).await;
        (scope, found, gap)
    });
    let mut events = std::pin::pin!(events.buffer_unordered(MAX_CONCURRENT_SCOPES));
    let (mut creations, mut gaps) = (0, Vec::new());
    while let Some((scope, found, gap)) = events.next().await {
        creations += found.len();
        let until = gap.is_none().then_some(now);
        recorder.record_creations(scope.clone(), found, until).await;
        gaps.extend(gap.map(|gap| (scope, gap)));
    }
    info!(scopes_n = scope_count, creations_n = creations, "CloudTrail read");
    if let Some((scope, gap)) = gaps.first() {
        warn_of_gaps(scope, gap, gaps.len(), scope_count);
    }
}

/// Suggestions work without creators, so this is not a gap of the snapshot.
fn warn_of_gaps(scope: &Scope, Gap { reason, operation, message, .. }: &Gap, gaps: usize, scopes: usize) {
    warn!(
        "the creators of resources could not be read in {gaps} of {scopes} scopes, and suggestions are computed without them \
         ({reason}: {operation} in account {}, {}: {message}); --creators false disables this request",
        scope.account, scope.region
    );
}
