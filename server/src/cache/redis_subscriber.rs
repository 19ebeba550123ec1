//! Receives the announcements that scanners publish through Redis.
//!
//! An announcement makes the server read the ledger at once. It may be lost: the server also polls the ledger.

use std::time::Duration;

use futures::StreamExt;
use prometheus_client::metrics::counter::Counter;
use tagledger_redis::{RedisClient, envelope::NEW_SNAPSHOT_CHANNEL};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout_at},
};

/// Maximum time for subscribing.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Time between two attempts to subscribe.
const RETRY_INTERVAL: Duration = Duration::from_millis(400);

/// A subscription is renewed after this time, because it does not notice that the machine of Redis has disappeared.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(60);

/// Waits for announcements and counts them.
#[derive(Debug, Default)]
pub(crate) struct RedisSubscriber {
    announced: Notify,
    announcements: Counter,
}

impl RedisSubscriber {
    /// Waits for the next announcement. Announcements that arrive while no task waits are delivered once.
    pub(crate) async fn next(&self) {
        self.announced.notified().await;
    }

    /// The number of announcements received.
    pub(crate) fn announcements(&self) -> Counter {
        self.announcements.clone()
    }

    /// Subscribes and receives, without end. Connection errors are not logged here: the cache logs them.
    pub(crate) async fn run(&self, client: RedisClient) {
        loop {
            if let Ok(mut messages) = client.subscribe(NEW_SNAPSHOT_CHANNEL, SUBSCRIBE_TIMEOUT).await {
                let until = Instant::now() + RENEWAL_INTERVAL;
                while let Ok(Some(_)) = timeout_at(until, messages.next()).await {
                    self.announcements.inc();
                    self.announced.notify_one();
                }
            }
            sleep(RETRY_INTERVAL).await;
        }
    }
}
