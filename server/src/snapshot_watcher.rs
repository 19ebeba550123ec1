//! Polls the ledger for new snapshots and notifies subscribers.
//!
//! The server polls four times a second, and at once when a scanner announces a snapshot through Redis.

use std::{sync::Arc, time::Duration};

use tagledger_ledger::{LedgerError, Snapshot};
use tagledger_model::error_chain::ErrorChain;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::app_state::AppState;

/// Time between two polls. Clients are notified within a second.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Minimum time between two polls, however many announcements arrive.
const MIN_POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Polls the ledger until `end` is cancelled. The ledger may be missing, replaced or damaged in the meantime.
pub(crate) fn watch(state: Arc<AppState>, end: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut last_error: Option<String> = None;
        let mut first = true;
        while !end.is_cancelled() {
            let reader = Arc::clone(&state);
            let newest = tokio::task::spawn_blocking(move || reader.latest_snapshot()).await;
            let (changed, error) = publish(newest.map_err(|died| died.to_string()), &state, first);
            if changed {
                let reader = Arc::clone(&state);
                // A request that arrives before the end of the preload reads the ledger itself.
                drop(tokio::task::spawn_blocking(move || reader.preload()));
            }
            if error != last_error {
                match &error {
                    Some(cause) => warn!("the ledger cannot be read: {cause}"),
                    None => info!("the ledger can be read again"),
                }
                last_error = error;
            }
            first = false;
            end.run_until_cancelled(wait(&state)).await;
        }
    })
}

async fn wait(state: &AppState) {
    tokio::time::sleep(MIN_POLL_INTERVAL).await;
    let rest = tokio::time::sleep(POLL_INTERVAL - MIN_POLL_INTERVAL);
    match state.redis_cache() {
        Some(cache) => tokio::select! {
            () = rest => {}
            () = cache.subscriber().next() => {}
        },
        None => rest.await,
    }
}

/// Publishes the newest snapshot; returns whether it is new, and the error if the ledger could not be read.
fn publish(
    newest: Result<Result<Option<Snapshot>, LedgerError>, String>,
    state: &AppState,
    first: bool,
) -> (bool, Option<String>) {
    let newest = match newest {
        Ok(Ok(newest)) => newest.map(|snapshot| (snapshot.id, snapshot.fingerprint)),
        Ok(Err(error)) => return (false, Some(ErrorChain(&error).to_string())),
        Err(died) => return (false, Some(died)),
    };
    let changed = state.snapshot_watcher().update(newest);
    if let (true, false, Some((id, _))) = (changed, first, newest) {
        info!(snapshot.id = id, "new snapshot");
    }
    (changed, None)
}
