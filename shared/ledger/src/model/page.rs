//! Where a page of resources starts.

/// A place in an order of resources: behind which a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageStart {
    /// The last row's rank.
    pub rank: i64,
    /// Its key.
    pub key: i64,
}

impl PageStart {
    /// The beginning.
    pub const FIRST: Self = Self { rank: i64::MAX, key: i64::MAX };
}
