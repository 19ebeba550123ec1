//! Warnings about valid settings of a policy that are probably mistakes.

use std::collections::HashMap;

use jiff::civil::Date;
use tagledger_model::ResourceType;

use crate::{
    date,
    error::quote,
    policy::Policy,
    rule::{Exemption, TagRule, ValueType},
    similarity::case_folded,
};

impl Policy {
    /// Warnings for the author on a date, one sentence each, in the order of the policy.
    pub fn warnings(&self, on: Date) -> Vec<String> {
        let mut warnings: Vec<String> = self.types_without_required_tag().into_iter().collect();
        warnings.extend(self.rules.iter().flat_map(|rule| rule_warnings(rule, on)));
        let exemptions = self.exemptions.iter().enumerate();
        warnings.extend(exemptions.flat_map(|(index, exemption)| exemption_warnings(index, exemption, on)));
        warnings
    }

    fn types_without_required_tag(&self) -> Option<String> {
        let not_evaluated = ResourceType::ALL.iter().filter(|kind| !self.applies_to(**kind));
        let names: Vec<_> = not_evaluated.map(|kind| kind.as_str()).collect();
        let consequence = "such resources are not applicable, regardless of their tags";
        (!names.is_empty()).then(|| format!("no required tag applies to {}: {consequence}", names.join(", ")))
    }
}

fn rule_warnings(rule: &TagRule, on: Date) -> Vec<String> {
    let name = quote(rule.name());
    let mut warnings = Vec::new();
    if rule.name().trim() != rule.name() {
        warnings.push(format!("the key of tag {name} begins or ends with white space"));
    }
    warnings.extend(pattern_warnings(rule).into_iter().map(|text| format!("tag {name}: {text}")));
    warnings.extend(value_warnings(rule, on).into_iter().map(|text| format!("tag {name}: {text}")));
    warnings
}

fn pattern_warnings(rule: &TagRule) -> Vec<&'static str> {
    let Some(pattern) = &rule.pattern else { return Vec::new() };
    if rule.allowed_values().is_some() {
        return vec!["validation_regex has no effect because allowed_values are given"];
    }
    let mut warnings = Vec::new();
    if !(pattern.as_str().starts_with('^') && pattern.as_str().ends_with('$')) {
        warnings.push("validation_regex has no `^` and `$` at its ends; it still matches only entire values");
    }
    if pattern.matches("") {
        warnings.push("validation_regex matches the empty value, which is EMPTY nevertheless");
    }
    warnings
}

fn value_warnings(rule: &TagRule, on: Date) -> Vec<String> {
    let values = rule.allowed_values().unwrap_or_default();
    let mut warnings = Vec::new();
    let mut first_by_folded: HashMap<String, &String> = HashMap::new();
    for value in values {
        let shown = quote(value);
        if value.trim() != value || value.is_empty() {
            warnings.push(format!("the allowed value {shown} is empty, or begins or ends with white space"));
        }
        let first = *first_by_folded.entry(case_folded(value)).or_insert(value);
        if first != value {
            warnings.push(format!("the allowed values {} and {shown} differ in letter case only", quote(first)));
        }
        let expired = date::parse_utc_day(value).filter(|day| *day < on);
        if let Some(day) = expired.filter(|_| rule.value_type() == ValueType::ExpirationDate) {
            warnings
                .push(format!("the allowed value {shown} expired on {day}, but is still allowed because it is listed"));
        }
    }
    warnings
}

fn exemption_warnings(index: usize, exemption: &Exemption, on: Date) -> Vec<String> {
    let arn = &exemption.resource_arn;
    let place = format!("exemptions[{index}] ({})", quote(arn));
    let mut warnings = Vec::new();
    if let Some(last) = exemption.expires.filter(|last| *last < on) {
        warnings.push(format!("{place} expired on {last} and no longer exempts a resource"));
    }
    if arn.strip_prefix("arn:").is_some_and(|rest| rest.chars().all(|c| matches!(c, '*' | ':'))) {
        warnings.push(format!("{place} exempts every resource"));
    }
    if arn.contains('?') {
        warnings.push(format!("{place} has a `?`, which matches only itself; only `*` is a wildcard"));
    }
    if !arn.contains('*') && arn.parse::<tagledger_model::Arn>().is_err() {
        warnings.push(format!("{place} is not a complete ARN and has no `*`: it exempts nothing"));
    }
    warnings
}
