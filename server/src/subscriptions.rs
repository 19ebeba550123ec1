//! Clients that subscribe to the newest snapshot.

use std::sync::Arc;

use rmcp::ErrorData;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Maximum number of subscription streams at a time.
const MAX_SUBSCRIPTIONS: usize = 64;

/// The id and the fingerprint of a snapshot. The fingerprint tells ledgers apart: the file can be replaced.
type SnapshotId = (i64, i64);

/// Notifies subscribers of each new snapshot.
#[derive(Debug)]
pub(crate) struct SnapshotWatcher {
    newest: watch::Sender<Option<SnapshotId>>,
    streams: Arc<Semaphore>,
}

impl Default for SnapshotWatcher {
    fn default() -> Self {
        Self { newest: watch::Sender::new(None), streams: Arc::new(Semaphore::new(MAX_SUBSCRIPTIONS)) }
    }
}

impl SnapshotWatcher {
    /// Subscribes to the snapshots after the current one.
    ///
    /// # Errors
    ///
    /// When there are too many subscriptions.
    pub(crate) fn subscribe(&self) -> Result<Subscription, ErrorData> {
        let Ok(permit) = Arc::clone(&self.streams).try_acquire_owned() else {
            let error = "too many subscriptions at once; read the resource from time to time instead";
            return Err(ErrorData::invalid_request(error, None));
        };
        let mut newest = self.newest.subscribe();
        newest.mark_unchanged();
        Ok(Subscription { newest, _permit: permit })
    }

    /// Sets the newest snapshot; returns whether it differs from the one before.
    pub(crate) fn update(&self, newest: Option<SnapshotId>) -> bool {
        self.newest.send_if_modified(|known| {
            let changed = newest.is_some() && *known != newest;
            if changed {
                *known = newest;
            }
            changed
        })
    }
}

/// The subscription of one client.
pub(crate) struct Subscription {
    newest: watch::Receiver<Option<SnapshotId>>,
    _permit: OwnedSemaphorePermit,
}

impl Subscription {
    /// Waits for the next snapshot; false when the server ends. Snapshots that arrive while no task waits are reported once.
    pub(crate) async fn next(&mut self) -> bool {
        self.newest.changed().await.is_ok()
    }
}
