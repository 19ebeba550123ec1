//! New snapshots, announced: the ledger is looked at four times a second, and at once where a scanner says through Redis that
//! there is one. Whoever subscribed hears of a commit.

use std::{sync::Arc, time::Duration};

use rmcp::{RoleServer, service::Peer};
use tagledger_ledger::LedgerError;
use tagledger_model::error_chain::ErrorChain;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{app_state::AppState, subscriptions::Subscription};

/// The resource that is announced.
pub(crate) const NEWEST: &str = "tagledger://snapshot/newest";

/// Between two looks: a fraction of the second within which clients are to hear.
const PAUSE: Duration = Duration::from_millis(250);

/// The least of it, however much is heard.
const LEAST_PAUSE: Duration = Duration::from_millis(20);

/// Looks at the ledger until `end` is cancelled. It may be absent, replaced or damaged meanwhile.
pub(crate) fn watch(ledger: Arc<AppState>, end: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut trouble: Option<String> = None;
        let mut first = true;
        while !end.is_cancelled() {
            let asked = Arc::clone(&ledger);
            let looked = tokio::task::spawn_blocking(move || asked.latest_snapshot()).await;
            let (changed, now) = note(looked.map_err(|died| died.to_string()), &ledger, first);
            if changed {
                let read = Arc::clone(&ledger);
                // Whoever asks meanwhile reads for himself.
                drop(tokio::task::spawn_blocking(move || read.preload()));
            }
            if now != trouble {
                match &now {
                    Some(words) => warn!("the ledger cannot be looked at: {words}"),
                    None => info!("the ledger can be looked at again"),
                }
                trouble = now;
            }
            first = false;
            end.run_until_cancelled(pause(&ledger)).await;
        }
    })
}

async fn pause(ledger: &AppState) {
    tokio::time::sleep(LEAST_PAUSE).await;
    let rest = tokio::time::sleep(PAUSE - LEAST_PAUSE);
    match ledger.redis_cache() {
        Some(shelf) => tokio::select! {
            () = rest => {}
            () = shelf.heard().next() => {}
        },
        None => rest.await,
    }
}

/// Announces what is new; returns whether something is, and what went wrong, in words.
fn note(
    looked: Result<Result<Option<tagledger_ledger::Snapshot>, LedgerError>, String>,
    ledger: &AppState,
    first: bool,
) -> (bool, Option<String>) {
    let newest = match looked {
        Ok(Ok(newest)) => newest.map(|snapshot| (snapshot.id, snapshot.fingerprint)),
        Ok(Err(error)) => return (false, Some(ErrorChain(&error).to_string())),
        Err(died) => return (false, Some(died)),
    };
    let changed = ledger.snapshot_watcher().newest.send_if_modified(|known| {
        let changed = newest.is_some() && *known != newest;
        if changed {
            *known = newest;
        }
        changed
    });
    if let (true, false, Some((id, _))) = (changed, first, newest) {
        info!(snapshot.id = id, "new snapshot");
    }
    (changed, None)
}

/// Tells a client of an earlier protocol, over a transport that stays open.
pub(crate) fn tell_peer(mut waiting: Subscription, peer: Peer<RoleServer>, end: CancellationToken) {
    tokio::spawn(async move {
        while end.run_until_cancelled(waiting.next()).await == Some(true) {
            let parameters = rmcp::model::ResourceUpdatedNotificationParam::new(NEWEST);
            if peer.notify_resource_updated(parameters).await.is_err() {
                return;
            }
        }
    });
}
