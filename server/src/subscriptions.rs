//! Clients that subscribe to the newest snapshot.

use std::sync::Arc;

use rmcp::ErrorData;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// The maximum number of streams that wait for the next snapshot at the same time.
const MAX_STREAMS: usize = 64;

/// What the newest snapshot is, for all who wait for the next one.
#[derive(Debug)]
pub(crate) struct SnapshotWatcher {
    /// Its fingerprint beside its number: another ledger may be put in the place of this one.
    pub(crate) newest: watch::Sender<Option<(i64, i64)>>,
    streams: Arc<Semaphore>,
}

impl Default for SnapshotWatcher {
    fn default() -> Self {
        Self { newest: watch::Sender::new(None), streams: Arc::new(Semaphore::new(MAX_STREAMS)) }
    }
}

impl SnapshotWatcher {
    /// A place among those who wait for the snapshots after the present one.
    pub(crate) fn join(&self) -> Result<Subscription, ErrorData> {
        let Ok(place) = Arc::clone(&self.streams).try_acquire_owned() else {
            let error = "too many subscriptions at once; read the resource from time to time instead";
            return Err(ErrorData::invalid_request(error, None));
        };
        let mut newest = self.newest.subscribe();
        newest.mark_unchanged();
        Ok(Subscription { newest, _place: place })
    }
}

/// One who waits.
pub(crate) struct Subscription {
    newest: watch::Receiver<Option<(i64, i64)>>,
    _place: OwnedSemaphorePermit,
}

impl Subscription {
    /// Waits for the next snapshot; false when there will be none. What came while nobody waited is told once.
    pub(crate) async fn next(&mut self) -> bool {
        self.newest.changed().await.is_ok()
    }
}
