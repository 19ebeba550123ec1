//! A cache in Redis of the months of the bill that were read today. What one scanner has paid for, the others need not request.
//!
//! A month is one entry, because its figures must be of one moment: AWS may change the bill between two questions. Scans do not
//! depend on the cache. After the first error, which is a warning, Redis is not used for the rest of the scan. Only the holder
//! of the lease may write: a scanner that was suspended would replace newer figures by older ones.

use std::time::Duration;

use jiff::Timestamp;
use tagledger_cost::Days;
use tagledger_ledger::MonthBill;
use tagledger_model::epoch_day::day_of;
use tagledger_redis::{Command, CommandError, FromRedisValue, RedisClient, RedisConnection, envelope, with_timeout};
use tracing::{info, warn};

use crate::lease::FencingToken;

/// Maximum time for a command, connecting included.
const REDIS_TIMEOUT: Duration = Duration::from_secs(2);

/// How long an entry is retained, in seconds. It is read on the same day only, because the bill changes every day.
const RETENTION_SECONDS: u64 = 24 * 3600;

/// Maximum size of an entry, in bytes.
const MAX_BYTES: usize = 16 << 20;

/// Stores a month, unless a later lease exists: the first key has the token of the newest lease.
const STORE: &str = "if (tonumber(redis.call('GET', KEYS[1]) or '') or 0) > tonumber(ARGV[1]) then return 0 end \
     redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3]) \
     return 1";

/// The access of a scanner to the shared cache.
#[derive(Debug, Clone)]
pub(crate) struct SharedBillCache {
    /// The client of the Redis that stores the cache.
    pub(crate) redis: RedisClient,
    /// The fencing token of the lease.
    pub(crate) fence: FencingToken,
}

/// The entries of today for one payer account and tag scope.
pub(crate) struct CachedToday {
    sharing: Option<SharedBillCache>,
    connection: Option<RedisConnection>,
    /// The payer account, the tag scope and the date.
    subject: String,
}

impl CachedToday {
    /// The cache of the bill of this account with this tag scope. Without `sharing` it is always empty.
    pub(crate) fn new(sharing: Option<SharedBillCache>, payer: &str, terms: &str, now: Timestamp) -> Self {
        let subject = format!("{payer}\0{terms}\0{}", day_of(now));
        Self { sharing, connection: None, subject }
    }

    /// Splits months into those to request and those that another scanner has read.
    pub(crate) async fn load(&mut self, wanted: Vec<Days>) -> (Vec<Days>, Vec<MonthBill>) {
        let (mut left, mut read) = (Vec::new(), Vec::new());
        for days in wanted {
            match self.get(days).await {
                Some(month) => read.push(month),
                None => left.push(days),
            }
        }
        if !read.is_empty() {
            info!(months_n = read.len(), "months of the bill read from the shared cache");
        }
        (left, read)
    }

    async fn get(&mut self, days: Days) -> Option<MonthBill> {
        let key = key(&self.sharing.as_ref()?.fence, &self.subject, days);
        let stored: Option<Vec<u8>> = self.send(&Command::get(&key)).await?;
        let month: MonthBill = serde_json::from_slice(envelope::verify_checksum(&stored?)?).ok()?;
        (month.days == days).then_some(month)
    }

    /// Stores months for the other scanners.
    pub(crate) async fn store(&mut self, months: &[MonthBill]) {
        for month in months {
            let Some(SharedBillCache { fence, .. }) = self.sharing.clone() else { return };
            let Some(token) = fence.number() else { return };
            let Ok(entry) = serde_json::to_vec(month) else { return };
            if entry.len() <= MAX_BYTES {
                let keys = [fence.newest_token_key(), key(&fence, &self.subject, month.days)];
                let [token, expiry] = [token, RETENTION_SECONDS].map(|number| number.to_string());
                let content = envelope::add_checksum(&entry);
                let keys = keys.each_ref().map(String::as_str);
                let store = Command::evaluate(STORE, &keys, &[token.as_bytes(), &content, expiry.as_bytes()]);
                self.send::<()>(&store).await;
            }
        }
    }

    async fn send<T: FromRedisValue>(&mut self, command: &Command) -> Option<T> {
        let client = self.sharing.as_ref()?.redis.clone();
        let sent = with_timeout(REDIS_TIMEOUT, async {
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => client.connect(REDIS_TIMEOUT).await?,
            };
            let answer = connection.send(command).await?;
            self.connection = Some(connection);
            Ok::<T, CommandError>(answer)
        });
        match sent.await {
            Ok(answer) => Some(answer),
            Err(error) => {
                warn!("the bill is read without the shared cache of REDIS_URL: {error}");
                self.sharing = None;
                None
            }
        }
    }
}

/// The key of a month. Scanners that share a lease share the cache.
fn key(fence: &FencingToken, subject: &str, days: Days) -> String {
    envelope::key_name(
        &format!("{}:bill", fence.key_prefix()),
        &[subject, &days.first.to_string(), &days.end.to_string()],
    )
}

#[cfg(test)]
#[path = "../../../tests/support/redis.rs"]
mod server;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::civil::date;
    use tagledger_cost::{Days, Metric};
    use tagledger_ledger::MonthBill;

    use super::{server::Redis, *};
    use crate::lease::FencingToken;

    fn month(requests: u64) -> MonthBill {
        MonthBill {
            days: Days::of_month(date(2026, 11, 1)),
            asked_at: Timestamp::UNIX_EPOCH,
            open_from: None,
            metric: Metric::NetAmortized,
            payer: "111122223333".to_owned(),
            scope_fingerprint: "terms".to_owned(),
            requests,
            lines: Vec::new(),
        }
    }

    fn open(redis: &Redis, turn: u64) -> CachedToday {
        let client = RedisClient::new(&format!("redis://127.0.0.1:{}/0", redis.port)).unwrap();
        let fence = FencingToken::new("tagledger:scan:111122223333".to_owned(), Arc::new(turn.into()));
        let sharing = SharedBillCache { redis: client, fence };
        CachedToday::new(Some(sharing), "111122223333", "terms", Timestamp::UNIX_EPOCH)
    }

    /// A scanner with an outdated fencing token, or with none, can read the shared bill months but cannot overwrite the
    /// months that a later lease holder stored.
    #[tokio::test]
    async fn expired_lease_cannot_overwrite_shared_bill() {
        let redis = Redis::start();
        let (mut suspended, mut next) = (open(&redis, 1_790_000_000_000_001), open(&redis, 1_790_000_000_000_002));
        suspended.store(&[month(1)]).await;
        assert_eq!(next.load(vec![month(0).days]).await.1, [month(1)]);
        redis.ask(&["SET", "{tagledger:scan:111122223333}:turn", "1790000000000002"]);
        next.store(&[month(2)]).await;
        suspended.store(&[month(3)]).await;
        assert_eq!(next.load(vec![month(0).days]).await.1, [month(2)]);
        assert_eq!(suspended.load(vec![month(0).days]).await.1, [month(2)], "it may read the entries of others");
        let mut unnumbered = open(&redis, 0);
        unnumbered.store(&[month(4)]).await;
        assert_eq!(unnumbered.load(vec![month(0).days]).await.1, [month(2)], "a scanner without a token may read, too");
    }
}
