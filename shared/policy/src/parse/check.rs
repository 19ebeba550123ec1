//! Checks the parts of a policy against each other and against the AWS limits.

use std::collections::{HashMap, HashSet};

use tagledger_model::{
    ResourceType,
    inventory::{MAX_USER_TAGS, is_reserved},
};

use crate::{
    date,
    error::quote,
    parse::{
        draft::{PolicyDraft, TagDraft},
        json::{Position, Spanned, SpannedReader},
    },
    results::Code,
    rule::{NamingRules, ValueType},
    similarity::normal_form,
};

pub(crate) fn check_draft(reader: &mut SpannedReader<'_>, draft: &PolicyDraft) {
    for tag in draft.required.iter().chain(&draft.optional) {
        if let Some(name) = &tag.name {
            check_key(reader, tag, name, &draft.naming);
        }
        check_allowed_values(reader, tag, &draft.naming);
    }
    check_distinct_keys(reader, draft);
    check_tag_count(reader, draft);
}

fn check_key(reader: &mut SpannedReader<'_>, tag: &TagDraft, name: &Spanned<String>, naming: &NamingRules) {
    if is_reserved(&name.value) {
        let given = quote(&name.value);
        reader.report(&name.position, format!("{given} begins with `aws:`, which is reserved for AWS's own tags"));
    }
    let length = name.value.chars().count();
    let max_length = |kind: &ResourceType| kind.spec().tags.max_key_length;
    let too_long = |kind: &&ResourceType| length > max_length(kind) && tag.applies_to(**kind);
    if length > NamingRules::AWS_KEY_LENGTH {
        reader.report(&name.position, format!("the key has {length} characters; AWS accepts at most 128"));
    } else if let Some(kind) = ResourceType::ALL.iter().find(too_long) {
        let max = max_length(kind);
        reader
            .report(&name.position, format!("the key has {length} characters; for {kind}, AWS accepts at most {max}"));
    } else if let Some(violation) = naming.key_violation(&name.value) {
        reader.report(&name.position, naming_error_message(&name.value, violation, naming.max_key_length, "key"));
    }
}

fn naming_error_message(text: &str, violation: Code, max_length: usize, kind: &str) -> String {
    if violation == Code::TooLong {
        let length = text.chars().count();
        return format!("has {length} characters; tag_naming_rules.max_{kind}_length is {max_length}");
    }
    format!(
        "{} has characters other than letters, digits, spaces and `_ . : / = + - @`; remove them, or set \
         tag_naming_rules.allow_special_characters to true",
        quote(text)
    )
}

fn check_allowed_values(reader: &mut SpannedReader<'_>, tag: &TagDraft, naming: &NamingRules) {
    let (Some(values), Some(position)) = (&tag.allowed, &tag.allowed_position) else { return };
    if values.is_empty() {
        reader.report(position, "allows no value at all; list values, or remove the field to allow any value");
    }
    let mut seen = HashSet::new();
    for value in values {
        if !seen.insert(value.value.as_str()) {
            reader.report(&value.position, format!("{} is listed twice", quote(&value.value)));
        } else if let Some(message) = allowed_value_error(tag, &value.value, naming) {
            reader.report(&value.position, message);
        }
    }
}

/// Why a value cannot be in the list of allowed values.
fn allowed_value_error(tag: &TagDraft, value: &str, naming: &NamingRules) -> Option<String> {
    if let Some(violation) = naming.value_violation(value) {
        return Some(naming_error_message(value, violation, naming.max_value_length, "value"));
    }
    if let Some(pattern) = tag.pattern.as_ref().filter(|pattern| !pattern.matches(value)) {
        let (value, pattern) = (quote(value), quote(pattern.as_str()));
        return Some(format!("{value} does not match the validation_regex {pattern} of the tag as a whole"));
    }
    (tag.value_type != ValueType::Text && date::parse_utc_day(value).is_none())
        .then(|| format!("{} is not a date such as `2026-01-31`, which value_type requires", quote(value)))
}

/// A policy cannot define two keys that are variants of each other.
fn check_distinct_keys(reader: &mut SpannedReader<'_>, draft: &PolicyDraft) {
    let mut seen: HashMap<String, (&str, &Position)> = HashMap::new();
    for name in draft.required.iter().chain(&draft.optional).filter_map(|tag| tag.name.as_ref()) {
        let form = normal_form(&name.value);
        if form.is_empty() {
            reader.report(&name.position, format!("{} has neither a letter nor a digit", quote(&name.value)));
        } else if let Some((first, position)) = seen.get(&form) {
            let (given, first) = (quote(&name.value), quote(first));
            reader.report(
                &name.position,
                format!("{given} is the same key as {first} ({position}) apart from its spelling; keep one"),
            );
        } else {
            seen.insert(form, (&name.value, &name.position));
        }
    }
}

/// A resource cannot have more than 50 tags, so a policy cannot require more.
fn check_tag_count(reader: &mut SpannedReader<'_>, draft: &PolicyDraft) {
    for kind in ResourceType::ALL {
        let mut tags = draft.required.iter().chain(&draft.optional).filter(|tag| tag.applies_to(*kind));
        if let Some(excess) = tags.nth(MAX_USER_TAGS) {
            let message =
                format!("is tag {} for {kind}; a resource can have at most {MAX_USER_TAGS}", MAX_USER_TAGS + 1);
            reader.report(&excess.position, message);
            return;
        }
    }
}
