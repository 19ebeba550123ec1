//! Properties of every policy and every set of tags.

use proptest::prelude::*;
use tagledger_model::inventory::{TagSet, Tags};

use crate::{
    policy::Policy,
    results::State,
    tests::{TODAY, bucket, evaluate_on, policy_of},
};

/// Keys that equal, resemble or differ from those of [`RULES`], and arbitrary keys.
fn key() -> impl Strategy<Value = String> {
    let near = prop::sample::select(vec![
        "CostCenter",
        "costcenter",
        "cost-center",
        "CostCentre",
        "Environment",
        "environment",
        "Expires",
        "aws:x",
        "",
    ]);
    prop_oneof![3 => near.prop_map(str::to_owned), 1 => any::<String>(), 1 => "[A-Za-z_. -]{1,12}"]
}

fn value() -> impl Strategy<Value = String> {
    let near = prop::sample::select(vec!["production", "Prod", "CC-1234", "cc-1234 ", "none", "", " ", "2026-01-01"]);
    prop_oneof![3 => near.prop_map(str::to_owned), 1 => any::<String>()]
}

fn pairs() -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::vec((key(), value()), 0..60)
}

const RULES: [&str; 4] = [
    r#"{"name": "CostCenter", "validation_regex": "CC-[0-9]{4}"}"#,
    r#"{"name": "Environment", "allowed_values": ["production", "staging"]}"#,
    r#"{"name": "Expires", "value_type": "expiration_date"}"#,
    r#"{"name": "Straße"}"#,
];

fn policy_with(required: &[&str], optional: &[&str], case_sensitivity: bool) -> Policy {
    policy_of(&format!(
        r#""required_tags": [{}], "optional_tags": [{}], "tag_naming_rules": {{"case_sensitivity": {case_sensitivity}}}"#,
        required.join(","),
        optional.join(","),
    ))
}

fn state(policy: &Policy, tags: &Tags) -> State {
    evaluate_on(policy, &bucket(), tags, TODAY).state
}

proptest! {
    /// A resource that is non-compliant remains non-compliant when the policy requires one more tag.
    #[test]
    fn extra_required_tag_never_adds_compliance(pairs in pairs(), case in any::<bool>(), n in 1_usize..4) {
        let tags = Tags::Known(pairs.into_iter().collect());
        let (fewer, more) = (policy_with(&RULES[..n], &[], case), policy_with(&RULES[..=n], &[], case));
        prop_assert!(state(&fewer, &tags) != State::NonCompliant || state(&more, &tags) == State::NonCompliant);
    }

    /// The evaluation of a resource does not depend on the order of its tags.
    #[test]
    fn evaluation_ignores_tag_order(pairs in pairs(), case in any::<bool>()) {
        let policy = policy_with(&RULES[..2], &RULES[2..], case);
        // A resource has each key once; keep the first.
        let mut seen = std::collections::HashSet::new();
        let pairs: Vec<_> = pairs.into_iter().filter(|(key, _)| seen.insert(key.clone())).collect();
        let forth = Tags::Known(pairs.iter().cloned().collect());
        let back = Tags::Known(pairs.into_iter().rev().collect());
        let arn = bucket();
        prop_assert_eq!(evaluate_on(&policy, &arn, &forth, TODAY), evaluate_on(&policy, &arn, &back, TODAY));
    }

    /// Among the findings about values, every tag key of a resource appears at most once.
    #[test]
    fn value_has_at_most_one_finding(pairs in pairs()) {
        let (policy, arn) = (policy_with(&RULES[..2], &RULES[2..], false), bucket());
        let tags = Tags::Known(pairs.into_iter().collect::<TagSet>());
        let evaluation = evaluate_on(&policy, &arn, &tags, TODAY);
        let mut evaluated: Vec<_> = evaluation.findings.iter().filter(|f| f.value.is_some() && !is_of_key(f.code.as_str()))
            .map(|f| f.key.unwrap_or(f.tag)).collect();
        let count = evaluated.len();
        evaluated.sort_unstable();
        evaluated.dedup();
        prop_assert_eq!(evaluated.len(), count);
    }

    /// Whenever a finding proposes a corrected value, the rule of that tag accepts the proposed value.
    #[test]
    fn suggested_value_fix_is_accepted(value in value()) {
        let policy = policy_with(&RULES, &[], false);
        let (arn, tags) = (bucket(), Tags::Known([("CostCenter", value.as_str()), ("Environment", &value)].into_iter().collect()));
        for finding in evaluate_on(&policy, &arn, &tags, TODAY).findings {
            let Some(fix) = finding.fix else { continue };
            let rule = policy.required().iter().find(|rule| rule.name() == finding.tag).unwrap();
            prop_assert!(rule.accepts(&fix, TODAY), "{} {fix}", finding.code);
        }
    }

    /// Parsing the canonical JSON of a policy gives a policy with the same canonical JSON and the same digest.
    #[test]
    fn canonical_json_round_trips(
        names in prop::collection::hash_set("[a-z]{3,9}", 0..9),
        values in prop::collection::hash_set("\\PC{1,12}", 1..5),
        split in 0_usize..9,
    ) {
        let values: Vec<_> = values.into_iter().collect();
        let tag = |name: String| serde_json::json!({"name": name, "allowed_values": values, "description": values[0]});
        let tags: Vec<_> = names.into_iter().map(tag).collect();
        let (required, optional) = tags.split_at(split.min(tags.len()));
        let text = serde_json::json!({
            "version": "1", "last_updated": "2026-01-01T00:00:00Z", "required_tags": required, "optional_tags": optional,
            "tag_naming_rules": {"allow_special_characters": true},
        }).to_string();
        let policy = Policy::parse(&text).unwrap();
        let again = Policy::parse(policy.canonical_json()).unwrap();
        prop_assert_eq!((policy.digest(), policy.canonical_json()), (again.digest(), again.canonical_json()));
    }

    /// Arbitrary text and damaged copies of the sample policy either parse or give at least one error, and never cause
    /// a panic.
    #[test]
    fn arbitrary_text_parses_or_reports_errors(text in any::<String>(), cut in 0_usize..1600, junk in "[\\[\\]{}\",:0a]{0,3}") {
        prop_assert!(Policy::parse(&text).is_err());
        let sample = include_str!("../../../../policies/tagging_policy.json");
        let at = cut.min(sample.len());
        let (head, tail) = sample.split_at(at);
        let text = format!("{head}{junk}{tail}");
        if let Err(errors) = Policy::parse(&text) {
            prop_assert!(!errors.errors.is_empty());
        }
    }
}

fn is_of_key(code: &str) -> bool {
    code.starts_with("KEY_") || code == "DUPLICATE_KEY_VARIANT" || code == "CONFLICTING_VALUES"
}
