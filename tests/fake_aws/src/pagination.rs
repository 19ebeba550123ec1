//! Pagination of an indexed list with opaque page tokens.

use std::ops::Range;

use crate::faults::Effect;

/// One page: the places of the list it covers, and the token of the next page.
pub(crate) struct Page {
    pub(crate) places: Range<usize>,
    pub(crate) next: Option<String>,
}

/// A list that is being paged through: `scope` ties its tokens to it, so that no other list takes them.
pub(crate) struct Paging<'a> {
    pub(crate) scope: &'a str,
    pub(crate) token: Option<&'a str>,
    pub(crate) size: usize,
    pub(crate) effect: Option<&'a Effect>,
}

impl Paging<'_> {
    /// The page of a list of `len`; `None` when the token is not one of this list.
    pub(crate) fn page(&self, len: usize) -> Option<Page> {
        self.page_where(len, |_| true)
    }

    /// The page counted in places that are `wanted`; the others are passed over.
    pub(crate) fn page_where(&self, len: usize, wanted: impl Fn(usize) -> bool) -> Option<Page> {
        let (start, turn) = match self.token {
            Some(token) => self.decode(token).filter(|(start, _)| *start <= len)?,
            None => (0, 0),
        };
        if matches!(self.effect, Some(Effect::EmptyPageWithToken)) {
            return Some(Page { places: start..start, next: Some(self.encode(start, turn + 1)) });
        }
        let end = (start..len).filter(|place| wanted(*place)).nth(self.size).unwrap_or(len);
        let next = match self.effect {
            Some(Effect::RepeatedToken) => Some(self.token.map_or_else(|| self.encode(start, turn), ToOwned::to_owned)),
            _ => (end < len).then(|| self.encode(end, 0)),
        };
        Some(Page { places: start..end, next })
    }

    fn encode(&self, place: usize, turn: u16) -> String {
        format!("{:016x}{place:012x}{turn:04x}", fingerprint(self.scope))
    }

    fn decode(&self, token: &str) -> Option<(usize, u16)> {
        let rest = token.strip_prefix(&format!("{:016x}", fingerprint(self.scope)))?;
        let (place, turn) = rest.split_at_checked(12)?;
        Some((usize::from_str_radix(place, 16).ok()?, u16::from_str_radix(turn, 16).ok()?))
    }
}

/// FNV-1a: the same on every machine, so that a failing test shows the same tokens again.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
