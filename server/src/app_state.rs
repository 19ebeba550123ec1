//! The state that all tools and transports share.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use tagledger_cloud::Lookup;
use tagledger_ledger::{LedgerError, LedgerReader, ReadSession, Snapshot, learn::predict, query::history, warmup};
use tagledger_model::{Arn, epoch_day::day_of, error_chain::ErrorChain, inventory::Scope};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    audit_writer::Audit,
    cache::redis::RedisCache,
    error::ToolFailure,
    lookup::{client::LiveLookup, observation::Observation},
    policy_watcher::PolicyWatcher,
    snapshot_ref::{Clock, SnapshotKey, SnapshotSelector},
    subscriptions::SnapshotWatcher,
};

/// The state of the server: the ledger, the policy and the connections to AWS, Redis and the audit log.
#[derive(Debug)]
pub struct AppState {
    reader: LedgerReader,
    policy: Arc<PolicyWatcher>,
    clock: Clock,
    started_at: Timestamp,
    /// The server is unhealthy if the latest snapshot is older.
    max_age: Duration,
    snapshot_watcher: SnapshotWatcher,
    shutdown: OnceLock<CancellationToken>,
    lookup: LiveLookup,
    redis_cache: Option<Arc<RedisCache>>,
    audit: Option<Arc<Audit>>,
    /// The latest snapshot for which the model is trained.
    trained: Mutex<Option<SnapshotKey>>,
    /// The latest snapshot, and when it was read.
    latest: Mutex<Option<(std::time::Instant, SnapshotKey)>>,
}

/// Calls within this time share one read of the latest snapshot's key, because the read takes longer than an answer from memory.
const KEY_LIFETIME: Duration = Duration::from_millis(1);

impl AppState {
    /// `store` is the path of the ledger, which does not have to exist yet. `policy` is the path of the policy file. Without one, the
    /// policy of the latest snapshot is the current policy. `max_age` is the age of the latest snapshot at which the server becomes
    /// unhealthy.
    pub fn new(store: &Path, policy: Option<&Path>, max_age: Duration, clock: Clock) -> Self {
        let policy = Arc::new(PolicyWatcher::open(policy));
        let (snapshot_watcher, shutdown) = (SnapshotWatcher::default(), OnceLock::new());
        let lookup = LiveLookup::new(None);
        Self {
            reader: LedgerReader::new(store),
            policy,
            clock,
            started_at: clock(),
            max_age,
            snapshot_watcher,
            shutdown,
            lookup,
            redis_cache: None,
            audit: None,
            trained: Mutex::default(),
            latest: Mutex::default(),
        }
    }

    /// Enables lookups of resources in AWS.
    #[must_use]
    pub fn with_lookup(self, cloud: Arc<dyn Lookup>) -> Self {
        Self { lookup: self.lookup.with_cloud(cloud), ..self }
    }

    /// Shares answers and lookups with other servers through Redis.
    #[must_use]
    pub fn with_redis_cache(self, cache: Arc<RedisCache>) -> Self {
        Self { lookup: self.lookup.with_redis(Arc::clone(&cache)), redis_cache: Some(cache), ..self }
    }

    /// Records every call in the audit log.
    #[must_use]
    pub fn with_audit(self, audit: Arc<Audit>) -> Self {
        Self { audit: Some(audit), ..self }
    }

    pub(crate) fn audit(&self) -> Option<&Audit> {
        self.audit.as_deref()
    }

    pub(crate) fn redis_cache(&self) -> Option<&RedisCache> {
        self.redis_cache.as_deref()
    }

    pub(crate) fn lookup(&self) -> &LiveLookup {
        &self.lookup
    }

    pub(crate) fn snapshot_watcher(&self) -> &SnapshotWatcher {
        &self.snapshot_watcher
    }

    /// Sets the token that is canceled when the server shuts down. Long answers wait for it. Only the first call has an effect.
    pub(crate) fn set_shutdown(&self, shutdown: &CancellationToken) {
        self.shutdown.get_or_init(|| shutdown.clone());
    }

    /// Waits until the server shuts down. Without a shutdown token, it waits forever.
    pub(crate) async fn wait_for_shutdown(&self) {
        match self.shutdown.get() {
            Some(shutdown) => shutdown.cancelled().await,
            None => std::future::pending().await,
        }
    }

    pub(crate) fn policy(&self) -> &Arc<PolicyWatcher> {
        &self.policy
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    pub(crate) fn started_at(&self) -> Timestamp {
        self.started_at
    }

    pub(crate) fn max_age(&self) -> Duration {
        self.max_age
    }

    /// Reads the latest snapshot. `None` before the first scan.
    pub(crate) fn latest_snapshot(&self) -> Result<Option<Snapshot>, LedgerError> {
        match self.reader.newest() {
            Err(LedgerError::Missing { .. }) => Ok(None),
            other => other,
        }
    }

    /// Reads the latest snapshot, and the latest snapshot of a scan of the entire estate. `None` before the first scan.
    pub(crate) fn latest_snapshots(&self) -> Result<Option<(Snapshot, Option<Snapshot>)>, LedgerError> {
        match self.reader.read(|view| Ok((view.newest()?, view.newest_full()?))) {
            Ok((latest, full)) => Ok(latest.map(|latest| (latest, full))),
            Err(LedgerError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The key of the latest snapshot, which is at most 1 ms old. `None` if the ledger has no snapshot or cannot be read.
    pub(crate) fn snapshot_key(&self) -> Option<SnapshotKey> {
        let latest = || self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((read_at, key)) = *latest()
            && read_at.elapsed() < KEY_LIFETIME
        {
            return Some(key);
        }
        // The time is taken before the read, so that a snapshot that is committed during the read is found at most 1 ms later.
        let read_at = std::time::Instant::now();
        let key = self.read_snapshot_key()?;
        let mut cached = latest();
        if cached.is_none_or(|(before, _)| before < read_at) {
            *cached = Some((read_at, key));
        }
        Some(key)
    }

    /// Reads the key of the latest snapshot from the ledger.
    pub(crate) fn read_snapshot_key(&self) -> Option<SnapshotKey> {
        self.reader.newest().ok().flatten().map(|newest| SnapshotKey::from_snapshot(&newest))
    }

    /// Reads the current state of resources from AWS until the deadline `until`. The result has an entry for every resource.
    pub(crate) async fn lookup_resources(
        &self,
        targets: &[(Scope, Arn)],
        deadline: Instant,
    ) -> HashMap<Arn, Observation> {
        self.lookup.look_up(targets, deadline, self.clock, self.snapshot_key()).await
    }

    /// Whether the model is trained for this snapshot. Once trained, it does not change until the next snapshot.
    pub(crate) fn is_model_trained(&self, key: SnapshotKey) -> bool {
        let trained = || self.trained.lock().unwrap_or_else(PoisonError::into_inner);
        if *trained() == Some(key) {
            return true;
        }
        let is_trained = self.reader.read(|view| match view.newest()? {
            Some(newest) if SnapshotKey::from_snapshot(&newest) == key => {
                Ok(predict::load_model(view, &newest)?.is_some_and(|model| model.snapshot == newest.id))
            }
            _ => Ok(false),
        });
        let is_trained = matches!(is_trained, Ok(true));
        if is_trained {
            *trained() = Some(key);
        }
        is_trained
    }

    /// Loads the parts of the latest snapshot that answers need into memory.
    pub fn preload(&self) {
        // Each step has its own time limit. The steps that most answers need come first.
        for step in warmup::STEPS {
            let loaded = self.reader.read(|session| session.newest()?.map_or(Ok(()), |newest| step(session, &newest)));
            if let Err(error) = loaded {
                // A call that needs the part loads it, or returns the error.
                tracing::debug!("a part of the latest snapshot could not be preloaded: {}", ErrorChain(&error));
            }
        }
    }

    /// Calls `answer` with the latest snapshot.
    ///
    /// # Errors
    ///
    /// When the ledger has no snapshot or cannot be read, or when `answer` fails.
    pub(crate) fn read_latest<T>(
        &self,
        answer: impl FnOnce(&ReadSession<'_>, Snapshot) -> Result<T, ToolFailure>,
    ) -> Result<T, ToolFailure> {
        self.read_snapshot(SnapshotSelector::Latest, answer)
    }

    /// Calls `answer` with the selected snapshot.
    ///
    /// # Errors
    ///
    /// When there is no such snapshot or the ledger cannot be read, or when `answer` fails.
    pub(crate) fn read_snapshot<T>(
        &self,
        selector: SnapshotSelector,
        answer: impl FnOnce(&ReadSession<'_>, Snapshot) -> Result<T, ToolFailure>,
    ) -> Result<T, ToolFailure> {
        let today = day_of(self.now());
        let result = self.reader.read(|view| {
            let found = match selector {
                SnapshotSelector::Latest => view.newest()?,
                SnapshotSelector::Id(id) => view.snapshot(id)?,
                // A future day has no last snapshot yet.
                SnapshotSelector::AsOf(day) if day > today => None,
                SnapshotSelector::AsOf(day) => history::find_snapshot_before(view, end_of_day(day))?,
            };
            match found {
                Some(snapshot) => Ok(answer(view, snapshot)),
                None => Ok(Err(snapshot_not_found(selector, history::find_oldest_start(view)?.map(day_of), today))),
            }
        });
        result.map_err(ToolFailure::from)?
    }
}

fn end_of_day(day: Date) -> Timestamp {
    TimeZone::UTC.to_timestamp(day.saturating_add(1.day()).at(0, 0, 0, 0)).unwrap_or(Timestamp::MAX)
}

fn snapshot_not_found(selector: SnapshotSelector, oldest: Option<Date>, today: Date) -> ToolFailure {
    ToolFailure::Caller(match (selector, oldest) {
        (SnapshotSelector::AsOf(day), Some(_)) if day > today => {
            format!("`as_of` {day} is in the future; today is {today} (UTC)")
        }
        (SnapshotSelector::AsOf(day), Some(oldest)) => {
            format!("the ledger has no snapshot up to `as_of` {day}; the oldest is from {oldest}")
        }
        (SnapshotSelector::Id(_), Some(_)) => {
            "the snapshot of `cursor` has been pruned; call the tool again without `cursor`".to_owned()
        }
        _ => "the ledger has no snapshot yet; run `tagledger scan` first".to_owned(),
    })
}
