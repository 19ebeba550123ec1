//! A cache of answers and observations that servers share through Redis.
//!
//! The server works without it. When Redis is unreachable, slow or full of foreign values, requests lose a few
//! milliseconds until the cache is bypassed, and one warning is logged. The server reconnects in the background.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use prometheus_client::{metrics::counter::Counter, registry::Registry};
use tagledger_http::{register_counter, register_gauge};
use tagledger_redis::{
    Command, CommandError, InvalidRedisUrl, RedisClient, RedisConnection,
    envelope::{add_checksum, verify_checksum},
    with_timeout,
};
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::cache::redis_subscriber::RedisSubscriber;

/// Maximum time that a request waits for Redis: about as long as most answers take to compute.
const READ_TIMEOUT: Duration = Duration::from_millis(4);

/// After this many timeouts in a row the cache is bypassed until the server has reconnected.
const MAX_TIMEOUTS: u32 = 5;

/// Maximum time for connecting and for writes, which no request waits for.
const BACKGROUND_TIMEOUT: Duration = Duration::from_millis(400);

/// Time between two attempts to connect.
const RECONNECT_INTERVAL: Duration = Duration::from_millis(400);

/// Minimum time between two warnings, for a Redis that comes and goes.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// Maximum number of queued writes. Further writes are dropped.
const QUEUE_LENGTH: usize = 256;

/// Maximum size of a cached value, bytes.
const MAX_VALUE_BYTES: usize = 1 << 20;

/// The cache that servers share through one Redis.
#[derive(Debug)]
pub struct RedisCache {
    /// None while the cache is bypassed.
    connection: RwLock<Option<RedisConnection>>,
    timeouts: AtomicU32,
    reconnect: Notify,
    writes: mpsc::Sender<CacheEntry>,
    hits: Counter,
    misses: Counter,
    outages: Counter,
    subscriber: RedisSubscriber,
}

/// A queued write.
#[derive(Debug)]
struct CacheEntry {
    key: String,
    value: Vec<u8>,
    expires_in_seconds: u64,
}

impl RedisCache {
    /// A cache in the Redis at this URL, which need not be reachable yet. Background tasks run until `end` is cancelled.
    ///
    /// # Errors
    ///
    /// When the URL is not the address of a Redis.
    pub fn open(url: &str, end: CancellationToken) -> Result<Arc<Self>, InvalidRedisUrl> {
        let client = RedisClient::new(url)?;
        let (writes, queue) = mpsc::channel(QUEUE_LENGTH);
        let cache = Arc::new(Self {
            connection: RwLock::new(None),
            timeouts: AtomicU32::new(0),
            reconnect: Notify::new(),
            writes,
            hits: Counter::default(),
            misses: Counter::default(),
            outages: Counter::default(),
            subscriber: RedisSubscriber::default(),
        });
        let background = Arc::clone(&cache);
        tokio::spawn(async move {
            let tasks =
                async { tokio::join!(background.subscriber.run(client.clone()), background.run(client, queue)) };
            end.run_until_cancelled(tasks).await
        });
        Ok(cache)
    }

    /// The announcements of scanners.
    pub(crate) fn subscriber(&self) -> &RedisSubscriber {
        &self.subscriber
    }

    /// The value of a key; none when it is missing, damaged, or Redis does not answer in time.
    pub(crate) async fn get(&self, key: String) -> Option<Vec<u8>> {
        self.get_many(&[key]).await.pop().flatten()
    }

    /// The values of at least one key, in the order of the keys; empty when Redis does not answer in time.
    pub(crate) async fn get_many(&self, keys: &[String]) -> Vec<Option<Vec<u8>>> {
        let connection = self.connection.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(mut connection) = connection else { return Vec::new() };
        let command = Command::get_many(keys);
        let found: Vec<Option<Vec<u8>>> = match with_timeout(READ_TIMEOUT, connection.send(&command)).await {
            Ok(found) => {
                self.timeouts.store(0, Ordering::Relaxed);
                let found: Vec<Option<Vec<u8>>> = found;
                found.into_iter().map(|stored| Some(verify_checksum(&stored?)?.to_vec())).collect()
            }
            Err(CommandError::Refused(_)) => Vec::new(),
            Err(CommandError::Connection(_)) => self.bypass(),
            Err(CommandError::Timeout(_)) if self.timeouts.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_TIMEOUTS => {
                self.bypass()
            }
            Err(CommandError::Timeout(_)) => Vec::new(),
        };
        let (all, hits) = (keys.len() as u64, found.iter().flatten().count() as u64);
        self.hits.inc_by(hits);
        self.misses.inc_by(all.saturating_sub(hits));
        found
    }

    /// Queues a write. It is dropped when the cache is bypassed, the queue is full, or the value is too large.
    pub(crate) fn put(&self, key: String, content: &[u8], expires_in_seconds: u64) {
        let connected = self.connection.read().unwrap_or_else(PoisonError::into_inner).is_some();
        if connected && content.len() <= MAX_VALUE_BYTES {
            let value = add_checksum(content);
            drop(self.writes.try_send(CacheEntry { key, value, expires_in_seconds }));
        }
    }

    pub(crate) fn register_metrics(&self, registry: &mut Registry) {
        let connected = self.connection.read().unwrap_or_else(PoisonError::into_inner).is_some();
        register_gauge(registry, "tagledger_redis_up", "Whether Redis responds", u32::from(connected));
        register_counter(registry, "tagledger_redis_hits_total", "Answers found in Redis", self.hits.clone());
        register_counter(registry, "tagledger_redis_misses_total", "Answers not found in Redis", self.misses.clone());
        let help = "How often Redis failed and was bypassed";
        register_counter(registry, "tagledger_redis_outages_total", help, self.outages.clone());
        let help = "Snapshots that scanners announced through Redis";
        register_counter(registry, "tagledger_redis_announcements_total", help, self.subscriber.announcements());
    }

    fn bypass(&self) -> Vec<Option<Vec<u8>>> {
        *self.connection.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.reconnect.notify_one();
        Vec::new()
    }

    /// Connects, writes the queued values until the connection fails, and connects again.
    async fn run(&self, client: RedisClient, mut queue: mpsc::Receiver<CacheEntry>) {
        let (mut last_warning, mut failed) = (None::<Instant>, false);
        loop {
            let cause = match client.connect_and_ping(BACKGROUND_TIMEOUT).await {
                Ok(connection) => {
                    if failed {
                        info!("Redis answers again; the cache is in use");
                    }
                    self.timeouts.store(0, Ordering::Relaxed);
                    *self.connection.write().unwrap_or_else(PoisonError::into_inner) = Some(connection.clone());
                    let cause = self.write_queued(connection, &mut queue).await;
                    self.outages.inc();
                    cause
                }
                Err(error) => error.to_string(),
            };
            if !failed && last_warning.is_none_or(|last| last.elapsed() >= WARNING_INTERVAL) {
                warn!("Redis is bypassed, answers are computed by this server alone: {cause}");
                last_warning = Some(Instant::now());
            }
            failed = true;
            sleep(RECONNECT_INTERVAL).await;
        }
    }

    /// Writes queued values until the connection fails or the cache is bypassed; returns the cause.
    async fn write_queued(&self, mut connection: RedisConnection, queue: &mut mpsc::Receiver<CacheEntry>) -> String {
        loop {
            let CacheEntry { key, value, expires_in_seconds } = tokio::select! {
                () = self.reconnect.notified() => return "it does not answer in time".to_owned(),
                entry = queue.recv() => match entry {
                    Some(entry) => entry,
                    None => std::future::pending().await,
                },
            };
            let set = Command::set(&key, &value, expires_in_seconds);
            match with_timeout(BACKGROUND_TIMEOUT, connection.send::<()>(&set)).await {
                // A Redis that is full or read-only still has the values of other servers.
                Ok(()) | Err(CommandError::Refused(_)) => {}
                Err(error) => {
                    self.bypass();
                    return error.to_string();
                }
            }
        }
    }
}
