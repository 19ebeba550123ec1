//! Text that others wrote: tag keys, tag values, names. Anyone with tag permission writes it, and an agent reads it.

/// Longest text handed out, escapes counted as they are written; AWS allows 256 characters in a value.
const LONGEST: usize = 256;

/// The text with every character that can hide or reorder others made visible, and cut where it is too long.
pub(crate) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut length = 0;
    for character in text.chars() {
        if length >= LONGEST {
            out.push('…');
            break;
        }
        if hides(character) {
            let escape = format!("\\u{{{:04x}}}", u32::from(character));
            length += escape.len();
            out.push_str(&escape);
        } else {
            length += 1;
            out.push(character);
        }
    }
    out
}

/// Control characters, line separators, zero-width and bidirectional marks, variation selectors, Unicode tags.
fn hides(character: char) -> bool {
    character.is_control()
        || matches!(u32::from(character),
            0x00ad | 0x034f | 0x061c | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f | 0x200b..=0x200f
            | 0x2028..=0x202e | 0x2060..=0x206f | 0x3164 | 0xfe00..=0xfe0f | 0xfeff | 0xffa0 | 0xfff0..=0xfffb
            | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_is_made_visible_and_the_rest_is_left_alone() {
        assert_eq!(visible("Größe 10 µm / 東京"), "Größe 10 µm / 東京");
        assert_eq!(visible("a\nb\u{202e}c\u{200b}\u{e0041}"), "a\\u{000a}b\\u{202e}c\\u{200b}\\u{e0041}");
    }

    #[test]
    fn a_text_of_any_length_stays_short() {
        assert_eq!(visible(&"é".repeat(256)).chars().count(), 256);
        assert_eq!(visible(&"é".repeat(70_000)).chars().count(), 257);
        assert!(visible(&"\u{e0041}".repeat(256)).len() < 280);
    }
}
