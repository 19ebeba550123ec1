//! Pagination of AWS list operations.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
};

use tagledger_model::{api::Operation, inventory::Gap};

use crate::listing_builder;

/// The page tokens of one listing. It stops if AWS returns a token twice, because the listing would never end.
#[derive(Debug)]
pub(crate) struct Paginator {
    operation: Operation,
    next: Option<Option<String>>,
    hasher: RandomState,
    // Hashes of the tokens, because a token can have kilobytes and a listing thousands of pages.
    seen: HashSet<u64>,
}

impl Paginator {
    /// Starts before the first page.
    pub(crate) fn new(operation: Operation) -> Self {
        Self { operation, next: Some(None), hasher: RandomState::new(), seen: HashSet::new() }
    }

    /// Returns the token of the next page, which is `Some(None)` for the first page. `None` after the last page.
    pub(crate) fn next_page(&mut self) -> Option<Option<String>> {
        self.next.take()
    }

    /// Takes the token that a page returned. After the last page, the token is absent or empty. A page without items may be
    /// followed by others.
    ///
    /// # Errors
    /// A gap if an earlier page returned the same token.
    pub(crate) fn advance(&mut self, token: Option<&str>) -> Result<(), Gap> {
        let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(()) };
        if !self.seen.insert(self.hasher.hash_one(token)) {
            let message = "AWS returned the same page token twice; the pages before it were recorded";
            return Err(listing_builder::malformed_response(self.operation, message));
        }
        self.next = Some(Some(token.to_owned()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tagledger_model::{inventory::GapReason, resource_types::ec2};

    use super::*;

    const OPERATION: Operation = ec2::DESCRIBE_VOLUMES;

    /// Pages are requested until the page token is absent or empty.
    #[test]
    fn pagination_ends_at_absent_or_empty_token() {
        for last in [None, Some("")] {
            let mut pages = Paginator::new(OPERATION);
            assert_eq!(pages.next_page(), Some(None));
            pages.advance(Some("a")).unwrap();
            assert_eq!(pages.next_page(), Some(Some("a".to_owned())));
            pages.advance(last).unwrap();
            assert_eq!(pages.next_page(), None);
        }
    }

    /// A page token that was already used, even several pages before, is a gap of the operation.
    #[test]
    fn repeated_page_token_is_gap() {
        let mut pages = Paginator::new(OPERATION);
        pages.advance(Some("a")).unwrap();
        pages.advance(Some("b")).unwrap();
        let gap = pages.advance(Some("a")).unwrap_err();
        assert_eq!((gap.reason, gap.operation.as_str()), (GapReason::Failed, "ec2:DescribeVolumes"));
    }
}
