//! The row ids of a scope.

use rusqlite::Row;

/// A scope by row ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ScopeIds {
    pub(crate) account: i64,
    pub(crate) region: i64,
    pub(crate) resource_type: i64,
}

impl ScopeIds {
    /// Reads three columns in the order account, region, type.
    pub(crate) fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<Self> {
        Ok(Self { account: row.get(first)?, region: row.get(first + 1)?, resource_type: row.get(first + 2)? })
    }
}
