//! The audit log: who called which tool when, and how that ended, in a SQLite file of its own.
//!
//! It never holds a tag value, an argument or a key. Whoever watches the watchers needs no ledger for it, and a ledger that is
//! copied about takes no names of callers along.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, Row, params};

mod sql;

/// `TAGA`, so that the file can be told from others.
const APPLICATION_ID: i32 = 0x5441_4741;

/// Version of its schema.
const VERSION: i32 = 1;

/// For how long a reader or writer waits for another.
const PATIENCE: Duration = Duration::from_secs(2);

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When it began.
    pub at: Timestamp,
    /// The id of the caller's key; `local` where no keys are asked for.
    pub caller: String,
    /// What was called; `other` for a name that is none of a tool's.
    pub tool: String,
    /// The first 16 hexadecimal digits of the SHA-256 of its arguments: equal for equal ones.
    pub arguments: String,
    /// `ok`, `tool_error`, `error`, or `refused` where the key lacks a scope.
    pub outcome: String,
    /// Rows of the longest list in the answer.
    pub rows: u64,
    /// Bytes of the answer.
    pub bytes: u64,
    /// Microseconds from the request to the answer.
    pub micros: u64,
    /// Lists of AWS that were asked for it: of one type in one region of one account each.
    pub aws_lookups: u64,
    /// The trace that the client named, or the server's own; empty where there is neither.
    pub trace_id: String,
}

impl AuditEntry {
    /// A call of which nothing has come yet.
    pub fn begun(at: Timestamp, caller: String, tool: String, arguments: String) -> Self {
        let (outcome, trace_id) = (String::new(), String::new());
        Self { at, caller, tool, arguments, outcome, rows: 0, bytes: 0, micros: 0, aws_lookups: 0, trace_id }
    }
}

/// Why the audit log could not be used.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file is of something else.
    #[error("{} is no audit log of TagLedger; name another file with --audit or TAGLEDGER_AUDIT", path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
    },
    /// SQLite says no.
    #[error("the audit log {} cannot be {what}", path.display())]
    Failed {
        /// Which file.
        path: PathBuf,
        /// `opened`, `written` or `read`.
        what: &'static str,
        /// What SQLite says.
        source: rusqlite::Error,
    },
}

/// Which calls are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Not before.
    pub since: Option<Timestamp>,
    /// Of one caller.
    pub caller: Option<String>,
    /// Of one tool.
    pub tool: Option<String>,
    /// At most so many, the newest.
    pub limit: Option<u32>,
}

/// The log, as it is written.
#[derive(Debug)]
pub struct AuditLog {
    connection: Connection,
    path: PathBuf,
}

impl AuditLog {
    /// Opens the log, or makes it when there is none.
    ///
    /// # Errors
    ///
    /// When the file cannot be written or is of something else.
    pub fn open(path: &Path) -> Result<Self, AuditError> {
        let failed = |source| AuditError::Failed { path: path.to_owned(), what: "opened", source };
        let connection = Connection::open(path).map_err(failed)?;
        connection.busy_timeout(PATIENCE).map_err(failed)?;
        let objects: i64 =
            connection.query_row(sql::OBJECTS, [], |row| row.get(0)).map_err(|error| foreign(path, error))?;
        if objects == 0 {
            connection.execute_batch(sql::PRAGMAS).map_err(failed)?;
            connection.execute_batch(sql::SCHEMA).map_err(failed)?;
            connection.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
            connection.pragma_update(None, "user_version", VERSION).map_err(failed)?;
        }
        ours(&connection, path)?;
        connection.execute_batch(sql::PRAGMAS).map_err(failed)?;
        Ok(Self { connection, path: path.to_owned() })
    }

    /// Appends calls, all or none.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn append(&mut self, entries: &[AuditEntry]) -> Result<(), AuditError> {
        let written = || -> rusqlite::Result<()> {
            let batch = self.connection.transaction()?;
            let mut add = batch.prepare_cached(sql::ADD)?;
            for entry in entries {
                let AuditEntry { at, caller, tool, arguments, outcome, trace_id, .. } = entry;
                let [rows, bytes, micros, lookups] = [entry.rows, entry.bytes, entry.micros, entry.aws_lookups]
                    .map(|n| i64::try_from(n).unwrap_or(i64::MAX));
                add.execute(params![
                    at.as_millisecond(),
                    caller,
                    tool,
                    arguments,
                    outcome,
                    rows,
                    bytes,
                    micros,
                    lookups,
                    trace_id
                ])?;
            }
            drop(add);
            batch.commit()
        };
        let mut written = written;
        written().map_err(|source| AuditError::Failed { path: self.path.clone(), what: "written", source })
    }

    /// Forgets calls before that time; says how many.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn forget_before(&self, time: Timestamp) -> Result<usize, AuditError> {
        let forgotten = self.connection.execute(sql::FORGET, [time.as_millisecond()]);
        forgotten.map_err(|source| AuditError::Failed { path: self.path.clone(), what: "written", source })
    }
}

/// Reads the calls that are asked for, the oldest first, and hands them on one by one.
///
/// # Errors
///
/// When there is no such file, it cannot be read, or is of something else.
pub fn read_audit(path: &Path, query: &AuditQuery, mut each: impl FnMut(AuditEntry)) -> Result<(), AuditError> {
    let failed = |source| AuditError::Failed { path: path.to_owned(), what: "read", source };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(PATIENCE).map_err(failed)?;
    ours(&connection, path)?;
    let AuditQuery { since, caller, tool, limit } = query;
    let since = since.map_or(i64::MIN, Timestamp::as_millisecond);
    let limit = limit.map_or(-1, i64::from);
    let mut select = connection.prepare(sql::READ).map_err(failed)?;
    let found = select.query_map(params![since, caller, tool, limit], entry).map_err(failed)?;
    for entry in found {
        each(entry.map_err(failed)?);
    }
    Ok(())
}

fn entry(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    let number = |at: usize| row.get::<_, i64>(at).map(|n| u64::try_from(n).unwrap_or_default());
    Ok(AuditEntry {
        at: Timestamp::from_millisecond(row.get(0)?).unwrap_or(Timestamp::UNIX_EPOCH),
        caller: row.get(1)?,
        tool: row.get(2)?,
        arguments: row.get(3)?,
        outcome: row.get(4)?,
        rows: number(5)?,
        bytes: number(6)?,
        micros: number(7)?,
        aws_lookups: number(8)?,
        trace_id: row.get(9)?,
    })
}

fn ours(connection: &Connection, path: &Path) -> Result<(), AuditError> {
    let read = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let found = read("application_id").and_then(|id| Ok((id, read("user_version")?)));
    match found {
        Ok((APPLICATION_ID, VERSION)) => Ok(()),
        Ok(_) => Err(AuditError::Foreign { path: path.to_owned() }),
        Err(error) => Err(foreign(path, error)),
    }
}

fn foreign(path: &Path, source: rusqlite::Error) -> AuditError {
    if source.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) {
        return AuditError::Foreign { path: path.to_owned() };
    }
    AuditError::Failed { path: path.to_owned(), what: "opened", source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(second: i64, caller: &str, tool: &str) -> AuditEntry {
        AuditEntry {
            at: Timestamp::from_second(1_790_000_000 + second).unwrap(),
            caller: caller.to_owned(),
            tool: tool.to_owned(),
            arguments: "00ff".to_owned(),
            outcome: "ok".to_owned(),
            rows: 10,
            bytes: 4_000,
            micros: 350,
            aws_lookups: 2,
            trace_id: "0af7".to_owned(),
        }
    }

    fn read(path: &Path, query: &AuditQuery) -> Vec<AuditEntry> {
        let mut found = Vec::new();
        read_audit(path, query, |entry| found.push(entry)).unwrap();
        found
    }

    #[test]
    fn what_is_appended_is_read_again_narrowed_as_asked_and_forgotten_when_it_is_old() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.sqlite");
        let calls = [call(1, "ada", "plan_fixes"), call(2, "bob", "plan_fixes"), call(3, "ada", "simulate_policy")];
        let mut log = AuditLog::open(&path).unwrap();
        log.append(&calls[..2]).unwrap();
        drop(log);
        let mut log = AuditLog::open(&path).unwrap();
        log.append(&calls[2..]).unwrap();
        assert_eq!(read(&path, &AuditQuery::default()), calls);
        let ada = AuditQuery { caller: Some("ada".to_owned()), ..AuditQuery::default() };
        assert_eq!(read(&path, &ada), [calls[0].clone(), calls[2].clone()]);
        let plans = AuditQuery { tool: Some("plan_fixes".to_owned()), limit: Some(1), ..AuditQuery::default() };
        assert_eq!(read(&path, &plans), [calls[1].clone()], "the newest");
        let late = AuditQuery { since: Some(calls[1].at), ..AuditQuery::default() };
        assert_eq!(read(&path, &late), calls[1..]);
        assert_eq!(log.forget_before(calls[2].at).unwrap(), 2);
        assert_eq!(read(&path, &AuditQuery::default()), calls[2..]);
    }

    #[test]
    fn a_file_of_something_else_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in
            [("text", &b"not a database, but a text that is long enough to be one"[..]), ("other", b"")]
        {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            if name == "other" {
                Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
            }
            let before = std::fs::read(&path).unwrap();
            assert!(matches!(AuditLog::open(&path), Err(AuditError::Foreign { .. })), "{name}");
            assert!(read_audit(&path, &AuditQuery::default(), |_| {}).is_err());
            assert_eq!(std::fs::read(&path).unwrap(), before);
        }
    }
}
