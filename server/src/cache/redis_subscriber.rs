//! What scanners announce through Redis: a reason to look at the ledger at once.
//!
//! Nothing depends on it, for a message may be lost: the ledger is looked at all the same.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures::{Stream, StreamExt};
use redis::{Client, Msg, RedisError};
use tagledger_redis::envelope::NEW_SNAPSHOT;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout, timeout_at},
};

/// How long it may take to subscribe.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(400);

/// A subscription hears nothing of a Redis whose machine has gone: it is made anew after so long.
const RENEWED: Duration = Duration::from_secs(60);

/// Announcements that were heard.
#[derive(Debug, Default)]
pub(crate) struct RedisSubscriber {
    told: Notify,
    all: AtomicU64,
}

impl RedisSubscriber {
    /// Waits for the next one; what came while nobody waited is told once.
    pub(crate) async fn next(&self) {
        self.told.notified().await;
    }

    /// How many there were.
    pub(crate) fn all(&self) -> u64 {
        self.all.load(Ordering::Relaxed)
    }

    /// Listens for ever. What fails here fails where answers are shared, and is told there.
    pub(crate) async fn listen(&self, client: Client) {
        loop {
            if let Ok(Ok(mut messages)) = timeout(PATIENCE, subscribe(&client)).await {
                let until = Instant::now() + RENEWED;
                while let Ok(Some(_)) = timeout_at(until, messages.next()).await {
                    self.all.fetch_add(1, Ordering::Relaxed);
                    self.told.notify_one();
                }
            }
            sleep(PAUSE).await;
        }
    }
}

async fn subscribe(client: &Client) -> Result<impl Stream<Item = Msg> + Unpin + use<>, RedisError> {
    let mut channels = client.get_async_pubsub().await?;
    channels.subscribe(NEW_SNAPSHOT).await?;
    Ok(channels.into_on_message())
}
