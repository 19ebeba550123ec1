//! Reading: every question in one read transaction over one snapshot, with a deadline.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::{
    Attempt, CostBasis, DaySpend, Filter, Lacking, MonthSpend, Page, PageStart, Rule, ScopeRow, ScopeSpend, Snapshot,
    StoreError, Tally, Turned, Worst,
    at_hand::{Held, Memory},
    billed::usual_month,
    cost::{CostBook, Verdicts},
    intern::statement,
    open::open_read_only,
    page::rule,
    rows::{Dimensions, dated, rows, snapshot_columns, time},
    sql,
    timeline::Totals,
    whole::{Live, Whole, Wholes},
};
use crate::{inventory::Scope, policy::Policy};

/// How long one question may take before it is given up: a long reader would keep the log from being moved.
const DEADLINE: Duration = Duration::from_secs(5);

/// Connections kept open; more readers at once open their own for the moment.
const KEPT: usize = 4;

/// Device and inode; none when there is no file.
type FileId = Option<(u64, u64)>;

/// Answers questions; cannot write. The file is opened when the first question comes, so that a server can start before
/// the first scan has ended.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    // A stack, locked for a push or a pop and never across a query.
    idle: Mutex<Vec<(FileId, Connection)>>,
    policies: Mutex<HashMap<String, Arc<Policy>>>,
    wholes: Wholes,
    totals: Totals,
    pub(super) held: Held,
    deadline: Duration,
}

impl Reader {
    /// A reader of the ledger at `path`, which need not exist yet.
    pub fn new(path: &Path) -> Self {
        Self::with_deadline(path, DEADLINE)
    }

    pub(super) fn with_deadline(path: &Path, deadline: Duration) -> Self {
        let (idle, policies, wholes) = (Mutex::default(), Mutex::default(), Wholes::default());
        let (totals, held) = (Totals::default(), Held::default());
        Self { path: path.to_owned(), idle, policies, wholes, totals, held, deadline }
    }

    /// Asks one question.
    ///
    /// # Errors
    ///
    /// When there is no ledger, or it cannot be read; [`StoreError::OutOfTime`] after five seconds.
    pub fn read<T>(&self, ask: impl FnOnce(&View<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.read_for(Instant::now(), ask)
    }

    /// Asks a part of a question that was asked then: there is one deadline for all of it.
    pub(super) fn read_for<T>(
        &self,
        asked: Instant,
        ask: impl FnOnce(&View<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.borrow(asked, |connection| self.answer(connection, asked, ask))
    }

    /// The newest snapshot, none before the first scan: for those who look often.
    ///
    /// # Errors
    ///
    /// As [`Reader::read`].
    pub fn newest(&self) -> Result<Option<Snapshot>, StoreError> {
        self.borrow(Instant::now(), |connection| newest(connection))
    }

    fn borrow<T>(
        &self,
        asked: Instant,
        ask: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let (file, mut connection) = self.connection()?;
        let answer = self.hurry(&mut connection, asked).and_then(|()| ask(&mut connection));
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            // That time ran out says nothing against what is remembered.
            Ok(_) | Err(StoreError::OutOfTime) => {
                if idle.len() < KEPT && connection.is_autocommit() {
                    idle.push((file, connection));
                }
            }
            Err(_) => {
                // What they remember of the file may be of another that was copied over it.
                idle.clear();
                self.wholes.clear();
                self.totals.clear();
                self.held.clear();
            }
        }
        answer.map_err(|error| error.at(&self.path))
    }

    /// Gives the next question its time. SQLite counts the steps of a statement over all its runs, so that a deadline that
    /// an earlier question left behind would sooner or later end a later one.
    fn hurry(&self, connection: &mut Connection, asked: Instant) -> Result<(), StoreError> {
        let deadline = self.deadline;
        connection.progress_handler(10_000, Some(move || asked.elapsed() > deadline)).attempt("set a deadline")
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads for an operator, on a connection of its own and for as long as it takes.
    pub(super) fn read_unhurried<T>(
        &self,
        ask: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.read_alone(|connection| {
            let transaction = connection.unchecked_transaction().attempt("begin to read")?;
            ask(&transaction)
        })
    }

    /// The same outside of any transaction.
    pub(super) fn read_alone<T>(
        &self,
        ask: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let connection = open_read_only(&self.path)?;
        ask(&connection).map_err(|error| error.at(&self.path))
    }

    /// An idle connection, if it is to the file that stands at the path now: a ledger may be put back from a backup.
    fn connection(&self) -> Result<(FileId, Connection), StoreError> {
        let file = fs::metadata(&self.path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(of, _)| *of == file);
        let kept = idle.pop();
        drop(idle);
        kept.map_or_else(|| Ok((file, open_read_only(&self.path)?)), Ok)
    }

    fn answer<T>(
        &self,
        connection: &mut Connection,
        asked: Instant,
        ask: impl FnOnce(&View<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let deferred = TransactionBehavior::Deferred;
        let transaction = connection.transaction_with_behavior(deferred).attempt("begin to read")?;
        let newest = newest(&transaction)?;
        let dimensions = self.held.dimensions(&transaction, newest.as_ref())?;
        ask(&View { sql: &transaction, newest, dimensions, reader: self, asked, memory: Memory::default() })
    }
}

/// The ledger as one question sees it.
pub struct View<'v> {
    sql: &'v Transaction<'v>,
    newest: Option<Snapshot>,
    dimensions: Arc<Dimensions>,
    /// For another look at the same ledger.
    pub(super) reader: &'v Reader,
    /// When the question was asked.
    pub(super) asked: Instant,
    pub(super) memory: Memory,
}

impl View<'_> {
    /// The newest snapshot; none before the first scan.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read; so for every question below.
    pub fn newest(&self) -> Result<Option<Snapshot>, StoreError> {
        Ok(self.newest.clone())
    }

    /// The newest snapshot of a scan that was not narrowed.
    pub fn newest_whole(&self) -> Result<Option<Snapshot>, StoreError> {
        let found = statement(self.sql, sql::NEWEST_WHOLE)?.query_row([], snapshot_columns).optional();
        found.attempt("find the newest whole snapshot")?.map(dated).transpose()
    }

    /// The snapshot with this id, unless it was thinned out.
    pub fn snapshot(&self, id: i64) -> Result<Option<Snapshot>, StoreError> {
        let found = statement(self.sql, sql::SNAPSHOT_BY_ID)?.query_row([id], snapshot_columns).optional();
        found.attempt("find a snapshot")?.map(dated).transpose()
    }

    /// When the scan of a snapshot began, also of one that was thinned out.
    pub fn began(&self, id: i64) -> Result<jiff::Timestamp, StoreError> {
        let began = statement(self.sql, sql::BEGAN)?.query_row([id], |row| row.get(0)).attempt("find a snapshot")?;
        time(began)
    }

    /// The policy that judged a snapshot.
    pub fn policy(&self, snapshot: &Snapshot) -> Result<Arc<Policy>, StoreError> {
        self.policy_named(&snapshot.policy_digest)
    }

    pub(super) fn policy_named(&self, digest: &str) -> Result<Arc<Policy>, StoreError> {
        let mut known = self.reader.policies.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(policy) = known.get(digest) {
            return Ok(Arc::clone(policy));
        }
        let policy = Arc::new(policy_of(self.sql, digest)?);
        known.insert(digest.to_owned(), Arc::clone(&policy));
        Ok(policy)
    }

    /// Every scope of a snapshot.
    pub fn scopes(&self, snapshot: &Snapshot) -> Result<Arc<[ScopeRow]>, StoreError> {
        self.reader.wholes.of(snapshot).scopes(self.sql, &self.dimensions, snapshot.id)
    }

    /// Counts by scope, of the scopes that the filter admits.
    pub fn cells(&self, snapshot: &Snapshot, filter: &Filter) -> Result<Arc<[(Scope, Tally)]>, StoreError> {
        let all = self.reader.wholes.of(snapshot).cells(self.sql, &self.dimensions, snapshot.id)?;
        if *filter == Filter::default() {
            return Ok(all);
        }
        Ok(all.iter().filter(|(scope, _)| filter.admits(scope)).cloned().collect())
    }

    /// Reads what answers take from a snapshot as a whole, so that nobody who asks waits for it.
    pub fn warm(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        let whole = self.reader.wholes.of(snapshot);
        whole.scopes(self.sql, &self.dimensions, snapshot.id)?;
        whole.cells(self.sql, &self.dimensions, snapshot.id)?;
        whole.findings(self.sql, &self.dimensions, snapshot.id)?;
        whole.month(|| self.usual_month())?;
        whole.lackers(self.sql, &self.dimensions, snapshot.id)?;
        whole.live(|| self.read_live(&whole, snapshot))?;
        whole.days(|| self.read_spend_by_day())?;
        self.advised(snapshot, |_| ())
    }

    /// Tells what the last whole month came to, or the running one when there is none; nothing when no bill is known.
    pub fn month_spend<T>(
        &self,
        snapshot: &Snapshot,
        tell: impl FnOnce(Option<&MonthSpend>) -> T,
    ) -> Result<T, StoreError> {
        self.reader.wholes.of(snapshot).month(|| self.usual_month()).map(tell)
    }

    fn usual_month(&self) -> Result<Option<MonthSpend>, StoreError> {
        let Some(days) = usual_month(&self.bill_months()?).map(|month| month.days) else { return Ok(None) };
        Ok(self.billed(days)?.first().and_then(MonthSpend::of))
    }

    /// How many resources have each kind of finding.
    pub fn rules(&self, snapshot: &Snapshot, filter: &Filter) -> Result<BTreeMap<Rule, u64>, StoreError> {
        let counts = if filter.regions.is_empty() && filter.accounts.is_empty() {
            let [types, _, _] = filter.parameters(&self.dimensions);
            rows(self.sql, sql::RULE_COUNTS, params![snapshot.id, types], |row| Ok((row.get(0)?, row.get(1)?)))?
        } else {
            self.rules_by_scope(snapshot, filter)?
        };
        let named = counts.into_iter().map(|(id, n): (i64, i64)| Ok((rule(self.sql, id)?, n.unsigned_abs())));
        named.collect()
    }

    fn rules_by_scope(&self, snapshot: &Snapshot, filter: &Filter) -> Result<Vec<(i64, i64)>, StoreError> {
        let whole = self.reader.wholes.of(snapshot);
        let mut counts = BTreeMap::new();
        for (scope, rule, resources) in whole.findings(self.sql, &self.dimensions, snapshot.id)? {
            if filter.admits(scope) {
                *counts.entry(*rule).or_default() += resources;
            }
        }
        Ok(counts.into_iter().collect())
    }

    /// A page of resources with findings.
    pub fn worst(
        &self,
        snapshot: &Snapshot,
        filter: &Filter,
        what: Worst,
        start: PageStart,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.pages(snapshot).worst(filter, what, start, limit)
    }

    /// A page of resources that lack tags: without any user tag first, then those that lack most required ones.
    pub fn lacking(
        &self,
        snapshot: &Snapshot,
        filter: &Filter,
        what: Lacking,
        start: PageStart,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.pages(snapshot).lacking(filter, what, start, limit)
    }

    /// On what the costs of single resources are based; none when they are not known.
    pub fn cost_basis(&self, snapshot: &Snapshot) -> Result<Option<CostBasis>, StoreError> {
        let whole = self.reader.wholes.of(snapshot);
        Ok(whole.costs(self.sql, &self.dimensions)?.and_then(|book| book.basis.clone()))
    }

    /// What living resources cost by the tags that they have in the newest snapshot, by scope; and those whose tags were put
    /// right or spoilt since the month of these costs ended, none when no kept night is that old.
    pub fn live_spend(&self, newest: &Snapshot) -> Result<(Vec<ScopeSpend>, Option<Turned>), StoreError> {
        let whole = self.reader.wholes.of(newest);
        let live = whole.live(|| self.read_live(&whole, newest))?;
        Ok(live.cloned().unwrap_or_default())
    }

    fn read_live(&self, whole: &Whole, newest: &Snapshot) -> Result<Live, StoreError> {
        let Some(book) = whole.costs(self.sql, &self.dimensions)? else { return Ok(Live::default()) };
        let policy = self.policy(newest)?;
        let mut verdicts = Verdicts::by(&policy);
        let live = book.live(self.sql, &self.dimensions, &mut verdicts)?;
        Ok((live, book.turned(self.sql, &self.dimensions, &mut verdicts)?))
    }

    /// What was spent day by day of what must carry tags, in the currency with most of it, as far as the bill is known.
    pub fn spend_by_day(&self, snapshot: &Snapshot) -> Result<Vec<DaySpend>, StoreError> {
        self.reader.wholes.of(snapshot).days(|| self.read_spend_by_day()).map(<[_]>::to_vec)
    }

    pub(super) fn db(&self) -> &Connection {
        self.sql
    }

    pub(super) fn whole(&self, snapshot: &Snapshot) -> Arc<Whole> {
        self.reader.wholes.of(snapshot)
    }

    pub(super) fn dimensions(&self) -> &Dimensions {
        &self.dimensions
    }

    /// All that costs follow from, of the newest snapshot: of earlier ones they are not known.
    pub(super) fn costs_told<'w>(
        &self,
        whole: &'w Whole,
        snapshot: &Snapshot,
    ) -> Result<Option<&'w CostBook>, StoreError> {
        let newest = self.newest()?.is_some_and(|newest| newest.id == snapshot.id);
        Ok(whole.costs(self.sql, &self.dimensions)?.filter(|_| newest))
    }

    pub(super) fn wholes(&self) -> &Wholes {
        &self.reader.wholes
    }

    pub(super) fn totals(&self) -> &Totals {
        &self.reader.totals
    }
}

fn newest(db: &Connection) -> Result<Option<Snapshot>, StoreError> {
    let found = statement(db, sql::NEWEST_SNAPSHOT)?.query_row([], snapshot_columns).optional();
    found.attempt("find the newest snapshot")?.map(dated).transpose()
}

/// A policy that judged snapshots, from the ledger.
pub(super) fn policy_of(db: &Connection, digest: &str) -> Result<Policy, StoreError> {
    let body: String =
        statement(db, sql::POLICY_BODY)?.query_row([digest], |row| row.get(0)).attempt("read a policy")?;
    let unreadable =
        |faults: crate::policy::PolicyFaults| StoreError::Content { what: "a policy", given: faults.to_string() };
    Policy::parse(&body).map_err(unreadable)
}
