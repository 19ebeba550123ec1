//! Checks of a policy's parts against each other and against AWS's limits.

use std::collections::{HashMap, HashSet};

use super::{
    draft::{PolicyDraft, TagDraft},
    json::{Located, Reader, Spot},
};
use crate::{
    ResourceType,
    inventory::{MAX_USER_TAGS, is_reserved},
    policy::{NamingRules, ValueType, date, fault::quoted, spelling::normal_form, verdict::Code},
};

/// EC2 takes one character less than other services.
const EC2_KEY_LENGTH: usize = NamingRules::AWS_KEY_LENGTH - 1;

pub(super) fn policy(reader: &mut Reader<'_>, draft: &PolicyDraft) {
    for tag in draft.required.iter().chain(&draft.optional) {
        if let Some(name) = &tag.name {
            key(reader, tag, name, &draft.naming);
        }
        allowed_values(reader, tag, &draft.naming);
    }
    distinct_names(reader, draft);
    tag_count(reader, draft);
}

fn key(reader: &mut Reader<'_>, tag: &TagDraft, name: &Located<String>, naming: &NamingRules) {
    if is_reserved(&name.value) {
        let given = quoted(&name.value);
        reader.fault(&name.spot, format!("{given} begins with `aws:`, which is reserved for AWS's own tags"));
    }
    let length = name.value.chars().count();
    let ec2 = |kind: &&ResourceType| kind.as_str().starts_with("ec2:") && tag.applies(**kind);
    if length > NamingRules::AWS_KEY_LENGTH {
        reader.fault(&name.spot, format!("the key has {length} characters; AWS takes at most 128"));
    } else if let Some(kind) = ResourceType::ALL.iter().find(ec2).filter(|_| length > EC2_KEY_LENGTH) {
        reader.fault(&name.spot, format!("the key has {length} characters; for {kind}, AWS takes at most 127"));
    } else if let Some(breach) = naming.breach_of_key(&name.value) {
        reader.fault(&name.spot, breach_message(&name.value, breach, naming.max_key_length, "key"));
    }
}

fn breach_message(text: &str, breach: Code, longest: usize, kind: &str) -> String {
    if breach == Code::TooLong {
        let length = text.chars().count();
        return format!("has {length} characters; tag_naming_rules.max_{kind}_length is {longest}");
    }
    format!(
        "{} has characters other than letters, digits, spaces and `_ . : / = + - @`; leave them out, or set \
         tag_naming_rules.allow_special_characters to true",
        quoted(text)
    )
}

fn allowed_values(reader: &mut Reader<'_>, tag: &TagDraft, naming: &NamingRules) {
    let (Some(values), Some(spot)) = (&tag.allowed, &tag.allowed_spot) else { return };
    if values.is_empty() {
        reader.fault(spot, "allows no value at all; list some, or leave the field out to allow any");
    }
    let mut seen = HashSet::new();
    for value in values {
        if !seen.insert(value.value.as_str()) {
            reader.fault(&value.spot, format!("{} is listed twice", quoted(&value.value)));
        } else if let Some(message) = misfit(tag, &value.value, naming) {
            reader.fault(&value.spot, message);
        }
    }
}

/// Why a value may not be allowed.
fn misfit(tag: &TagDraft, value: &str, naming: &NamingRules) -> Option<String> {
    if let Some(breach) = naming.breach_of_value(value) {
        return Some(breach_message(value, breach, naming.max_value_length, "value"));
    }
    if let Some(pattern) = tag.pattern.as_ref().filter(|pattern| !pattern.matches(value)) {
        let (value, pattern) = (quoted(value), quoted(pattern.as_str()));
        return Some(format!("{value} does not match the tag's own validation_regex {pattern} as a whole"));
    }
    (tag.value_type != ValueType::Text && date::day(value).is_none())
        .then(|| format!("{} is not a date such as `2026-01-31`, which value_type asks for", quoted(value)))
}

/// Two names that a person takes for one key cannot both be in a policy.
fn distinct_names(reader: &mut Reader<'_>, draft: &PolicyDraft) {
    let mut seen: HashMap<String, (&str, &Spot)> = HashMap::new();
    for name in draft.required.iter().chain(&draft.optional).filter_map(|tag| tag.name.as_ref()) {
        let form = normal_form(&name.value);
        if form.is_empty() {
            reader.fault(&name.spot, format!("{} has neither a letter nor a digit", quoted(&name.value)));
        } else if let Some((first, spot)) = seen.get(&form) {
            let (given, first) = (quoted(&name.value), quoted(first));
            reader.fault(&name.spot, format!("{given} is the same key as {first} ({spot}), spelling aside; keep one"));
        } else {
            seen.insert(form, (&name.value, &name.spot));
        }
    }
}

/// A resource cannot carry more than 50 tags, so no more may be asked of it.
fn tag_count(reader: &mut Reader<'_>, draft: &PolicyDraft) {
    for kind in ResourceType::ALL {
        let mut tags = draft.required.iter().chain(&draft.optional).filter(|tag| tag.applies(*kind));
        if let Some(excess) = tags.nth(MAX_USER_TAGS) {
            let message =
                format!("is tag {} for {kind}; a resource carries at most {MAX_USER_TAGS}", MAX_USER_TAGS + 1);
            reader.fault(&excess.spot, message);
            return;
        }
    }
}
