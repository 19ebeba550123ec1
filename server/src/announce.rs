//! New snapshots, announced: the ledger is looked at four times a second, and at once where a scanner says through Redis that
//! there is one. Whoever subscribed hears of a commit.

use std::{sync::Arc, time::Duration};

use rmcp::{ErrorData, RoleServer, service::Peer};
use shared::{chain::Chain, store::StoreError};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::ledger::Ledger;

/// The resource that is announced.
pub(crate) const NEWEST: &str = "tagledger://snapshot/newest";

/// Between two looks: a fraction of the second within which clients are to hear.
const PAUSE: Duration = Duration::from_millis(250);

/// The least of it, however much is heard.
const LEAST_PAUSE: Duration = Duration::from_millis(20);

/// Streams at once that wait for announcements.
const MOST_STREAMS: usize = 64;

/// What the newest snapshot is, for all who wait for the next one.
#[derive(Debug)]
pub(crate) struct Announcements {
    /// Its fingerprint beside its number: another ledger may be put in the place of this one.
    newest: watch::Sender<Option<(i64, i64)>>,
    streams: Arc<Semaphore>,
}

impl Default for Announcements {
    fn default() -> Self {
        Self { newest: watch::Sender::new(None), streams: Arc::new(Semaphore::new(MOST_STREAMS)) }
    }
}

impl Announcements {
    /// A place among those who wait for the snapshots after the present one.
    pub(crate) fn join(&self) -> Result<Waiting, ErrorData> {
        let Ok(place) = Arc::clone(&self.streams).try_acquire_owned() else {
            let error = "too many subscriptions at once; read the resource from time to time instead";
            return Err(ErrorData::invalid_request(error, None));
        };
        let mut newest = self.newest.subscribe();
        newest.mark_unchanged();
        Ok(Waiting { newest, _place: place })
    }
}

/// One who waits.
pub(crate) struct Waiting {
    newest: watch::Receiver<Option<(i64, i64)>>,
    _place: OwnedSemaphorePermit,
}

impl Waiting {
    /// Waits for the next snapshot; false when there will be none. What came while nobody waited is told once.
    pub(crate) async fn next(&mut self) -> bool {
        self.newest.changed().await.is_ok()
    }
}

/// Looks at the ledger until `end` is cancelled. It may be absent, replaced or damaged meanwhile.
pub(crate) fn watch(ledger: Arc<Ledger>, end: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut trouble: Option<String> = None;
        let mut first = true;
        while !end.is_cancelled() {
            let asked = Arc::clone(&ledger);
            let looked = tokio::task::spawn_blocking(move || asked.newest()).await;
            let (changed, now) = note(looked.map_err(|died| died.to_string()), &ledger, first);
            if changed {
                let read = Arc::clone(&ledger);
                // Whoever asks meanwhile reads for himself.
                drop(tokio::task::spawn_blocking(move || read.read_ahead()));
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

async fn pause(ledger: &Ledger) {
    tokio::time::sleep(LEAST_PAUSE).await;
    let rest = tokio::time::sleep(PAUSE - LEAST_PAUSE);
    match ledger.shelf() {
        Some(shelf) => tokio::select! {
            () = rest => {}
            () = shelf.heard().next() => {}
        },
        None => rest.await,
    }
}

/// Announces what is new; returns whether something is, and what went wrong, in words.
fn note(
    looked: Result<Result<Option<shared::store::Snapshot>, StoreError>, String>,
    ledger: &Ledger,
    first: bool,
) -> (bool, Option<String>) {
    let newest = match looked {
        Ok(Ok(newest)) => newest.map(|snapshot| (snapshot.id, snapshot.fingerprint)),
        Ok(Err(error)) => return (false, Some(Chain(&error).to_string())),
        Err(died) => return (false, Some(died)),
    };
    let changed = ledger.announcements().newest.send_if_modified(|known| {
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
pub(crate) fn tell_peer(mut waiting: Waiting, peer: Peer<RoleServer>, end: CancellationToken) {
    tokio::spawn(async move {
        while end.run_until_cancelled(waiting.next()).await == Some(true) {
            let parameters = rmcp::model::ResourceUpdatedNotificationParam::new(NEWEST);
            if peer.notify_resource_updated(parameters).await.is_err() {
                return;
            }
        }
    });
}
