//! Page tokens: the position after a page, bound to the snapshot and the arguments of the request.
//!
//! A page token contains no secret and grants no access, so it is not signed. Its checksum detects a damaged token and a token of
//! another request.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Serialize;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::model::page::PageStart;

/// The text is not a page token of this request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "`cursor` does not belong to this question; pass `next_cursor` of the page before with the same arguments, or ask again \
     without cursor"
)]
pub struct InvalidPageToken;

/// The position after a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageToken {
    /// The id of the snapshot that is listed.
    pub snapshot: i64,
    /// The start of the next page.
    pub start: PageStart,
    /// The number of rows on the pages before.
    pub shown: u64,
}

/// The length of the four numbers, in bytes.
const NUMBERS_LENGTH: usize = 32;

/// The length of the checksum, in bytes.
const CHECKSUM_LENGTH: usize = 8;

impl PageToken {
    /// The token as text. It is valid for this tool with these arguments only.
    pub fn encode(&self, tool: &str, arguments: &impl Serialize) -> String {
        let shown = i64::try_from(self.shown).unwrap_or(i64::MAX);
        let numbers = [self.snapshot, self.start.rank, self.start.key, shown];
        let mut bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
        bytes.extend(compute_checksum(&bytes, tool, arguments));
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Decodes text that [`crate::page_token::PageToken::encode`] returned for the same tool and arguments.
    ///
    /// # Errors
    ///
    /// When the text is the token of another request, or no token.
    pub fn decode(text: &str, tool: &str, arguments: &impl Serialize) -> Result<Self, InvalidPageToken> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidPageToken)?;
        let (numbers, given) = bytes.split_at_checked(NUMBERS_LENGTH).ok_or(InvalidPageToken)?;
        if given != compute_checksum(numbers, tool, arguments).as_slice() {
            return Err(InvalidPageToken);
        }
        let mut numbers =
            numbers.chunks_exact(8).map(|chunk| chunk.iter().fold(0_i64, |n, b| (n << 8) | i64::from(*b)));
        let mut next = || numbers.next().ok_or(InvalidPageToken);
        let (snapshot, rank, key, shown) = (next()?, next()?, next()?, next()?);
        Ok(Self { snapshot, start: PageStart { rank, key }, shown: shown.unsigned_abs() })
    }
}

fn compute_checksum(numbers: &[u8], tool: &str, arguments: &impl Serialize) -> Vec<u8> {
    let arguments = serde_json::to_vec(arguments).unwrap_or_default();
    let digest =
        Sha256::new().chain_update(numbers).chain_update(tool).chain_update([0]).chain_update(arguments).finalize();
    digest.into_iter().take(CHECKSUM_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::page::PageStart;

    const CURSOR: PageToken = PageToken { snapshot: 7, start: PageStart { rank: -2, key: i64::MAX }, shown: 40 };

    /// A page token decodes to the same position for the same tool and the same request.
    #[test]
    fn page_token_round_trips_for_same_request() {
        let text = CURSOR.encode("tool", &["a"]);
        assert_eq!(PageToken::decode(&text, "tool", &["a"]).ok(), Some(CURSOR));
    }

    /// A page token of another tool or request and a forged token are rejected.
    #[test]
    fn foreign_or_forged_page_token_is_rejected() {
        let text = CURSOR.encode("tool", &["a"]);
        assert!(PageToken::decode(&text, "other", &["a"]).is_err());
        assert!(PageToken::decode(&text, "tool", &["b"]).is_err());
        for forged in ["", "AAAA", "not base64!", &text.replace('A', "B"), text.get(1..).unwrap()] {
            assert!(PageToken::decode(forged, "tool", &["a"]).is_err(), "{forged}");
        }
    }

    /// Changing any single character of a page token, or truncating it anywhere, causes it to be rejected.
    #[test]
    fn altered_page_token_is_rejected() {
        let text = CURSOR.encode("check_tag_compliance", &"question");
        let letters = b"ABCdef019-_=+/ ";
        let mut changed = 0;
        for at in 0..text.len() {
            for letter in letters {
                let mut bytes = text.clone().into_bytes();
                bytes[at] = *letter;
                let other = String::from_utf8(bytes).unwrap();
                if other != text {
                    changed += 1;
                    assert!(PageToken::decode(&other, "check_tag_compliance", &"question").is_err(), "{other}");
                }
            }
            assert!(PageToken::decode(text.get(..at).unwrap(), "check_tag_compliance", &"question").is_err());
        }
        assert!(changed > 500, "{changed}");
    }
}
