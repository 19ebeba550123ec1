//! One scan: lock the ledger, survey, plan, list, record.

use std::{collections::HashMap, sync::Arc};

use futures::{
    StreamExt,
    future::{Either, select},
    stream,
};
use jiff::Timestamp;
use shared::{
    AccountId,
    cloud::{Accounts, Cloud},
    day::day_of,
    inventory::{Gap, Listing, Scope},
    policy::Policy,
    store::{BillKnown, NightSummary, ScopeSummary, StoreError, Writer},
};
use tokio::{sync::oneshot, task::JoinError};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::{
    costs::{self, Sharing},
    creators,
    plan::{Choice, Narrow, Plan, PlanError, Survey, plan},
    recorder::{Beginning, Recorder},
    scan_lock::{ScanLock, Turn},
    traces::{self, Part},
};

/// Accounts whose regions are asked for at once.
const SURVEYED_AT_ONCE: usize = 8;

/// What a scan is made of.
pub struct Scan<'c, C> {
    /// What is scanned.
    pub cloud: &'c C,
    /// What judges it.
    pub policy: Arc<Policy>,
    /// Which part of it.
    pub choice: Choice,
    /// Which part of that now. The rest keeps what is known of it, and the snapshot says when that was read.
    pub narrow: Narrow,
    /// How many scopes are listed at once.
    pub concurrency: usize,
    /// Requests to the bill a day, each of which costs money; 0: it is never asked.
    pub cost_requests: u64,
    /// Whether CloudTrail is asked who created what, for suggestions.
    pub creators: bool,
    /// Whether suggestions are to rest on this night. Of nights that are recorded one behind the other only the last needs to.
    pub learn: bool,
    /// The clock.
    pub now: &'c (dyn Fn() -> Timestamp + Sync),
    /// The version of the program.
    pub app_version: &'static str,
    /// What scanners of the same account that share a Redis take turns by.
    pub lock: Option<&'c ScanLock>,
    /// Cancelled, the scan is given up whole: nothing of it is recorded.
    pub end: CancellationToken,
}

/// What a scan tells while it runs.
#[derive(Debug, Clone)]
pub enum Progress {
    /// These scopes will be recorded.
    Planned {
        /// In the order of accounts, regions and types; those that are gaps already come last.
        scopes: Vec<Scope>,
        /// The number of accounts they belong to.
        accounts: usize,
    },
    /// One is recorded.
    Scope(ScopeSummary),
    /// All are; from here on it is too late to cancel the scan.
    Committing,
}

/// Why a scan recorded nothing.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The caller's own account is not known.
    #[error("the scan cannot begin")]
    Accounts(#[source] Gap),
    /// There is nothing to plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The ledger cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The writing thread ended before its time.
    #[error("the ledger's writer ended unexpectedly; nothing of this scan was recorded")]
    Writer(#[source] Option<JoinError>),
    /// Another scanner that shares this one's Redis scans the account, or has done so since this scan's turn ran out.
    #[error("another scanner has its turn at account {account} ({holder}); nothing of this scan was recorded")]
    Elsewhere {
        /// The caller's own account.
        account: AccountId,
        /// Process, host and since when.
        holder: String,
    },
    /// Somebody ended it.
    #[error("the scan was cancelled; nothing of it was recorded")]
    Cancelled,
}

impl ScanError {
    /// The kind of it, in one word.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Accounts(_) => "accounts",
            Self::Plan(_) => "plan",
            Self::Store(_) => "store",
            Self::Writer(_) => "writer",
            Self::Elsewhere { .. } => "elsewhere",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What the ledger knows before the scan.
struct Known {
    scopes: Vec<Scope>,
    bill: BillKnown,
    trail: HashMap<Scope, Timestamp>,
}

impl<C: Cloud> Scan<'_, C> {
    /// Scans once and appends a snapshot.
    ///
    /// The ledger is locked first, so that a second scan is refused before it has cost a request to AWS.
    ///
    /// # Errors
    ///
    /// When nothing can be recorded; a scope that cannot be read is no error but a gap in the summary.
    pub async fn run(
        &self,
        writer: Writer,
        progress: impl FnMut(Progress) + Send + 'static,
    ) -> Result<NightSummary, ScanError> {
        let known = Known {
            scopes: writer.known_scopes()?,
            bill: writer.bill_known(day_of((self.now)()))?,
            trail: writer.trail_known()?,
        };
        let (committed, told) = oneshot::channel();
        if let Some(lock) = self.lock.cloned() {
            // What follows on a commit takes longer than servers should wait.
            tokio::spawn(async move {
                if let Ok(snapshot) = told.await {
                    lock.announce(snapshot).await;
                }
            });
        }
        let beginning = Beginning {
            writer,
            started_at: (self.now)(),
            policy: Arc::clone(&self.policy),
            app_version: self.app_version,
            whole: self.narrow.is_whole(),
            learn: self.learn,
            end: self.end.clone(),
            committed,
        };
        let recorder = Recorder::begin(beginning, progress).await?;
        // Boxed: it is as large as all that the SDK does in it, and would be moved about on a thread's stack.
        traces::scan(Box::pin(self.filled(known, recorder))).await
    }

    async fn filled(&self, known: Known, recorder: Recorder) -> Result<NightSummary, ScanError> {
        let mut turn = None;
        let filled = self.end.run_until_cancelled(self.fill(known, &recorder, &mut turn)).await;
        let filled = match filled.unwrap_or(Err(ScanError::Cancelled)) {
            Ok(caller) => still_turn(turn.as_ref(), caller).await,
            failed => failed.map(drop),
        };
        let ended = match filled {
            Ok(()) => recorder.finish((self.now)(), self.cloud.requests()).await.inspect(report),
            Err(error) => {
                recorder.give_up().await;
                Err(error)
            }
        };
        if let Some(turn) = turn {
            turn.end().await;
        }
        ended
    }

    /// Lists and records all; whose turn it was at what, where there are turns.
    async fn fill(
        &self,
        known: Known,
        recorder: &Recorder,
        turn: &mut Option<Turn>,
    ) -> Result<Option<AccountId>, ScanError> {
        let accounts = self.cloud.accounts().await.map_err(ScanError::Accounts)?;
        let Some((lock, caller)) = self.lock.zip(accounts.found.first().map(|account| account.id.clone())) else {
            return self.inventory(accounts, known, recorder, None).await.map(|()| None);
        };
        let elsewhere = |holder| ScanError::Elsewhere { account: caller.clone(), holder };
        let turn = turn.insert(lock.take(&caller, (self.now)()).await.map_err(elsewhere)?);
        let sharing = Sharing { redis: lock.client(), fence: turn.fence() };
        turn.during(self.inventory(accounts, known, recorder, Some(sharing))).await.map_err(elsewhere)??;
        Ok(Some(caller))
    }

    async fn inventory(
        &self,
        accounts: Accounts,
        known: Known,
        recorder: &Recorder,
        sharing: Option<Sharing>,
    ) -> Result<(), ScanError> {
        let surveying = Part::begin("survey");
        let survey = self.survey(accounts, known.scopes).await;
        drop(surveying);
        let plan = plan(&survey, &self.choice.clone().distinct())?.narrowed(&self.narrow)?;
        let scopes: Vec<_> = plan.scopes.iter().chain(plan.gaps.iter().map(|(scope, _)| scope)).cloned().collect();
        info!(scopes_n = scopes.len(), accounts_n = survey.accounts.found.len(), "scan planned");
        recorder.planned(survey.accounts.found, scopes).await;
        let listed = self.list_and_trail(plan, &known.trail, recorder).await;
        // Last, for it costs money: a scan that fails or is cancelled before spends none.
        if listed && self.cost_requests > 0 && self.narrow.is_whole() {
            let (budget, now) = (self.cost_requests, (self.now)());
            let mut asking = Part::begin("bill");
            // Boxed: the SDK's futures are large, and would be a part of this one, which a thread has to find room for.
            let harvest = Box::pin(costs::harvest(self.cloud, &self.policy, &known.bill, budget, now, sharing)).await;
            asking.say("tagledger.aws_requests", harvest.requests);
            drop(asking);
            recorder.billed(harvest).await;
        }
        Ok(())
    }

    async fn survey(&self, accounts: Accounts, known: Vec<Scope>) -> Survey {
        let ids: Vec<_> = accounts.found.iter().map(|account| account.id.clone()).collect();
        let asked = stream::iter(ids).map(async |id| self.cloud.regions(&id).await);
        let regions = asked.buffered(SURVEYED_AT_ONCE).collect().await;
        Survey { accounts, regions, known }
    }

    /// Lists everything, and asks the trail meanwhile; false when the writer has failed.
    async fn list_and_trail(&self, plan: Plan, known: &HashMap<Scope, Timestamp>, recorder: &Recorder) -> bool {
        if !self.creators || !self.narrow.is_whole() {
            return self.list(plan, recorder).await;
        }
        let scopes = plan.scopes.clone();
        let trail = creators::harvest(self.cloud, scopes, known, (self.now)(), recorder);
        let (listed, trail) = (std::pin::pin!(self.list(plan, recorder)), Box::pin(trail));
        match select(listed, trail).await {
            Either::Left((listed, trail)) => {
                if listed && tokio::time::timeout(creators::PATIENCE, trail).await.is_err() {
                    info!("the trail is not read to its end; the next scan goes on");
                }
                listed
            }
            Either::Right(((), listed)) => listed.await,
        }
    }

    /// Lists everything; false when the writer has failed, and will say why.
    async fn list(&self, plan: Plan, recorder: &Recorder) -> bool {
        let gaps = plan.gaps.into_iter().map(|(scope, gap)| (scope, Listing { resources: Vec::new(), gap: Some(gap) }));
        for (scope, listing) in gaps {
            recorder.listed(scope, listing).await;
        }
        let lists = stream::iter(plan.scopes).map(async |scope| {
            let mut part = Part::list(&scope);
            let listing = self.cloud.list(&scope).await;
            part.say("tagledger.resources", listing.resources.len() as u64);
            listing.gap.iter().for_each(|gap| part.gap(gap));
            (scope, listing)
        });
        let mut lists = std::pin::pin!(lists.buffer_unordered(self.concurrency.max(1)));
        while let Some((scope, listing)) = lists.next().await {
            if !recorder.listed(scope, listing).await {
                return false;
            }
        }
        true
    }
}

/// A scan that was suspended may have lost its turn without having heard of it: it commits nothing then. From here to the commit
/// it is only written what was listed.
async fn still_turn(turn: Option<&Turn>, caller: Option<AccountId>) -> Result<(), ScanError> {
    match turn.zip(caller) {
        Some((turn, account)) => turn.lasts().await.map_err(|holder| ScanError::Elsewhere { account, holder }),
        None => Ok(()),
    }
}

fn report(summary: &NightSummary) {
    let snapshot = &summary.snapshot;
    let seconds = snapshot.finished_at.duration_since(snapshot.started_at).as_secs();
    info!(
        snapshot.id = snapshot.id,
        snapshot.complete = snapshot.complete,
        resources_n = summary.tally.total(),
        requests_n = snapshot.requests,
        duration_s = seconds,
        "snapshot committed"
    );
}
