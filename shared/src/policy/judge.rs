//! Judges one resource by the policy.

use jiff::civil::Date;

use super::{
    Code, Finding, Policy, Severity, State, Subject, TagRule, Verdict,
    judge::survey::{Survey, Twin},
};
use crate::{
    ResourceType,
    inventory::{MAX_USER_TAGS, TagSet, Tags},
};

mod survey;
mod value;

/// From here on there is little room for further tags: nine tenths of what AWS allows.
const NEAR_TAG_LIMIT: usize = MAX_USER_TAGS / 10 * 9;

impl Policy {
    /// Judges a resource as of a day in UTC, which decides what has expired.
    ///
    /// Findings stand in the policy's order, then by key; the same tags always give the same verdict.
    pub fn judge<'a>(&'a self, subject: &Subject<'a>, on: Date) -> Verdict<'a> {
        let tags = match subject.tags {
            Tags::Unknown(_) => return Verdict::bare(State::Unknown),
            Tags::Untaggable => return Verdict::bare(State::NotApplicable),
            Tags::Known(tags) => tags,
        };
        if self.exemption(subject.arn, on).is_some() {
            return Verdict::bare(State::Exempt);
        }
        if !self.applies(subject.resource_type) {
            return Verdict::bare(State::NotApplicable);
        }
        let survey = Survey::of(self, tags);
        Judgement { policy: self, tags, on, survey, findings: Vec::new() }.reach(subject.resource_type)
    }
}

struct Judgement<'a> {
    policy: &'a Policy,
    tags: &'a TagSet,
    on: Date,
    survey: Survey<'a>,
    findings: Vec<Finding<'a>>,
}

impl<'a> Judgement<'a> {
    fn reach(mut self, resource_type: ResourceType) -> Verdict<'a> {
        for (index, rule) in self.policy.rules.iter().enumerate() {
            if rule.applies(resource_type) {
                self.judge_rule(index, rule);
            }
            self.report_twins(Some(index));
        }
        let others = self.findings.len();
        self.report_twins(None);
        self.report_breaches(None);
        // Stable: findings about one key keep their order.
        self.findings.split_at_mut(others).1.sort_by_key(|finding| finding.key.unwrap_or(finding.tag));
        if self.survey.count >= NEAR_TAG_LIMIT {
            self.findings.push(warning(Code::TagLimitNear, ""));
        }
        let wrong = self.findings.iter().any(|finding| finding.severity == Severity::Error);
        let state = if wrong { State::NonCompliant } else { State::Compliant };
        Verdict { state, findings: self.findings }
    }

    fn judge_rule(&mut self, index: usize, rule: &'a TagRule) {
        let severity = if index < self.policy.required { Severity::Error } else { Severity::Warning };
        if let Some(value) = self.tags.get(rule.name()) {
            self.judge_tag(rule, rule.name(), value, severity);
        } else if let Some((key, value)) = self.in_other_case(index) {
            let name = rule.name();
            let spelling = warning(Code::KeyCaseMismatch, name);
            self.findings.push(Finding { key: Some(key), value: Some(value), fix: Some(name.into()), ..spelling });
            self.judge_tag(rule, key, value, severity);
        } else {
            if severity == Severity::Error {
                self.findings.push(Finding { severity, ..warning(Code::Missing, rule.name()) });
            }
            self.report_spellings(index, rule);
        }
    }

    /// The tag that satisfies a rule although its key differs in letter case, the first by key.
    fn in_other_case(&self, rule: usize) -> Option<(&'a str, &'a str)> {
        if self.policy.naming.case_sensitivity {
            return None;
        }
        let hit = self.survey.spellings.iter().find(|hit| hit.rule == rule && hit.code == Code::KeyCaseMismatch)?;
        Some((hit.key, hit.value))
    }

    fn judge_tag(&mut self, rule: &'a TagRule, key: &'a str, value: &'a str, severity: Severity) {
        let found = Some(key).filter(|key| *key != rule.name());
        let wrong = rule.judge_value(value, self.on);
        if let Some((code, fix)) = wrong {
            self.findings.push(Finding { code, severity, tag: rule.name(), key: found, value: Some(value), fix });
            self.survey.breaches.retain(|breach| breach.key != key || breach.value.is_none());
        }
        self.report_breaches(Some((rule.name(), key)));
    }

    /// Reports keys that were probably meant to be the rule's.
    fn report_spellings(&mut self, index: usize, rule: &'a TagRule) {
        for hit in self.survey.spellings.iter().filter(|hit| hit.rule == index) {
            let (key, value, fix) = (Some(hit.key), Some(hit.value), Some(rule.name().into()));
            self.findings.push(Finding { key, value, fix, ..warning(hit.code, rule.name()) });
        }
    }

    /// Reports what breaks the naming rules: of one key, under the tag that it stands for, or all that is left.
    fn report_breaches(&mut self, of: Option<(&'a str, &'a str)>) {
        let findings = &mut self.findings;
        self.survey.breaches.retain(|breach| {
            if of.is_some_and(|(_, key)| key != breach.key) {
                return true;
            }
            let tag = of.map_or(breach.key, |(tag, _)| tag);
            let key = Some(breach.key).filter(|key| *key != tag);
            findings.push(Finding { key, value: breach.value, ..warning(breach.code, tag) });
            false
        });
    }

    /// Reports second spellings of a rule's key, or of keys that no rule names.
    fn report_twins(&mut self, rule: Option<usize>) {
        for twin in self.survey.twins.iter().filter(|twin| twin.rule == rule) {
            let Twin { first, key, value, code, .. } = *twin;
            let name = rule.and_then(|index| self.policy.rules.get(index)).map(TagRule::name);
            let (tag, fix) = (name.unwrap_or(first), name.map(Into::into));
            self.findings.push(Finding { key: Some(key), value: Some(value), fix, ..warning(code, tag) });
        }
    }
}

const fn warning(code: Code, tag: &str) -> Finding<'_> {
    Finding { code, severity: Severity::Warning, tag, key: None, value: None, fix: None }
}
