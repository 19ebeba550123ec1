//! Months of the bill that were read today, in the Redis that scanners share: what one of them has paid for, the others need not
//! ask.
//!
//! A month is shared as a whole, for its figures must be of one moment: AWS may work on the bill between two questions. Nothing
//! depends on it. The first thing that goes wrong is warned of, and Redis is left alone for the rest of the scan.

use std::time::Duration;

use jiff::Timestamp;
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, RedisError, aio::MultiplexedConnection};
use shared::{chain::Chain, checksum, day::day_of, money::Days, store::MonthBill};
use tokio::time::timeout;
use tracing::{info, warn};

/// How long Redis may take for anything.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a month is kept, seconds. It is asked for on its day only; the bill is another one on the next.
const KEPT: u64 = 24 * 3600;

/// Largest month that is kept, bytes.
const MOST_BYTES: usize = 16 << 20;

/// What was told today.
pub(super) struct ToldToday {
    client: Option<Client>,
    connection: Option<MultiplexedConnection>,
    /// Whose bill, by which terms, and when.
    whose: String,
}

impl ToldToday {
    /// Of the bill of this account by these terms, in this Redis; without one nothing is shared.
    pub(super) fn new(client: Option<Client>, payer: &str, terms: &str, now: Timestamp) -> Self {
        let whose = format!("{payer}\0{terms}\0{}", day_of(now));
        Self { client, connection: None, whose }
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
        let kept: Option<Vec<u8>> = self.ask(redis::cmd("GET").arg(self.key(days))).await?;
        let month: MonthBill = serde_json::from_slice(checksum::checked(&kept?)?).ok()?;
        (month.days == days).then_some(month)
    }

    /// Keeps months for the others.
    pub(super) async fn keep(&mut self, months: &[MonthBill]) {
        for month in months {
            if self.client.is_none() {
                return;
            }
            let Ok(written) = serde_json::to_vec(month) else { return };
            if written.len() <= MOST_BYTES {
                let mut set = redis::cmd("SET");
                set.arg(self.key(month.days)).arg(checksum::with_checksum(&written)).arg("EX").arg(KEPT);
                self.ask::<()>(&set).await;
            }
        }
    }

    fn key(&self, days: Days) -> String {
        checksum::name("tagledger:bill", &[&self.whose, &days.first.to_string(), &days.end.to_string()])
    }

    async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> Option<T> {
        let client = self.client.clone()?;
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
        self.client = None;
        None
    }
}
