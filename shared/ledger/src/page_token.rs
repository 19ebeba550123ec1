//! Cursors: where a list goes on, bound to the question and to the snapshot it was asked of.
//!
//! A cursor holds no secret and gives no access, so it is not signed; its check value tells a damaged or foreign one
//! from one that belongs to this question.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Serialize;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::model::page::PageStart;

/// A text that is no cursor of the question that it came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "`cursor` does not belong to this question; pass `next_cursor` of the page before with the same arguments, or ask again \
     without cursor"
)]
pub struct InvalidPageToken;

/// Where a list goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageToken {
    /// Of which the list is.
    pub snapshot: i64,
    /// From where.
    pub start: PageStart,
    /// Rows on the pages before.
    pub shown: u64,
}

const NUMBERS: usize = 32;

const CHECK: usize = 8;

impl PageToken {
    /// As text, for exactly this tool and these arguments.
    pub fn encode(&self, tool: &str, question: &impl Serialize) -> String {
        let shown = i64::try_from(self.shown).unwrap_or(i64::MAX);
        let numbers = [self.snapshot, self.start.rank, self.start.key, shown];
        let mut bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
        bytes.extend(check(&bytes, tool, question));
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// From text that [`crate::page_token::PageToken::encode`] gave for the same tool and arguments.
    ///
    /// # Errors
    ///
    /// When it is of another question, or none.
    pub fn decode(text: &str, tool: &str, question: &impl Serialize) -> Result<Self, InvalidPageToken> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidPageToken)?;
        let (numbers, given) = bytes.split_at_checked(NUMBERS).ok_or(InvalidPageToken)?;
        if given != check(numbers, tool, question).as_slice() {
            return Err(InvalidPageToken);
        }
        let mut numbers =
            numbers.chunks_exact(8).map(|chunk| chunk.iter().fold(0_i64, |n, b| (n << 8) | i64::from(*b)));
        let mut next = || numbers.next().ok_or(InvalidPageToken);
        let (snapshot, rank, key, shown) = (next()?, next()?, next()?, next()?);
        Ok(Self { snapshot, start: PageStart { rank, key }, shown: shown.unsigned_abs() })
    }
}

fn check(numbers: &[u8], tool: &str, question: &impl Serialize) -> Vec<u8> {
    let question = serde_json::to_vec(question).unwrap_or_default();
    let digest =
        Sha256::new().chain_update(numbers).chain_update(tool).chain_update([0]).chain_update(question).finalize();
    digest.into_iter().take(CHECK).collect()
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
