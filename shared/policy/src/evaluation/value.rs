//! Evaluates one value against one rule.

use std::borrow::Cow;

use jiff::civil::Date;

use crate::{
    date,
    results::Code,
    rule::{TagRule, ValueType},
    similarity::{equals_ignoring_case, within_one_edit},
};

/// Values that mean that the tag is not filled in.
const PLACEHOLDER_VALUES: [&str; 9] = ["tbd", "n/a", "none", "null", "unknown", "-", "todo", "xxx", "changeme"];

/// Values of fewer characters have too many unrelated values one edit away.
const MIN_LENGTH_FOR_EDITS: usize = 5;

/// Prefixes of fewer characters do not identify a value.
const MIN_PREFIX_LENGTH: usize = 3;

/// The code of an invalid value, and the corrected value when it is unambiguous.
type InvalidValue<'a> = (Code, Option<Cow<'a, str>>);

impl TagRule {
    /// Whether a value satisfies the rule on a date.
    pub fn accepts(&self, value: &str, on: Date) -> bool {
        self.evaluate_value(value, on).is_none()
    }

    /// The value itself when it satisfies the rule, else the corrected value; none when the correction is ambiguous.
    pub fn corrected_value<'a>(&'a self, value: &'a str, on: Date) -> Option<Cow<'a, str>> {
        match self.evaluate_value(value, on) {
            None => Some(value.into()),
            Some((_, fix)) => fix,
        }
    }

    /// The most specific violation by a value; none when the value satisfies the rule.
    pub(crate) fn evaluate_value<'a>(&'a self, value: &'a str, on: Date) -> Option<InvalidValue<'a>> {
        if self.allows(value) {
            return None;
        }
        let trimmed = trim_invisible(value);
        if let Some(code) = placeholder_code(value, trimmed) {
            return Some((code, self.allowed_ignoring_case(trimmed).map(Cow::Borrowed)));
        }
        if self.allowed_values().is_some() {
            return Some(self.explain_not_allowed(trimmed));
        }
        self.evaluate_form(value, trimmed, on)
    }

    fn allowed_ignoring_case(&self, trimmed: &str) -> Option<&str> {
        let mut values = self.allowed_values().unwrap_or_default().iter().map(String::as_str);
        values.find(|allowed| equals_ignoring_case(allowed, trimmed))
    }

    fn explain_not_allowed(&self, trimmed: &str) -> InvalidValue<'_> {
        let values = || self.allowed_values().unwrap_or_default().iter().map(String::as_str);
        if let Some(exact) = values().find(|allowed| *allowed == trimmed) {
            return (Code::ValueWhitespace, Some(exact.into()));
        }
        if let Some(cased) = self.allowed_ignoring_case(trimmed) {
            return (Code::ValueCase, Some(cased.into()));
        }
        let given = trimmed.to_lowercase();
        let mut similar = values().filter(|allowed| is_similar_value(&given, &allowed.to_lowercase()));
        let unambiguous = similar.next().filter(|_| similar.next().is_none());
        (Code::NotAllowed, unambiguous.map(Cow::Borrowed))
    }

    fn evaluate_form<'a>(&'a self, value: &'a str, trimmed: &'a str, on: Date) -> Option<InvalidValue<'a>> {
        if self.has_form(value) {
            return self.has_expired(value, on).then_some((Code::Expired, None));
        }
        if trimmed != value && self.has_form(trimmed) {
            return Some((Code::ValueWhitespace, Some(trimmed.into())));
        }
        let cased = [trimmed.to_lowercase(), trimmed.to_uppercase()].into_iter().find(|cased| self.has_form(cased));
        if let Some(cased) = cased {
            return Some((Code::ValueCase, Some(cased.into())));
        }
        let matches = self.pattern.as_ref().is_none_or(|pattern| pattern.matches(value));
        Some((if matches { Code::NotADate } else { Code::Regex }, None))
    }

    fn has_form(&self, value: &str) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| pattern.matches(value))
            && (self.value_type() == ValueType::Text || date::parse_utc_day(value).is_some())
    }

    fn has_expired(&self, value: &str, on: Date) -> bool {
        self.value_type() == ValueType::ExpirationDate && date::parse_utc_day(value).is_some_and(|last| last < on)
    }
}

fn placeholder_code(value: &str, trimmed: &str) -> Option<Code> {
    if value.is_empty() {
        return Some(Code::Empty);
    }
    if trimmed.is_empty() {
        return Some(Code::Blank);
    }
    let matches = |word: &str| {
        if trimmed.is_ascii() { word.eq_ignore_ascii_case(trimmed) } else { equals_ignoring_case(word, trimmed) }
    };
    PLACEHOLDER_VALUES.iter().any(|word| matches(word)).then_some(Code::Placeholder)
}

/// Trims white space and zero-width characters, which are invisible too.
fn trim_invisible(value: &str) -> &str {
    value.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}'))
}

fn is_similar_value(given: &str, allowed: &str) -> bool {
    let is_prefix = given.chars().count() >= MIN_PREFIX_LENGTH && allowed.starts_with(given);
    is_prefix || within_one_edit(given, allowed, MIN_LENGTH_FOR_EDITS)
}
