//! An index of the unusual keys and values of one resource, built in one pass over its tags.
//!
//! Most resources have no unusual tags. For those, the pass allocates nothing.

use tagledger_model::inventory::TagSet;

use crate::{
    policy::Policy,
    results::Code,
    similarity::{Similarity, ascii_normal_form, compare_keys, equals_ignoring_case, form_hash, normal_form},
};

/// The unusual tags of a resource. Each list is in the order of the keys.
#[derive(Default)]
pub(crate) struct KeyIndex<'a> {
    /// The number of user tags.
    pub(crate) user_tags: usize,
    pub(crate) variants: Vec<KeyVariant<'a>>,
    pub(crate) violations: Vec<NamingViolation<'a>>,
    pub(crate) duplicates: Vec<DuplicateKey<'a>>,
}

/// A key that is probably a variant of a key of the policy.
pub(crate) struct KeyVariant<'a> {
    /// The index of the rule.
    pub(crate) rule: usize,
    pub(crate) key: &'a str,
    pub(crate) value: &'a str,
    /// `KEY_CASE_MISMATCH` or `KEY_NEAR_MISS`.
    pub(crate) code: Code,
}

/// A key or value that violates the naming rules.
pub(crate) struct NamingViolation<'a> {
    pub(crate) key: &'a str,
    /// The value that violates the rules; none when the key does.
    pub(crate) value: Option<&'a str>,
    pub(crate) code: Code,
}

/// A further variant of a key that the resource already has.
pub(crate) struct DuplicateKey<'a> {
    /// The index of the rule that defines the key; none when no rule does.
    pub(crate) rule: Option<usize>,
    pub(crate) first: &'a str,
    pub(crate) key: &'a str,
    pub(crate) value: &'a str,
    /// `DUPLICATE_KEY_VARIANT` or `CONFLICTING_VALUES`.
    pub(crate) code: Code,
}

impl<'a> KeyIndex<'a> {
    pub(crate) fn build(policy: &Policy, tags: &'a TagSet) -> Self {
        let mut index = Self::default();
        let mut forms = NormalFormFilter::default();
        let mut may_have_duplicates = false;
        let mut buffer = [0; 128];
        for (key, value) in tags.user() {
            index.user_tags += 1;
            index.add_naming_violations(policy, key, value);
            if let Some(rule) = policy.rules.iter().find(|rule| rule.name() == key) {
                // An exact key is not a variant of another key.
                may_have_duplicates |= forms.insert(rule.form_hash());
            } else if let Some(form) = ascii_normal_form(key, &mut buffer) {
                index.add_variants(policy, form, key, value);
                may_have_duplicates |= forms.insert(form_hash(form));
            } else {
                index.add_variants(policy, &normal_form(key), key, value);
                may_have_duplicates = true;
            }
        }
        if may_have_duplicates {
            index.duplicates = find_duplicate_keys(policy, tags);
        }
        index
    }

    fn add_naming_violations(&mut self, policy: &Policy, key: &'a str, value: &'a str) {
        if let Some(code) = policy.naming.key_violation(key) {
            self.violations.push(NamingViolation { key, value: None, code });
        }
        if let Some(code) = policy.naming.value_violation(value) {
            self.violations.push(NamingViolation { key, value: Some(value), code });
        }
    }

    /// Adds the key as a variant of each rule's key that it is similar to. A key with the normal form of one rule's key
    /// is a variant of that key only.
    fn add_variants(&mut self, policy: &Policy, form: &str, key: &'a str, value: &'a str) {
        let before = self.variants.len();
        for (rule, expected) in policy.rules.iter().enumerate() {
            match compare_keys(form, expected.normal_form()) {
                Similarity::Other => {}
                Similarity::OneEdit => self.variants.push(KeyVariant { rule, key, value, code: Code::KeyNearMiss }),
                Similarity::Same => {
                    self.variants.truncate(before);
                    if key != expected.name() {
                        let case_only = equals_ignoring_case(key, expected.name());
                        let code = if case_only { Code::KeyCaseMismatch } else { Code::KeyNearMiss };
                        self.variants.push(KeyVariant { rule, key, value, code });
                    }
                    return;
                }
            }
        }
    }
}

/// A small Bloom filter of hashes of normal forms: it may report a form as present that is not, but never the reverse.
#[derive(Default)]
struct NormalFormFilter([u64; 32]);

impl NormalFormFilter {
    /// Inserts a hash, and returns whether it may have been present before.
    fn insert(&mut self, hash: u64) -> bool {
        let [.., high, low] = (hash ^ (hash >> 32)).to_be_bytes();
        let bit = 1 << (low & 63);
        let Some(word) = self.0.get_mut(usize::from(high & 31)) else { return true };
        let present = *word & bit != 0;
        *word |= bit;
        present
    }
}

/// The user keys that share their normal form with another user key, in the order of the forms. The key of each group
/// that counts is left out; the others are variants of it.
fn find_duplicate_keys<'a>(policy: &Policy, tags: &'a TagSet) -> Vec<DuplicateKey<'a>> {
    let mut forms: Vec<_> = tags.user().map(|(key, value)| (normal_form(key), key, value)).collect();
    forms.sort();
    let mut duplicates = Vec::new();
    for group in forms.chunk_by(|a, b| a.0 == b.0).filter(|group| group.len() > 1) {
        let Some((form, _, _)) = group.first().filter(|(form, _, _)| !form.is_empty()) else { continue };
        let rule = policy.rules.iter().position(|rule| rule.normal_form() == form);
        let name = rule.and_then(|index| policy.rules.get(index)).map_or("", |rule| rule.name());
        let exact = group.iter().find(|(_, key, _)| *key == name);
        let case_variant = || group.iter().find(|(_, key, _)| equals_ignoring_case(key, name));
        let Some(&(_, first, first_value)) = exact.or_else(case_variant).or(group.first()) else { continue };
        for &(_, key, value) in group.iter().filter(|(_, key, _)| *key != first) {
            let code = if value == first_value { Code::DuplicateKeyVariant } else { Code::ConflictingValues };
            duplicates.push(DuplicateKey { rule, first, key, value, code });
        }
    }
    duplicates
}
