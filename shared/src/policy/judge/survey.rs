//! One pass over a resource's tags that notes what is unusual about them. Most resources have nothing to note, and for
//! those the pass allocates nothing.

use crate::{
    inventory::TagSet,
    policy::{
        Code, Policy,
        spelling::{Likeness, ascii_normal_form, equal_but_for_case, form_hash, likeness, normal_form},
    },
};

/// What is unusual about the tags of a resource. Lists are in the order of keys.
#[derive(Default)]
pub(super) struct Survey<'a> {
    /// How many user tags there are.
    pub(super) count: usize,
    pub(super) spellings: Vec<Spelling<'a>>,
    pub(super) breaches: Vec<Breach<'a>>,
    pub(super) twins: Vec<Twin<'a>>,
}

/// A key that is almost a key of the policy.
pub(super) struct Spelling<'a> {
    /// The index of the rule.
    pub(super) rule: usize,
    pub(super) key: &'a str,
    pub(super) value: &'a str,
    /// `KEY_CASE_MISMATCH` or `KEY_NEAR_MISS`.
    pub(super) code: Code,
}

/// A key or value against the naming rules.
pub(super) struct Breach<'a> {
    pub(super) key: &'a str,
    /// None when it is about the key.
    pub(super) value: Option<&'a str>,
    pub(super) code: Code,
}

/// A further spelling of a key that the resource has already.
pub(super) struct Twin<'a> {
    /// The index of the rule whose key both are; none where there is no such rule.
    pub(super) rule: Option<usize>,
    pub(super) first: &'a str,
    pub(super) key: &'a str,
    pub(super) value: &'a str,
    /// `DUPLICATE_KEY_VARIANT` or `CONFLICTING_VALUES`.
    pub(super) code: Code,
}

impl<'a> Survey<'a> {
    pub(super) fn of(policy: &Policy, tags: &'a TagSet) -> Self {
        let mut survey = Self::default();
        let mut forms = SeenForms::default();
        let mut perhaps_twins = false;
        let mut buffer = [0; 128];
        for (key, value) in tags.user() {
            survey.count += 1;
            survey.note_breaches(policy, key, value);
            if let Some(rule) = policy.rules.iter().find(|rule| rule.name() == key) {
                // To the letter: a near miss of nothing.
                perhaps_twins |= forms.may_hold(rule.form_hash());
            } else if let Some(form) = ascii_normal_form(key, &mut buffer) {
                survey.note_spelling(policy, form, key, value);
                perhaps_twins |= forms.may_hold(form_hash(form));
            } else {
                survey.note_spelling(policy, &normal_form(key), key, value);
                perhaps_twins = true;
            }
        }
        if perhaps_twins {
            survey.twins = twins(policy, tags);
        }
        survey
    }

    fn note_breaches(&mut self, policy: &Policy, key: &'a str, value: &'a str) {
        if let Some(code) = policy.naming.breach_of_key(key) {
            self.breaches.push(Breach { key, value: None, code });
        }
        if let Some(code) = policy.naming.breach_of_value(value) {
            self.breaches.push(Breach { key, value: Some(value), code });
        }
    }

    /// Notes the rules whose key this one may have been meant to be. A key that has the normal form of one rule's key is
    /// meant for no other.
    fn note_spelling(&mut self, policy: &Policy, form: &str, key: &'a str, value: &'a str) {
        let before = self.spellings.len();
        for (rule, wanted) in policy.rules.iter().enumerate() {
            match likeness(form, wanted.normal_form()) {
                Likeness::Other => {}
                Likeness::OneEdit => self.spellings.push(Spelling { rule, key, value, code: Code::KeyNearMiss }),
                Likeness::Same => {
                    self.spellings.truncate(before);
                    if key != wanted.name() {
                        let cased = equal_but_for_case(key, wanted.name());
                        let code = if cased { Code::KeyCaseMismatch } else { Code::KeyNearMiss };
                        self.spellings.push(Spelling { rule, key, value, code });
                    }
                    return;
                }
            }
        }
    }
}

/// A small Bloom filter: says no for sure, yes perhaps.
#[derive(Default)]
struct SeenForms([u64; 32]);

impl SeenForms {
    /// Adds a form by its hash; whether it may have been there before.
    fn may_hold(&mut self, hash: u64) -> bool {
        let [.., high, low] = (hash ^ (hash >> 32)).to_be_bytes();
        let bit = 1 << (low & 63);
        let Some(word) = self.0.get_mut(usize::from(high & 31)) else { return true };
        let seen = *word & bit != 0;
        *word |= bit;
        seen
    }
}

/// Every user key whose normal form another user key has too, in the order of keys; the canonical one of each group, of
/// which the others are variants, is left out.
fn twins<'a>(policy: &Policy, tags: &'a TagSet) -> Vec<Twin<'a>> {
    let mut forms: Vec<_> = tags.user().map(|(key, value)| (normal_form(key), key, value)).collect();
    forms.sort();
    let mut twins = Vec::new();
    for group in forms.chunk_by(|a, b| a.0 == b.0).filter(|group| group.len() > 1) {
        let Some((form, _, _)) = group.first().filter(|(form, _, _)| !form.is_empty()) else { continue };
        let rule = policy.rules.iter().position(|rule| rule.normal_form() == form);
        let name = rule.and_then(|index| policy.rules.get(index)).map_or("", |rule| rule.name());
        let exact = group.iter().find(|(_, key, _)| *key == name);
        let cased = || group.iter().find(|(_, key, _)| equal_but_for_case(key, name));
        let Some(&(_, first, kept)) = exact.or_else(cased).or(group.first()) else { continue };
        for &(_, key, value) in group.iter().filter(|(_, key, _)| *key != first) {
            let code = if value == kept { Code::DuplicateKeyVariant } else { Code::ConflictingValues };
            twins.push(Twin { rule, first, key, value, code });
        }
    }
    twins
}
