//! A lease in Redis, so that scanners that share a Redis scan an account one at a time, even into different ledgers.
//!
//! The lease does not protect a ledger: the lock of SQLite does that. The lease saves request rate limits of the account, and
//! orders the writes to the shared cache of the bill. Therefore a Redis that is unavailable causes a warning, and the scan runs.
//!
//! Each lease has a fencing token, a number that is higher than that of every earlier lease. A scanner that was suspended or
//! disconnected from Redis while another scanner held the lease detects this by its token.

use std::{
    fs,
    future::Future,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tagledger_model::AccountId;
use tagledger_redis::{
    Command, CommandError, FromRedisValue, InvalidRedisUrl, RedisClient, envelope::NEW_SNAPSHOT_CHANNEL,
};
use tokio::task::JoinHandle;
use tracing::{debug, warn};

/// How long the lease of a scanner that has died remains valid.
const LEASE_DURATION: Duration = Duration::from_secs(60);

/// Maximum time for a command, connecting included.
const REDIS_TIMEOUT: Duration = Duration::from_secs(2);

/// Acquires the lease (third argument 0) or renews it (third argument: its fencing token). Returns the holder afterwards and the
/// fencing token. The holder is empty when a later lease was acquired and released meanwhile. A holder that repeats the command
/// receives the same token again, so a lost response has no effect.
///
/// A missing key is set again: a flushed Redis does not end a scan. Tokens are microseconds of the clock of Redis, so that they
/// increase after a flush as well. They are formatted explicitly, because Lua would round the numbers.
const HOLD: &str = "local holder = redis.call('GET', KEYS[1]) \
     if holder and holder ~= ARGV[1] then return {holder, '0'} end \
     local last = tonumber(redis.call('GET', KEYS[2]) or '') or 0 \
     local turn = tonumber(ARGV[3]) \
     if turn > 0 and turn < last then return {'', '0'} end \
     if turn == 0 and holder then turn = last end \
     if turn == 0 then \
         local now = redis.call('TIME') \
         turn = math.max(last + 1, now[1] * 1000000 + now[2]) \
     end \
     turn = string.format('%.0f', turn) \
     redis.call('SET', KEYS[2], turn) \
     redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) \
     return {ARGV[1], turn}";

/// The holder in an error message when a later lease has been released.
const RELEASED_HOLDER: &str = "its scan started later and has finished";

/// Separates the description of a holder from a random number that makes it unique, even in one process.
const NONCE_SEPARATOR: char = '#';

const RELEASE: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end return ''";

/// The settings of the lease of scanners that share a Redis.
#[derive(Debug, Clone)]
pub struct LeaseSettings {
    client: RedisClient,
    held_for: Duration,
}

/// The lease of a scan on an account. A task renews it.
pub(crate) struct Lease {
    held: HeldLease,
    /// Ends when another scanner holds the lease, with that holder.
    renewal: JoinHandle<String>,
}

/// The data of an acquired lease.
#[derive(Clone)]
struct HeldLease {
    lock: LeaseSettings,
    key: String,
    holder: String,
    /// The fencing token; 0 while Redis has not returned one.
    token: Arc<AtomicU64>,
}

/// The fencing token of a lease, which orders writes to Redis.
#[derive(Debug, Clone)]
pub(crate) struct FencingToken {
    /// The key of the lease.
    key: String,
    token: Arc<AtomicU64>,
}

impl FencingToken {
    /// Makes the token of a lease with this key.
    pub(crate) fn new(key: String, token: Arc<AtomicU64>) -> Self {
        Self { key, token }
    }

    /// The key that stores the token of the newest lease.
    pub(crate) fn newest_token_key(&self) -> String {
        format!("{}:turn", self.key_prefix())
    }

    /// The prefix of the keys that are written under the lease. The braces are a hash tag: a Redis cluster stores all of them on
    /// the node of the lease.
    pub(crate) fn key_prefix(&self) -> String {
        format!("{{{}}}", self.key)
    }

    /// The number. A write is rejected when a higher number exists. None while Redis has not returned one.
    pub(crate) fn number(&self) -> Option<u64> {
        Some(self.token.load(Ordering::Relaxed)).filter(|number| *number > 0)
    }
}

impl LeaseSettings {
    /// The settings for the Redis at this URL. Nothing is sent to it yet.
    ///
    /// # Errors
    /// When it is no URL of a Redis.
    pub fn new(url: &str) -> Result<Self, InvalidRedisUrl> {
        Ok(Self { client: RedisClient::new(url)?, held_for: LEASE_DURATION })
    }

    /// The client of the Redis that stores the lease.
    pub(crate) fn client(&self) -> RedisClient {
        self.client.clone()
    }

    /// The same settings with another duration of the lease.
    #[must_use]
    pub fn held_for(self, held_for: Duration) -> Self {
        Self { held_for, ..self }
    }

    /// Acquires the lease of an account. The error is the holder of the lease.
    pub(crate) async fn acquire(&self, account: &AccountId, now: Timestamp) -> Result<Lease, String> {
        let nonce = RandomState::new().hash_one(now);
        let held = HeldLease {
            lock: self.clone(),
            key: format!("tagledger:scan:{account}"),
            holder: format!(
                "process {} of {}, since {now}{NONCE_SEPARATOR}{nonce:016x}",
                std::process::id(),
                host_name()
            ),
            token: Arc::default(),
        };
        match held.hold().await {
            Ok(None) => {}
            Ok(Some(other)) => return Err(other),
            Err(error) => warn!("the scan runs without a lease, because REDIS_URL is unavailable: {error}"),
        }
        let renewal = tokio::spawn(renew(held.clone()));
        Ok(Lease { held, renewal })
    }

    /// Publishes the id of a snapshot to the servers that share the Redis. Servers also poll the ledger, because a message can be lost.
    pub(crate) async fn announce(&self, snapshot: i64) {
        if let Err(error) = self.send::<u64>(&Command::publish(NEW_SNAPSHOT_CHANNEL, snapshot)).await {
            debug!("the snapshot is not announced through REDIS_URL: {error}");
        }
    }

    /// Sends a command over a new connection: a lease sends about three commands a minute.
    async fn send<T: FromRedisValue>(&self, command: &Command) -> Result<T, CommandError> {
        self.client.send_once(command, REDIS_TIMEOUT).await
    }
}

impl HeldLease {
    fn fence(&self) -> FencingToken {
        FencingToken::new(self.key.clone(), Arc::clone(&self.token))
    }

    /// Acquires or renews the lease. Returns the holder when it is another scanner.
    async fn hold(&self) -> Result<Option<String>, CommandError> {
        let milliseconds = u64::try_from(self.lock.held_for.as_millis()).unwrap_or(u64::MAX);
        let (milliseconds, turn) = (milliseconds.to_string(), self.token.load(Ordering::Relaxed).to_string());
        let arguments = [self.holder.as_bytes(), milliseconds.as_bytes(), turn.as_bytes()];
        let hold = Command::evaluate(HOLD, &[&self.key, &self.fence().newest_token_key()], &arguments);
        let (found, turn): (String, u64) = self.lock.send(&hold).await?;
        if found == self.holder {
            self.token.store(turn, Ordering::Relaxed);
            return Ok(None);
        }
        Ok(Some(if found.is_empty() { RELEASED_HOLDER.to_owned() } else { describe_holder(&found) }))
    }
}

impl Lease {
    /// Runs the work until the lease is lost. The error is the new holder.
    pub(crate) async fn run_while_held<T>(&mut self, work: impl Future<Output = T>) -> Result<T, String> {
        tokio::select! {
            done = work => Ok(done),
            other = &mut self.renewal => Err(other.unwrap_or_default()),
        }
    }

    /// The fencing token of this lease.
    pub(crate) fn fencing_token(&self) -> FencingToken {
        self.held.fence()
    }

    /// Whether this lease is still valid. The error is the holder of a later lease. When Redis is unavailable, the lease is valid.
    pub(crate) async fn verify(&self) -> Result<(), String> {
        match self.held.hold().await {
            Ok(Some(other)) => Err(other),
            // An unavailable Redis grants no lease to another scanner either.
            Ok(None) | Err(_) => Ok(()),
        }
    }

    /// Releases the lease.
    pub(crate) async fn release(self) {
        self.renewal.abort();
        let HeldLease { lock, key, holder, .. } = &self.held;
        let release = Command::evaluate(RELEASE, &[key], &[holder.as_bytes()]);
        if let Err(error) = lock.send::<String>(&release).await {
            warn!("the lease in REDIS_URL expires in {} s: {error}", lock.held_for.as_secs());
        }
    }
}

/// Renews the lease until another scanner holds it, and returns that holder.
async fn renew(held: HeldLease) -> String {
    loop {
        tokio::time::sleep(held.lock.held_for / 3).await;
        // While Redis is unavailable, no scanner can acquire the lease. A scanner that was disconnected detects a later lease
        // at the next renewal.
        if let Ok(Some(other)) = held.hold().await {
            return other;
        }
    }
}

/// The description of a holder without its random number.
fn describe_holder(holder: &str) -> String {
    holder.split(NONCE_SEPARATOR).next().unwrap_or_default().to_owned()
}

fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "an unnamed host".to_owned() } else { name.trim().to_owned() }
}
