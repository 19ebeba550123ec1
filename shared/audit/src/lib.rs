//! The audit log: a SQLite file with one row for each tool call of the server.
//!
//! A row holds who called which tool, when, and with what outcome. It never holds a tag value, an argument or an API key. The log is not
//! part of the ledger: an auditor needs no access to the ledger, and a copy of the ledger contains no names of callers.

mod connection;
mod entry;
mod error;
mod log;
mod query;
mod sql;
#[cfg(test)]
mod tests;

pub use crate::{
    entry::AuditEntry,
    error::AuditError,
    log::AuditLog,
    query::{AuditQuery, read_audit},
};
