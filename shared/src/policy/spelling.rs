//! When two keys are the same but for spelling.

use unicode_normalization::UnicodeNormalization;

/// Keys shorter than this, in normal form, have too many innocent neighbours one edit away.
const SHORTEST_FOR_EDITS: usize = 6;

/// How a key as found relates to a key of the policy, both in normal form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Likeness {
    /// The same normal form.
    Same,
    /// One insertion, deletion, substitution or swap of neighbours away.
    OneEdit,
    /// Another key.
    Other,
}

/// The form in which spellings of one key are equal: NFKC, case-folded, without white space, `_`, `-` and `.`.
pub(super) fn normal_form(key: &str) -> String {
    if key.is_ascii() {
        return key
            .bytes()
            .filter(|byte| !dropped(char::from(*byte)))
            .map(|b| char::from(b.to_ascii_lowercase()))
            .collect();
    }
    key.nfkc().flat_map(fold).nfkc().filter(|c| !dropped(*c)).collect()
}

/// The normal form of a short ASCII key without an allocation; none for other keys.
pub(super) fn ascii_normal_form<'b>(key: &str, buffer: &'b mut [u8; 128]) -> Option<&'b str> {
    let mut length = 0;
    for byte in key.bytes() {
        if !byte.is_ascii() {
            return None;
        }
        if !dropped(char::from(byte)) {
            *buffer.get_mut(length)? = byte.to_ascii_lowercase();
            length += 1;
        }
    }
    buffer.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok())
}

/// A quick hash of a normal form, good enough to tell most from each other.
pub(super) fn form_hash(form: &str) -> u64 {
    let word = |bytes: &[u8]| bytes.iter().fold(0_u64, |word, byte| (word << 8) | u64::from(*byte));
    let words = form.as_bytes().chunks(8);
    words.fold(0xcbf2_9ce4_8422_2325, |hash, bytes| (hash ^ word(bytes)).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn dropped(c: char) -> bool {
    matches!(c, '_' | '-' | '.') || c.is_whitespace()
}

/// The case folding of a character. Going through upper case makes `ß` meet `SS` and `ς` meet `Σ`; the dotless i, which
/// shares its upper case with the dotted one, stays itself.
fn fold(c: char) -> impl Iterator<Item = char> {
    let upper = (c != 'ı').then(|| c.to_uppercase()).into_iter().flatten();
    let kept = (c == 'ı').then_some(c);
    upper.chain(kept).flat_map(char::to_lowercase)
}

/// Whether two texts differ in letter case at most.
pub(super) fn equal_but_for_case(a: &str, b: &str) -> bool {
    if a.is_ascii() && b.is_ascii() {
        return a.eq_ignore_ascii_case(b);
    }
    a.chars().flat_map(fold).eq(b.chars().flat_map(fold))
}

/// What texts have in common that differ in letter case at most.
pub(super) fn folded(text: &str) -> String {
    text.chars().flat_map(fold).collect()
}

/// Compares two normal forms.
pub(super) fn likeness(found: &str, wanted: &str) -> Likeness {
    if found == wanted {
        return Likeness::Same;
    }
    if found.is_empty() || wanted.is_empty() || !may_be_one_edit(found.as_bytes(), wanted.as_bytes()) {
        return Likeness::Other;
    }
    if within_one_edit(found, wanted, SHORTEST_FOR_EDITS) { Likeness::OneEdit } else { Likeness::Other }
}

/// A cheap necessary condition: one edit leaves the first or the last byte of a long enough text alone. A character has
/// four bytes at most.
fn may_be_one_edit(a: &[u8], b: &[u8]) -> bool {
    a.len().abs_diff(b.len()) <= 4 && (a.first() == b.first() || a.last() == b.last())
}

/// Whether one insertion, deletion, substitution or swap of neighbours at most makes one text the other, both of at least
/// `shortest` characters.
pub(super) fn within_one_edit(a: &str, b: &str, shortest: usize) -> bool {
    if a.is_ascii() && b.is_ascii() {
        return one_edit(a.as_bytes(), b.as_bytes(), shortest);
    }
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    one_edit(&a, &b, shortest)
}

fn one_edit<T: PartialEq>(a: &[T], b: &[T], shortest: usize) -> bool {
    if a.len().min(b.len()) < shortest || a.len().abs_diff(b.len()) > 1 {
        return false;
    }
    let same_start = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (a.split_at(same_start).1, b.split_at(same_start).1);
    let same_end = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    match (a.split_at(a.len() - same_end).0, b.split_at(b.len() - same_end).0) {
        ([] | [_], [] | [_]) => true,
        ([a1, a2], [b1, b2]) => a1 == b2 && a2 == b1,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_key_have_one_normal_form() {
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

    #[test]
    fn the_quick_normal_form_of_a_key_is_its_normal_form() {
        let mut buffer = [0; 128];
        for key in ["", "Cost Center\t", "a-B_c.D", "x/y:z=+@"] {
            assert_eq!(ascii_normal_form(key, &mut buffer), Some(normal_form(key).as_str()), "{key}");
        }
        assert_eq!(ascii_normal_form("é", &mut buffer), None);
        assert_eq!(ascii_normal_form(&"a".repeat(129), &mut buffer), None);
    }

    #[test]
    fn one_edit_is_one_insertion_deletion_substitution_or_swap() {
        let like = |found| likeness(found, "environment");
        assert_eq!(like("environment"), Likeness::Same);
        for near in
            ["environmant", "enviroment", "environments", "nvironment", "envrionment", "environmen", "nevironment"]
        {
            assert_eq!(like(near), Likeness::OneEdit, "{near}");
        }
        for other in ["env", "enviromnt", "tnemnorivne", "", "environmental"] {
            assert_eq!(like(other), Likeness::Other, "{other}");
        }
        assert_eq!(likeness("owners", "owner"), Likeness::Other);
        assert_eq!(likeness("größen", "großen"), Likeness::OneEdit);
    }
}
