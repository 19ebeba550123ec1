//! Pagination of an indexed list with opaque page tokens.

use std::ops::Range;

use crate::faults::Effect;

/// One page: the range of list indexes that it covers, and the token of the next page.
pub(crate) struct Page {
    pub(crate) range: Range<usize>,
    pub(crate) next: Option<String>,
}

/// A request for a page of a list. Tokens are valid only for lists with the same `scope`.
pub(crate) struct Paging<'a> {
    pub(crate) scope: &'a str,
    pub(crate) token: Option<&'a str>,
    pub(crate) size: usize,
    pub(crate) effect: Option<&'a Effect>,
}

impl Paging<'_> {
    /// Returns the page of a list with `len` entries. `None` if the token is not valid for this list.
    pub(crate) fn page(&self, len: usize) -> Option<Page> {
        self.page_where(len, |_| true)
    }

    /// Returns the page of a filtered list. Only the entries for which `matches` is true count for the page size.
    pub(crate) fn page_where(&self, len: usize, matches: impl Fn(usize) -> bool) -> Option<Page> {
        let (start, attempt) = match self.token {
            Some(token) => self.decode(token).filter(|(start, _)| *start <= len)?,
            None => (0, 0),
        };
        if matches!(self.effect, Some(Effect::EmptyPageWithToken)) {
            return Some(Page { range: start..start, next: Some(self.encode(start, attempt + 1)) });
        }
        let end = (start..len).filter(|index| matches(*index)).nth(self.size).unwrap_or(len);
        let next = match self.effect {
            Some(Effect::RepeatedToken) => {
                Some(self.token.map_or_else(|| self.encode(start, attempt), ToOwned::to_owned))
            }
            _ => (end < len).then(|| self.encode(end, 0)),
        };
        Some(Page { range: start..end, next })
    }

    fn encode(&self, start: usize, attempt: u16) -> String {
        format!("{:016x}{start:012x}{attempt:04x}", fingerprint(self.scope))
    }

    fn decode(&self, token: &str) -> Option<(usize, u16)> {
        let rest = token.strip_prefix(&format!("{:016x}", fingerprint(self.scope)))?;
        let (start, attempt) = rest.split_at_checked(12)?;
        Some((usize::from_str_radix(start, 16).ok()?, u16::from_str_radix(attempt, 16).ok()?))
    }
}

/// Computes the FNV-1a hash. It is equal on all machines, so a failing test can be repeated with the same tokens.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
