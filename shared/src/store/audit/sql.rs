//! What the audit log says to SQLite.

/// A batch that is lost with the machine's power is no loss that is worth waiting for.
pub(super) const PRAGMAS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA journal_size_limit = 4194304;
    PRAGMA trusted_schema = OFF;";

pub(super) const OBJECTS: &str = "SELECT count(*) FROM sqlite_schema";

/// `at`: milliseconds since 1970. Calls of one millisecond keep their order by `id`.
pub(super) const SCHEMA: &str = "
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

pub(super) const ADD: &str = "
    INSERT INTO call (at, caller, tool, arguments, outcome, row_count, bytes, micros, aws_lookups, trace_id)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

pub(super) const FORGET: &str = "DELETE FROM call WHERE at < ?1";

/// The newest so many, the oldest of them first.
pub(super) const READ: &str = "
    SELECT at, caller, tool, arguments, outcome, row_count, bytes, micros, aws_lookups, trace_id FROM (
        SELECT * FROM call
        WHERE at >= ?1 AND (?2 IS NULL OR caller = ?2) AND (?3 IS NULL OR tool = ?3)
        ORDER BY at DESC, id DESC LIMIT ?4
    ) ORDER BY at, id";
