//! Resources as they are now: the one way in which the server asks AWS, and what it asks is named resources.

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

/// How long a question waits for AWS. Clients give a tool a minute, and some half of it.
const PATIENCE: Duration = Duration::from_secs(20);

/// How much earlier the cloud itself gives up, so that what it has by then arrives.
const MARGIN: Duration = Duration::from_millis(500);

/// Scopes asked about at the same time, of all questions together.
const SCOPES_AT_ONCE: usize = 16;

tokio::task_local! {
    /// Lists of AWS that the call in hand has asked for.
    static LOOKUPS: Cell<u64>;
}

/// Does something, and says how many lists of AWS were asked for in it.
pub(crate) async fn counting<T>(work: impl Future<Output = T>) -> (T, u64) {
    LOOKUPS
        .scope(Cell::new(0), async {
            let done = work.await;
            (done, LOOKUPS.with(Cell::get))
        })
        .await
}

fn count(lookups: usize) {
    // Outside of a call nobody counts.
    LOOKUPS.try_with(|count| count.set(count.get() + lookups as u64)).ok();
}

/// Looks at resources, and remembers for a minute what it saw.
#[derive(Clone)]
pub(crate) struct LiveLookup {
    cloud: Option<Arc<dyn Lookup>>,
    memory: LookupCache,
    turns: Arc<Semaphore>,
    patience: Duration,
}

impl std::fmt::Debug for LiveLookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("cloud", &self.cloud.is_some()).finish_non_exhaustive()
    }
}

impl LiveLookup {
    /// Through this cloud; through none, nothing can be read.
    pub(crate) fn new(cloud: Option<Arc<dyn Lookup>>) -> Self {
        let turns = Arc::new(Semaphore::new(SCOPES_AT_ONCE));
        Self { cloud, memory: LookupCache::new(None), turns, patience: PATIENCE }
    }

    /// The same through another cloud.
    pub(crate) fn through(self, cloud: Arc<dyn Lookup>) -> Self {
        Self { cloud: Some(cloud), ..self }
    }

    /// The same, sharing what it sees through this Redis.
    pub(crate) fn sharing(self, shelf: Arc<RedisCache>) -> Self {
        Self { memory: LookupCache::new(Some(shelf)), ..self }
    }

    /// When a question that begins now must be answered.
    pub(crate) fn until(&self) -> Instant {
        Instant::now() + self.patience
    }

    /// Looks at resources, each in its scope; an answer for every one. What others saw counts as far as their ledger is at the
    /// same moment as this one: others may look at another cloud.
    pub(crate) async fn look(
        &self,
        wanted: &[(Scope, Arn)],
        until: Instant,
        clock: Clock,
        moment: Option<SnapshotKey>,
    ) -> HashMap<Arn, Observation> {
        let mut answers = self.memory.recall(wanted, clock(), moment).await;
        let mut unseen: BTreeMap<&Scope, Vec<Arn>> = BTreeMap::new();
        for (scope, arn) in wanted.iter().filter(|(_, arn)| !answers.contains_key(arn)) {
            unseen.entry(scope).or_default().push(arn.clone());
        }
        let mut asked = JoinSet::new();
        count(unseen.len());
        for (scope, arns) in unseen {
            asked.spawn(self.clone().scope(scope.clone(), arns, until));
        }
        while let Some(answered) = asked.join_next().await {
            let Ok((scope, answered)) = answered else { continue };
            let at = clock();
            for (arn, looked) in answered {
                let seen = Observation { looked, at };
                if lasts(&seen.looked) {
                    self.memory.keep(&scope, &arn, &seen, moment);
                }
                answers.insert(arn, seen);
            }
        }
        answers
    }

    /// Where buckets are that the ledger does not know, as far as they are the caller's own.
    pub(crate) async fn locate_buckets(&self, buckets: &[Arn], until: Instant) -> Result<Vec<(Arn, Scope)>, Gap> {
        let Some(cloud) = &self.cloud else { return Err(no_cloud()) };
        count(1);
        timeout_at(until, cloud.locate_buckets(buckets)).await.unwrap_or_else(|_| Err(late()))
    }

    async fn scope(self, scope: Scope, arns: Vec<Arn>, until: Instant) -> (Scope, Vec<(Arn, LookupResult)>) {
        let unread = |gap: Gap| vec![LookupResult::Failed(gap); arns.len()];
        let looked = match &self.cloud {
            None => unread(no_cloud()),
            Some(cloud) => {
                let answered = timeout_at(until, async {
                    let _turn = self.turns.acquire().await;
                    let left = until.saturating_duration_since(Instant::now()).saturating_sub(MARGIN);
                    cloud.look_up(&scope, &arns, left).await
                });
                answered.await.unwrap_or_else(|_| unread(late()))
            }
        };
        (scope, arns.into_iter().zip(looked).collect())
    }
}

/// Whether an answer is worth keeping: what could not be read is asked for again.
fn lasts(looked: &LookupResult) -> bool {
    match looked {
        LookupResult::Found(resource) => !matches!(resource.tags, Tags::Unknown(_)),
        LookupResult::NotFound => true,
        LookupResult::Failed(_) => false,
    }
}

fn late() -> Gap {
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

    /// Answers of `gone` that there is no such resource, of `slow` never, and of all others that they have no tags.
    #[derive(Default)]
    struct Script {
        asked: AtomicUsize,
    }

    impl Lookup for Script {
        fn look_up<'a>(&'a self, _: &'a Scope, arns: &'a [Arn], _: Duration) -> BoxFuture<'a, Vec<LookupResult>> {
            self.asked.fetch_add(arns.len(), Ordering::Relaxed);
            Box::pin(async move {
                if arns.iter().any(|arn| arn.as_str().ends_with("slow")) {
                    std::future::pending::<()>().await;
                }
                let tags = || Tags::Known(std::iter::empty::<(String, String)>().collect());
                let there = |arn: &Arn| {
                    LookupResult::Found(Resource {
                        arn: arn.clone(),
                        created_at: None,
                        tags: tags(),
                        usage: None,
                        links: Relationships::default(),
                    })
                };
                let gone = |arn: &Arn| arn.as_str().ends_with("gone");
                arns.iter().map(|arn| if gone(arn) { LookupResult::NotFound } else { there(arn) }).collect()
            })
        }

        fn locate_buckets<'a>(&'a self, _: &'a [Arn]) -> BoxFuture<'a, Result<Vec<(Arn, Scope)>, Gap>> {
            Box::pin(std::future::ready(Ok(Vec::new())))
        }
    }

    fn wanted(region: &str, name: &str) -> (Scope, Arn) {
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
        let both = [wanted("eu-west-1", "there"), wanted("us-east-1", "gone")];
        let first = live.look(&both, live.until(), noon, None).await;
        let again = live.look(&both, live.until(), noon, None).await;
        assert_eq!(script.asked.load(Ordering::Relaxed), 2);
        for answers in [first, again] {
            assert!(matches!(answers[&both[0].1].looked, LookupResult::Found(_)));
            assert_eq!(answers[&both[1].1].looked, LookupResult::NotFound);
        }
    }

    /// A lookup that exceeds its timeout is reported as unread, while the other resources of the same call are
    /// answered. A later call requests only the unread resource again.
    #[tokio::test]
    async fn slow_lookup_times_out_without_blocking_others() {
        let script = Arc::new(Script::default());
        let live =
            LiveLookup { patience: Duration::from_millis(50), ..LiveLookup::new(Some(Arc::<Script>::clone(&script))) };
        let both = [wanted("eu-west-1", "there"), wanted("us-east-1", "slow")];
        for asked in [2, 3] {
            let answers = live.look(&both, live.until(), noon, None).await;
            assert!(matches!(answers[&both[0].1].looked, LookupResult::Found(_)));
            assert!(
                matches!(&answers[&both[1].1].looked, LookupResult::Failed(gap) if gap.message.contains("in time"))
            );
            assert_eq!(script.asked.load(Ordering::Relaxed), asked, "only what was not seen is asked for again");
        }
    }

    /// Without a cloud client, every lookup is reported as unread with the reason `denied`, and locating a resource
    /// fails.
    #[tokio::test]
    async fn no_cloud_client_reports_denied() {
        let (live, one) = (LiveLookup::new(None), wanted("eu-west-1", "there"));
        let answers = live.look(std::slice::from_ref(&one), live.until(), noon, None).await;
        assert!(matches!(&answers[&one.1].looked, LookupResult::Failed(gap) if gap.reason == GapReason::Denied));
        assert!(live.locate_buckets(&[one.1], live.until()).await.is_err());
    }
}
