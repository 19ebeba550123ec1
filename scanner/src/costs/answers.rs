//! The day's answers of the bill, in the Redis that scanners share: what one of them has paid for, the others need not ask.
//!
//! Nothing depends on it. The first thing that goes wrong is warned of, and Redis is left alone for the rest of the scan.

use std::time::Duration;

use jiff::Timestamp;
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, RedisError, aio::MultiplexedConnection};
use sha2::{Digest, Sha256};
use shared::{
    chain::Chain,
    day::day_of,
    money::{BillAnswer, BillQuestion},
};
use tokio::time::timeout;
use tracing::warn;

/// How long Redis may take for anything.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long an answer is kept, seconds. It is asked for on its day only; the bill is another one on the next.
const KEPT: u64 = 24 * 3600;

/// Largest answer that is kept, bytes.
const MOST_BYTES: usize = 8 << 20;

/// Bytes of the checksum before each answer.
const CHECKSUM: usize = 32;

/// The answers of a day.
pub(super) struct DaysAnswers {
    client: Option<Client>,
    connection: Option<MultiplexedConnection>,
    /// Whose bill, and when.
    whose: String,
}

impl DaysAnswers {
    /// Of the bill of this account, in this Redis; without one nothing is shared.
    pub(super) fn new(client: Option<Client>, payer: &str, now: Timestamp) -> Self {
        let whose = format!("{}\0{payer}\0{}", env!("CARGO_PKG_VERSION"), day_of(now));
        Self { client, connection: None, whose }
    }

    /// The answer that somebody was given on this day.
    pub(super) async fn get(&mut self, question: &BillQuestion) -> Option<BillAnswer> {
        let kept: Option<Vec<u8>> = self.ask(redis::cmd("GET").arg(self.key(question))).await?;
        let kept = kept?;
        let (checksum, answer) = kept.split_at_checked(CHECKSUM)?;
        let whole = Sha256::digest(answer).as_slice() == checksum;
        whole.then(|| serde_json::from_slice(answer).ok()).flatten()
    }

    /// Keeps an answer for the others.
    pub(super) async fn keep(&mut self, question: &BillQuestion, answer: &BillAnswer) {
        if self.client.is_none() {
            return;
        }
        let Ok(answer) = serde_json::to_vec(answer) else { return };
        if answer.len() <= MOST_BYTES {
            let kept = [Sha256::digest(&answer).as_slice(), &answer].concat();
            let mut set = redis::cmd("SET");
            set.arg(self.key(question)).arg(kept).arg("EX").arg(KEPT);
            self.ask::<()>(&set).await;
        }
    }

    fn key(&self, question: &BillQuestion) -> String {
        let whole = format!("{}\0{question:?}", self.whose);
        let digest: String = Sha256::digest(whole).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("tagledger:bill:{digest}")
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
        warn!("the bill is asked without the answers of other scanners in REDIS_URL: {why}");
        self.client = None;
        None
    }
}
