//! A page token that was never issued is rejected, an issued one is accepted, and an issued one with any change is
//! rejected.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tagledger_ledger::{PageStart, page_token::PageToken};

fuzz_target!(|input: (&str, i64, u8)| {
    let (text, number, position) = input;
    assert!(PageToken::decode(text, "tool", &number).is_err(), "{text:?} is accepted");
    let token =
        PageToken { snapshot: number, start: PageStart { rank: number, key: number }, shown: u64::from(position) };
    let encoded = token.encode("tool", &text);
    assert_eq!(PageToken::decode(&encoded, "tool", &text), Ok(token));
    let mut changed = encoded.clone().into_bytes();
    let position = usize::from(position) % changed.len();
    changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).expect("ASCII");
    assert!(PageToken::decode(&changed, "tool", &text).is_err(), "{changed} is accepted in place of {encoded}");
});
