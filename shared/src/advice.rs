//! What to tag first: resources that lack the same tag and belong together, with the value that their like have.
//!
//! Nothing is guessed: a value is told only where nine in ten of those who belong together and are tagged right agree on it.

use std::{cmp::Reverse, collections::BTreeMap};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{
    ResourceType,
    money::Amount,
    policy::{Code, Policy, TagRule},
};

/// Resources of one type with the same tags of keys that the policy names, and the same faults: all of them, or some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagGroup {
    /// Their type.
    pub resource_type: ResourceType,
    /// Their tags of those keys, in the order of the keys.
    pub tags: Vec<(String, String)>,
    /// Required keys that they lack or have wrong values of, and what is wrong.
    pub wrong: Vec<(String, Code)>,
    /// How many.
    pub resources: u64,
    /// What a month of those costs of which it is known.
    pub cost: Amount,
    /// How many these are.
    pub with_cost: u64,
}

/// A group to fix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advice {
    /// Of which type.
    pub resource_type: ResourceType,
    /// What they lack or have wrong values of.
    pub key: String,
    /// The tag by which they belong together; none when they have none.
    pub by: Option<(String, String)>,
    /// The value that they should have, where those they belong with agree.
    pub value: Option<Agreed>,
    /// How many they are.
    pub resources: u64,
    /// What a month of them costs, as far as it is known. Not written: it is known of the newest snapshot alone.
    #[serde(skip)]
    pub cost: Amount,
}

/// A required key that is wrong in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Which.
    pub key: String,
    /// In which way.
    pub code: Code,
    /// Of how many resources.
    pub resources: u64,
    /// What a month of those costs of which it is known. Not written, as above.
    #[serde(skip)]
    pub cost: Amount,
    /// How many these are.
    #[serde(skip)]
    pub with_cost: u64,
}

/// Groups to fix that are told, at most.
pub const MOST_ADVICE: usize = 5;

/// What there is to fix in a snapshot, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advised {
    /// The most frequent first.
    pub faults: Vec<Fault>,
    /// Those that cost most first; the first [`MOST_ADVICE`] of them.
    pub advice: Vec<Advice>,
    /// How many groups there are.
    pub groups: u64,
}

impl Advised {
    /// From the judged resources, by the policy that judged them on that day.
    pub fn of(groups: &[TagGroup], policy: &Policy, day: Date) -> Self {
        let mut advice = advice(groups, policy, day);
        let groups_to_fix = advice.len() as u64;
        advice.truncate(MOST_ADVICE);
        Self { faults: faults(groups), advice, groups: groups_to_fix }
    }
}

/// A value on which resources that belong together agree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Agreed {
    /// Which.
    pub value: String,
    /// How many have it.
    pub agreeing: u64,
    /// Of how many that have a right one.
    pub of: u64,
}

/// Of those who are tagged right: how many there must be before they are listened to, and how many in a hundred must agree.
const LEAST: u64 = 3;
const PERCENT: u64 = 90;

impl TagGroup {
    fn value(&self, key: &str) -> Option<&str> {
        self.tags.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// The value of a key, if it is a right one.
    fn right(&self, rule: &TagRule, day: Date) -> Option<&str> {
        self.value(rule.name()).filter(|value| rule.accepts(value, day))
    }
}

/// What is fixed together: type, key, the tag by which they belong, and what they should have.
type Together<'g> = (ResourceType, &'g str, Option<(&'g str, &'g str)>, Option<Agreed>);

/// How many resources with a tag have which right value of a key.
type Evidence<'g> = BTreeMap<(&'g str, &'g str, &'g str), BTreeMap<&'g str, u64>>;

fn faults(groups: &[TagGroup]) -> Vec<Fault> {
    let mut sums: BTreeMap<(&str, Code), (u64, Amount, u64)> = BTreeMap::new();
    for group in groups {
        for (key, code) in &group.wrong {
            let sum = sums.entry((key, *code)).or_default();
            sum.0 += group.resources;
            sum.1 += group.cost;
            sum.2 += group.with_cost;
        }
    }
    let fault = |((key, code), (resources, cost, with_cost)): ((&str, Code), (u64, Amount, u64))| Fault {
        key: key.to_owned(),
        code,
        resources,
        cost,
        with_cost,
    };
    let mut faults: Vec<Fault> = sums.into_iter().map(fault).collect();
    faults.sort_by_key(|fault| Reverse(fault.resources));
    faults
}

/// The groups to fix, those that cost most first.
fn advice(groups: &[TagGroup], policy: &Policy, day: Date) -> Vec<Advice> {
    let rules: Vec<&TagRule> = policy.required().iter().chain(policy.optional()).collect();
    let evidence = evidence(groups, &rules, day);
    let mut sums: BTreeMap<Together<'_>, (u64, Amount)> = BTreeMap::new();
    for group in groups {
        for (key, _) in &group.wrong {
            let Some(rule) = policy.required().iter().find(|rule| rule.name() == key) else { continue };
            let (by, value) = belongs(group, rule, &rules, &evidence, day);
            let sum = sums.entry((group.resource_type, rule.name(), by, value)).or_default();
            sum.0 += group.resources;
            sum.1 += group.cost;
        }
    }
    let told = sums.into_iter().map(|((resource_type, key, by, value), (resources, cost))| Advice {
        resource_type,
        key: key.to_owned(),
        by: by.map(|(key, value)| (key.to_owned(), value.to_owned())),
        value,
        resources,
        cost,
    });
    let mut advice: Vec<Advice> = told.collect();
    advice.sort_by_key(|one| Reverse((one.cost, one.resources, one.value.is_some())));
    advice
}

fn evidence<'g>(groups: &'g [TagGroup], rules: &[&'g TagRule], day: Date) -> Evidence<'g> {
    let mut evidence = Evidence::new();
    for group in groups {
        let right: Vec<(&str, &str)> =
            rules.iter().filter_map(|rule| Some((rule.name(), group.right(rule, day)?))).collect();
        for (key, value) in &right {
            for (by, of) in right.iter().filter(|(by, _)| by != key) {
                *evidence.entry((*by, *of, *key)).or_default().entry(*value).or_default() += group.resources;
            }
        }
    }
    evidence
}

/// The tag by which a group is told, and what it should have: the one whose bearers agree best, else the first it has.
fn belongs<'g>(
    group: &'g TagGroup,
    wrong: &TagRule,
    rules: &[&'g TagRule],
    evidence: &Evidence<'g>,
    day: Date,
) -> (Option<(&'g str, &'g str)>, Option<Agreed>) {
    let others = rules.iter().filter(|rule| rule.name() != wrong.name());
    let bys: Vec<(&str, &str)> = others.filter_map(|rule| Some((rule.name(), group.right(rule, day)?))).collect();
    let heard = bys.iter().filter_map(|by| {
        let values = evidence.get(&(by.0, by.1, wrong.name()))?;
        let of: u64 = values.values().sum();
        let (value, agreeing) = values.iter().max_by_key(|(_, n)| **n)?;
        Some((*by, Agreed { value: (*value).to_owned(), agreeing: *agreeing, of }))
    });
    let enough = |agreed: &Agreed| agreed.of >= LEAST && agreed.agreeing * 100 >= agreed.of * PERCENT;
    // The share of those who agree, to a thousandth; then how many they are.
    let best = heard.max_by_key(|(_, agreed)| (enough(agreed), agreed.agreeing * 1_000 / agreed.of, agreed.of));
    match best {
        Some((by, agreed)) => (Some(by), Some(agreed).filter(enough)),
        None => (bys.first().copied(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"{
        "version": "1", "last_updated": "2026-01-01T00:00:00Z",
        "required_tags": [
            { "name": "CostCenter", "allowed_values": ["Engineering", "Sales"] },
            { "name": "Owner", "validation_regex": "[a-z]+@x.example" }
        ],
        "optional_tags": [{ "name": "Application" }]
    }"#;

    fn group(kind: &str, tags: &[(&str, &str)], wrong: &[&str], resources: u64, cost: i64) -> TagGroup {
        TagGroup {
            resource_type: kind.parse().unwrap(),
            tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            wrong: wrong.iter().map(|key| ((*key).to_owned(), Code::Missing)).collect(),
            resources,
            cost: Amount::from_micros(cost * 1_000_000),
            with_cost: resources,
        }
    }

    fn told(groups: &[TagGroup]) -> Vec<(String, String, u64, String)> {
        let policy = Policy::parse(POLICY).unwrap();
        let text = |one: Advice| {
            let by = one.by.map_or_else(|| "-".to_owned(), |(key, value)| format!("{key}={value}"));
            let value = one
                .value
                .map_or_else(|| "?".to_owned(), |agreed| format!("{} {}/{}", agreed.value, agreed.agreeing, agreed.of));
            (format!("{} {} {by}", one.resource_type, one.key), value, one.resources, one.cost.to_string())
        };
        advice(groups, &policy, Date::constant(2026, 11, 1)).into_iter().map(text).collect()
    }

    #[test]
    fn volumes_of_an_application_get_the_cost_center_that_its_instances_have() {
        let app = ("Application", "checkout");
        let found = told(&[
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

    #[test]
    fn where_they_do_not_agree_or_are_too_few_no_value_is_told() {
        let app = ("Application", "shop");
        let split = told(&[
            group("s3:bucket", &[app, ("CostCenter", "Engineering")], &["Owner"], 5, 0),
            group("s3:bucket", &[app, ("CostCenter", "Sales")], &["Owner"], 2, 0),
            group("s3:bucket", &[app], &["CostCenter"], 1, 7),
        ]);
        assert_eq!(
            split[0],
            ("s3:bucket CostCenter Application=shop".to_owned(), "?".to_owned(), 1, "7.00".to_owned())
        );
        let few = told(&[
            group("s3:bucket", &[app, ("CostCenter", "Sales")], &[], 2, 0),
            group("s3:bucket", &[app], &["CostCenter"], 1, 7),
        ]);
        assert_eq!(few[0].1, "?");
    }

    #[test]
    fn a_wrong_value_is_no_evidence_and_no_tag_to_belong_by() {
        let found = told(&[
            group("s3:bucket", &[("CostCenter", "engineering"), ("Owner", "a@x.example")], &["CostCenter"], 9, 0),
            group("s3:bucket", &[("Owner", "nobody")], &["CostCenter", "Owner"], 1, 5),
        ]);
        assert!(found.iter().all(|(_, value, ..)| value == "?"), "{found:?}");
        assert!(found.iter().any(|(what, ..)| what == "s3:bucket CostCenter -"), "{found:?}");
    }
}
