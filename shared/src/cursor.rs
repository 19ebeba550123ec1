//! Cursors: where a list goes on, bound to the question and to the snapshot it was asked of.
//!
//! A cursor holds no secret and gives no access, so it is not signed; its check value tells a damaged or foreign one
//! from one that belongs to this question.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Serialize;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::store::PageStart;

/// A text that is no cursor of the question that it came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "`cursor` does not belong to this question; pass `next_cursor` of the page before with the same arguments, or ask again \
     without cursor"
)]
pub struct ForeignCursor;

/// Where a list goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Of which the list is.
    pub snapshot: i64,
    /// From where.
    pub start: PageStart,
    /// Rows on the pages before.
    pub shown: u64,
}

const NUMBERS: usize = 32;
const CHECK: usize = 8;

impl Cursor {
    /// As text, for exactly this tool and these arguments.
    pub fn encode(&self, tool: &str, question: &impl Serialize) -> String {
        let shown = i64::try_from(self.shown).unwrap_or(i64::MAX);
        let numbers = [self.snapshot, self.start.rank, self.start.key, shown];
        let mut bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
        bytes.extend(check(&bytes, tool, question));
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// From text that [`Cursor::encode`] gave for the same tool and arguments.
    ///
    /// # Errors
    ///
    /// When it is of another question, or none.
    pub fn decode(text: &str, tool: &str, question: &impl Serialize) -> Result<Self, ForeignCursor> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| ForeignCursor)?;
        let (numbers, given) = bytes.split_at_checked(NUMBERS).ok_or(ForeignCursor)?;
        if given != check(numbers, tool, question).as_slice() {
            return Err(ForeignCursor);
        }
        let mut numbers =
            numbers.chunks_exact(8).map(|chunk| chunk.iter().fold(0_i64, |n, b| (n << 8) | i64::from(*b)));
        let mut next = || numbers.next().ok_or(ForeignCursor);
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

    const CURSOR: Cursor = Cursor { snapshot: 7, start: PageStart { rank: -2, key: i64::MAX }, shown: 40 };

    #[test]
    fn a_cursor_comes_back_for_the_same_question() {
        let text = CURSOR.encode("tool", &["a"]);
        assert_eq!(Cursor::decode(&text, "tool", &["a"]).ok(), Some(CURSOR));
    }

    #[test]
    fn a_cursor_of_another_question_or_a_forged_one_is_refused() {
        let text = CURSOR.encode("tool", &["a"]);
        assert!(Cursor::decode(&text, "other", &["a"]).is_err());
        assert!(Cursor::decode(&text, "tool", &["b"]).is_err());
        for forged in ["", "AAAA", "not base64!", &text.replace('A', "B"), text.get(1..).unwrap()] {
            assert!(Cursor::decode(forged, "tool", &["a"]).is_err(), "{forged}");
        }
    }

    #[test]
    fn a_cursor_of_which_anything_was_changed_is_refused() {
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
                    assert!(Cursor::decode(&other, "check_tag_compliance", &"question").is_err(), "{other}");
                }
            }
            assert!(Cursor::decode(text.get(..at).unwrap(), "check_tag_compliance", &"question").is_err());
        }
        assert!(changed > 500, "{changed}");
    }
}
