//! Who created what: the trail is asked by scope and time, beside the lists, and never about a single resource.

use std::{collections::HashMap, time::Duration};

use futures::{StreamExt, stream};
use jiff::{Timestamp, ToSpan};
use shared::{
    cloud::{Cloud, Creations},
    inventory::{Gap, Scope},
};
use tracing::{info, warn};

use crate::recorder::Recorder;

/// CloudTrail keeps so much.
const KEPT_HOURS: i64 = 90 * 24;

/// Events come late, and what was asked for twice is known twice.
const LATE_HOURS: i64 = 1;

/// Requests about one scope a night, with fifty events each: beyond that the oldest are given up.
const MOST_REQUESTS: u64 = 40;

/// Questions under way: each waits for its turn, two a second in each account and region.
const AT_ONCE: usize = 2_048;

/// Once everything is listed, the trail is waited for so long; what has not answered by then is asked again the next night.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Asks about all scopes, each since it was asked about last, and records what they say as they say it.
pub(crate) async fn harvest<C: Cloud>(
    cloud: &C,
    scopes: Vec<Scope>,
    known: &HashMap<Scope, Timestamp>,
    now: Timestamp,
    recorder: &Recorder,
) {
    let (asked, earliest) = (scopes.len(), now - KEPT_HOURS.hours());
    let answers = stream::iter(scopes).map(async |scope| {
        let from = known.get(&scope).map_or(earliest, |until| (*until - LATE_HOURS.hours()).max(earliest));
        let Creations { found, gap } = cloud.creations(&scope, from, now, MOST_REQUESTS).await;
        (scope, found, gap)
    });
    let mut answers = std::pin::pin!(answers.buffer_unordered(AT_ONCE));
    let (mut creations, mut gaps) = (0, Vec::new());
    while let Some((scope, found, gap)) = answers.next().await {
        creations += found.len();
        let until = gap.is_none().then_some(now);
        recorder.created(scope.clone(), found, until).await;
        gaps.extend(gap.map(|gap| (scope, gap)));
    }
    info!(scopes_n = asked, creations_n = creations, "trail read");
    if let Some((scope, gap)) = gaps.first() {
        tell(scope, gap, gaps.len(), asked);
    }
}

/// Suggestions do without it, so that it is no gap of the snapshot.
fn tell(scope: &Scope, Gap { reason, operation, message, .. }: &Gap, gaps: usize, asked: usize) {
    warn!(
        "who created resources is not known in {gaps} of {asked} scopes, and suggestions do without ({reason}: {operation} in account \
         {}, {}: {message}); --creators false asks no more",
        scope.account, scope.region
    );
}
