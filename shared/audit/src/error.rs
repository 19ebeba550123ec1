//! Why the audit log cannot be used.

use std::{fmt, path::PathBuf};

/// Why the audit log could not be used.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file is not an audit log.
    #[error("{} is not an audit log of TagLedger; name another file with --audit or TAGLEDGER_AUDIT", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A statement failed.
    #[error("the audit log {} cannot be {operation}", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// What was attempted.
        operation: Operation,
        /// SQLite's error.
        source: rusqlite::Error,
    },
}

/// What was attempted with the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// To open it.
    Open,
    /// To write or delete entries.
    Write,
    /// To read entries.
    Read,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "opened",
            Self::Write => "written",
            Self::Read => "read",
        })
    }
}
