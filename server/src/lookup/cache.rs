//! A cache of lookups of the last minute, by this server and, through Redis, by other servers.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use moka::sync::Cache;
use tagledger_model::{Arn, inventory::Scope};
use tagledger_redis::envelope;

use crate::{cache::redis::RedisCache, lookup::observation::Observation, snapshot_ref::SnapshotKey};

/// How long a lookup is reused: a chat asks about the same resource more than once.
const TTL: Duration = Duration::from_secs(60);

/// Maximum number of lookups in memory. A resource and its tags take about a kilobyte.
const MAX_LOOKUPS: u64 = 10_000;

#[derive(Clone)]
pub(crate) struct LookupCache {
    lookups: Cache<Arn, Observation>,
    redis: Option<Arc<RedisCache>>,
}

impl LookupCache {
    pub(crate) fn new(redis: Option<Arc<RedisCache>>) -> Self {
        Self { lookups: Cache::builder().max_capacity(MAX_LOOKUPS).time_to_live(TTL).build(), redis }
    }

    /// The cached lookups. A lookup of another server is not stored in memory, where its lifetime would start again.
    pub(crate) async fn recall(
        &self,
        wanted: &[(Scope, Arn)],
        now: Timestamp,
        moment: Option<SnapshotKey>,
    ) -> HashMap<Arn, Observation> {
        let mut known: HashMap<Arn, Observation> =
            wanted.iter().filter_map(|(_, arn)| Some((arn.clone(), self.lookups.get(arn)?))).collect();
        let others: Vec<&(Scope, Arn)> = wanted.iter().filter(|(_, arn)| !known.contains_key(arn)).collect();
        if let (Some((redis, moment)), false) = (self.redis.as_ref().zip(moment), others.is_empty()) {
            let keys: Vec<String> = others.iter().map(|(scope, arn)| key(scope, arn, moment)).collect();
            for ((_, arn), found) in others.into_iter().zip(redis.get_many(&keys).await) {
                let seen = found.and_then(|found| serde_json::from_slice::<Observation>(&found).ok());
                known.extend(seen.filter(|seen| is_fresh(seen, now)).map(|seen| (arn.clone(), seen)));
            }
        }
        known
    }

    pub(crate) fn keep(&self, scope: &Scope, arn: &Arn, seen: &Observation, moment: Option<SnapshotKey>) {
        self.lookups.insert(arn.clone(), seen.clone());
        if let (Some((redis, moment)), Ok(written)) = (self.redis.as_ref().zip(moment), serde_json::to_vec(seen)) {
            redis.put(key(scope, arn, moment), &written, TTL.as_secs());
        }
    }
}

/// Clocks of two machines differ by a few seconds. A lookup further in the future is not used.
fn is_fresh(seen: &Observation, now: Timestamp) -> bool {
    let age = now.duration_since(seen.at);
    age >= -SignedDuration::from_secs(5) && age.unsigned_abs() <= TTL
}

/// The key of a resource in Redis.
fn key(scope: &Scope, arn: &Arn, moment: SnapshotKey) -> String {
    envelope::key_name("tagledger:seen", &[&format!("{moment:?}"), &scope.to_string(), arn.as_str()])
}
