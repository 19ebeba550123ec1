//! What is no fault in a policy, but probably not what its author meant.

use std::collections::HashMap;

use jiff::civil::Date;

use super::{Exemption, Policy, TagRule, ValueType, fault::quoted, spelling::folded};
use crate::ResourceType;

impl Policy {
    /// Hints for the author as of a day, one sentence each, in the policy's order.
    pub fn warnings(&self, on: Date) -> Vec<String> {
        let mut warnings: Vec<String> = self.never_judged().into_iter().collect();
        warnings.extend(self.rules.iter().flat_map(|rule| rule_warnings(rule, on)));
        let exemptions = self.exemptions.iter().enumerate();
        warnings.extend(exemptions.flat_map(|(index, exemption)| exemption_warnings(index, exemption, on)));
        warnings
    }

    fn never_judged(&self) -> Option<String> {
        let unjudged = ResourceType::ALL.iter().filter(|kind| !self.applies(**kind));
        let names: Vec<_> = unjudged.map(|kind| kind.as_str()).collect();
        let consequence = "such resources are not applicable, whatever their tags are";
        (!names.is_empty()).then(|| format!("no required tag applies to {}: {consequence}", names.join(", ")))
    }
}

fn rule_warnings(rule: &TagRule, on: Date) -> Vec<String> {
    let name = quoted(rule.name());
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
        warnings.push("validation_regex has no `^` and `$` at its ends; it matches whole values all the same");
    }
    if pattern.matches("") {
        warnings.push("validation_regex matches the empty value, which counts as EMPTY all the same");
    }
    warnings
}

fn value_warnings(rule: &TagRule, on: Date) -> Vec<String> {
    let values = rule.allowed_values().unwrap_or_default();
    let mut warnings = Vec::new();
    let mut met: HashMap<String, &String> = HashMap::new();
    for value in values {
        let shown = quoted(value);
        if value.trim() != value || value.is_empty() {
            warnings.push(format!("the allowed value {shown} is empty, or begins or ends with white space"));
        }
        let first = *met.entry(folded(value)).or_insert(value);
        if first != value {
            warnings.push(format!("the allowed values {} and {shown} differ in letter case only", quoted(first)));
        }
        let passed = super::date::day(value).filter(|day| *day < on);
        if let Some(day) = passed.filter(|_| rule.value_type() == ValueType::ExpirationDate) {
            warnings
                .push(format!("the allowed value {shown} expired on {day}, but stays allowed because it is listed"));
        }
    }
    warnings
}

fn exemption_warnings(index: usize, exemption: &Exemption, on: Date) -> Vec<String> {
    let arn = &exemption.resource_arn;
    let place = format!("exemptions[{index}] ({})", quoted(arn));
    let mut warnings = Vec::new();
    if let Some(last) = exemption.expires.filter(|last| *last < on) {
        warnings.push(format!("{place} expired on {last} and exempts nothing any more"));
    }
    if arn.strip_prefix("arn:").is_some_and(|rest| rest.chars().all(|c| matches!(c, '*' | ':'))) {
        warnings.push(format!("{place} exempts every resource"));
    }
    if arn.contains('?') {
        warnings.push(format!("{place} has a `?`, which stands for itself; only `*` stands for other text"));
    }
    if !arn.contains('*') && arn.parse::<crate::Arn>().is_err() {
        warnings.push(format!("{place} is not a whole ARN and has no `*`: it exempts nothing"));
    }
    warnings
}
