//! The rules of a policy: tags, naming rules and exemptions.

use std::collections::HashSet;

use jiff::civil::Date;
use tagledger_model::{Arn, ResourceType};

use crate::{
    pattern::Pattern,
    results::Code,
    similarity::{form_hash, normal_form},
};

/// A set of resource types, with one bit for each type.
type TypeSet = u128;

const _: () = assert!(ResourceType::ALL.len() <= 128, "a set has a bit for each resource type");

/// The type of a value: `"value_type"` of a tag, `text` when absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ValueType {
    /// Any text.
    #[default]
    Text,
    /// An ISO 8601 date (`2026-01-31`) or a date-time with an offset.
    Date,
    /// A date that must not be in the past: valid until the end of that day in UTC.
    ExpirationDate,
}

impl ValueType {
    /// All value types.
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

/// The parts of a rule before it is compiled.
pub(crate) struct RuleParts {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) allowed_values: Option<Vec<String>>,
    pub(crate) pattern: Option<Pattern>,
    pub(crate) applies_to: Vec<ResourceType>,
    pub(crate) value_type: ValueType,
}

/// What the policy says of one tag.
#[derive(Debug, Clone)]
pub struct TagRule {
    name: String,
    description: Option<String>,
    allowed_values: Option<Vec<String>>,
    allowed: HashSet<String>,
    pub(crate) pattern: Option<Pattern>,
    applies_to: Vec<ResourceType>,
    types: TypeSet,
    value_type: ValueType,
    normal_form: String,
    form_hash: u64,
}

impl From<RuleParts> for TagRule {
    fn from(parts: RuleParts) -> Self {
        let RuleParts { name, description, allowed_values, pattern, applies_to, value_type } = parts;
        Self {
            allowed: allowed_values.iter().flatten().cloned().collect(),
            types: if applies_to.is_empty() { TypeSet::MAX } else { applies_to.iter().map(|t| type_bit(*t)).sum() },
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

const fn type_bit(resource_type: ResourceType) -> TypeSet {
    1 << resource_type as u32
}

impl TagRule {
    /// The exact key.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The purpose of the tag.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The allowed values, in the author's order; none when the values are not listed.
    pub fn allowed_values(&self) -> Option<&[String]> {
        self.allowed_values.as_deref()
    }

    /// The pattern that entire values must match, as written. Listed values take precedence over it.
    pub fn validation_regex(&self) -> Option<&str> {
        self.pattern.as_ref().map(Pattern::as_str)
    }

    /// The resource types that the tag applies to; empty means every type.
    pub fn resource_types(&self) -> &[ResourceType] {
        &self.applies_to
    }

    /// The type of its values.
    pub const fn value_type(&self) -> ValueType {
        self.value_type
    }

    /// Whether the tag applies to resources of a type.
    pub const fn applies_to(&self, resource_type: ResourceType) -> bool {
        self.types & type_bit(resource_type) != 0
    }

    pub(crate) fn normal_form(&self) -> &str {
        &self.normal_form
    }

    pub(crate) const fn form_hash(&self) -> u64 {
        self.form_hash
    }

    pub(crate) fn allows(&self, value: &str) -> bool {
        match &self.allowed_values {
            // A comparison with a few values is faster than a hash.
            Some(few) if few.len() <= 16 => few.iter().any(|allowed| allowed == value),
            _ => self.allowed.contains(value),
        }
    }
}

/// The rules for the form of keys and values: `tag_naming_rules`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamingRules {
    /// Whether a key in another letter case does not satisfy the policy. Default false: it does, with a warning.
    pub case_sensitivity: bool,
    /// Whether characters other than letters, digits, spaces and `_ . : / = + - @` are allowed. Default false.
    pub allow_special_characters: bool,
    /// The maximum length of a key, in characters: 1 to 128, which is the AWS limit and the default.
    pub max_key_length: usize,
    /// The maximum length of a value, in characters: 1 to 256, which is the AWS limit and the default.
    pub max_value_length: usize,
}

impl NamingRules {
    /// The AWS limit for the length of a key, in characters.
    pub const AWS_KEY_LENGTH: usize = 128;
    /// The AWS limit for the length of a value, in characters.
    pub const AWS_VALUE_LENGTH: usize = 256;

    pub(crate) fn key_violation(&self, key: &str) -> Option<Code> {
        self.violation(key, self.max_key_length)
    }

    pub(crate) fn value_violation(&self, value: &str) -> Option<Code> {
        self.violation(value, self.max_value_length)
    }

    fn violation(&self, text: &str, max_length: usize) -> Option<Code> {
        if text.len() > max_length && text.chars().count() > max_length {
            return Some(Code::TooLong);
        }
        (!self.allow_special_characters && !has_only_plain_chars(text)).then_some(Code::BadChars)
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

/// For each byte, whether it is an ASCII character that [`is_plain_char`] accepts. A table, because every scan checks
/// every tag.
const PLAIN_ASCII: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        #[expect(clippy::indexing_slicing, reason = "a table of 256 entries has one for every byte")]
        let entry = &mut table[byte as usize];
        *entry = byte.is_ascii_alphanumeric()
            || matches!(byte, b' ' | b'_' | b'.' | b':' | b'/' | b'=' | b'+' | b'-' | b'@');
        byte += 1;
    }
    table
};

/// Whether a text has only characters that every AWS service accepts in tags.
fn has_only_plain_chars(text: &str) -> bool {
    let plain = |byte: u8| PLAIN_ASCII.get(usize::from(byte)) == Some(&true);
    text.bytes().all(plain) || text.chars().all(is_plain_char)
}

fn is_plain_char(c: char) -> bool {
    let space = c.is_whitespace() && !c.is_control();
    c.is_alphanumeric() || space || matches!(c, '_' | '.' | ':' | '/' | '=' | '+' | '-' | '@')
}

/// Resources that are not evaluated: one entry of `exemptions`.
///
/// ```json
/// { "resource_arn": "arn:aws:s3:::legacy-*", "reason": "frozen until migration", "owner": "a@b.example", "expires":
/// "2027-01-31" }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exemption {
    /// A pattern of ARNs: `*` matches any text, also none. Other characters have no special meaning.
    pub resource_arn: String,
    /// The reason.
    pub reason: String,
    /// The person or team that is responsible.
    pub owner: Option<String>,
    /// The last date in UTC on which the exemption applies; none for no expiry.
    pub expires: Option<Date>,
}

impl Exemption {
    /// Whether the exemption covers a resource on a date.
    pub fn covers(&self, arn: &Arn, on: Date) -> bool {
        self.expires.is_none_or(|last_day| on <= last_day) && glob_matches(&self.resource_arn, arn.as_str())
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

    /// In a glob, `*` matches any sequence of characters, including none. All other characters, `?` included, match
    /// only themselves.
    #[test]
    fn glob_treats_only_star_as_wildcard() {
        for (glob, text) in [("a*", "a"), ("a*c", "abc"), ("*", ""), ("a*b*c", "axbxbc"), ("a**c", "ac"), ("a", "a")] {
            assert!(glob_matches(glob, text), "{glob} {text}");
        }
        for (glob, text) in [("a", "ab"), ("a*c", "ab"), ("ab*b", "ab"), ("a?", "ab"), ("a*b*c", "acb"), ("", "a")] {
            assert!(!glob_matches(glob, text), "{glob} {text}");
        }
    }

    /// Plain text consists of Unicode letters, digits, spaces and the marks `_.:/=+-@`. Control and invisible
    /// characters and other punctuation are not plain.
    #[test]
    fn plain_text_allows_letters_digits_and_marks() {
        for good in ["Größe 1", "東京", "_.:/=+-@", "", "a\u{3000}b"] {
            assert!(has_only_plain_chars(good), "{good}");
        }
        for bad in ["a,b", "a\tb", "a\nb", "x\u{200b}", "50%", "a(b)", "\u{202e}"] {
            assert!(!has_only_plain_chars(bad), "{bad:?}");
        }
    }
}
