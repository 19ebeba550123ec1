//! Compares keys and values that may be variants of each other.

use unicode_normalization::UnicodeNormalization;

/// Keys of fewer characters, in normal form, have too many unrelated keys one edit away.
const MIN_LENGTH_FOR_EDITS: usize = 6;

/// How a key on a resource relates to a key of the policy, both in normal form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Similarity {
    /// The same normal form.
    Same,
    /// One insertion, deletion, substitution or swap of adjacent characters apart.
    OneEdit,
    /// Another key.
    Other,
}

/// The form in which variants of one key are equal: NFKC, case-folded, without white space, `_`, `-` and `.`.
pub(crate) fn normal_form(key: &str) -> String {
    if key.is_ascii() {
        return key
            .bytes()
            .filter(|byte| !is_separator(char::from(*byte)))
            .map(|byte| char::from(byte.to_ascii_lowercase()))
            .collect();
    }
    key.nfkc().flat_map(fold_char).nfkc().filter(|c| !is_separator(*c)).collect()
}

/// The normal form of an ASCII key of at most 128 bytes, without an allocation; none for other keys.
pub(crate) fn ascii_normal_form<'b>(key: &str, buffer: &'b mut [u8; 128]) -> Option<&'b str> {
    let mut length = 0;
    for byte in key.bytes() {
        if !byte.is_ascii() {
            return None;
        }
        if !is_separator(char::from(byte)) {
            *buffer.get_mut(length)? = byte.to_ascii_lowercase();
            length += 1;
        }
    }
    buffer.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok())
}

/// A fast hash of a normal form. Different forms may have the same hash.
pub(crate) fn form_hash(form: &str) -> u64 {
    let word = |bytes: &[u8]| bytes.iter().fold(0_u64, |word, byte| (word << 8) | u64::from(*byte));
    let words = form.as_bytes().chunks(8);
    words.fold(0xcbf2_9ce4_8422_2325, |hash, bytes| (hash ^ word(bytes)).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn is_separator(c: char) -> bool {
    matches!(c, '_' | '-' | '.') || c.is_whitespace()
}

/// The case folding of a character. The way through upper case makes `ß` equal to `SS` and `ς` equal to `Σ`. The
/// dotless i is not folded, because it has the same upper case as the dotted one.
fn fold_char(c: char) -> impl Iterator<Item = char> {
    let upper = (c != 'ı').then(|| c.to_uppercase()).into_iter().flatten();
    let unchanged = (c == 'ı').then_some(c);
    upper.chain(unchanged).flat_map(char::to_lowercase)
}

/// Whether two texts differ at most in letter case.
pub(crate) fn equals_ignoring_case(a: &str, b: &str) -> bool {
    if a.is_ascii() && b.is_ascii() {
        return a.eq_ignore_ascii_case(b);
    }
    a.chars().flat_map(fold_char).eq(b.chars().flat_map(fold_char))
}

/// The case-folded text, which is equal for texts that differ at most in letter case.
pub(crate) fn case_folded(text: &str) -> String {
    text.chars().flat_map(fold_char).collect()
}

/// Compares two normal forms.
pub(crate) fn compare_keys(actual: &str, expected: &str) -> Similarity {
    if actual == expected {
        return Similarity::Same;
    }
    let may_be_similar = could_be_one_edit(actual.as_bytes(), expected.as_bytes());
    if may_be_similar && within_one_edit(actual, expected, MIN_LENGTH_FOR_EDITS) {
        Similarity::OneEdit
    } else {
        Similarity::Other
    }
}

/// A fast necessary condition, because every key is compared with every rule: one edit leaves the first or the last
/// byte of two texts of several characters the same, and changes the length by at most the four bytes of a character.
fn could_be_one_edit(a: &[u8], b: &[u8]) -> bool {
    a.len().abs_diff(b.len()) <= 4 && (a.first() == b.first() || a.last() == b.last())
}

/// Whether at most one insertion, deletion, substitution or swap of adjacent characters turns one text into the other,
/// and both have at least `min_length` characters.
pub(crate) fn within_one_edit(a: &str, b: &str, min_length: usize) -> bool {
    let (a_length, b_length) = (a.chars().count(), b.chars().count());
    a_length.min(b_length) >= min_length && a_length.abs_diff(b_length) <= 1 && strsim::osa_distance(a, b) <= 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Variants of a key in letter case, separators, white space and Unicode width have the same normal form, while
    /// distinct letters such as the dotless i remain distinct.
    #[test]
    fn key_variants_share_normal_form() {
        for key in [
            "CostCenter",
            "costcenter",
            "cost-center",
            "cost_center",
            "Cost Center ",
            "COST.CENTER",
            "Ｃost\u{a0}Center",
        ] {
            assert_eq!(normal_form(key), "costcenter", "{key}");
        }
        assert_eq!(normal_form("Straße"), normal_form("STRASSE"));
        assert_ne!(normal_form("ılk"), normal_form("ilk"));
    }

    /// For ASCII keys of at most 128 bytes, the fast normalization gives the same result as the general one. Other keys
    /// are left to the general one.
    #[test]
    fn ascii_normal_form_equals_general_form() {
        let mut buffer = [0; 128];
        for key in ["", "Cost Center\t", "a-B_c.D", "x/y:z=+@"] {
            assert_eq!(ascii_normal_form(key, &mut buffer), Some(normal_form(key).as_str()), "{key}");
        }
        assert_eq!(ascii_normal_form("é", &mut buffer), None);
        assert_eq!(ascii_normal_form(&"a".repeat(129), &mut buffer), None);
    }

    /// One insertion, deletion, substitution or swap of adjacent characters counts as one edit. Two edits do not, and
    /// neither does any edit of a short key.
    #[test]
    fn one_edit_includes_adjacent_swap() {
        let like = |found| compare_keys(found, "environment");
        assert_eq!(like("environment"), Similarity::Same);
        for near in
            ["environmant", "enviroment", "environments", "nvironment", "envrionment", "environmen", "nevironment"]
        {
            assert_eq!(like(near), Similarity::OneEdit, "{near}");
        }
        for other in ["env", "enviromnt", "tnemnorivne", "", "environmental"] {
            assert_eq!(like(other), Similarity::Other, "{other}");
        }
        assert_eq!(compare_keys("owners", "owner"), Similarity::Other);
        assert_eq!(compare_keys("größen", "großen"), Similarity::OneEdit);
    }
}
