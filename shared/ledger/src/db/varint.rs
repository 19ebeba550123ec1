//! Variable-length integers (LEB128) in blobs.

use crate::error::LedgerError;

/// Appends a row id.
pub(crate) fn push_varint(blob: &mut Vec<u8>, id: i64) {
    push_word(blob, id.unsigned_abs());
}

/// Appends a number.
pub(crate) fn push_word(blob: &mut Vec<u8>, word: u64) {
    let mut rest = word;
    loop {
        let low = rest.to_le_bytes().first().copied().unwrap_or_default() & 0x7f;
        rest >>= 7;
        if rest == 0 {
            blob.push(low);
            return;
        }
        blob.push(low | 0x80);
    }
}

/// Removes the first number from `rest`; none when `rest` ends within a number, or the number has more than 64 bits.
pub(crate) fn take_word(rest: &mut &[u8]) -> Option<u64> {
    let (mut word, mut shift) = (0_u64, 0_u32);
    loop {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        word |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(word);
        }
        shift += 7;
    }
}

/// The ids in a blob that [`push_varint`] wrote.
///
/// # Errors
///
/// When the blob is not a list of such ids.
pub(crate) fn try_decode_varints(blob: &[u8]) -> Result<Vec<i64>, LedgerError> {
    let (mut rest, mut ids) = (blob, Vec::new());
    while !rest.is_empty() {
        let id = take_word(&mut rest).and_then(|word| i64::try_from(word).ok());
        let broken = || LedgerError::Content { what: "a list of row ids", given: format!("{blob:02x?}") };
        ids.push(id.ok_or_else(broken)?);
    }
    Ok(ids)
}

/// The ids in a blob that [`push_varint`] wrote.
pub(crate) fn decode_varints(blob: &[u8]) -> Vec<i64> {
    let mut ids = Vec::new();
    push_varints(&mut ids, blob);
    ids
}

/// Appends the ids in a blob to `ids`.
pub(crate) fn push_varints(ids: &mut Vec<i64>, blob: &[u8]) {
    let (mut id, mut shift) = (0_i64, 0_u32);
    for byte in blob {
        id |= i64::from(byte & 0x7f).checked_shl(shift).unwrap_or_default();
        if byte & 0x80 == 0 {
            ids.push(id);
            (id, shift) = (0, 0);
        } else {
            shift += 7;
        }
    }
}
