//! The SQL statements of the audit log.

/// `synchronous = NORMAL`: a batch can be lost when the power fails, and no call has to wait for the disk.
pub(crate) const PRAGMAS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA journal_size_limit = 4194304;
    PRAGMA trusted_schema = OFF;";

pub(crate) const COUNT_OBJECTS: &str = "SELECT count(*) FROM sqlite_schema";

/// `at`: milliseconds since 1970-01-01, UTC. `id` keeps the order of calls that began in the same millisecond.
pub(crate) const SCHEMA: &str = "
    CREATE TABLE call (
        id          INTEGER PRIMARY KEY,
        at          INTEGER NOT NULL,
        caller      TEXT    NOT NULL,
        tool        TEXT    NOT NULL,
        arguments   TEXT    NOT NULL,
        outcome     TEXT    NOT NULL,
        row_count   INTEGER NOT NULL,
        bytes       INTEGER NOT NULL,
        micros      INTEGER NOT NULL,
        aws_lookups INTEGER NOT NULL,
        trace_id    TEXT    NOT NULL
    ) STRICT;
    CREATE INDEX call_at ON call (at);";

pub(crate) const ADD: &str = "
    INSERT INTO call (at, caller, tool, arguments, outcome, row_count, bytes, micros, aws_lookups, trace_id)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

pub(crate) const DELETE_BEFORE: &str = "DELETE FROM call WHERE at < ?1";

/// The newest ?4 entries, the oldest of them first.
pub(crate) const READ: &str = "
    SELECT at, caller, tool, arguments, outcome, row_count, bytes, micros, aws_lookups, trace_id FROM (
        SELECT * FROM call
        WHERE at >= ?1 AND (?2 IS NULL OR caller = ?2) AND (?3 IS NULL OR tool = ?3)
        ORDER BY at DESC, id DESC LIMIT ?4
    ) ORDER BY at, id";
