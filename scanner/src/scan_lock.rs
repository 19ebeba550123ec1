//! One scan of an account at a time among scanners that share a Redis, whatever ledgers they write.
//!
//! A ledger needs no such lock: SQLite's own admits one writer. This one spares the account's request rates. So a Redis
//! that cannot be reached costs a warning and never a night.

use std::{
    fs,
    future::Future,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use jiff::Timestamp;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, IntoConnectionInfo, RedisError};
use shared::{AccountId, chain::Chain};
use tokio::{task::JoinHandle, time::timeout};
use tracing::warn;

/// For how long a scanner that has died still holds the lock.
const HELD_FOR: Duration = Duration::from_secs(60);

/// How long Redis may take to answer, connecting included.
const PATIENCE: Duration = Duration::from_secs(2);

/// Takes or keeps the lock: the holder that has it afterwards.
///
/// A key that has gone is set again: a flushed Redis does not end a scan.
const HOLD: &str = "local holder = redis.call('GET', KEYS[1]) \
     if holder and holder ~= ARGV[1] then return holder end \
     redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) \
     return ARGV[1]";

/// Stands before what makes a holder like no other, even of the same process.
const NONCE: char = '#';

const RELEASE: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end return ''";

/// The lock of the scanners that share a Redis.
#[derive(Debug, Clone)]
pub struct ScanLock {
    client: Client,
    held_for: Duration,
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
#[error("REDIS_URL or --redis-url is no address of a Redis; it is like redis://:PASSWORD@HOST:6379/0")]
pub struct ScanLockError(#[source] RedisError);

/// A scan's turn at an account. Its key is set anew while it lasts.
pub(crate) struct Turn {
    lock: ScanLock,
    key: String,
    holder: String,
    /// Ends when somebody else has the lock, with who.
    renewal: JoinHandle<String>,
}

impl ScanLock {
    /// The lock in the Redis at this URL, which is asked nothing yet.
    ///
    /// # Errors
    /// When it is no URL of a Redis.
    pub fn new(url: &str) -> Result<Self, ScanLockError> {
        let client = url.into_connection_info().and_then(Client::open).map_err(ScanLockError)?;
        Ok(Self { client, held_for: HELD_FOR })
    }

    /// Of the Redis that it is in.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// The same lock, which a scanner that has died holds for so long.
    #[must_use]
    pub fn held_for(self, held_for: Duration) -> Self {
        Self { held_for, ..self }
    }

    /// Takes the lock of an account, or says who has it.
    pub(crate) async fn take(&self, account: &AccountId, now: Timestamp) -> Result<Turn, String> {
        let key = format!("tagledger:scan:{account}");
        let nonce = RandomState::new().hash_one(now);
        let holder = format!("process {} of {}, since {now}{NONCE}{nonce:016x}", std::process::id(), host());
        match self.hold(&key, &holder).await {
            Ok(found) if found != holder => return Err(named(&found)),
            Ok(_) => {}
            Err(error) => warn!("the scan goes on without the lock of REDIS_URL: {error}"),
        }
        let renewal = tokio::spawn(renew(self.clone(), key.clone(), holder.clone()));
        Ok(Turn { lock: self.clone(), key, holder, renewal })
    }

    async fn hold(&self, key: &str, holder: &str) -> Result<String, String> {
        let milliseconds = u64::try_from(self.held_for.as_millis()).unwrap_or(u64::MAX);
        self.evaluate(redis::cmd("EVAL").arg(HOLD).arg(1).arg(key).arg(holder).arg(milliseconds)).await
    }

    /// On a connection of its own: one is wanted three times a minute.
    async fn evaluate<T: FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, String> {
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE));
        let answered = timeout(PATIENCE, async {
            let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
            command.query_async(&mut connection).await
        });
        match answered.await {
            Ok(answer) => answer.map_err(|error: RedisError| Chain(&error).to_string()),
            Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
        }
    }
}

impl Turn {
    /// Does the work unless the lock is lost meanwhile: then who has it.
    pub(crate) async fn during<T>(&mut self, work: impl Future<Output = T>) -> Result<T, String> {
        tokio::select! {
            done = work => Ok(done),
            other = &mut self.renewal => Err(other.unwrap_or_default()),
        }
    }

    /// Lets the next one in.
    pub(crate) async fn end(self) {
        self.renewal.abort();
        let release = redis::cmd("EVAL").arg(RELEASE).arg(1).arg(&self.key).arg(&self.holder).to_owned();
        if let Err(error) = self.lock.evaluate::<String>(&release).await {
            warn!("the lock of REDIS_URL frees itself in {} s: {error}", self.lock.held_for.as_secs());
        }
    }
}

/// Keeps the lock until somebody else has it.
async fn renew(lock: ScanLock, key: String, holder: String) -> String {
    loop {
        tokio::time::sleep(lock.held_for / 3).await;
        // While Redis cannot be reached nobody else can take it either.
        if let Ok(found) = lock.hold(&key, &holder).await
            && found != holder
        {
            return named(&found);
        }
    }
}

/// What people are told of a holder.
fn named(holder: &str) -> String {
    holder.split(NONCE).next().unwrap_or_default().to_owned()
}

fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "a host without a name".to_owned() } else { name.trim().to_owned() }
}
