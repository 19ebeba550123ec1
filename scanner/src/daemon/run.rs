//! The daemon: runs one scan at a time, by the schedule or by request, and continues after every failure.

use std::{
    future::Future,
    ops::ControlFlow,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tagledger_cloud::{Cloud, OperationCalls};
use tagledger_ledger::{
    LedgerError, LedgerReader, LedgerWriter, MigrationProgress, RetentionPolicy, SnapshotSummary, log_bytes,
};
use tagledger_model::{epoch_day::day_of, error_chain::ErrorChain, inventory::Gap};
use tagledger_policy::Policy;
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info, warn};

use crate::{
    daemon::{
        due::{CompletedRun, NextRun, ScheduleState},
        job::{Job, Outcome, Trigger},
        jobs::{JobRejected, Jobs},
        schedule::Schedule,
        trigger::ScheduleTrigger,
    },
    lease::LeaseSettings,
    scan::{
        plan::{ScanScopeFilter, ScanTargets},
        progress::{Progress, ScanError},
        run::Scan,
    },
};

/// How often the schedule is checked in addition to the wake-ups of the scheduler, measured by the monotonic clock.
///
/// The scheduler library waits for a time of the wall clock and computes it with the UTC offset at its start. This check
/// finds retries, delayed occurrences, a resumed machine, a clock that was set and a change of the UTC offset.
const CHECK_INTERVAL: Duration = Duration::from_secs(20);

/// Connects to the cloud. Every scan connects again, so that it uses the present credentials, roles and accounts.
pub type Connect<C> = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<C, Gap>> + Send>> + Send + Sync>;

/// Reads the present policy, or returns why it cannot be read.
pub type ReadPolicy = Box<dyn Fn() -> Result<Policy, String> + Send + Sync>;

/// The settings of a daemon.
pub struct DaemonSettings<C> {
    /// The path of the ledger.
    pub store: PathBuf,
    /// When to scan.
    pub schedule: Schedule,
    /// The maximum delay of a scheduled scan.
    pub jitter: Duration,
    /// What to scan.
    pub targets: ScanTargets,
    /// Maximum number of scopes that are listed concurrently.
    pub concurrency: usize,
    /// Maximum number of requests to Cost Explorer a day.
    pub cost_request_budget: u64,
    /// Whether the creators of resources are read from CloudTrail.
    pub creators: bool,
    /// The lease that scanners of one account share through Redis.
    pub lease: Option<LeaseSettings>,
    /// Which snapshots to retain; none: all.
    pub retention: Option<RetentionPolicy>,
    /// The daemon is unhealthy when the newest full scan is older than this.
    pub max_age: Duration,
    /// Connects to the cloud.
    pub connect: Connect<C>,
    /// Reads the policy.
    pub policy: ReadPolicy,
    /// The clock.
    pub now: fn() -> Timestamp,
    /// The version of the program.
    pub app_version: &'static str,
}

/// A scanner that runs until it is stopped.
pub struct Daemon<C> {
    pub(crate) settings: DaemonSettings<C>,
    pub(crate) jobs: Jobs,
    pub(crate) reader: LedgerReader,
    schedule: Mutex<ScheduleState>,
    scans: TaskTracker,
    /// Whether a reader prevented the checkpoint after a scan.
    checkpoint_pending: AtomicBool,
    pub(crate) started_at: Timestamp,
}

impl<C: Cloud> Daemon<C> {
    /// Makes a daemon for a ledger, which need not exist yet.
    pub fn new(settings: DaemonSettings<C>) -> Arc<Self> {
        let reader = LedgerReader::new(&settings.store);
        let newest_full = find_newest_full(&reader);
        let schedule = ScheduleState::new(settings.schedule.clone(), settings.jitter, newest_full).into();
        let started_at = (settings.now)();
        let (jobs, scans, checkpoint_pending) = (Jobs::default(), TaskTracker::new(), AtomicBool::new(false));
        Arc::new(Self { settings, jobs, reader, schedule, scans, checkpoint_pending, started_at })
    }

    /// When the newest scan of the complete estate started; none before the first.
    pub(crate) fn newest_full(&self) -> Option<Timestamp> {
        find_newest_full(&self.reader)
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.settings.now)()
    }

    /// Runs due scans until `end` is cancelled. A running scan is then cancelled and records nothing, unless it is
    /// committing.
    pub async fn run(self: Arc<Self>, end: CancellationToken) {
        let trigger = ScheduleTrigger::start(&self.settings.schedule).await;
        let trigger = trigger.inspect_err(|error| {
            let seconds = CHECK_INTERVAL.as_secs();
            warn!("the scheduler cannot start: {error}; the schedule is checked every {seconds} s only");
        });
        while !end.is_cancelled() {
            self.start_due_scan();
            self.complete_checkpoint().await;
            let wait = async {
                match &trigger {
                    Ok(trigger) => trigger.wait().await,
                    Err(_) => std::future::pending().await,
                }
            };
            end.run_until_cancelled(timeout(CHECK_INTERVAL, wait)).await;
        }
        if let Ok(trigger) = trigger {
            trigger.stop().await;
        }
        self.jobs.close();
        self.scans.close();
        self.scans.wait().await;
    }

    fn start_due_scan(self: &Arc<Self>) {
        let Some(run) = self.take_due() else { return };
        let trigger = match run {
            NextRun::Missed => Trigger::CatchUp,
            NextRun::Scheduled => Trigger::Schedule,
            NextRun::Retry => Trigger::Retry,
        };
        match self.start(trigger, ScanScopeFilter::default(), || Ok(())) {
            Ok(id) => info!(scan.id = id, "scan started: {}", trigger.describe()),
            // A rescan that was requested over HTTP is running.
            Err(_) => self.schedule().complete(self.now(), CompletedRun::Elsewhere),
        }
    }

    fn take_due(&self) -> Option<NextRun> {
        let now = self.now();
        if self.schedule().is_retry_due(now)
            && let Some(newest) = self.newest_full()
        {
            self.schedule().record_newest_full(newest);
        }
        self.schedule().take_due(now)
    }

    fn schedule(&self) -> MutexGuard<'_, ScheduleState> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn next_run(&self) -> Option<Timestamp> {
        self.schedule().next_run(self.now())
    }

    /// Starts a scan in a task of its own, unless one is running or `admit` rejects it.
    pub(crate) fn start(
        self: &Arc<Self>,
        trigger: Trigger,
        filter: ScanScopeFilter,
        admit: impl FnOnce() -> Result<(), JobRejected>,
    ) -> Result<String, JobRejected> {
        let (job, cancel) = self.jobs.begin(trigger, filter.clone(), self.now(), admit)?;
        let (daemon, id) = (Arc::clone(self), job.id.clone());
        self.scans.spawn(async move { daemon.run_job(&id, trigger, filter, cancel).await });
        Ok(job.id)
    }

    async fn run_job(self: &Arc<Self>, id: &str, trigger: Trigger, filter: ScanScopeFilter, cancel: CancellationToken) {
        let mut calls = Vec::new();
        let (outcome, run) = match self.scan(id, filter, cancel.clone(), &mut calls).await {
            Ok(summary) => (Outcome::Recorded(Box::new(summary)), CompletedRun::Served),
            // A cancelled scan is not retried.
            Err(_) if cancel.is_cancelled() => (Outcome::Cancelled, CompletedRun::Served),
            Err(ScanFailure { message, elsewhere: true }) => {
                warn!(scan.id = id, "scan failed: {message}");
                (Outcome::Elsewhere(message), CompletedRun::Elsewhere)
            }
            Err(ScanFailure { message, .. }) => {
                error!(scan.id = id, "scan failed: {message}");
                (Outcome::Failed(message), CompletedRun::Failed)
            }
        };
        if matches!(outcome, Outcome::Recorded(_)) {
            // The job still counts as running, so no other scan starts and finds the ledger locked.
            self.prune().await;
            self.checkpoint_pending.store(log_bytes(&self.settings.store) > 0, Ordering::Relaxed);
        }
        let state = self.jobs.end(id, outcome, calls, self.now());
        if trigger != Trigger::Http {
            self.schedule().complete(self.now(), run);
        }
        let next = self.next_run().map_or_else(String::new, |next| next.to_string());
        info!(scan.id = id, next, "scan finished: {}", state.describe());
    }

    /// Repeats a checkpoint that a reader prevented after an earlier scan.
    async fn complete_checkpoint(&self) {
        if !self.checkpoint_pending.load(Ordering::Relaxed) || self.jobs.all().iter().any(Job::is_running) {
            return;
        }
        let store = self.settings.store.clone();
        let checkpoint = tokio::task::spawn_blocking(move || LedgerWriter::open(&store)?.checkpoint());
        match checkpoint.await {
            Ok(Ok(completed)) => self.checkpoint_pending.store(!completed, Ordering::Relaxed),
            Ok(Err(error)) => warn!("the checkpoint of the ledger failed: {}", ErrorChain(&error)),
            Err(error) => warn!("the checkpoint of the ledger failed: {error}"),
        }
    }

    async fn scan(
        self: &Arc<Self>,
        id: &str,
        filter: ScanScopeFilter,
        cancel: CancellationToken,
        calls: &mut Vec<OperationCalls>,
    ) -> Result<SnapshotSummary, ScanFailure> {
        let policy = Arc::new((self.settings.policy)()?);
        let writer = self.open_writer(cancel.clone()).await?;
        let connected =
            cancel.run_until_cancelled((self.settings.connect)()).await.ok_or_else(|| "cancelled".to_owned())?;
        let cloud = connected.map_err(|gap| format!("AWS cannot be reached: {gap}"))?;
        let now = self.settings.now;
        let clock = move || now();
        let scan = Scan {
            cloud: &cloud,
            policy,
            targets: self.settings.targets.clone(),
            filter,
            concurrency: self.settings.concurrency,
            cost_request_budget: self.settings.cost_request_budget,
            creators: self.settings.creators,
            train: true,
            lease: self.settings.lease.as_ref(),
            now: &clock,
            app_version: self.settings.app_version,
            cancel,
        };
        let (daemon, job_id) = (Arc::clone(self), id.to_owned());
        let report_progress = move |progress: Progress| daemon.jobs.record_progress(&job_id, progress);
        let result = scan.run(writer, report_progress).await;
        *calls = cloud.operation_calls();
        result.map_err(ScanFailure::from)
    }

    /// Runs on a blocking thread: the migration of a large ledger takes minutes.
    async fn open_writer(&self, cancel: CancellationToken) -> Result<LedgerWriter, String> {
        let store = self.settings.store.clone();
        let report_progress = move |progress: MigrationProgress| {
            info!(
                from = progress.from,
                to = progress.to,
                done = progress.done,
                of = progress.of,
                "upgrading the ledger"
            );
            if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let opened =
            tokio::task::spawn_blocking(move || LedgerWriter::open_with_progress(&store, report_progress)).await;
        opened.map_err(|error| error.to_string())?.map_err(|error| ErrorChain(&error).to_string())
    }

    async fn prune(&self) {
        let Some(retention) = self.settings.retention else { return };
        let (store, today) = (self.settings.store.clone(), day_of(self.now()));
        match tokio::task::spawn_blocking(move || prune(&store, &retention, today)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!("old snapshots were not pruned: {}; the next scan tries again", ErrorChain(&error)),
            Err(error) => warn!("old snapshots were not pruned: {error}; the next scan tries again"),
        }
    }
}

/// Why a scan recorded nothing.
struct ScanFailure {
    message: String,
    /// Another scanner was scanning.
    elsewhere: bool,
}

impl From<String> for ScanFailure {
    fn from(message: String) -> Self {
        Self { message, elsewhere: false }
    }
}

impl From<ScanError> for ScanFailure {
    fn from(error: ScanError) -> Self {
        let elsewhere = matches!(error, ScanError::Elsewhere { .. } | ScanError::Ledger(LedgerError::Busy { .. }));
        Self { message: ErrorChain(&error).to_string(), elsewhere }
    }
}

/// When the newest full scan of the ledger started.
fn find_newest_full(reader: &LedgerReader) -> Option<Timestamp> {
    match reader.read(|session| session.newest_full()) {
        Ok(newest) => newest.map(|snapshot| snapshot.started_at),
        Err(LedgerError::Missing { .. }) => None,
        Err(error) => {
            warn!("the time of the last scan cannot be read from the ledger: {}", ErrorChain(&error));
            None
        }
    }
}

/// Deletes the snapshots that the retention policy does not retain, and checkpoints the ledger.
///
/// # Errors
///
/// When the ledger cannot be written. Nothing is deleted then.
pub fn prune(
    store: &std::path::Path,
    retention: &RetentionPolicy,
    today: jiff::civil::Date,
) -> Result<(), LedgerError> {
    let mut writer = LedgerWriter::open(store)?;
    let report = writer.prune(retention, today)?;
    if report.snapshots > 0 {
        writer.checkpoint()?;
        info!(
            snapshots_n = report.snapshots,
            states_n = report.states,
            resources_n = report.resources,
            retention = %retention,
            "old snapshots pruned"
        );
    }
    Ok(())
}
