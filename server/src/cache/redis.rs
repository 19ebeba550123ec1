//! Answers shared by servers, in Redis: whoever has answered a question of a snapshot has answered it for all, and what one has
//! seen of a resource the others need not look at for a minute.
//!
//! Nothing depends on it. A Redis that is away, hangs or talks nonsense costs a few milliseconds until it is left alone, and one
//! warning; it is asked again as soon as it answers.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo, RedisError, aio::MultiplexedConnection};
use tagledger_http::Page;
use tagledger_model::error_chain::ErrorChain;
use tagledger_redis::envelope::{checked, with_checksum};
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::cache::redis_subscriber::RedisSubscriber;

/// For how long a caller waits for an answer from Redis: about what most answers take to be worked out.
const PATIENCE: Duration = Duration::from_millis(4);

/// So many late answers in a row, and Redis is left alone.
const LATE: u32 = 5;

/// How long connecting, and what nobody waits for, may take.
const UNHURRIED: Duration = Duration::from_millis(400);

/// How long Redis is left alone before it is tried again.
const PAUSE: Duration = Duration::from_millis(400);

/// Who comes and goes is warned of once in so long.
const QUIET: Duration = Duration::from_secs(60);

/// Answers that wait to be kept; more are dropped.
const WAITING: usize = 256;

/// Largest answer that is kept, bytes.
const MOST_BYTES: usize = 1 << 20;

/// Why there is no shelf.
#[derive(Debug, thiserror::Error)]
#[error("REDIS_URL or --redis-url is no address of a Redis; it is like redis://:PASSWORD@HOST:6379/0")]
pub struct RedisCacheError(#[source] RedisError);

/// The answers of all servers that share a Redis.
#[derive(Debug)]
pub struct RedisCache {
    connection: RwLock<Option<MultiplexedConnection>>,
    late: AtomicU32,
    broken: Notify,
    puts: mpsc::Sender<CacheEntry>,
    hits: AtomicU64,
    misses: AtomicU64,
    outages: AtomicU64,
    heard: RedisSubscriber,
}

/// Something to be kept: under which key, and for how many seconds.
#[derive(Debug)]
struct CacheEntry {
    key: String,
    kept: Vec<u8>,
    seconds: u64,
}

impl RedisCache {
    /// The shelf in the Redis at this URL, which need not be there yet; followed until `end`.
    ///
    /// # Errors
    ///
    /// When it is no URL of a Redis.
    pub fn open(url: &str, end: CancellationToken) -> Result<Arc<Self>, RedisCacheError> {
        let client = url.into_connection_info().and_then(Client::open).map_err(RedisCacheError)?;
        let (puts, waiting) = mpsc::channel(WAITING);
        let shelf = Arc::new(Self {
            connection: RwLock::new(None),
            late: AtomicU32::new(0),
            broken: Notify::new(),
            puts,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            outages: AtomicU64::new(0),
            heard: RedisSubscriber::default(),
        });
        let kept = Arc::clone(&shelf);
        tokio::spawn(async move {
            let both = async { tokio::join!(kept.heard.listen(client.clone()), kept.follow(client, waiting)) };
            end.run_until_cancelled(both).await
        });
        Ok(shelf)
    }

    /// Whether a Redis answers at this URL; why not.
    ///
    /// # Errors
    ///
    /// When it is no URL of a Redis; within, what happened.
    pub async fn ping(url: &str) -> Result<Result<(), String>, RedisCacheError> {
        let client = url.into_connection_info().and_then(Client::open).map_err(RedisCacheError)?;
        Ok(connect(&client).await.map(drop))
    }

    /// What scanners announce.
    pub(crate) fn heard(&self) -> &RedisSubscriber {
        &self.heard
    }

    /// The answer that was kept under a key.
    pub(crate) async fn get(&self, key: String) -> Option<Vec<u8>> {
        self.get_all(&[key]).await.pop().flatten()
    }

    /// What was kept under each of some keys, at least one, in their order; or nothing at all.
    pub(crate) async fn get_all(&self, keys: &[String]) -> Vec<Option<Vec<u8>>> {
        let connection = self.connection.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(mut connection) = connection else { return Vec::new() };
        let mut asked = redis::cmd("MGET");
        asked.arg(keys);
        let found = match timeout(PATIENCE, asked.query_async::<Vec<Option<Vec<u8>>>>(&mut connection)).await {
            Ok(Ok(found)) => {
                self.late.store(0, Ordering::Relaxed);
                found.into_iter().map(|kept| Some(checked(&kept?)?.to_vec())).collect()
            }
            Ok(Err(error)) if is_an_answer(&error) => Vec::new(),
            Ok(Err(_)) => self.leave_alone(),
            Err(_) if self.late.fetch_add(1, Ordering::Relaxed) + 1 >= LATE => self.leave_alone(),
            Err(_) => Vec::new(),
        };
        let (all, hits) = (keys.len() as u64, found.iter().flatten().count() as u64);
        self.hits.fetch_add(hits, Ordering::Relaxed);
        self.misses.fetch_add(all.saturating_sub(hits), Ordering::Relaxed);
        found
    }

    /// Keeps an answer for so many seconds, from some time soon on; nobody waits for it.
    pub(crate) fn put(&self, key: String, answer: &[u8], seconds: u64) {
        let there = self.connection.read().unwrap_or_else(PoisonError::into_inner).is_some();
        if there && answer.len() <= MOST_BYTES {
            let kept = with_checksum(answer);
            // Where others wait already, one more is worth nothing.
            drop(self.puts.try_send(CacheEntry { key, kept, seconds }));
        }
    }

    /// Adds how often it helped.
    pub(crate) fn measure(&self, page: &mut Page) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let there = self.connection.read().unwrap_or_else(PoisonError::into_inner).is_some();
        page.one("tagledger_redis_up", "gauge", "Whether Redis answers.", u8::from(there));
        page.one("tagledger_redis_hits_total", "counter", "Answers found in Redis.", count(&self.hits));
        page.one(
            "tagledger_redis_misses_total",
            "counter",
            "Answers looked for in Redis in vain.",
            count(&self.misses),
        );
        page.one("tagledger_redis_outages_total", "counter", "How often Redis was left alone.", count(&self.outages));
        let heard = "Snapshots that scanners announced through Redis.";
        page.one("tagledger_redis_announcements_total", "counter", heard, self.heard.all());
    }

    fn leave_alone(&self) -> Vec<Option<Vec<u8>>> {
        *self.connection.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.broken.notify_one();
        Vec::new()
    }

    /// Connects, keeps what is to be kept, and connects again.
    async fn follow(&self, client: Client, mut waiting: mpsc::Receiver<CacheEntry>) {
        let (mut warned, mut away) = (None::<Instant>, false);
        loop {
            let why = match connect(&client).await {
                Ok(connection) => {
                    if away {
                        info!("answers are shared through Redis again");
                    }
                    self.late.store(0, Ordering::Relaxed);
                    *self.connection.write().unwrap_or_else(PoisonError::into_inner) = Some(connection.clone());
                    let why = self.keep(connection, &mut waiting).await;
                    self.outages.fetch_add(1, Ordering::Relaxed);
                    why
                }
                Err(error) => error,
            };
            if !away && warned.is_none_or(|last| last.elapsed() >= QUIET) {
                warn!("Redis is left alone, answers are worked out here: {why}");
                warned = Some(Instant::now());
            }
            away = true;
            sleep(PAUSE).await;
        }
    }

    /// Keeps answers for as long as Redis takes them; says why it does not any more.
    async fn keep(&self, mut connection: MultiplexedConnection, waiting: &mut mpsc::Receiver<CacheEntry>) -> String {
        loop {
            let CacheEntry { key, kept, seconds } = tokio::select! {
                () = self.broken.notified() => return "it does not answer in time".to_owned(),
                put = waiting.recv() => match put {
                    Some(put) => put,
                    None => std::future::pending().await,
                },
            };
            let mut set = redis::cmd("SET");
            set.arg(key).arg(kept).arg("EX").arg(seconds);
            match timeout(UNHURRIED, set.query_async::<()>(&mut connection)).await {
                // A Redis that is full, or takes no writes, still has what others have written.
                Ok(Err(error)) if !is_an_answer(&error) => {
                    self.leave_alone();
                    return ErrorChain(&error).to_string();
                }
                Err(_) => {
                    self.leave_alone();
                    return "it does not answer in time".to_owned();
                }
                Ok(_) => {}
            }
        }
    }
}

async fn connect(client: &Client) -> Result<MultiplexedConnection, String> {
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(UNHURRIED)).set_response_timeout(Some(UNHURRIED));
    let connected = timeout(UNHURRIED, async {
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        redis::cmd("PING").query_async::<String>(&mut connection).await?;
        Ok(connection)
    });
    match connected.await {
        Ok(connected) => connected.map_err(|error: RedisError| ErrorChain(&error).to_string()),
        Err(_) => Err(format!("no answer within {} ms", UNHURRIED.as_millis())),
    }
}

/// Whether Redis itself says no, in which case it is there.
fn is_an_answer(error: &RedisError) -> bool {
    error.code().is_some()
}
