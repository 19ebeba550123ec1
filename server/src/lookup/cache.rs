//! A cache of lookups of the last minute, by this server and, through Redis, by other servers.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use moka::sync::Cache;
use tagledger_model::{Arn, inventory::Scope};
use tagledger_redis::envelope;

use crate::{cache::redis::RedisCache, lookup::observation::Observation, snapshot_ref::SnapshotKey};

/// How long a lookup is reused, because one conversation often looks up the same resource several times.
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

    /// The cached lookups. A lookup by another server is not stored in memory, because its lifetime would start again there.
    pub(crate) async fn load(
        &self,
        resources: &[(Scope, Arn)],
        now: Timestamp,
        snapshot: Option<SnapshotKey>,
    ) -> HashMap<Arn, Observation> {
        let mut results: HashMap<Arn, Observation> =
            resources.iter().filter_map(|(_, arn)| Some((arn.clone(), self.lookups.get(arn)?))).collect();
        let missing: Vec<&(Scope, Arn)> = resources.iter().filter(|(_, arn)| !results.contains_key(arn)).collect();
        if let (Some((redis, snapshot)), false) = (self.redis.as_ref().zip(snapshot), missing.is_empty()) {
            let keys: Vec<String> = missing.iter().map(|(scope, arn)| key(scope, arn, snapshot)).collect();
            for ((_, arn), found) in missing.into_iter().zip(redis.get_many(&keys).await) {
                let observation = found.and_then(|found| serde_json::from_slice::<Observation>(&found).ok());
                results.extend(
                    observation
                        .filter(|observation| is_fresh(observation, now))
                        .map(|observation| (arn.clone(), observation)),
                );
            }
        }
        results
    }

    pub(crate) fn store(&self, scope: &Scope, arn: &Arn, observation: &Observation, snapshot: Option<SnapshotKey>) {
        self.lookups.insert(arn.clone(), observation.clone());
        if let (Some((redis, snapshot)), Ok(json)) =
            (self.redis.as_ref().zip(snapshot), serde_json::to_vec(observation))
        {
            redis.put(key(scope, arn, snapshot), &json, TTL.as_secs());
        }
    }
}

/// Whether a lookup is recent. A lookup far in the future is not used; clocks of two machines differ by a few seconds only.
fn is_fresh(observation: &Observation, now: Timestamp) -> bool {
    let age = now.duration_since(observation.at);
    age >= -SignedDuration::from_secs(5) && age.unsigned_abs() <= TTL
}

/// The key of a resource in Redis.
fn key(scope: &Scope, arn: &Arn, snapshot: SnapshotKey) -> String {
    envelope::key_name("tagledger:observation", &[&format!("{snapshot:?}"), &scope.to_string(), arn.as_str()])
}
