//! Where a page of resources starts.

/// The position in an ordered list after which a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageStart {
    /// The rank of the last row before the page.
    pub rank: i64,
    /// The key of that row.
    pub key: i64,
}

impl PageStart {
    /// The start of the first page.
    pub const FIRST: Self = Self { rank: i64::MAX, key: i64::MAX };
}
