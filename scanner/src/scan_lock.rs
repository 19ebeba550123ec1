//! One scan of an account at a time among scanners that share a Redis, whatever ledgers they write.
//!
//! A ledger needs no such lock: SQLite's own admits one writer. This one spares the account's request rates, and keeps what
//! scanners share in that Redis from being written out of turn. So a Redis that is away costs a warning and no night.
//!
//! Each turn has a number, higher than that of any turn before it: a fencing token. A scanner that was suspended, or alone cut off
//! from Redis, and for which another came and perhaps went, is told so by it wherever it goes on.

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
use redis::{AsyncConnectionConfig, Client, FromRedisValue, IntoConnectionInfo, RedisError};
use shared::{AccountId, chain::Chain, checksum::NEW_SNAPSHOT};
use tokio::{task::JoinHandle, time::timeout};
use tracing::{debug, warn};

/// For how long a scanner that has died still holds the lock.
const HELD_FOR: Duration = Duration::from_secs(60);

/// How long Redis may take to answer, connecting included.
const PATIENCE: Duration = Duration::from_secs(2);

/// Takes the lock (a third argument of 0) or keeps it (that of its turn): the holder that has it afterwards, and the number of the
/// turn. Nobody, when another turn has come and ended since. The last turn is that of who has the lock: an answer that was lost on
/// its way is given again.
///
/// A key that has gone is set again: a flushed Redis does not end a scan. Numbers are microseconds of Redis's clock, so that they go
/// on growing after it was flushed. They are written out: Lua would round what it turns into text by itself.
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

/// Who is named where another turn has come and ended since.
const ENDED_SINCE: &str = "it began later and has ended since";

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
    held: Held,
    /// Ends when somebody else has the lock, with who.
    renewal: JoinHandle<String>,
}

/// A lock in somebody's hands.
#[derive(Clone)]
struct Held {
    lock: ScanLock,
    key: String,
    holder: String,
    /// The number of the turn; 0 as long as Redis has given none.
    turn: Arc<AtomicU64>,
}

/// What proves to that Redis whose turn it is.
#[derive(Debug, Clone)]
pub(crate) struct Fence {
    /// The key of the lock.
    key: String,
    turn: Arc<AtomicU64>,
}

impl Fence {
    /// Of a lock that is held so.
    pub(crate) fn of(key: String, turn: Arc<AtomicU64>) -> Self {
        Self { key, turn }
    }

    /// Where the number of the last turn stands.
    pub(crate) fn last_turn(&self) -> String {
        format!("{}:turn", self.together())
    }

    /// Begins the names of what is written by turns. The braces keep all of it where the lock is, should that Redis be many.
    pub(crate) fn together(&self) -> String {
        format!("{{{}}}", self.key)
    }

    /// That of this turn, of which a higher one makes nothing; none as long as Redis has given none.
    pub(crate) fn turn(&self) -> Option<u64> {
        Some(self.turn.load(Ordering::Relaxed)).filter(|turn| *turn > 0)
    }
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
        let nonce = RandomState::new().hash_one(now);
        let held = Held {
            lock: self.clone(),
            key: format!("tagledger:scan:{account}"),
            holder: format!("process {} of {}, since {now}{NONCE}{nonce:016x}", std::process::id(), host()),
            turn: Arc::default(),
        };
        match held.hold().await {
            Ok(None) => {}
            Ok(Some(other)) => return Err(other),
            Err(error) => warn!("the scan goes on without the lock of REDIS_URL: {error}"),
        }
        let renewal = tokio::spawn(renew(held.clone()));
        Ok(Turn { held, renewal })
    }

    /// Tells servers that share the Redis of a snapshot. They look for themselves, too: a message may be lost.
    pub(crate) async fn announce(&self, snapshot: i64) {
        let publish = redis::cmd("PUBLISH").arg(NEW_SNAPSHOT).arg(snapshot).to_owned();
        if let Err(error) = self.evaluate::<u64>(&publish).await {
            debug!("the snapshot is not announced through REDIS_URL: {error}");
        }
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

impl Held {
    fn fence(&self) -> Fence {
        Fence::of(self.key.clone(), Arc::clone(&self.turn))
    }

    /// Takes the lock or keeps it; who else has it, or had it since.
    async fn hold(&self) -> Result<Option<String>, String> {
        let milliseconds = u64::try_from(self.lock.held_for.as_millis()).unwrap_or(u64::MAX);
        let mut hold = redis::cmd("EVAL");
        hold.arg(HOLD).arg(2).arg(&self.key).arg(self.fence().last_turn());
        hold.arg(&self.holder).arg(milliseconds).arg(self.turn.load(Ordering::Relaxed));
        let (found, turn): (String, u64) = self.lock.evaluate(&hold).await?;
        if found == self.holder {
            self.turn.store(turn, Ordering::Relaxed);
            return Ok(None);
        }
        Ok(Some(if found.is_empty() { ENDED_SINCE.to_owned() } else { named(&found) }))
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

    /// What this turn writes to that Redis with.
    pub(crate) fn fence(&self) -> Fence {
        self.held.fence()
    }

    /// Whether it still is this one's turn, as far as Redis can be asked; else whose it is, or was since.
    pub(crate) async fn lasts(&self) -> Result<(), String> {
        match self.held.hold().await {
            Ok(Some(other)) => Err(other),
            // A Redis that is away for all gives nobody else a turn either.
            Ok(None) | Err(_) => Ok(()),
        }
    }

    /// Lets the next one in.
    pub(crate) async fn end(self) {
        self.renewal.abort();
        let Held { lock, key, holder, .. } = &self.held;
        let release = redis::cmd("EVAL").arg(RELEASE).arg(1).arg(key).arg(holder).to_owned();
        if let Err(error) = lock.evaluate::<String>(&release).await {
            warn!("the lock of REDIS_URL frees itself in {} s: {error}", lock.held_for.as_secs());
        }
    }
}

/// Keeps the lock until somebody else has it.
async fn renew(held: Held) -> String {
    loop {
        tokio::time::sleep(held.lock.held_for / 3).await;
        // While nobody can reach Redis, nobody else can take it either; who alone could not is told afterwards.
        if let Ok(Some(other)) = held.hold().await {
            return other;
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
