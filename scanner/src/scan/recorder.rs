//! The thread that writes a snapshot. SQLite blocks, so the snapshot is written beside the tasks that list resources.

use std::{
    future::Future,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use tagledger_ledger::{BillCollection, LedgerError, LedgerWriter, SnapshotHeader, SnapshotSummary};
use tagledger_model::{
    account::{Account, Creation},
    inventory::{Listing, Scope},
};
use tagledger_policy::Policy;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::scan::progress::{Progress, ScanError};

/// Number of messages that may wait for the thread. More would only use memory.
const MAX_QUEUED: usize = 4;

enum RecorderMessage {
    Planned(Vec<Account>, Vec<Scope>),
    Listed(Scope, Listing),
    Created(Scope, Vec<Creation>, Option<Timestamp>),
    Billed(Box<BillCollection>),
    Finish(Timestamp, u64),
}

/// Recorded listings that their allocating side frees. Memory that one thread allocates and another frees makes both
/// threads wait for each other, and fragments the memory of the writer.
type RecordedListings = Arc<Mutex<Vec<Listing>>>;

/// A committed snapshot, and the writer for the work that follows.
pub(crate) struct Committed {
    pub(crate) summary: SnapshotSummary,
    pub(crate) writer: LedgerWriter,
}

/// What the thread needs to begin a snapshot.
pub(crate) struct ScanStart {
    pub(crate) writer: LedgerWriter,
    pub(crate) started_at: Timestamp,
    pub(crate) policy: Arc<Policy>,
    pub(crate) app_version: &'static str,
    /// Whether the scan covers the complete estate. The other scopes of a narrowed scan are carried over.
    pub(crate) is_full: bool,
    /// When this is cancelled before the commit starts, nothing is recorded.
    pub(crate) cancel: CancellationToken,
}

/// The handle of the thread that writes a snapshot. When it is dropped before [`Recorder::finish`], nothing is recorded.
pub(crate) struct Recorder {
    messages: mpsc::Sender<RecorderMessage>,
    recorded: RecordedListings,
    thread: JoinHandle<Result<Option<Committed>, LedgerError>>,
}

impl Recorder {
    /// Begins a snapshot, and returns when the thread holds the lock of the ledger.
    pub(crate) async fn begin(
        start: ScanStart,
        progress: impl FnMut(Progress) + Send + 'static,
    ) -> Result<Self, ScanError> {
        let (messages, receiver) = mpsc::channel(MAX_QUEUED);
        let (report_locked, locked) = oneshot::channel();
        let recorded = RecordedListings::default();
        let thread_recorded = Arc::clone(&recorded);
        let thread =
            tokio::task::spawn_blocking(move || record(start, receiver, &thread_recorded, report_locked, progress));
        let recorder = Self { messages, recorded, thread };
        match locked.await {
            Ok(()) => Ok(recorder),
            Err(_) => Err(recorder.failure().await),
        }
    }

    /// Records the accounts and the planned scopes. Like every method that returns a `bool`, it returns false when the
    /// thread has failed; [`Recorder::finish`] then returns the error.
    pub(crate) fn record_plan(&self, accounts: Vec<Account>, scopes: Vec<Scope>) -> impl Future<Output = bool> {
        self.send(RecorderMessage::Planned(accounts, scopes))
    }

    /// Records the listing of a scope.
    pub(crate) fn record_listing(&self, scope: Scope, listing: Listing) -> impl Future<Output = bool> {
        drop(mem::take(&mut *self.recorded.lock().unwrap_or_else(PoisonError::into_inner)));
        self.send(RecorderMessage::Listed(scope, listing))
    }

    /// Records the creators of resources of a scope. `until`: the end of the period that CloudTrail was read for; none when
    /// the reading failed.
    pub(crate) fn record_creations(
        &self,
        scope: Scope,
        creations: Vec<Creation>,
        until: Option<Timestamp>,
    ) -> impl Future<Output = bool> {
        self.send(RecorderMessage::Created(scope, creations, until))
    }

    /// Records the bill.
    pub(crate) fn record_bill(&self, bill: BillCollection) -> impl Future<Output = bool> {
        self.send(RecorderMessage::Billed(Box::new(bill)))
    }

    async fn send(&self, message: RecorderMessage) -> bool {
        self.messages.send(message).await.is_ok()
    }

    /// Commits the snapshot. `requests`: the number of requests that the scan sent to AWS.
    pub(crate) async fn finish(self, at: Timestamp, requests: u64) -> Result<Committed, ScanError> {
        self.send(RecorderMessage::Finish(at, requests)).await;
        match self.thread.await {
            Ok(Ok(Some(committed))) => Ok(committed),
            Ok(Ok(None)) => Err(ScanError::Cancelled),
            Ok(Err(error)) => Err(error.into()),
            Err(error) => Err(ScanError::Writer(Some(error))),
        }
    }

    /// Records nothing, and returns when the ledger is unlocked.
    pub(crate) async fn abort(self) {
        drop(self.messages);
        // The caller already has the error that made it abort.
        drop(self.thread.await);
    }

    async fn failure(self) -> ScanError {
        match self.thread.await {
            Ok(Err(error)) => error.into(),
            Ok(Ok(_)) => ScanError::Writer(None),
            Err(error) => ScanError::Writer(Some(error)),
        }
    }
}

fn record(
    mut start: ScanStart,
    mut receiver: mpsc::Receiver<RecorderMessage>,
    recorded: &Mutex<Vec<Listing>>,
    report_locked: oneshot::Sender<()>,
    mut progress: impl FnMut(Progress),
) -> Result<Option<Committed>, LedgerError> {
    let header = SnapshotHeader { started_at: start.started_at, policy: &start.policy, app_version: start.app_version };
    let mut snapshot = start.writer.begin_snapshot(header)?;
    if report_locked.send(()).is_err() {
        return Ok(None);
    }
    while let Some(message) = receiver.blocking_recv() {
        match message {
            RecorderMessage::Planned(accounts, scopes) => {
                accounts.iter().try_for_each(|account| snapshot.add_account(account))?;
                progress(Progress::Planned { accounts: accounts.len(), scopes });
            }
            RecorderMessage::Listed(scope, listing) => {
                progress(Progress::Scope(snapshot.record(&scope, &listing)?));
                recorded.lock().unwrap_or_else(PoisonError::into_inner).push(listing);
            }
            RecorderMessage::Created(scope, creations, until) => snapshot.record_creators(&scope, &creations, until)?,
            RecorderMessage::Billed(bill) => snapshot.record_bill(&bill)?,
            RecorderMessage::Finish(at, requests) => {
                if !start.is_full {
                    snapshot.carry_over_rest()?;
                }
                // A job rejects cancellation once it has received this progress. The check after it therefore ensures that
                // a scan is either cancelled or committed, never both.
                progress(Progress::Committing);
                if start.cancel.is_cancelled() {
                    return Ok(None);
                }
                let summary = snapshot.finish(at, requests)?;
                return Ok(Some(Committed { summary, writer: start.writer }));
            }
        }
    }
    Ok(None)
}
