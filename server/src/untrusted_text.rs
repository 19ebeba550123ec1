//! Untrusted text: tag keys, tag values and names. Anyone with permission to tag can write it, and an agent reads it.

/// The maximum length of escaped text in characters. AWS allows 256 characters in a tag value.
const MAX_LENGTH: usize = 256;

/// Replaces every character that can hide or reorder others by an escape such as `\u{202e}`, and truncates the text to 256
/// characters and an ellipsis.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut length = 0;
    for character in text.chars() {
        if length >= MAX_LENGTH {
            out.push('…');
            break;
        }
        if is_hidden(character) {
            let sequence = format!("\\u{{{:04x}}}", u32::from(character));
            length += sequence.len();
            out.push_str(&sequence);
        } else {
            length += 1;
            out.push(character);
        }
    }
    out
}

/// Control characters, line separators, zero-width and bidirectional marks, variation selectors, Unicode tags.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(u32::from(character),
            0x00ad | 0x034f | 0x061c | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f | 0x200b..=0x200f
            | 0x2028..=0x202e | 0x2060..=0x206f | 0x3164 | 0xfe00..=0xfe0f | 0xfeff | 0xffa0 | 0xfff0..=0xfffb
            | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Line breaks, bidirectional controls, zero-width characters and tag characters are replaced by visible escapes.
    /// Other Unicode text is unchanged.
    #[test]
    fn escape_changes_only_hidden_characters() {
        assert_eq!(escape("Größe 10 µm / 東京"), "Größe 10 µm / 東京");
        assert_eq!(escape("a\nb\u{202e}c\u{200b}\u{e0041}"), "a\\u{000a}b\\u{202e}c\\u{200b}\\u{e0041}");
    }

    /// Escaped text has at most 256 characters and an ellipsis, and text of hidden characters alone stays below 280
    /// bytes.
    #[test]
    fn escape_truncates_long_text() {
        assert_eq!(escape(&"é".repeat(256)).chars().count(), 256);
        assert_eq!(escape(&"é".repeat(70_000)).chars().count(), 257);
        assert!(escape(&"\u{e0041}".repeat(256)).len() < 280);
    }
}
