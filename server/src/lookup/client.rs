//! Looks up named resources in AWS. The server reads from AWS in no other way.

use std::{
    cell::Cell,
    collections::{BTreeMap, HashMap},
    future::Future,
    sync::Arc,
    time::Duration,
};

use tagledger_cloud::{Lookup, LookupResult};
use tagledger_model::{
    Arn,
    inventory::{Gap, GapReason, Scope, Tags},
};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, timeout_at},
};

use crate::{
    cache::redis::RedisCache,
    lookup::{cache::LookupCache, observation::Observation},
    snapshot_ref::{Clock, SnapshotKey},
};

/// Maximum time of all lookups of a request. Clients wait a minute for a tool, and some 30 seconds.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(20);

/// The cloud client stops this much earlier, so that its partial results arrive in time.
const PARTIAL_RESULT_MARGIN: Duration = Duration::from_millis(500);

/// Maximum number of scopes that are read at a time, over all requests.
const MAX_CONCURRENT_SCOPES: usize = 16;

tokio::task_local! {
    /// The number of AWS listings of the current tool call.
    static LOOKUPS: Cell<u64>;
}

/// Runs `work` and counts the AWS listings that it requests.
pub(crate) async fn count_listings<T>(work: impl Future<Output = T>) -> (T, u64) {
    LOOKUPS
        .scope(Cell::new(0), async {
            let output = work.await;
            (output, LOOKUPS.with(Cell::get))
        })
        .await
}

fn count(lookups: usize) {
    // Outside of a tool call there is no counter.
    LOOKUPS.try_with(|count| count.set(count.get() + lookups as u64)).ok();
}

/// Looks up resources and caches the results for a minute.
#[derive(Clone)]
pub(crate) struct LiveLookup {
    cloud: Option<Arc<dyn Lookup>>,
    cache: LookupCache,
    permits: Arc<Semaphore>,
    timeout: Duration,
}

impl std::fmt::Debug for LiveLookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveLookup").field("cloud", &self.cloud.is_some()).finish_non_exhaustive()
    }
}

impl LiveLookup {
    /// Without a cloud, every lookup fails with the reason `denied`.
    pub(crate) fn new(cloud: Option<Arc<dyn Lookup>>) -> Self {
        let permits = Arc::new(Semaphore::new(MAX_CONCURRENT_SCOPES));
        Self { cloud, cache: LookupCache::new(None), permits, timeout: LOOKUP_TIMEOUT }
    }

    /// Uses this cloud.
    pub(crate) fn with_cloud(self, cloud: Arc<dyn Lookup>) -> Self {
        Self { cloud: Some(cloud), ..self }
    }

    /// Shares the lookups through this Redis.
    pub(crate) fn with_redis(self, redis: Arc<RedisCache>) -> Self {
        Self { cache: LookupCache::new(Some(redis)), ..self }
    }

    /// The deadline of a request that begins now.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Looks up resources, each in its scope. The result has an entry for every resource. Lookups of other servers are
    /// used only if those servers have the same newest snapshot, because another ledger can mean another AWS organization.
    pub(crate) async fn look_up(
        &self,
        resources: &[(Scope, Arn)],
        deadline: Instant,
        clock: Clock,
        snapshot: Option<SnapshotKey>,
    ) -> HashMap<Arn, Observation> {
        let mut observations = self.cache.load(resources, clock(), snapshot).await;
        let mut uncached: BTreeMap<&Scope, Vec<Arn>> = BTreeMap::new();
        for (scope, arn) in resources.iter().filter(|(_, arn)| !observations.contains_key(arn)) {
            uncached.entry(scope).or_default().push(arn.clone());
        }
        let mut tasks = JoinSet::new();
        count(uncached.len());
        for (scope, arns) in uncached {
            tasks.spawn(self.clone().look_up_scope(scope.clone(), arns, deadline));
        }
        while let Some(task) = tasks.join_next().await {
            let Ok((scope, results)) = task else { continue };
            let at = clock();
            for (arn, result) in results {
                let observation = Observation { result, at };
                if is_cacheable(&observation.result) {
                    self.cache.store(&scope, &arn, &observation, snapshot);
                }
                observations.insert(arn, observation);
            }
        }
        observations
    }

    /// The scopes of buckets that the ledger does not contain, if the account owns them.
    pub(crate) async fn locate_buckets(&self, buckets: &[Arn], deadline: Instant) -> Result<Vec<(Arn, Scope)>, Gap> {
        let Some(cloud) = &self.cloud else { return Err(no_cloud()) };
        count(1);
        timeout_at(deadline, cloud.locate_buckets(buckets)).await.unwrap_or_else(|_| Err(timeout_gap()))
    }

    async fn look_up_scope(self, scope: Scope, arns: Vec<Arn>, deadline: Instant) -> (Scope, Vec<(Arn, LookupResult)>) {
        let failed = |gap: Gap| vec![LookupResult::Failed(gap); arns.len()];
        let results = match &self.cloud {
            None => failed(no_cloud()),
            Some(cloud) => {
                let lookups = timeout_at(deadline, async {
                    let _permit = self.permits.acquire().await;
                    let remaining =
                        deadline.saturating_duration_since(Instant::now()).saturating_sub(PARTIAL_RESULT_MARGIN);
                    cloud.look_up(&scope, &arns, remaining).await
                });
                lookups.await.unwrap_or_else(|_| failed(timeout_gap()))
            }
        };
        (scope, arns.into_iter().zip(results).collect())
    }
}

/// Whether a result is cached. A resource whose lookup failed is looked up again.
fn is_cacheable(result: &LookupResult) -> bool {
    match result {
        LookupResult::Found(resource) => !matches!(resource.tags, Tags::Unknown(_)),
        LookupResult::NotFound => true,
        LookupResult::Failed(_) => false,
    }
}

fn timeout_gap() -> Gap {
    Gap { reason: GapReason::Failed, operation: "aws".to_owned(), message: "AWS did not answer in time".to_owned() }
}

fn no_cloud() -> Gap {
    let message = "this server was built or started without access to AWS".to_owned();
    Gap { reason: GapReason::Denied, operation: "aws".to_owned(), message }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use jiff::Timestamp;
    use tagledger_cloud::{BoxFuture, Lookup, LookupResult};
    use tagledger_model::{
        Arn,
        inventory::{Gap, GapReason, Relationships, Resource, Scope, Tags},
    };

    use super::*;

    /// Reports `gone` as deleted, never answers for `slow`, and reports all other resources without tags.
    #[derive(Default)]
    struct Script {
        requested: AtomicUsize,
    }

    impl Lookup for Script {
        fn look_up<'a>(&'a self, _: &'a Scope, arns: &'a [Arn], _: Duration) -> BoxFuture<'a, Vec<LookupResult>> {
            self.requested.fetch_add(arns.len(), Ordering::Relaxed);
            Box::pin(async move {
                if arns.iter().any(|arn| arn.as_str().ends_with("slow")) {
                    std::future::pending::<()>().await;
                }
                let tags = || Tags::Known(std::iter::empty::<(String, String)>().collect());
                let found = |arn: &Arn| {
                    LookupResult::Found(Resource {
                        arn: arn.clone(),
                        created_at: None,
                        tags: tags(),
                        usage: None,
                        links: Relationships::default(),
                    })
                };
                let is_deleted = |arn: &Arn| arn.as_str().ends_with("gone");
                arns.iter().map(|arn| if is_deleted(arn) { LookupResult::NotFound } else { found(arn) }).collect()
            })
        }

        fn locate_buckets<'a>(&'a self, _: &'a [Arn]) -> BoxFuture<'a, Result<Vec<(Arn, Scope)>, Gap>> {
            Box::pin(std::future::ready(Ok(Vec::new())))
        }
    }

    fn resource(region: &str, name: &str) -> (Scope, Arn) {
        let account = "123456789012";
        let arn = format!("arn:aws:rds:{region}:{account}:db:{name}").parse().unwrap();
        let (account, region) = (account.parse().unwrap(), region.parse().unwrap());
        (Scope { account, region, resource_type: "rds:db".parse().unwrap() }, arn)
    }

    fn noon() -> Timestamp {
        "2026-11-01T12:00:00Z".parse().unwrap()
    }

    /// A repeated lookup of the same resources is answered from the cache and sends no request, both for existing and
    /// for deleted resources.
    #[tokio::test]
    async fn cached_results_avoid_second_lookup() {
        let script = Arc::new(Script::default());
        let live = LiveLookup::new(Some(Arc::<Script>::clone(&script)));
        let both = [resource("eu-west-1", "there"), resource("us-east-1", "gone")];
        let first = live.look_up(&both, live.deadline(), noon, None).await;
        let again = live.look_up(&both, live.deadline(), noon, None).await;
        assert_eq!(script.requested.load(Ordering::Relaxed), 2);
        for answers in [first, again] {
            assert!(matches!(answers[&both[0].1].result, LookupResult::Found(_)));
            assert_eq!(answers[&both[1].1].result, LookupResult::NotFound);
        }
    }

    /// A lookup that exceeds its timeout is reported as unread, while the other resources of the same call are
    /// answered. A later call requests only the unread resource again.
    #[tokio::test]
    async fn slow_lookup_times_out_without_blocking_others() {
        let script = Arc::new(Script::default());
        let live =
            LiveLookup { timeout: Duration::from_millis(50), ..LiveLookup::new(Some(Arc::<Script>::clone(&script))) };
        let both = [resource("eu-west-1", "there"), resource("us-east-1", "slow")];
        for requested in [2, 3] {
            let answers = live.look_up(&both, live.deadline(), noon, None).await;
            assert!(matches!(answers[&both[0].1].result, LookupResult::Found(_)));
            assert!(
                matches!(&answers[&both[1].1].result, LookupResult::Failed(gap) if gap.message.contains("in time"))
            );
            assert_eq!(
                script.requested.load(Ordering::Relaxed),
                requested,
                "only the resource whose lookup failed is requested again"
            );
        }
    }

    /// Without a cloud client, every lookup is reported as unread with the reason `denied`, and locating a resource
    /// fails.
    #[tokio::test]
    async fn no_cloud_client_reports_denied() {
        let (live, one) = (LiveLookup::new(None), resource("eu-west-1", "there"));
        let answers = live.look_up(std::slice::from_ref(&one), live.deadline(), noon, None).await;
        assert!(matches!(&answers[&one.1].result, LookupResult::Failed(gap) if gap.reason == GapReason::Denied));
        assert!(live.locate_buckets(&[one.1], live.deadline()).await.is_err());
    }
}
