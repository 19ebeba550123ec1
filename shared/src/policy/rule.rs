//! The parts of a policy.

use std::collections::HashSet;

use jiff::civil::Date;

use super::{
    pattern::Pattern,
    spelling::{form_hash, normal_form},
    verdict::Code,
};
use crate::{Arn, ResourceType};

/// A set of resource types, one bit each.
type Types = u128;
const _: () = assert!(ResourceType::ALL.len() <= 128, "a set of resource types has a bit for each");

/// What kind of text a value is: `"value_type"` of a tag, `text` where absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ValueType {
    /// Any text.
    #[default]
    Text,
    /// An ISO-8601 date (`2026-01-31`) or a date-time with its offset.
    Date,
    /// A date that must not have passed: valid until the end of that day in UTC.
    ExpirationDate,
}

impl ValueType {
    /// Every type.
    pub const ALL: &'static [Self] = &[Self::Text, Self::Date, Self::ExpirationDate];

    /// The name in policy files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Date => "date",
            Self::ExpirationDate => "expiration_date",
        }
    }
}

/// What a tag's rule consists of before it is compiled.
pub(super) struct RuleParts {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) allowed_values: Option<Vec<String>>,
    pub(super) pattern: Option<Pattern>,
    pub(super) applies_to: Vec<ResourceType>,
    pub(super) value_type: ValueType,
}

/// What the policy says of one tag.
#[derive(Debug, Clone)]
pub struct TagRule {
    name: String,
    description: Option<String>,
    allowed_values: Option<Vec<String>>,
    allowed: HashSet<String>,
    pub(super) pattern: Option<Pattern>,
    applies_to: Vec<ResourceType>,
    types: Types,
    value_type: ValueType,
    normal_form: String,
    form_hash: u64,
}

impl From<RuleParts> for TagRule {
    fn from(parts: RuleParts) -> Self {
        let RuleParts { name, description, allowed_values, pattern, applies_to, value_type } = parts;
        Self {
            allowed: allowed_values.iter().flatten().cloned().collect(),
            types: if applies_to.is_empty() { Types::MAX } else { applies_to.iter().map(|t| bit(*t)).sum() },
            form_hash: form_hash(&normal_form(&name)),
            normal_form: normal_form(&name),
            name,
            description,
            allowed_values,
            pattern,
            applies_to,
            value_type,
        }
    }
}

const fn bit(resource_type: ResourceType) -> Types {
    1 << resource_type as u32
}

impl TagRule {
    /// The key, to the letter.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the tag is for.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The only values allowed, in the author's order; none when the values are not listed.
    pub fn allowed_values(&self) -> Option<&[String]> {
        self.allowed_values.as_deref()
    }

    /// The pattern that whole values match, as written. Listed values take precedence over it.
    pub fn validation_regex(&self) -> Option<&str> {
        self.pattern.as_ref().map(Pattern::as_str)
    }

    /// The resource types that it is about; empty means every type.
    pub fn applies_to(&self) -> &[ResourceType] {
        &self.applies_to
    }

    /// What kind of text its values are.
    pub const fn value_type(&self) -> ValueType {
        self.value_type
    }

    /// Whether it is about resources of a type.
    pub const fn applies(&self, resource_type: ResourceType) -> bool {
        self.types & bit(resource_type) != 0
    }

    pub(super) fn normal_form(&self) -> &str {
        &self.normal_form
    }

    pub(super) const fn form_hash(&self) -> u64 {
        self.form_hash
    }

    pub(super) fn allows(&self, value: &str) -> bool {
        match &self.allowed_values {
            // Comparing with a few is quicker than hashing.
            Some(few) if few.len() <= 16 => few.iter().any(|allowed| allowed == value),
            _ => self.allowed.contains(value),
        }
    }
}

/// What keys and values may look like: `tag_naming_rules`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamingRules {
    /// Whether a key in another letter case does not count as the policy's key. Default false: it counts, with a warning.
    pub case_sensitivity: bool,
    /// Whether characters may be used beside letters, digits, spaces and `_ . : / = + - @`. Default false.
    pub allow_special_characters: bool,
    /// The longest key, in characters: 1 to 128, which is AWS's limit and the default.
    pub max_key_length: usize,
    /// The longest value, in characters: 1 to 256, which is AWS's limit and the default.
    pub max_value_length: usize,
}

impl NamingRules {
    /// AWS's longest key, in characters.
    pub const AWS_KEY_LENGTH: usize = 128;
    /// AWS's longest value, in characters.
    pub const AWS_VALUE_LENGTH: usize = 256;

    pub(super) fn breach_of_key(&self, key: &str) -> Option<Code> {
        self.breach(key, self.max_key_length)
    }

    pub(super) fn breach_of_value(&self, value: &str) -> Option<Code> {
        self.breach(value, self.max_value_length)
    }

    fn breach(&self, text: &str, longest: usize) -> Option<Code> {
        if text.len() > longest && text.chars().count() > longest {
            return Some(Code::TooLong);
        }
        (!self.allow_special_characters && !is_plain(text)).then_some(Code::BadChars)
    }
}

impl Default for NamingRules {
    fn default() -> Self {
        Self {
            case_sensitivity: false,
            allow_special_characters: false,
            max_key_length: Self::AWS_KEY_LENGTH,
            max_value_length: Self::AWS_VALUE_LENGTH,
        }
    }
}

/// By byte: the ASCII characters among those that [`is_plain_char`] takes. Every tag is looked at every night.
const PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        #[expect(clippy::indexing_slicing, reason = "a table of 256 has a place for every byte")]
        let place = &mut table[byte as usize];
        *place = byte.is_ascii_alphanumeric()
            || matches!(byte, b' ' | b'_' | b'.' | b':' | b'/' | b'=' | b'+' | b'-' | b'@');
        byte += 1;
    }
    table
};

/// Whether a text has only the characters that every AWS service takes in tags.
fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| PLAIN.get(usize::from(byte)) == Some(&true);
    text.bytes().all(plain) || text.chars().all(is_plain_char)
}

fn is_plain_char(c: char) -> bool {
    let space = c.is_whitespace() && !c.is_control();
    c.is_alphanumeric() || space || matches!(c, '_' | '.' | ':' | '/' | '=' | '+' | '-' | '@')
}

/// Resources that are not judged: one of `exemptions`.
///
/// ```json
/// { "resource_arn": "arn:aws:s3:::legacy-*", "reason": "frozen until migration", "owner": "a@b.example", "expires": "2027-01-31" }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exemption {
    /// The ARNs: `*` stands for any text, also none, and nothing else has a special meaning.
    pub resource_arn: String,
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// The last day in UTC on which it holds; none for ever.
    pub expires: Option<Date>,
}

impl Exemption {
    /// Whether it covers a resource on a day.
    pub fn covers(&self, arn: &Arn, on: Date) -> bool {
        self.expires.is_none_or(|last| on <= last) && glob_matches(&self.resource_arn, arn.as_str())
    }
}

fn glob_matches(glob: &str, text: &str) -> bool {
    let mut pieces = glob.split('*');
    let Some(mut rest) = text.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        let Some((_, after)) = rest.split_once(piece) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_star_is_special_in_a_glob() {
        for (glob, text) in [("a*", "a"), ("a*c", "abc"), ("*", ""), ("a*b*c", "axbxbc"), ("a**c", "ac"), ("a", "a")] {
            assert!(glob_matches(glob, text), "{glob} {text}");
        }
        for (glob, text) in [("a", "ab"), ("a*c", "ab"), ("ab*b", "ab"), ("a?", "ab"), ("a*b*c", "acb"), ("", "a")] {
            assert!(!glob_matches(glob, text), "{glob} {text}");
        }
    }

    #[test]
    fn plain_characters_are_letters_digits_spaces_and_eight_marks() {
        for good in ["Größe 1", "東京", "_.:/=+-@", "", "a\u{3000}b"] {
            assert!(is_plain(good), "{good}");
        }
        for bad in ["a,b", "a\tb", "a\nb", "x\u{200b}", "50%", "a(b)", "\u{202e}"] {
            assert!(!is_plain(bad), "{bad:?}");
        }
    }
}
