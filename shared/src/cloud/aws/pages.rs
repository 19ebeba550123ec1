//! Reading a list to its last page.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
};

use super::{found, limits::Operation};
use crate::inventory::Gap;

/// The tokens of one list: which page to ask for next, and a stop when AWS goes in circles.
#[derive(Debug)]
pub(super) struct Pages {
    operation: Operation,
    next: Option<Option<String>>,
    hasher: RandomState,
    // Tokens are up to kilobytes long and lists thousands of pages; their hashes do.
    seen: HashSet<u64>,
}

impl Pages {
    /// Before the first page.
    pub(super) fn of(operation: Operation) -> Self {
        Self { operation, next: Some(None), hasher: RandomState::new(), seen: HashSet::new() }
    }

    /// The token to send, none for the first page; nothing when the last page has been read.
    pub(super) fn next(&mut self) -> Option<Option<String>> {
        self.next.take()
    }

    /// Notes the token that came with a page. None and the empty one both mean that it was the last.
    ///
    /// A page without items is not the end.
    ///
    /// # Errors
    /// The token came before: the list would never end.
    pub(super) fn turn(&mut self, token: Option<&str>) -> Result<(), Gap> {
        let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(()) };
        if !self.seen.insert(self.hasher.hash_one(token)) {
            let message = "the same page token came twice, so the list has no end; all before it was kept";
            return Err(found::senseless(self.operation, message));
        }
        self.next = Some(Some(token.to_owned()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::limits::Family, *};
    use crate::inventory::GapReason;

    const OPERATION: Operation = Operation::new("ec2:DescribeVolumes", Family::Ec2Volumes);

    #[test]
    fn tokens_are_followed_until_there_is_none() {
        for last in [None, Some("")] {
            let mut pages = Pages::of(OPERATION);
            assert_eq!(pages.next(), Some(None));
            pages.turn(Some("a")).unwrap();
            assert_eq!(pages.next(), Some(Some("a".to_owned())));
            pages.turn(last).unwrap();
            assert_eq!(pages.next(), None);
        }
    }

    #[test]
    fn a_circle_of_any_length_is_a_gap() {
        let mut pages = Pages::of(OPERATION);
        pages.turn(Some("a")).unwrap();
        pages.turn(Some("b")).unwrap();
        let gap = pages.turn(Some("a")).unwrap_err();
        assert_eq!((gap.reason, gap.operation.as_str()), (GapReason::Failed, "ec2:DescribeVolumes"));
    }
}
