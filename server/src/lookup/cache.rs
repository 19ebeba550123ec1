//! What was seen of resources in the last minute: by this server, and through Redis by those that share one with it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use moka::sync::Cache;
use tagledger_model::{Arn, inventory::Scope};
use tagledger_redis::envelope;

use crate::{cache::redis::RedisCache, lookup::observation::Observation, snapshot_ref::SnapshotKey};

/// For how long an answer is given again without asking AWS: a chat asks about the same resource more than once.
const FRESH: Duration = Duration::from_secs(60);

/// Answers kept; a resource and its tags take about a kilobyte.
const KEPT: u64 = 10_000;

#[derive(Clone)]
pub(crate) struct LookupCache {
    seen: Cache<Arn, Observation>,
    shelf: Option<Arc<RedisCache>>,
}

impl LookupCache {
    pub(crate) fn new(shelf: Option<Arc<RedisCache>>) -> Self {
        Self { seen: Cache::builder().max_capacity(KEPT).time_to_live(FRESH).build(), shelf }
    }

    /// What is remembered of some of these. What others saw is not kept here: it would seem fresh for longer than it is.
    pub(crate) async fn recall(
        &self,
        wanted: &[(Scope, Arn)],
        now: Timestamp,
        moment: Option<SnapshotKey>,
    ) -> HashMap<Arn, Observation> {
        let mut known: HashMap<Arn, Observation> =
            wanted.iter().filter_map(|(_, arn)| Some((arn.clone(), self.seen.get(arn)?))).collect();
        let others: Vec<&(Scope, Arn)> = wanted.iter().filter(|(_, arn)| !known.contains_key(arn)).collect();
        if let (Some((shelf, moment)), false) = (self.shelf.as_ref().zip(moment), others.is_empty()) {
            let keys: Vec<String> = others.iter().map(|(scope, arn)| key(scope, arn, moment)).collect();
            for ((_, arn), found) in others.into_iter().zip(shelf.get_many(&keys).await) {
                let seen = found.and_then(|found| serde_json::from_slice::<Observation>(&found).ok());
                known.extend(seen.filter(|seen| is_fresh(seen, now)).map(|seen| (arn.clone(), seen)));
            }
        }
        known
    }

    pub(crate) fn keep(&self, scope: &Scope, arn: &Arn, seen: &Observation, moment: Option<SnapshotKey>) {
        self.seen.insert(arn.clone(), seen.clone());
        if let (Some((shelf, moment)), Ok(written)) = (self.shelf.as_ref().zip(moment), serde_json::to_vec(seen)) {
            shelf.put(key(scope, arn, moment), &written, FRESH.as_secs());
        }
    }
}

/// Clocks of two machines differ a little; what was seen in the future was not.
fn is_fresh(seen: &Observation, now: Timestamp) -> bool {
    let age = now.duration_since(seen.at);
    age >= -SignedDuration::from_secs(5) && age.unsigned_abs() <= FRESH
}

/// Under which name servers share what they saw of a resource.
fn key(scope: &Scope, arn: &Arn, moment: SnapshotKey) -> String {
    envelope::key_name("tagledger:seen", &[&format!("{moment:?}"), &scope.to_string(), arn.as_str()])
}
