//! Evaluates one resource against the policy.

pub(crate) mod key_index;
pub(crate) mod value;

use jiff::civil::Date;
use tagledger_model::{
    ResourceType,
    inventory::{MAX_USER_TAGS, TagSet, Tags},
};

use crate::{
    evaluation::key_index::{DuplicateKey, KeyIndex},
    policy::Policy,
    results::{Code, Evaluation, Finding, Severity, State, Subject},
    rule::TagRule,
};

/// The number of tags from which `TAG_LIMIT_NEAR` is reported: nine tenths of the AWS limit.
const NEAR_TAG_LIMIT: usize = MAX_USER_TAGS / 10 * 9;

impl Policy {
    /// Evaluates a resource on a date in UTC, which decides what has expired.
    ///
    /// Findings are in the order of the policy, then of the keys. The same arguments always give the same evaluation.
    pub fn evaluate<'a>(&'a self, subject: &Subject<'a>, on: Date) -> Evaluation<'a> {
        let tags = match subject.tags {
            Tags::Unknown(_) => return Evaluation::without_findings(State::Unknown),
            Tags::Untaggable => return Evaluation::without_findings(State::NotApplicable),
            Tags::Known(tags) => tags,
        };
        if self.exemption(subject.arn, on).is_some() {
            return Evaluation::without_findings(State::Exempt);
        }
        if !self.applies_to(subject.resource_type) {
            return Evaluation::without_findings(State::NotApplicable);
        }
        let index = KeyIndex::build(self, tags);
        Evaluator { policy: self, tags, on, index, findings: Vec::new() }.evaluate(subject.resource_type)
    }
}

struct Evaluator<'a> {
    policy: &'a Policy,
    tags: &'a TagSet,
    on: Date,
    index: KeyIndex<'a>,
    findings: Vec<Finding<'a>>,
}

impl<'a> Evaluator<'a> {
    fn evaluate(mut self, resource_type: ResourceType) -> Evaluation<'a> {
        for (rule_index, rule) in self.policy.rules.iter().enumerate() {
            if rule.applies_to(resource_type) {
                self.evaluate_rule(rule_index, rule);
            }
            self.report_duplicates(Some(rule_index));
        }
        let first_other = self.findings.len();
        self.report_duplicates(None);
        self.report_naming_violations(None);
        // The sort is stable: findings about one key keep their order.
        self.findings.split_at_mut(first_other).1.sort_by_key(|finding| finding.key.unwrap_or(finding.tag));
        if self.index.user_tags >= NEAR_TAG_LIMIT {
            self.findings.push(warning(Code::TagLimitNear, ""));
        }
        let has_error = self.findings.iter().any(|finding| finding.severity == Severity::Error);
        let state = if has_error { State::NonCompliant } else { State::Compliant };
        Evaluation { state, findings: self.findings }
    }

    fn evaluate_rule(&mut self, rule_index: usize, rule: &'a TagRule) {
        let severity = if rule_index < self.policy.required { Severity::Error } else { Severity::Warning };
        if let Some(value) = self.tags.get(rule.name()) {
            self.evaluate_tag(rule, rule.name(), value, severity);
        } else if let Some((key, value)) = self.find_case_variant(rule_index) {
            let name = rule.name();
            let mismatch = warning(Code::KeyCaseMismatch, name);
            self.findings.push(Finding { key: Some(key), value: Some(value), fix: Some(name.into()), ..mismatch });
            self.evaluate_tag(rule, key, value, severity);
        } else {
            if severity == Severity::Error {
                self.findings.push(Finding { severity, ..warning(Code::Missing, rule.name()) });
            }
            self.report_key_variants(rule_index, rule);
        }
    }

    /// The first tag by key that satisfies a rule although its key differs in letter case.
    fn find_case_variant(&self, rule_index: usize) -> Option<(&'a str, &'a str)> {
        if self.policy.naming.case_sensitivity {
            return None;
        }
        let mut variants = self.index.variants.iter();
        let variant = variants.find(|key| key.rule == rule_index && key.code == Code::KeyCaseMismatch)?;
        Some((variant.key, variant.value))
    }

    fn evaluate_tag(&mut self, rule: &'a TagRule, key: &'a str, value: &'a str, severity: Severity) {
        let actual_key = Some(key).filter(|key| *key != rule.name());
        if let Some((code, fix)) = rule.evaluate_value(value, self.on) {
            self.findings.push(Finding { code, severity, tag: rule.name(), key: actual_key, value: Some(value), fix });
            self.index.violations.retain(|violation| violation.key != key || violation.value.is_none());
        }
        self.report_naming_violations(Some((rule.name(), key)));
    }

    /// Reports keys that are probably variants of the rule's key.
    fn report_key_variants(&mut self, rule_index: usize, rule: &'a TagRule) {
        for variant in self.index.variants.iter().filter(|variant| variant.rule == rule_index) {
            let (key, value, fix) = (Some(variant.key), Some(variant.value), Some(rule.name().into()));
            self.findings.push(Finding { key, value, fix, ..warning(variant.code, rule.name()) });
        }
    }

    /// Reports the violations of the naming rules by one key, as those of a tag of the policy. Without a tag, reports
    /// the violations that are not reported yet.
    fn report_naming_violations(&mut self, tag_and_key: Option<(&'a str, &'a str)>) {
        let findings = &mut self.findings;
        self.index.violations.retain(|violation| {
            if tag_and_key.is_some_and(|(_, key)| key != violation.key) {
                return true;
            }
            let tag = tag_and_key.map_or(violation.key, |(tag, _)| tag);
            let key = Some(violation.key).filter(|key| *key != tag);
            findings.push(Finding { key, value: violation.value, ..warning(violation.code, tag) });
            false
        });
    }

    /// Reports further variants of a rule's key, or of keys that no rule defines.
    fn report_duplicates(&mut self, rule_index: Option<usize>) {
        for duplicate in self.index.duplicates.iter().filter(|duplicate| duplicate.rule == rule_index) {
            let DuplicateKey { first, key, value, code, .. } = *duplicate;
            let name = rule_index.and_then(|index| self.policy.rules.get(index)).map(TagRule::name);
            let (tag, fix) = (name.unwrap_or(first), name.map(Into::into));
            self.findings.push(Finding { key: Some(key), value: Some(value), fix, ..warning(code, tag) });
        }
    }
}

const fn warning(code: Code, tag: &str) -> Finding<'_> {
    Finding { code, severity: Severity::Warning, tag, key: None, value: None, fix: None }
}
