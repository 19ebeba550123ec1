//! One scan: lock the ledger, discover the accounts and regions, plan, list, record.

use std::{collections::HashMap, sync::Arc};

use futures::{
    StreamExt,
    future::{Either, select},
    stream,
};
use jiff::Timestamp;
use tagledger_cloud::{Accounts, Cloud};
use tagledger_ledger::{LedgerWriter, RecordedBill, SnapshotSummary};
use tagledger_model::{
    AccountId,
    epoch_day::day_of,
    inventory::{Listing, Scope},
};
use tagledger_policy::Policy;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::{
    bill::{collect, shared_cache::SharedBillCache},
    lease::{Lease, LeaseSettings},
    scan::{
        after_commit, creators,
        plan::{DiscoveredScopes, ScanPlan, ScanScopeFilter, ScanTargets, plan},
        progress::{Progress, ScanError},
        recorder::{Committed, Recorder, ScanStart},
        spans::{self, StageSpan},
    },
};

/// Maximum number of accounts whose regions are listed concurrently.
const MAX_CONCURRENT_ACCOUNTS: usize = 8;

/// The parameters of a scan.
pub struct Scan<'c, C> {
    /// The cloud to scan.
    pub cloud: &'c C,
    /// The policy that evaluates the resources.
    pub policy: Arc<Policy>,
    /// The regions and types to scan.
    pub targets: ScanTargets,
    /// The part of the targets to scan now. The other scopes are carried over from the previous snapshot.
    pub filter: ScanScopeFilter,
    /// Maximum number of scopes that are listed concurrently.
    pub concurrency: usize,
    /// Maximum number of requests to Cost Explorer a day, which AWS charges for; 0: the bill is not read.
    pub cost_request_budget: u64,
    /// Whether the creators of resources are read from CloudTrail, for suggestions.
    pub creators: bool,
    /// Whether suggestions are trained on this snapshot. Of snapshots that are recorded in sequence, only the last one needs
    /// training.
    pub train: bool,
    /// The clock.
    pub now: &'c (dyn Fn() -> Timestamp + Sync),
    /// The version of the program.
    pub app_version: &'static str,
    /// The lease that scanners of one account share through Redis.
    pub lease: Option<&'c LeaseSettings>,
    /// When this is cancelled, the scan records nothing.
    pub cancel: CancellationToken,
}

/// What the ledger contains before the scan.
struct ScanContext {
    scopes: Vec<Scope>,
    bill: RecordedBill,
    /// For each scope, until when CloudTrail was read.
    creators_until: HashMap<Scope, Timestamp>,
}

impl<C: Cloud> Scan<'_, C> {
    /// Runs the scan and appends a snapshot.
    ///
    /// The ledger is locked first, so that a second scan of the same ledger fails before it sends a request to AWS.
    ///
    /// # Errors
    ///
    /// When nothing can be recorded. A scope that cannot be read is no error but a gap in the summary.
    pub async fn run(
        &self,
        writer: LedgerWriter,
        progress: impl FnMut(Progress) + Send + 'static,
    ) -> Result<SnapshotSummary, ScanError> {
        let context = ScanContext {
            scopes: writer.current_scopes()?,
            bill: writer.recorded_bill(day_of((self.now)()))?,
            creators_until: writer.creators_read_until()?,
        };
        let start = ScanStart {
            writer,
            started_at: (self.now)(),
            policy: Arc::clone(&self.policy),
            app_version: self.app_version,
            is_full: self.filter.is_empty(),
            cancel: self.cancel.clone(),
        };
        let recorder = Recorder::begin(start, progress).await?;
        // Boxed: the future contains the futures of the SDK, which are large, and would be moved on the stack of a thread.
        spans::trace_scan(Box::pin(self.record_snapshot(context, recorder))).await
    }

    async fn record_snapshot(&self, context: ScanContext, recorder: Recorder) -> Result<SnapshotSummary, ScanError> {
        let mut lease = None;
        let read = self.cancel.run_until_cancelled(self.read_under_lease(context, &recorder, &mut lease)).await;
        let read = match read.unwrap_or(Err(ScanError::Cancelled)) {
            Ok(caller) => verify_lease(lease.as_ref(), caller).await,
            Err(error) => Err(error),
        };
        let result = match read {
            Ok(()) => self.commit(recorder).await,
            Err(error) => {
                recorder.abort().await;
                Err(error)
            }
        };
        if let Some(lease) = lease {
            lease.release().await;
        }
        result
    }

    async fn commit(&self, recorder: Recorder) -> Result<SnapshotSummary, ScanError> {
        let Committed { summary, writer } = recorder.finish((self.now)(), self.cloud.request_count()).await?;
        log_commit(&summary);
        if let Some(lease) = self.lease.cloned() {
            let snapshot = summary.snapshot.id;
            // In a task of its own: servers learn of the snapshot while the work after the commit runs.
            tokio::spawn(async move { lease.announce(snapshot).await });
        }
        after_commit::run(writer, self.train).await;
        Ok(summary)
    }

    /// Lists the resources and reads the bill, under the lease of the account where a lease is configured. Returns the account
    /// of the lease.
    async fn read_under_lease(
        &self,
        context: ScanContext,
        recorder: &Recorder,
        lease: &mut Option<Lease>,
    ) -> Result<Option<AccountId>, ScanError> {
        let accounts = self.cloud.list_accounts().await.map_err(ScanError::Accounts)?;
        let Some((settings, caller)) = self.lease.zip(accounts.found.first().map(|account| account.id.clone())) else {
            return self.read(accounts, context, recorder, None).await.map(|()| None);
        };
        let elsewhere = |holder| ScanError::Elsewhere { account: caller.clone(), holder };
        let lease = lease.insert(settings.acquire(&caller, (self.now)()).await.map_err(elsewhere)?);
        let shared_bill = SharedBillCache { redis: settings.client(), fence: lease.fencing_token() };
        lease.run_while_held(self.read(accounts, context, recorder, Some(shared_bill))).await.map_err(elsewhere)??;
        Ok(Some(caller))
    }

    async fn read(
        &self,
        accounts: Accounts,
        context: ScanContext,
        recorder: &Recorder,
        shared_bill: Option<SharedBillCache>,
    ) -> Result<(), ScanError> {
        let span = StageSpan::begin("discover_scopes");
        let discovered = self.discover_scopes(accounts, context.scopes).await;
        drop(span);
        let plan = plan(&discovered, &self.targets.clone().deduplicate())?.filter(&self.filter)?;
        let scopes: Vec<_> = plan.scopes.iter().chain(plan.gaps.iter().map(|(scope, _)| scope)).cloned().collect();
        info!(scopes_n = scopes.len(), accounts_n = discovered.accounts.found.len(), "scan planned");
        recorder.record_plan(discovered.accounts.found, scopes).await;
        let listed = self.list_and_read_creators(plan, &context.creators_until, recorder).await;
        // The bill is read last, because AWS charges for it. A scan that fails or is cancelled before costs nothing.
        if listed && self.cost_request_budget > 0 && self.filter.is_empty() {
            let (budget, now) = (self.cost_request_budget, (self.now)());
            let mut span = StageSpan::begin("bill");
            // Boxed: the futures of the SDK are large, and would be a part of this future.
            let collect = collect::collect_bill(self.cloud, &self.policy, &context.bill, budget, now, shared_bill);
            let bill = Box::pin(collect).await;
            span.set_attribute("tagledger.aws_requests", bill.requests);
            drop(span);
            recorder.record_bill(bill).await;
        }
        Ok(())
    }

    async fn discover_scopes(&self, accounts: Accounts, recorded: Vec<Scope>) -> DiscoveredScopes {
        let ids: Vec<_> = accounts.found.iter().map(|account| account.id.clone()).collect();
        let regions = stream::iter(ids).map(async |id| self.cloud.list_regions(&id).await);
        let regions = regions.buffered(MAX_CONCURRENT_ACCOUNTS).collect().await;
        DiscoveredScopes { accounts, regions, recorded }
    }

    /// Lists all scopes and reads CloudTrail meanwhile. Returns false when the recorder has failed.
    async fn list_and_read_creators(
        &self,
        plan: ScanPlan,
        read_until: &HashMap<Scope, Timestamp>,
        recorder: &Recorder,
    ) -> bool {
        if !self.creators || !self.filter.is_empty() {
            return self.list(plan, recorder).await;
        }
        let scopes = plan.scopes.clone();
        let creators = creators::read_creators(self.cloud, scopes, read_until, (self.now)(), recorder);
        let (list, creators) = (std::pin::pin!(self.list(plan, recorder)), Box::pin(creators));
        match select(list, creators).await {
            Either::Left((listed, creators)) => {
                if listed && tokio::time::timeout(creators::TIMEOUT, creators).await.is_err() {
                    info!("CloudTrail was not read for all scopes; the next scan continues");
                }
                listed
            }
            Either::Right(((), list)) => list.await,
        }
    }

    /// Lists all scopes. Returns false when the recorder has failed.
    async fn list(&self, plan: ScanPlan, recorder: &Recorder) -> bool {
        let gaps = plan.gaps.into_iter().map(|(scope, gap)| (scope, Listing { resources: Vec::new(), gap: Some(gap) }));
        for (scope, listing) in gaps {
            recorder.record_listing(scope, listing).await;
        }
        let listings = stream::iter(plan.scopes).map(async |scope| {
            let mut span = StageSpan::begin_list(&scope);
            let listing = self.cloud.list(&scope).await;
            span.set_attribute("tagledger.resources", listing.resources.len() as u64);
            listing.gap.iter().for_each(|gap| span.record_gap(gap));
            (scope, listing)
        });
        let mut listings = std::pin::pin!(listings.buffer_unordered(self.concurrency.max(1)));
        while let Some((scope, listing)) = listings.next().await {
            if !recorder.record_listing(scope, listing).await {
                return false;
            }
        }
        true
    }
}

/// A suspended scan may have lost its lease without noticing. It must not commit then. After this check nothing is read from
/// AWS or shared; only the commit follows.
async fn verify_lease(lease: Option<&Lease>, caller: Option<AccountId>) -> Result<(), ScanError> {
    match lease.zip(caller) {
        Some((lease, account)) => lease.verify().await.map_err(|holder| ScanError::Elsewhere { account, holder }),
        None => Ok(()),
    }
}

fn log_commit(summary: &SnapshotSummary) {
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
