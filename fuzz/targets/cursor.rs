//! A cursor that nobody was given is refused, and one that was given is not when anything of it is changed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::{cursor::Cursor, store::PageStart};

fuzz_target!(|given: (&str, i64, u8)| {
    let (text, number, place) = given;
    assert!(Cursor::decode(text, "tool", &number).is_err(), "{text:?} is taken");
    let cursor = Cursor { snapshot: number, start: PageStart { rank: number, key: number }, shown: u64::from(place) };
    let encoded = cursor.encode("tool", &text);
    assert_eq!(Cursor::decode(&encoded, "tool", &text), Ok(cursor));
    let mut changed = encoded.clone().into_bytes();
    let place = usize::from(place) % changed.len();
    changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).expect("ASCII");
    assert!(Cursor::decode(&changed, "tool", &text).is_err(), "{changed} is taken for {encoded}");
});
