//! What every tool and transport shares.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use shared::{
    Arn,
    chain::Chain,
    cloud::Look,
    day::day_of,
    inventory::Scope,
    store::{Reader, Snapshot, StoreError, View},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    announce::Announcements,
    audit::Audit,
    live::{Live, Seen},
    policy_file::PolicyFile,
    shelf::Shelf,
    tools::ToolFailure,
};

/// Where the time comes from.
pub type Clock = fn() -> Timestamp;

/// The ledger as the server sees it.
#[derive(Debug)]
pub struct Ledger {
    reader: Reader,
    policy: Arc<PolicyFile>,
    clock: Clock,
    started_at: Timestamp,
    /// A snapshot older than this makes the server unhealthy.
    max_age: Duration,
    announcements: Announcements,
    end: OnceLock<CancellationToken>,
    live: Live,
    shelf: Option<Arc<Shelf>>,
    audit: Option<Arc<Audit>>,
    /// The newest moment of which all has been learnt.
    learnt: Mutex<Option<Moment>>,
    /// The newest snapshot, and when it was looked for.
    looked: Mutex<Option<(std::time::Instant, Moment)>>,
}

/// Reads ahead some of what answers need.
type Part = fn(&View<'_>, &Snapshot) -> Result<(), StoreError>;

/// Calls that come within so short a time share one look at which snapshot is the newest: it takes longer than to answer from memory.
const ONE_LOOK: Duration = Duration::from_millis(1);

/// What an answer depends on beside the question and the policy file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Moment {
    /// Number, fingerprint and time of the newest snapshot: another ledger may be put in the place of this one.
    snapshot: (i64, i64, i128),
}

impl Moment {
    fn of(newest: &Snapshot) -> Self {
        Self { snapshot: (newest.id, newest.fingerprint, newest.finished_at.as_nanosecond()) }
    }
}

impl Ledger {
    /// The ledger at `store`, which need not exist yet, and the policy in the file at `policy`; without one, the policy
    /// of the newest snapshot is the one in force.
    pub fn new(store: &Path, policy: Option<&Path>, max_age: Duration, clock: Clock) -> Self {
        let policy = Arc::new(PolicyFile::open(policy));
        let (announcements, end) = (Announcements::default(), OnceLock::new());
        let live = Live::new(None);
        Self {
            reader: Reader::new(store),
            policy,
            clock,
            started_at: clock(),
            max_age,
            announcements,
            end,
            live,
            shelf: None,
            audit: None,
            learnt: Mutex::default(),
            looked: Mutex::default(),
        }
    }

    /// Also looks at named resources through this cloud, when it is asked to.
    #[must_use]
    pub fn looking_through(self, cloud: Arc<dyn Look>) -> Self {
        Self { live: self.live.through(cloud), ..self }
    }

    /// Also shares answers, and what it sees, with other servers.
    #[must_use]
    pub fn sharing(self, shelf: Arc<Shelf>) -> Self {
        Self { live: self.live.sharing(Arc::clone(&shelf)), shelf: Some(shelf), ..self }
    }

    /// Also keeps who called what.
    #[must_use]
    pub fn audited(self, audit: Arc<Audit>) -> Self {
        Self { audit: Some(audit), ..self }
    }

    pub(crate) fn audit(&self) -> Option<&Audit> {
        self.audit.as_deref()
    }

    pub(crate) fn shelf(&self) -> Option<&Shelf> {
        self.shelf.as_deref()
    }

    pub(crate) fn live(&self) -> &Live {
        &self.live
    }

    pub(crate) fn announcements(&self) -> &Announcements {
        &self.announcements
    }

    /// Names what ends the serving, for those who wait in long answers.
    pub(crate) fn end_with(&self, end: &CancellationToken) {
        self.end.get_or_init(|| end.clone());
    }

    /// Waits for the end of the serving.
    pub(crate) async fn ended(&self) {
        match self.end.get() {
            Some(end) => end.cancelled().await,
            None => std::future::pending().await,
        }
    }

    pub(crate) fn policy(&self) -> &Arc<PolicyFile> {
        &self.policy
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    pub(crate) fn started_at(&self) -> Timestamp {
        self.started_at
    }

    pub(crate) fn max_age(&self) -> Duration {
        self.max_age
    }

    /// The newest snapshot; none before the first scan.
    pub(crate) fn newest(&self) -> Result<Option<Snapshot>, StoreError> {
        match self.reader.newest() {
            Err(StoreError::Missing { .. }) => Ok(None),
            other => other,
        }
    }

    /// The newest snapshot, and the newest of a scan of the whole estate; none before the first scan.
    pub(crate) fn newest_two(&self) -> Result<Option<(Snapshot, Option<Snapshot>)>, StoreError> {
        match self.reader.read(|view| Ok((view.newest()?, view.newest_whole()?))) {
            Ok((newest, whole)) => Ok(newest.map(|newest| (newest, whole))),
            Err(StoreError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The newest snapshot as it is now, or was a millisecond ago; none when the ledger has no snapshot or cannot be read.
    pub(crate) fn moment(&self) -> Option<Moment> {
        let looked = || self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, moment)) = *looked()
            && at.elapsed() < ONE_LOOK
        {
            return Some(moment);
        }
        // Taken before the look: a snapshot that is committed amid it is seen a millisecond later at most.
        let at = std::time::Instant::now();
        let moment = self.look_for_moment()?;
        let mut known = looked();
        if known.is_none_or(|(before, _)| before < at) {
            *known = Some((at, moment));
        }
        Some(moment)
    }

    /// The same as it is now.
    pub(crate) fn look_for_moment(&self) -> Option<Moment> {
        self.reader.newest().ok().flatten().map(|newest| Moment::of(&newest))
    }

    /// Looks at resources as they are now; an answer for every one.
    pub(crate) async fn look(&self, wanted: &[(Scope, Arn)], until: Instant) -> HashMap<Arn, Seen> {
        self.live.look(wanted, until, self.clock, self.moment()).await
    }

    /// Whether what answers rest on beside the snapshot has been learnt from it: from then on it stays until the next one.
    pub(crate) fn has_learnt(&self, moment: Moment) -> bool {
        let learnt = || self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        if *learnt() == Some(moment) {
            return true;
        }
        let now = self.reader.read(|view| match view.newest()? {
            Some(newest) if Moment::of(&newest) == moment => {
                Ok(view.weighing(&newest)?.is_some_and(|weighing| weighing.snapshot == newest.id))
            }
            _ => Ok(false),
        });
        let now = matches!(now, Ok(true));
        if now {
            *learnt() = Some(moment);
        }
        now
    }

    /// Reads ahead what answers from the newest snapshot need.
    pub fn read_ahead(&self) {
        // Each in a time of its own, what most answers need first.
        let parts: [Part; 5] = [
            |view, newest| view.warm(newest),
            |view, newest| view.warm_living(newest),
            |view, newest| view.warm_lookups(newest),
            |view, _| view.warm_nights(),
            |view, newest| view.warm_to_fix(newest),
        ];
        for part in parts {
            let warmed = self.reader.read(|view| view.newest()?.map_or(Ok(()), |newest| part(view, &newest)));
            if let Err(error) = warmed {
                // Whoever asks reads for himself, or is told.
                tracing::debug!("a part of the newest snapshot is not read ahead: {}", Chain(&error));
            }
        }
    }

    /// Answers one question about the newest snapshot.
    pub(crate) fn ask<T>(
        &self,
        answer: impl FnOnce(&View<'_>, Snapshot) -> Result<T, ToolFailure>,
    ) -> Result<T, ToolFailure> {
        self.ask_about(Which::Newest, answer)
    }

    /// Answers one question about a snapshot.
    pub(crate) fn ask_about<T>(
        &self,
        which: Which,
        answer: impl FnOnce(&View<'_>, Snapshot) -> Result<T, ToolFailure>,
    ) -> Result<T, ToolFailure> {
        let today = day_of(self.now());
        let asked = self.reader.read(|view| {
            let found = match which {
                Which::Newest => view.newest()?,
                Which::Numbered(id) => view.snapshot(id)?,
                // Nobody knows yet how a day to come will end.
                Which::AsOf(day) if day > today => None,
                Which::AsOf(day) => view.night_before(end_of(day))?,
            };
            match found {
                Some(snapshot) => Ok(answer(view, snapshot)),
                None => Ok(Err(no_snapshot(which, view.oldest()?.map(day_of), today))),
            }
        });
        asked.map_err(ToolFailure::from)?
    }
}

/// Which snapshot a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// The newest.
    Newest,
    /// That of a cursor.
    Numbered(i64),
    /// The last one of a day, UTC, or of the days before it.
    AsOf(Date),
}

fn end_of(day: Date) -> Timestamp {
    TimeZone::UTC.to_timestamp(day.saturating_add(1.day()).at(0, 0, 0, 0)).unwrap_or(Timestamp::MAX)
}

fn no_snapshot(wanted: Which, oldest: Option<Date>, today: Date) -> ToolFailure {
    ToolFailure::Caller(match (wanted, oldest) {
        (Which::AsOf(day), Some(_)) if day > today => format!("`as_of` {day} is in the future; today is {today} (UTC)"),
        (Which::AsOf(day), Some(oldest)) => {
            format!("no night as old as `as_of` {day} is kept; the oldest is of {oldest}")
        }
        (Which::Numbered(_), Some(_)) => "the cursor's snapshot is no longer kept; ask again without cursor".to_owned(),
        _ => "the ledger has no snapshot yet; run `tagledger scan` first".to_owned(),
    })
}

impl From<StoreError> for ToolFailure {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Query { .. } | StoreError::Content { .. } | StoreError::Damaged { .. } => {
                tracing::error!("a question could not be answered: {}", Chain(&error));
                Self::Internal
            }
            StoreError::OutOfTime => {
                tracing::warn!("a question was ended: {error}");
                Self::Late(error.to_string())
            }
            // These say what to do, and name no more than the operator's own path.
            _ => Self::Caller(error.to_string()),
        }
    }
}
