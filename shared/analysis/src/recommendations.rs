//! Recommendations of what to tag first: groups of related resources that violate the same rule, with the value that
//! related resources have.
//!
//! A value is recommended only when 90 percent of the related resources with a valid value have it.

use std::{cmp::Reverse, collections::BTreeMap};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use tagledger_cost::Amount;
use tagledger_model::ResourceType;
use tagledger_policy::{Code, Policy, TagRule};

/// Resources of one type with the same policy tags and the same violations. A group may contain only a part of these
/// resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagGroup {
    /// The type of the resources.
    pub resource_type: ResourceType,
    /// The tags whose keys the policy defines, in the order of the keys.
    pub tags: Vec<(String, String)>,
    /// The required keys that are missing or invalid, with the codes of the findings.
    pub violations: Vec<(String, Code)>,
    /// The number of resources.
    pub resources: u64,
    /// The monthly cost of the resources whose cost is known.
    pub cost: Amount,
    /// The number of resources whose cost is known.
    pub with_cost: u64,
}

/// A recommendation to correct one tag of a group of resources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagRecommendation {
    /// The resource type.
    pub resource_type: ResourceType,
    /// The key that is missing or invalid.
    pub key: String,
    /// The tag by which the resources are grouped; none when they have no valid tag.
    #[serde(rename = "by")]
    pub grouping_tag: Option<(String, String)>,
    /// The recommended value, when the related resources agree on one.
    pub value: Option<SuggestedValue>,
    /// The number of resources.
    pub resources: u64,
    /// The known monthly cost of the resources. It is not serialized, because only the newest snapshot has costs.
    #[serde(skip)]
    pub cost: Amount,
}

/// The violations of one required key with one code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViolationGroup {
    /// The key.
    pub key: String,
    /// The code of the findings.
    pub code: Code,
    /// The number of resources.
    pub resources: u64,
    /// The monthly cost of the resources whose cost is known. It is not serialized, for the same reason.
    #[serde(skip)]
    pub cost: Amount,
    /// The number of resources whose cost is known.
    #[serde(skip)]
    pub with_cost: u64,
}

/// The maximum number of recommendations in a set.
pub const MAX_RECOMMENDATIONS: usize = 5;

/// The violations of a snapshot, and recommendations to correct them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecommendationSet {
    /// The violations, the most frequent first.
    #[serde(rename = "faults")]
    pub violations: Vec<ViolationGroup>,
    /// The first [`MAX_RECOMMENDATIONS`] recommendations, those with the highest cost first.
    #[serde(rename = "advice")]
    pub recommendations: Vec<TagRecommendation>,
    /// The number of all recommendations.
    pub groups: u64,
}

impl RecommendationSet {
    /// Builds the set from evaluated resources. `policy` and `day` are those of the evaluation.
    pub fn from_groups(groups: &[TagGroup], policy: &Policy, day: Date) -> Self {
        let mut recommendations = build_recommendations(groups, policy, day);
        let total = recommendations.len() as u64;
        recommendations.truncate(MAX_RECOMMENDATIONS);
        Self { violations: count_violations(groups), recommendations, groups: total }
    }
}

/// A value that most related resources have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SuggestedValue {
    /// The value.
    pub value: String,
    /// The number of related resources with this value.
    pub agreeing: u64,
    /// The number of related resources with any valid value.
    pub of: u64,
}

/// The minimum number of related resources with a valid value.
const MIN_EVIDENCE: u64 = 3;

/// The minimum percentage of related resources that have the same value.
const MIN_AGREEMENT_PERCENT: u64 = 90;

impl TagGroup {
    fn value(&self, key: &str) -> Option<&str> {
        self.tags.iter().find(|(of_key, _)| of_key == key).map(|(_, value)| value.as_str())
    }

    /// The value of a key, if it is valid.
    fn valid_value(&self, rule: &TagRule, day: Date) -> Option<&str> {
        self.value(rule.name()).filter(|value| rule.accepts(value, day))
    }
}

/// What the resources of one recommendation have in common: type, key, grouping tag, and recommended value.
type GroupKey<'g> = (ResourceType, &'g str, Option<(&'g str, &'g str)>, Option<SuggestedValue>);

/// The number of resources by tag (key and value), other key, and valid value of that key.
type Evidence<'g> = BTreeMap<(&'g str, &'g str, &'g str), BTreeMap<&'g str, u64>>;

fn count_violations(groups: &[TagGroup]) -> Vec<ViolationGroup> {
    let mut sums: BTreeMap<(&str, Code), (u64, Amount, u64)> = BTreeMap::new();
    for group in groups {
        for (key, code) in &group.violations {
            let sum = sums.entry((key, *code)).or_default();
            sum.0 += group.resources;
            sum.1 += group.cost;
            sum.2 += group.with_cost;
        }
    }
    let violation = |((key, code), (resources, cost, with_cost)): ((&str, Code), (u64, Amount, u64))| ViolationGroup {
        key: key.to_owned(),
        code,
        resources,
        cost,
        with_cost,
    };
    let mut violations: Vec<ViolationGroup> = sums.into_iter().map(violation).collect();
    violations.sort_by_key(|violation| Reverse(violation.resources));
    violations
}

/// All recommendations, those with the highest cost first.
fn build_recommendations(groups: &[TagGroup], policy: &Policy, day: Date) -> Vec<TagRecommendation> {
    let rules: Vec<&TagRule> = policy.required().iter().chain(policy.optional()).collect();
    let evidence = collect_evidence(groups, &rules, day);
    let mut sums: BTreeMap<GroupKey<'_>, (u64, Amount)> = BTreeMap::new();
    for group in groups {
        for (key, _) in &group.violations {
            let Some(rule) = policy.required().iter().find(|rule| rule.name() == key) else { continue };
            let (grouping_tag, value) = find_grouping_tag(group, rule, &rules, &evidence, day);
            let sum = sums.entry((group.resource_type, rule.name(), grouping_tag, value)).or_default();
            sum.0 += group.resources;
            sum.1 += group.cost;
        }
    }
    let recommendations =
        sums.into_iter().map(|((resource_type, key, grouping_tag, value), (resources, cost))| TagRecommendation {
            resource_type,
            key: key.to_owned(),
            grouping_tag: grouping_tag.map(|(key, value)| (key.to_owned(), value.to_owned())),
            value,
            resources,
            cost,
        });
    let mut recommendations: Vec<TagRecommendation> = recommendations.collect();
    recommendations.sort_by_key(|item| Reverse((item.cost, item.resources, item.value.is_some())));
    recommendations
}

fn collect_evidence<'g>(groups: &'g [TagGroup], rules: &[&'g TagRule], day: Date) -> Evidence<'g> {
    let mut evidence = Evidence::new();
    for group in groups {
        let valid: Vec<(&str, &str)> =
            rules.iter().filter_map(|rule| Some((rule.name(), group.valid_value(rule, day)?))).collect();
        for (key, value) in &valid {
            for (other_key, other_value) in valid.iter().filter(|(other_key, _)| other_key != key) {
                *evidence.entry((*other_key, *other_value, *key)).or_default().entry(*value).or_default() +=
                    group.resources;
            }
        }
    }
    evidence
}

/// The tag by which a resource group is grouped, and the recommended value. The tag whose resources agree best is
/// chosen, else the first valid tag without a value.
fn find_grouping_tag<'g>(
    group: &'g TagGroup,
    violated: &TagRule,
    rules: &[&'g TagRule],
    evidence: &Evidence<'g>,
    day: Date,
) -> (Option<(&'g str, &'g str)>, Option<SuggestedValue>) {
    let others = rules.iter().filter(|rule| rule.name() != violated.name());
    let valid_tags: Vec<(&str, &str)> =
        others.filter_map(|rule| Some((rule.name(), group.valid_value(rule, day)?))).collect();
    let candidates = valid_tags.iter().filter_map(|tag| {
        let values = evidence.get(&(tag.0, tag.1, violated.name()))?;
        let of: u64 = values.values().sum();
        let (value, agreeing) = values.iter().max_by_key(|(_, n)| **n)?;
        Some((*tag, SuggestedValue { value: (*value).to_owned(), agreeing: *agreeing, of }))
    });
    let is_reliable =
        |value: &SuggestedValue| value.of >= MIN_EVIDENCE && value.agreeing * 100 >= value.of * MIN_AGREEMENT_PERCENT;
    // The share of agreeing resources in thousandths, then the number of resources.
    let best = candidates.max_by_key(|(_, value)| (is_reliable(value), value.agreeing * 1_000 / value.of, value.of));
    match best {
        Some((tag, value)) => (Some(tag), Some(value).filter(is_reliable)),
        None => (valid_tags.first().copied(), None),
    }
}

#[cfg(test)]
mod tests {
    use tagledger_cost::Amount;
    use tagledger_policy::{Code, Policy};

    use super::*;

    const POLICY: &str = r#"{
        "version": "1", "last_updated": "2026-01-01T00:00:00Z",
        "required_tags": [
            { "name": "CostCenter", "allowed_values": ["Engineering", "Sales"] },
            { "name": "Owner", "validation_regex": "[a-z]+@x.example" }
        ],
        "optional_tags": [{ "name": "Application" }]
    }"#;

    fn group(kind: &str, tags: &[(&str, &str)], missing: &[&str], resources: u64, cost: i64) -> TagGroup {
        TagGroup {
            resource_type: kind.parse().unwrap(),
            tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            violations: missing.iter().map(|key| ((*key).to_owned(), Code::Missing)).collect(),
            resources,
            cost: Amount::from_micros(cost * 1_000_000),
            with_cost: resources,
        }
    }

    fn recommend(groups: &[TagGroup]) -> Vec<(String, String, u64, String)> {
        let policy = Policy::parse(POLICY).unwrap();
        let text = |one: TagRecommendation| {
            let by = one.grouping_tag.map_or_else(|| "-".to_owned(), |(key, value)| format!("{key}={value}"));
            let value = one
                .value
                .map_or_else(|| "?".to_owned(), |agreed| format!("{} {}/{}", agreed.value, agreed.agreeing, agreed.of));
            (format!("{} {} {by}", one.resource_type, one.key), value, one.resources, one.cost.to_string())
        };
        build_recommendations(groups, &policy, Date::constant(2026, 11, 1)).into_iter().map(text).collect()
    }

    /// Resources with a missing tag are grouped by the application they belong to, and the recommended value is the one
    /// that 19 of 20 other resources of that application have.
    #[test]
    fn recommends_value_of_same_application() {
        let app = ("Application", "checkout");
        let found = recommend(&[
            group("ec2:instance", &[app, ("CostCenter", "Engineering"), ("Owner", "a@x.example")], &[], 19, 900),
            group("ec2:instance", &[app, ("CostCenter", "Sales"), ("Owner", "b@x.example")], &[], 1, 9),
            group("ec2:volume", &[app, ("Owner", "z@x.example")], &["CostCenter"], 142, 3_120),
            group("ec2:volume", &[], &["CostCenter", "Owner"], 2, 1),
        ]);
        let row = |what: &str, value: &str, n, cost: &str| (what.to_owned(), value.to_owned(), n, cost.to_owned());
        assert_eq!(
            found,
            [
                row("ec2:volume CostCenter Application=checkout", "Engineering 19/20", 142, "3,120.00"),
                row("ec2:volume CostCenter -", "?", 2, "1.00"),
                row("ec2:volume Owner -", "?", 2, "1.00"),
            ]
        );
    }

    /// No value is recommended when fewer than 90 percent of the related resources agree, or when there are fewer than
    /// three of them.
    #[test]
    fn no_value_without_agreement_or_evidence() {
        let app = ("Application", "shop");
        let split = recommend(&[
            group("s3:bucket", &[app, ("CostCenter", "Engineering")], &["Owner"], 5, 0),
            group("s3:bucket", &[app, ("CostCenter", "Sales")], &["Owner"], 2, 0),
            group("s3:bucket", &[app], &["CostCenter"], 1, 7),
        ]);
        assert_eq!(
            split[0],
            ("s3:bucket CostCenter Application=shop".to_owned(), "?".to_owned(), 1, "7.00".to_owned())
        );
        let few = recommend(&[
            group("s3:bucket", &[app, ("CostCenter", "Sales")], &[], 2, 0),
            group("s3:bucket", &[app], &["CostCenter"], 1, 7),
        ]);
        assert_eq!(few[0].1, "?");
    }

    /// Tag values that violate the policy are neither counted as evidence nor used to group resources.
    #[test]
    fn invalid_values_are_not_evidence() {
        let found = recommend(&[
            group("s3:bucket", &[("CostCenter", "engineering"), ("Owner", "a@x.example")], &["CostCenter"], 9, 0),
            group("s3:bucket", &[("Owner", "nobody")], &["CostCenter", "Owner"], 1, 5),
        ]);
        assert!(found.iter().all(|(_, value, ..)| value == "?"), "{found:?}");
        assert!(found.iter().any(|(what, ..)| what == "s3:bucket CostCenter -"), "{found:?}");
    }
}
