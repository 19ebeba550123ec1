//! The daemon: scans by a timetable or when asked, one at a time, and lives through every failure.

use std::{
    future::Future,
    ops::ControlFlow,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use shared::{
    chain::Chain,
    cloud::{Cloud, OperationCalls},
    day::day_of,
    inventory::Gap,
    policy::Policy,
    store::{NightSummary, Reader, Retention, StoreError, UpgradeProgress, Writer, log_bytes},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info, warn};

use crate::{
    jobs::{Job, Jobs, Outcome, Refused, Trigger},
    plan::{Choice, Narrow},
    scan::{Progress, Scan, ScanError},
    scan_lock::ScanLock,
    schedule::Schedule,
    timetable::{Due, Ended, Timetable},
};

/// The longest sleep: how soon a changed clock or a machine that woke up is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(20);

/// A connection to the cloud, made anew for every scan so that credentials, roles and accounts are those of now.
pub type Connect<C> = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<C, Gap>> + Send>> + Send + Sync>;

/// The policy as it stands now, or why it cannot be read.
pub type ReadPolicy = Box<dyn Fn() -> Result<Policy, String> + Send + Sync>;

/// What a daemon is told.
pub struct DaemonSettings<C> {
    /// The ledger.
    pub store: PathBuf,
    /// When to scan.
    pub schedule: Schedule,
    /// By how much a scheduled scan may be later than its time.
    pub jitter: Duration,
    /// What to scan.
    pub choice: Choice,
    /// Lists read at once.
    pub concurrency: usize,
    /// Requests to the bill a day.
    pub cost_requests: u64,
    /// Whether CloudTrail is asked who created what.
    pub creators: bool,
    /// What scanners of the same account take turns by, if they share a Redis.
    pub lock: Option<ScanLock>,
    /// Which nights to keep; none: all.
    pub retention: Option<Retention>,
    /// A snapshot older than this makes the daemon unhealthy.
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

/// A scanner that goes on until it is told to end.
pub struct Daemon<C> {
    pub(crate) settings: DaemonSettings<C>,
    pub(crate) jobs: Jobs,
    pub(crate) reader: Reader,
    timetable: std::sync::Mutex<Timetable>,
    scans: TaskTracker,
    /// The log of a scan of ours could not be moved, for somebody was reading.
    log_left: AtomicBool,
    pub(crate) started_at: Timestamp,
}

impl<C: Cloud> Daemon<C> {
    /// A daemon over a ledger, which need not exist yet.
    pub fn new(settings: DaemonSettings<C>) -> Arc<Self> {
        let reader = Reader::new(&settings.store);
        let newest = newest_whole(&reader);
        let timetable = Timetable::new(settings.schedule.clone(), settings.jitter, newest).into();
        let (jobs, scans, log_left) = (Jobs::default(), TaskTracker::new(), AtomicBool::new(false));
        Arc::new(Self { jobs, reader, timetable, scans, log_left, started_at: (settings.now)(), settings })
    }

    /// When the newest scan of the whole estate began; none before the first.
    pub(crate) fn newest_whole(&self) -> Option<Timestamp> {
        newest_whole(&self.reader)
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.settings.now)()
    }

    /// Scans when it is time, until `end` is cancelled. The scan in hand is then given up whole, whoever began it, unless it
    /// is just being committed.
    pub async fn run(self: Arc<Self>, end: CancellationToken) {
        while !end.is_cancelled() {
            if let Some(due) = self.due() {
                let trigger = match due {
                    Due::Missed => Trigger::CatchUp,
                    Due::Scheduled => Trigger::Schedule,
                    Due::Again => Trigger::Retry,
                };
                match self.start(trigger, Narrow::default(), || Ok(())) {
                    Ok(id) => info!(scan.id = id, "scan begins: {}", trigger.words()),
                    // Somebody asked for one over HTTP a moment before.
                    Err(_) => self.timetable().ended(self.now(), Ended::Elsewhere),
                }
            }
            self.move_log().await;
            let sleep = self.until_next().min(LONGEST_SLEEP);
            end.run_until_cancelled(tokio::time::sleep(sleep)).await;
        }
        self.jobs.close();
        self.scans.close();
        self.scans.wait().await;
    }

    fn due(&self) -> Option<Due> {
        let now = self.now();
        if self.timetable().retries(now)
            && let Some(newest) = self.newest_whole()
        {
            self.timetable().found(newest);
        }
        self.timetable().due(now)
    }

    fn timetable(&self) -> std::sync::MutexGuard<'_, Timetable> {
        self.timetable.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn next_run(&self) -> Option<Timestamp> {
        self.timetable().next(self.now())
    }

    fn until_next(&self) -> Duration {
        let left = self.next_run().map(|next| next.duration_since(self.now()).max(jiff::SignedDuration::ZERO));
        left.and_then(|left| Duration::try_from(left).ok()).unwrap_or(LONGEST_SLEEP).max(Duration::from_millis(50))
    }

    /// Begins a scan of its own task, unless one runs.
    pub(crate) fn start(
        self: &Arc<Self>,
        trigger: Trigger,
        narrow: Narrow,
        admit: impl FnOnce() -> Result<(), Refused>,
    ) -> Result<String, Refused> {
        let (job, end) = self.jobs.begin(trigger, narrow.clone(), self.now(), admit)?;
        let (daemon, id) = (Arc::clone(self), job.id.clone());
        self.scans.spawn(async move { daemon.work(&id, trigger, narrow, end).await });
        Ok(job.id)
    }

    async fn work(self: &Arc<Self>, id: &str, trigger: Trigger, narrow: Narrow, end: CancellationToken) {
        let mut calls = Vec::new();
        let (outcome, ended) = match self.scan(id, narrow, end.clone(), &mut calls).await {
            Ok(night) => (Outcome::Recorded(Box::new(night)), Ended::Served),
            // Who cancels a scan does not want it again in five minutes.
            Err(_) if end.is_cancelled() => (Outcome::Cancelled, Ended::Served),
            Err(Problem { words, elsewhere: true }) => {
                warn!(scan.id = id, "scan failed: {words}");
                (Outcome::Elsewhere(words), Ended::Elsewhere)
            }
            Err(Problem { words, .. }) => {
                error!(scan.id = id, "scan failed: {words}");
                (Outcome::Failed(words), Ended::Failed)
            }
        };
        if matches!(outcome, Outcome::Recorded(_)) {
            // As long as this scan is not over no other one begins, which would find the ledger locked.
            self.thin().await;
            self.log_left.store(log_bytes(&self.settings.store) > 0, Ordering::Relaxed);
        }
        let state = self.jobs.end(id, outcome, calls, self.now());
        if trigger != Trigger::Http {
            self.timetable().ended(self.now(), ended);
        }
        let next = self.next_run().map_or_else(String::new, |next| next.to_string());
        info!(scan.id = id, next, "scan over: {}", state.words());
    }

    /// Tries again to move the log of an earlier scan into the file.
    async fn move_log(&self) {
        if !self.log_left.load(Ordering::Relaxed) || self.jobs.all().iter().any(Job::is_running) {
            return;
        }
        let store = self.settings.store.clone();
        let moved = tokio::task::spawn_blocking(move || Writer::open(&store)?.checkpoint());
        match moved.await {
            Ok(Ok(moved)) => self.log_left.store(!moved, Ordering::Relaxed),
            Ok(Err(error)) => warn!("the ledger's log was not moved into the file: {}", Chain(&error)),
            Err(died) => warn!("the ledger's log was not moved into the file: {died}"),
        }
    }

    async fn scan(
        self: &Arc<Self>,
        id: &str,
        narrow: Narrow,
        end: CancellationToken,
        calls: &mut Vec<OperationCalls>,
    ) -> Result<NightSummary, Problem> {
        let policy = Arc::new((self.settings.policy)()?);
        let writer = self.writer(end.clone()).await?;
        let connected =
            end.run_until_cancelled((self.settings.connect)()).await.ok_or_else(|| "cancelled".to_owned())?;
        let cloud = connected.map_err(|gap| format!("AWS cannot be reached: {gap}"))?;
        let (daemon, watched) = (Arc::clone(self), id.to_owned());
        let now = self.settings.now;
        let clock = move || now();
        let scan = Scan {
            cloud: &cloud,
            policy,
            choice: self.settings.choice.clone(),
            narrow,
            concurrency: self.settings.concurrency,
            cost_requests: self.settings.cost_requests,
            creators: self.settings.creators,
            learn: true,
            lock: self.settings.lock.as_ref(),
            now: &clock,
            app_version: self.settings.app_version,
            end,
        };
        let follow = move |progress: Progress| daemon.jobs.progress(&watched, progress);
        let ended = scan.run(writer, follow).await;
        *calls = cloud.calls();
        ended.map_err(Problem::from)
    }

    /// An upgrade of a large ledger takes minutes, and SQLite blocks.
    async fn writer(&self, end: CancellationToken) -> Result<Writer, String> {
        let store = self.settings.store.clone();
        let told = move |progress: UpgradeProgress| {
            info!(
                from = progress.from,
                to = progress.to,
                done = progress.done,
                of = progress.of,
                "upgrading the ledger"
            );
            if end.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let opened = tokio::task::spawn_blocking(move || Writer::open_upgrading(&store, told)).await;
        let opened = opened.map_err(|died| died.to_string())?;
        opened.map_err(|error| Chain(&error).to_string())
    }

    async fn thin(&self) {
        let Some(retention) = self.settings.retention else { return };
        let (store, today) = (self.settings.store.clone(), day_of(self.now()));
        match tokio::task::spawn_blocking(move || thin(&store, &retention, today)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!("old nights were not thinned out: {}; the next scan tries again", Chain(&error)),
            Err(died) => warn!("old nights were not thinned out: {died}"),
        }
    }
}

/// Why a scan recorded nothing.
struct Problem {
    words: String,
    /// Another scanner was at it.
    elsewhere: bool,
}

impl From<String> for Problem {
    fn from(words: String) -> Self {
        Self { words, elsewhere: false }
    }
}

impl From<ScanError> for Problem {
    fn from(error: ScanError) -> Self {
        let elsewhere = matches!(error, ScanError::Elsewhere { .. } | ScanError::Store(StoreError::Busy { .. }));
        Self { words: Chain(&error).to_string(), elsewhere }
    }
}

/// When the newest whole scan of the ledger began.
fn newest_whole(reader: &Reader) -> Option<Timestamp> {
    match reader.read(|view| view.newest_whole()) {
        Ok(newest) => newest.map(|snapshot| snapshot.started_at),
        Err(StoreError::Missing { .. }) => None,
        Err(error) => {
            warn!("the ledger does not say when it was last scanned: {}", Chain(&error));
            None
        }
    }
}

/// Thins out the nights that are not to be kept, and moves the log into the file.
///
/// # Errors
///
/// When the ledger cannot be written; what was to go is then still there.
pub fn thin(store: &std::path::Path, retention: &Retention, today: jiff::civil::Date) -> Result<(), StoreError> {
    let mut writer = Writer::open(store)?;
    let thinned = writer.thin(retention, today)?;
    if thinned.nights > 0 {
        writer.checkpoint()?;
        info!(
            nights_n = thinned.nights,
            versions_n = thinned.versions,
            resources_n = thinned.resources,
            retention = %retention,
            "old nights thinned out"
        );
    }
    Ok(())
}
