//! One entry of the audit log.

use jiff::Timestamp;
use rusqlite::{Row, types::Type};

/// One tool call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When the call began.
    pub at: Timestamp,
    /// The id of the caller's API key; `local` when the server requires no keys.
    pub caller: String,
    /// The name of the tool; `other` when no tool has the requested name.
    pub tool: String,
    /// The first 16 hexadecimal digits of the SHA-256 of the arguments. Equal arguments have equal digits.
    pub arguments: String,
    /// `ok`, `tool_error`, `error`, or `refused` when the key lacks a scope.
    pub outcome: String,
    /// The number of rows in the longest list of the answer.
    pub rows: u64,
    /// The size of the answer in bytes.
    pub bytes: u64,
    /// Microseconds from the request to the answer.
    pub micros: u64,
    /// The number of AWS lookups for the call: one for each resource type in each region of each account.
    pub aws_lookups: u64,
    /// The trace id of the client, or the server's own; empty when there is neither.
    pub trace_id: String,
}

impl AuditEntry {
    /// A call without an answer yet.
    pub fn begun(at: Timestamp, caller: String, tool: String, arguments: String) -> Self {
        let (outcome, trace_id) = (String::new(), String::new());
        Self { at, caller, tool, arguments, outcome, rows: 0, bytes: 0, micros: 0, aws_lookups: 0, trace_id }
    }

    /// From the columns of `sql::READ`.
    pub(crate) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let milliseconds: i64 = row.get(0)?;
        let at = Timestamp::from_millisecond(milliseconds)
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, Type::Integer, Box::new(error)))?;
        Ok(Self {
            at,
            caller: row.get(1)?,
            tool: row.get(2)?,
            arguments: row.get(3)?,
            outcome: row.get(4)?,
            rows: row.get(5)?,
            bytes: row.get(6)?,
            micros: row.get(7)?,
            aws_lookups: row.get(8)?,
            trace_id: row.get(9)?,
        })
    }
}
