//! The thread that writes: SQLite blocks, so a night is recorded beside the tasks that list.

use std::{
    future::Future,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use shared::{
    chain::Chain,
    cloud::{Account, Creation},
    inventory::{Listing, Scope},
    policy::Policy,
    store::{Harvest, NightHeader, NightSummary, StoreError, Writer},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::scan::{Progress, ScanError};

/// Listings that wait for the writer; more would only use memory.
const WAITING: usize = 4;

enum Message {
    Planned(Vec<Account>, Vec<Scope>),
    Listed(Scope, Listing),
    Created(Scope, Vec<Creation>, Option<Timestamp>),
    Billed(Box<Harvest>),
    Finish(Timestamp, u64),
}

/// Listings that are recorded. Who listed frees them: memory that one thread allocates and another frees makes both wait for
/// each other, and scatters what the writer keeps among what it frees.
type Spent = Arc<Mutex<Vec<Listing>>>;

/// What the thread needs to begin a night.
pub(crate) struct Beginning {
    pub(crate) writer: Writer,
    pub(crate) started_at: Timestamp,
    pub(crate) policy: Arc<Policy>,
    pub(crate) app_version: &'static str,
    /// Whether scopes that nobody records leave the ledger's view, or keep what is known of them.
    pub(crate) whole: bool,
    /// Whether what resources tell of each other is learnt from this night.
    pub(crate) learn: bool,
    /// Cancelled before the commit begins, nothing is recorded.
    pub(crate) end: CancellationToken,
    /// Told the number of the snapshot as soon as it is committed.
    pub(crate) committed: oneshot::Sender<i64>,
}

/// A night in the hands of its thread. Dropped before [`Recorder::finish`], the night is given up whole.
pub(crate) struct Recorder {
    send: mpsc::Sender<Message>,
    spent: Spent,
    thread: JoinHandle<Result<Option<NightSummary>, StoreError>>,
}

impl Recorder {
    /// Begins a night, and returns when the ledger is locked for it.
    pub(crate) async fn begin(
        beginning: Beginning,
        progress: impl FnMut(Progress) + Send + 'static,
    ) -> Result<Self, ScanError> {
        let (send, receive) = mpsc::channel(WAITING);
        let (begun, locked) = oneshot::channel();
        let spent = Spent::default();
        let done = Arc::clone(&spent);
        let thread = tokio::task::spawn_blocking(move || record(beginning, receive, &done, begun, progress));
        let recorder = Self { send, spent, thread };
        match locked.await {
            Ok(()) => Ok(recorder),
            Err(_) => Err(recorder.failure().await),
        }
    }

    pub(crate) fn planned(&self, accounts: Vec<Account>, scopes: Vec<Scope>) -> impl Future<Output = bool> {
        self.tell(Message::Planned(accounts, scopes))
    }

    /// Records a scope; false when the thread has failed, which [`Recorder::finish`] will say.
    pub(crate) fn listed(&self, scope: Scope, listing: Listing) -> impl Future<Output = bool> {
        drop(mem::take(&mut *self.spent.lock().unwrap_or_else(PoisonError::into_inner)));
        self.tell(Message::Listed(scope, listing))
    }

    /// Records who created resources of a scope; `until`: when the trail was asked, where it answered.
    pub(crate) fn created(
        &self,
        scope: Scope,
        creations: Vec<Creation>,
        until: Option<Timestamp>,
    ) -> impl Future<Output = bool> {
        self.tell(Message::Created(scope, creations, until))
    }

    pub(crate) fn billed(&self, harvest: Harvest) -> impl Future<Output = bool> {
        self.tell(Message::Billed(Box::new(harvest)))
    }

    async fn tell(&self, message: Message) -> bool {
        self.send.send(message).await.is_ok()
    }

    pub(crate) async fn finish(self, at: Timestamp, requests: u64) -> Result<NightSummary, ScanError> {
        self.tell(Message::Finish(at, requests)).await;
        match self.thread.await {
            Ok(Ok(Some(summary))) => Ok(summary),
            Ok(Ok(None)) => Err(ScanError::Cancelled),
            Ok(Err(error)) => Err(error.into()),
            Err(died) => Err(ScanError::Writer(Some(died))),
        }
    }

    /// Ends the night without a trace, and returns when the ledger is free again.
    pub(crate) async fn give_up(self) {
        drop(self.send);
        // That it records nothing is what was wanted, whatever else it has to say.
        drop(self.thread.await);
    }

    async fn failure(self) -> ScanError {
        match self.thread.await {
            Ok(Err(error)) => error.into(),
            Ok(Ok(_)) => ScanError::Writer(None),
            Err(died) => ScanError::Writer(Some(died)),
        }
    }
}

fn record(
    mut beginning: Beginning,
    mut receive: mpsc::Receiver<Message>,
    spent: &Mutex<Vec<Listing>>,
    begun: oneshot::Sender<()>,
    mut progress: impl FnMut(Progress),
) -> Result<Option<NightSummary>, StoreError> {
    let Beginning { started_at, app_version, whole, learn: learns, .. } = beginning;
    let end = beginning.end.clone();
    let header = NightHeader { started_at, policy: &beginning.policy, app_version };
    let mut night = beginning.writer.begin(header)?;
    if begun.send(()).is_err() {
        return Ok(None);
    }
    while let Some(message) = receive.blocking_recv() {
        match message {
            Message::Planned(accounts, scopes) => {
                accounts.iter().try_for_each(|account| night.account(account))?;
                progress(Progress::Planned { accounts: accounts.len(), scopes });
            }
            Message::Listed(scope, listing) => {
                progress(Progress::Scope(night.record(&scope, &listing)?));
                spent.lock().unwrap_or_else(PoisonError::into_inner).push(listing);
            }
            Message::Created(scope, creations, until) => night.created(&scope, &creations, until)?,
            Message::Billed(harvest) => night.bill(&harvest)?,
            Message::Finish(at, requests) => {
                if !whole {
                    night.carry_rest()?;
                }
                // Whoever cancels looks at what this tells, so that a scan is cancelled or committed and never both.
                progress(Progress::Committing);
                if end.is_cancelled() {
                    return Ok(None);
                }
                let summary = night.finish(at, requests)?;
                // Without anybody who waits for it, it is told to nobody.
                _ = beginning.committed.send(summary.snapshot.id);
                if learns {
                    learn(&mut beginning.writer);
                }
                tell(&mut beginning.writer);
                move_log(&beginning.writer);
                return Ok(Some(summary));
            }
        }
    }
    Ok(None)
}

/// The night is committed; without this, what was learnt before stands.
fn learn(writer: &mut Writer) {
    match writer.learn() {
        Ok(learned) => debug!(?learned, "learnt from the resources what they tell of each other"),
        Err(error) => warn!("nothing new was learnt for suggestions: {}", Chain(&error)),
    }
}

/// The night is committed; without this, whoever asks about the night later waits longer.
fn tell(writer: &mut Writer) {
    if let Err(error) = writer.tell() {
        warn!("the night was not told for later questions: {}", Chain(&error));
    }
}

/// The night is committed; what hinders this only leaves the log longer until the next time.
fn move_log(writer: &Writer) {
    match writer.checkpoint() {
        Ok(true) => {}
        Ok(false) => warn!("the ledger's log was not moved into the file: somebody reads for long"),
        Err(error) => warn!("the ledger's log was not moved into the file: {}", Chain(&error)),
    }
}
