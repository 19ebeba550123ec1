//! Months of the bill that were read today, in the Redis that scanners share: what one of them has paid for, the others need not
//! ask.
//!
//! A month is shared as a whole, for its figures must be of one moment: AWS may work on the bill between two questions. Nothing
//! depends on it. The first thing that goes wrong is warned of, and Redis is left alone for the rest of the scan. Only whose turn it
//! is may write: a scanner that was suspended would put what it was told before over what others were told since.

use std::time::Duration;

use jiff::Timestamp;
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, RedisError, aio::MultiplexedConnection};
use shared::{chain::Chain, checksum, day::day_of, money::Days, store::MonthBill};
use tokio::time::timeout;
use tracing::{info, warn};

use crate::scan_lock::Fence;

/// How long Redis may take for anything.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a month is kept, seconds. It is asked for on its day only; the bill is another one on the next.
const KEPT: u64 = 24 * 3600;

/// Largest month that is kept, bytes.
const MOST_BYTES: usize = 16 << 20;

/// Keeps a month, unless a later turn has begun: the number of the last one stands at the first key.
const KEEP: &str = "if (tonumber(redis.call('GET', KEYS[1]) or '') or 0) > tonumber(ARGV[1]) then return 0 end \
     redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3]) \
     return 1";

/// Where scanners share what they were told.
#[derive(Debug, Clone)]
pub(crate) struct Sharing {
    /// The Redis.
    pub(crate) redis: Client,
    /// What this one may write with.
    pub(crate) fence: Fence,
}

/// What was told today.
pub(super) struct ToldToday {
    sharing: Option<Sharing>,
    connection: Option<MultiplexedConnection>,
    /// Whose bill, by which terms, and when.
    whose: String,
}

impl ToldToday {
    /// Of the bill of this account by these terms, in this Redis; without one nothing is shared.
    pub(super) fn new(sharing: Option<Sharing>, payer: &str, terms: &str, now: Timestamp) -> Self {
        let whose = format!("{payer}\0{terms}\0{}", day_of(now));
        Self { sharing, connection: None, whose }
    }

    /// Of months that are wanted those that are still to be asked for, and those that somebody has read.
    pub(super) async fn of(&mut self, wanted: Vec<Days>) -> (Vec<Days>, Vec<MonthBill>) {
        let (mut left, mut read) = (Vec::new(), Vec::new());
        for days in wanted {
            match self.get(days).await {
                Some(month) => read.push(month),
                None => left.push(days),
            }
        }
        if !read.is_empty() {
            info!(months_n = read.len(), "months of the bill taken from another scan of today");
        }
        (left, read)
    }

    async fn get(&mut self, days: Days) -> Option<MonthBill> {
        let key = key(&self.sharing.as_ref()?.fence, &self.whose, days);
        let kept: Option<Vec<u8>> = self.ask(redis::cmd("GET").arg(key)).await?;
        let month: MonthBill = serde_json::from_slice(checksum::checked(&kept?)?).ok()?;
        (month.days == days).then_some(month)
    }

    /// Keeps months for the others.
    pub(super) async fn keep(&mut self, months: &[MonthBill]) {
        for month in months {
            let Some(Sharing { fence, .. }) = self.sharing.clone() else { return };
            let Some(turn) = fence.turn() else { return };
            let Ok(written) = serde_json::to_vec(month) else { return };
            if written.len() <= MOST_BYTES {
                let mut keep = redis::cmd("EVAL");
                keep.arg(KEEP).arg(2).arg(fence.last_turn()).arg(key(&fence, &self.whose, month.days));
                keep.arg(turn).arg(checksum::with_checksum(&written)).arg(KEPT);
                self.ask::<()>(&keep).await;
            }
        }
    }

    async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> Option<T> {
        let client = self.sharing.as_ref()?.redis.clone();
        let asked = timeout(PATIENCE, async {
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => {
                    let config = AsyncConnectionConfig::new();
                    let config = config.set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE));
                    client.get_multiplexed_async_connection_with_config(&config).await?
                }
            };
            let answer = command.query_async(&mut connection).await?;
            self.connection = Some(connection);
            Ok(answer)
        });
        let why = match asked.await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => Chain(&error as &RedisError).to_string(),
            Err(_) => format!("no answer within {} s", PATIENCE.as_secs()),
        };
        warn!("the bill is asked without what other scanners in REDIS_URL were told: {why}");
        self.sharing = None;
        None
    }
}

/// Of a month. Scanners share what they were told with those that they take turns with.
fn key(fence: &Fence, whose: &str, days: Days) -> String {
    checksum::name(&format!("{}:bill", fence.together()), &[whose, &days.first.to_string(), &days.end.to_string()])
}

#[cfg(test)]
#[path = "../../../tests/support/redis.rs"]
mod server;

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use shared::money::Metric;

    use std::sync::Arc;

    use super::{server::Redis, *};

    fn month(requests: u64) -> MonthBill {
        MonthBill {
            days: Days::of_month(date(2026, 11, 1)),
            asked_at: Timestamp::UNIX_EPOCH,
            open_from: None,
            metric: Metric::NetAmortized,
            payer: "111122223333".to_owned(),
            terms: "terms".to_owned(),
            requests,
            lines: Vec::new(),
        }
    }

    fn told(redis: &Redis, turn: u64) -> ToldToday {
        let client = Client::open(format!("redis://127.0.0.1:{}/0", redis.port)).unwrap();
        let fence = Fence::of("tagledger:scan:111122223333".to_owned(), Arc::new(turn.into()));
        let sharing = Sharing { redis: client, fence };
        ToldToday::new(Some(sharing), "111122223333", "terms", Timestamp::UNIX_EPOCH)
    }

    #[tokio::test]
    async fn a_scanner_whose_turn_is_over_puts_nothing_over_what_the_next_one_was_told() {
        let redis = Redis::start();
        let (mut suspended, mut next) = (told(&redis, 1_790_000_000_000_001), told(&redis, 1_790_000_000_000_002));
        suspended.keep(&[month(1)]).await;
        assert_eq!(next.of(vec![month(0).days]).await.1, [month(1)]);
        redis.ask(&["SET", "{tagledger:scan:111122223333}:turn", "1790000000000002"]);
        next.keep(&[month(2)]).await;
        suspended.keep(&[month(3)]).await;
        assert_eq!(next.of(vec![month(0).days]).await.1, [month(2)]);
        assert_eq!(suspended.of(vec![month(0).days]).await.1, [month(2)], "it may read what others were told");
        let mut unnumbered = told(&redis, 0);
        unnumbered.keep(&[month(4)]).await;
        assert_eq!(unnumbered.of(vec![month(0).days]).await.1, [month(2)], "without a number it may read, too");
    }
}
