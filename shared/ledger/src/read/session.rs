//! Read sessions: every query runs in one read transaction with a deadline.

use std::{
    any::{Any, TypeId},
    cell::RefCell,
    collections::HashMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use tagledger_model::account::Account;
use tagledger_policy::Policy;

use crate::{
    db::{
        columns::{read_snapshot, with_times},
        connection::open_read_only,
        dimensions::Dimensions,
        policies::load_policy,
        sql,
        statements::prepare,
        values::parse_time,
    },
    error::{ErrorContext, LedgerError, Operation},
    model::snapshot::Snapshot,
    read::memo::{CacheUsage, CacheValue, Memo, SnapshotMemo, bytes_of},
};

/// The timeout of a session. A longer session would prevent the checkpoint of the write-ahead log.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// The timeout of background work. In practice no operation reaches it.
const LONG_TIMEOUT: Duration = Duration::from_secs(3600);

/// SQLite instructions between two checks of the deadline.
const INSTRUCTIONS_PER_CHECK: i32 = 10_000;

/// The number of idle connections that are retained. More concurrent sessions open additional connections.
const MAX_IDLE_CONNECTIONS: usize = 4;

/// Device and inode; none when there is no file.
type FileId = Option<(u64, u64)>;

/// Reads a ledger and cannot write to it. The file is opened by the first session, so that a server can start before the first
/// scan has ended.
#[derive(Debug)]
pub struct LedgerReader {
    path: PathBuf,
    // A stack; the lock is held for a push or a pop and never during a query.
    idle: Mutex<Vec<(FileId, Connection)>>,
    memo: Memo,
    timeout: Duration,
}

impl LedgerReader {
    /// A reader of the ledger at `path`, which need not exist yet.
    pub fn new(path: &Path) -> Self {
        Self::with_timeout(path, READ_TIMEOUT)
    }

    pub(crate) fn with_timeout(path: &Path, timeout: Duration) -> Self {
        Self { path: path.to_owned(), idle: Mutex::default(), memo: Memo::default(), timeout }
    }

    /// A reader of the same file with a timeout of an hour.
    pub(crate) fn with_long_timeout(&self) -> Self {
        Self::with_timeout(&self.path, LONG_TIMEOUT)
    }

    /// Runs a session: everything that `query` reads comes from one state of the ledger.
    ///
    /// # Errors
    ///
    /// When there is no ledger, or it cannot be read; [`LedgerError::OutOfTime`] after five seconds.
    pub fn read<T>(&self, query: impl FnOnce(&ReadSession<'_>) -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        self.read_since(Instant::now(), query)
    }

    /// Runs a part of a session that began at `started`; both have the same deadline.
    pub(super) fn read_since<T>(
        &self,
        started: Instant,
        query: impl FnOnce(&ReadSession<'_>) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        self.with_connection(started, |connection| self.run_session(connection, started, query))
    }

    /// The newest snapshot; none before the first scan. Cheaper than a session.
    ///
    /// # Errors
    ///
    /// As [`LedgerReader::read`].
    pub fn newest(&self) -> Result<Option<Snapshot>, LedgerError> {
        self.with_connection(Instant::now(), |connection| find_newest(connection))
    }

    /// The size of the reader's cache.
    pub fn cache_usage(&self) -> CacheUsage {
        self.memo.usage()
    }

    fn with_connection<T>(
        &self,
        started: Instant,
        query: impl FnOnce(&mut Connection) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let (file, mut connection) = self.take_connection()?;
        let answer = self.set_deadline(&mut connection, started).and_then(|()| query(&mut connection));
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            // After a timeout the cached values are still valid.
            Ok(_) | Err(LedgerError::OutOfTime) => {
                if idle.len() < MAX_IDLE_CONNECTIONS && connection.is_autocommit() {
                    idle.push((file, connection));
                }
            }
            Err(_) => {
                // Another file may have been copied over the file of these connections and cached values.
                idle.clear();
                self.memo.clear();
            }
        }
        answer.map_err(|error| error.at(&self.path))
    }

    /// Sets the deadline of the next query. SQLite counts the instructions of a statement over all its executions. The handler of an
    /// earlier session would therefore interrupt a later one.
    fn set_deadline(&self, connection: &mut Connection, started: Instant) -> Result<(), LedgerError> {
        let timeout = self.timeout;
        let expired = move || started.elapsed() > timeout;
        connection.progress_handler(INSTRUCTIONS_PER_CHECK, Some(expired)).context(Operation::StartSession)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs a query in one transaction on a new connection, without a deadline.
    pub(crate) fn read_without_deadline<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        self.read_on_new_connection(|connection| {
            let transaction = connection.unchecked_transaction().context(Operation::StartSession)?;
            query(&transaction)
        })
    }

    /// Runs a query on a new connection, without a transaction and without a deadline.
    pub(crate) fn read_on_new_connection<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let connection = open_read_only(&self.path)?;
        query(&connection).map_err(|error| error.at(&self.path))
    }

    /// An idle connection to the file that is at the path now, or a new connection. A backup may have replaced the file.
    fn take_connection(&self) -> Result<(FileId, Connection), LedgerError> {
        let file = fs::metadata(&self.path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(opened, _)| *opened == file);
        let connection = idle.pop();
        drop(idle);
        connection.map_or_else(|| Ok((file, open_read_only(&self.path)?)), Ok)
    }

    fn run_session<T>(
        &self,
        connection: &mut Connection,
        started: Instant,
        query: impl FnOnce(&ReadSession<'_>) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let deferred = TransactionBehavior::Deferred;
        let transaction = connection.transaction_with_behavior(deferred).context(Operation::StartSession)?;
        let newest = find_newest(&transaction)?;
        let dimensions = match &newest {
            Some(snapshot) => {
                self.memo.for_snapshot(snapshot, newest.as_ref()).get_or_load(|| Dimensions::load(&transaction))?
            }
            None => Arc::new(Dimensions::load(&transaction)?),
        };
        let locals = RefCell::default();
        query(&ReadSession { transaction: &transaction, newest, dimensions, reader: self, started, locals })
    }
}

/// One read transaction on a ledger.
pub struct ReadSession<'r> {
    transaction: &'r Transaction<'r>,
    newest: Option<Snapshot>,
    dimensions: Arc<Dimensions>,
    /// Opens further sessions on the same ledger.
    pub(super) reader: &'r LedgerReader,
    pub(super) started: Instant,
    locals: RefCell<HashMap<TypeId, Rc<dyn Any>>>,
}

impl ReadSession<'_> {
    /// The newest snapshot; none before the first scan.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read. The same applies to all methods below.
    pub fn newest(&self) -> Result<Option<Snapshot>, LedgerError> {
        Ok(self.newest.clone())
    }

    /// The newest snapshot of a scan of the complete estate.
    pub fn newest_full(&self) -> Result<Option<Snapshot>, LedgerError> {
        let found = prepare(self.db(), sql::NEWEST_FULL_SNAPSHOT)?.query_row([], read_snapshot).optional();
        found.context(Operation::ReadSnapshots)?.map(with_times).transpose()
    }

    /// The snapshot with this id; none when it does not exist or was pruned.
    pub fn snapshot(&self, id: i64) -> Result<Option<Snapshot>, LedgerError> {
        let found = prepare(self.db(), sql::SNAPSHOT_BY_ID)?.query_row([id], read_snapshot).optional();
        found.context(Operation::ReadSnapshots)?.map(with_times).transpose()
    }

    /// When the scan of a snapshot began. Works for pruned snapshots too.
    pub fn started_at(&self, id: i64) -> Result<jiff::Timestamp, LedgerError> {
        let started = prepare(self.db(), sql::SNAPSHOT_STARTED_AT)?
            .query_row([id], |row| row.get(0))
            .context(Operation::ReadSnapshots)?;
        parse_time(started)
    }

    /// The policy that evaluated a snapshot.
    pub fn policy(&self, snapshot: &Snapshot) -> Result<Arc<Policy>, LedgerError> {
        self.policy_by_digest(&snapshot.policy_digest)
    }

    pub(crate) fn policy_by_digest(&self, digest: &str) -> Result<Arc<Policy>, LedgerError> {
        let load = || load_policy(self.db(), digest).map(Arc::new);
        let Some(newest) = &self.newest else { return load() };
        self.memo(newest).get_or_load(|| Ok(PolicyCache::default()))?.get_or_load(digest, load)
    }

    pub(crate) fn db(&self) -> &Connection {
        self.transaction
    }

    pub(crate) fn dimensions(&self) -> &Dimensions {
        &self.dimensions
    }

    /// The values that the reader has cached for a snapshot.
    pub(crate) fn memo(&self, snapshot: &Snapshot) -> SnapshotMemo<'_> {
        self.reader.memo.for_snapshot(snapshot, self.newest.as_ref())
    }

    /// The value of this type that belongs to the session. It is dropped with the session.
    pub(crate) fn local<T: Default + 'static>(&self) -> Rc<T> {
        let mut locals = self.locals.borrow_mut();
        let value = locals.entry(TypeId::of::<T>()).or_insert_with(|| Rc::new(T::default()));
        Rc::clone(value).downcast().unwrap_or_default()
    }
}

fn find_newest(db: &Connection) -> Result<Option<Snapshot>, LedgerError> {
    let found = prepare(db, sql::NEWEST_SNAPSHOT)?.query_row([], read_snapshot).optional();
    found.context(Operation::ReadSnapshots)?.map(with_times).transpose()
}

/// Policies by their digests. A digest identifies the text of a policy, so an entry never becomes invalid.
#[derive(Debug, Default)]
struct PolicyCache(Mutex<HashMap<String, Arc<Policy>>>);

impl PolicyCache {
    const MAX_POLICIES: usize = 64;

    /// The approximate size of a parsed policy, in bytes.
    const POLICY_BYTES: usize = 16 << 10;

    fn get_or_load(
        &self,
        digest: &str,
        load: impl FnOnce() -> Result<Arc<Policy>, LedgerError>,
    ) -> Result<Arc<Policy>, LedgerError> {
        let policies = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(policy) = policies().get(digest) {
            return Ok(Arc::clone(policy));
        }
        let policy = load()?;
        let mut policies = policies();
        if policies.len() >= Self::MAX_POLICIES {
            policies.clear();
        }
        policies.insert(digest.to_owned(), Arc::clone(&policy));
        Ok(policy)
    }
}

impl CacheValue for PolicyCache {
    fn weight(&self) -> usize {
        Self::MAX_POLICIES * Self::POLICY_BYTES
    }
}

impl CacheValue for Dimensions {
    fn weight(&self) -> usize {
        /// A row id and a short text.
        const ENTRY_BYTES: usize = 64;
        bytes_of::<Account>(2 * self.accounts.len()) + ENTRY_BYTES * (self.regions.len() + self.types.len())
    }
}
