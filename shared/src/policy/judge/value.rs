//! Judges one value by one rule.

use std::borrow::Cow;

use jiff::civil::Date;

use crate::policy::{
    Code, TagRule, ValueType, date,
    spelling::{equal_but_for_case, within_one_edit},
};

/// Words that say that nobody filled the tag in.
const PLACEHOLDERS: [&str; 9] = ["tbd", "n/a", "none", "null", "unknown", "-", "todo", "xxx", "changeme"];
/// Values shorter than this have too many innocent neighbours one edit away.
const SHORTEST_FOR_EDITS: usize = 5;
/// Shorter beginnings of a value say too little.
const SHORTEST_PREFIX: usize = 3;

/// What is wrong with a value, and what to write instead where that is clear.
type Wrong<'a> = (Code, Option<Cow<'a, str>>);

impl TagRule {
    /// Whether a value satisfies the rule on a day.
    pub fn accepts(&self, value: &str, on: Date) -> bool {
        self.judge_value(value, on).is_none()
    }

    /// The value as it should be: itself where it satisfies the rule, else what it was clearly meant to be; none where nothing
    /// is clear.
    pub fn right_value<'a>(&'a self, value: &'a str, on: Date) -> Option<Cow<'a, str>> {
        match self.judge_value(value, on) {
            None => Some(value.into()),
            Some((_, fix)) => fix,
        }
    }

    /// The one thing that is wrong with a value, the most telling one where there are several.
    pub(super) fn judge_value<'a>(&'a self, value: &'a str, on: Date) -> Option<Wrong<'a>> {
        if self.allows(value) {
            return None;
        }
        let trimmed = trim(value);
        if let Some(code) = not_filled_in(value, trimmed) {
            return Some((code, self.allowed_but_for_case(trimmed).map(Cow::Borrowed)));
        }
        if self.allowed_values().is_some() {
            return Some(self.not_allowed(trimmed));
        }
        self.judge_form(value, trimmed, on)
    }

    fn allowed_but_for_case(&self, trimmed: &str) -> Option<&str> {
        let mut values = self.allowed_values().unwrap_or_default().iter().map(String::as_str);
        values.find(|allowed| equal_but_for_case(allowed, trimmed))
    }

    fn not_allowed(&self, trimmed: &str) -> Wrong<'_> {
        let values = || self.allowed_values().unwrap_or_default().iter().map(String::as_str);
        if let Some(exact) = values().find(|allowed| *allowed == trimmed) {
            return (Code::ValueWhitespace, Some(exact.into()));
        }
        if let Some(cased) = self.allowed_but_for_case(trimmed) {
            return (Code::ValueCase, Some(cased.into()));
        }
        let given = trimmed.to_lowercase();
        let mut near = values().filter(|allowed| is_near(&given, &allowed.to_lowercase()));
        let only = near.next().filter(|_| near.next().is_none());
        (Code::NotAllowed, only.map(Cow::Borrowed))
    }

    fn judge_form<'a>(&'a self, value: &'a str, trimmed: &'a str, on: Date) -> Option<Wrong<'a>> {
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
            && (self.value_type() == ValueType::Text || date::day(value).is_some())
    }

    fn has_expired(&self, value: &str, on: Date) -> bool {
        self.value_type() == ValueType::ExpirationDate && date::day(value).is_some_and(|last| last < on)
    }
}

fn not_filled_in(value: &str, trimmed: &str) -> Option<Code> {
    if value.is_empty() {
        return Some(Code::Empty);
    }
    if trimmed.is_empty() {
        return Some(Code::Blank);
    }
    let meant = |word: &str| {
        if trimmed.is_ascii() { word.eq_ignore_ascii_case(trimmed) } else { equal_but_for_case(word, trimmed) }
    };
    PLACEHOLDERS.iter().any(|word| meant(word)).then_some(Code::Placeholder)
}

/// Without white space at the ends, and without characters there that take no room, which no one can see either.
fn trim(value: &str) -> &str {
    value.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}'))
}

fn is_near(given: &str, allowed: &str) -> bool {
    let beginning = given.chars().count() >= SHORTEST_PREFIX && allowed.starts_with(given);
    beginning || within_one_edit(given, allowed, SHORTEST_FOR_EDITS)
}
