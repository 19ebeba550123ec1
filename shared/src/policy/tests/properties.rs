//! What holds for any policy and any tags.

use proptest::prelude::*;

use super::{TODAY, bucket, judge_on, policy_of};
use crate::{
    inventory::{TagSet, Tags},
    policy::{Policy, State},
};

/// Keys that meet, nearly meet or miss those of the rules below, and arbitrary ones.
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
    judge_on(policy, &bucket(), tags, TODAY).state
}

proptest! {
    #[test]
    fn a_further_required_tag_never_makes_a_resource_compliant(pairs in pairs(), case in any::<bool>(), n in 1_usize..4) {
        let tags = Tags::Known(pairs.into_iter().collect());
        let (fewer, more) = (policy_with(&RULES[..n], &[], case), policy_with(&RULES[..=n], &[], case));
        prop_assert!(state(&fewer, &tags) != State::NonCompliant || state(&more, &tags) == State::NonCompliant);
    }

    #[test]
    fn the_order_of_tags_changes_nothing(pairs in pairs(), case in any::<bool>()) {
        let policy = policy_with(&RULES[..2], &RULES[2..], case);
        // Of equal keys only one reaches a resource; keep the first.
        let mut seen = std::collections::HashSet::new();
        let pairs: Vec<_> = pairs.into_iter().filter(|(key, _)| seen.insert(key.clone())).collect();
        let forth = Tags::Known(pairs.iter().cloned().collect());
        let back = Tags::Known(pairs.into_iter().rev().collect());
        let arn = bucket();
        prop_assert_eq!(judge_on(&policy, &arn, &forth, TODAY), judge_on(&policy, &arn, &back, TODAY));
    }

    #[test]
    fn a_value_has_one_finding_at_most(pairs in pairs()) {
        let (policy, arn) = (policy_with(&RULES[..2], &RULES[2..], false), bucket());
        let tags = Tags::Known(pairs.into_iter().collect::<TagSet>());
        let verdict = judge_on(&policy, &arn, &tags, TODAY);
        let mut judged: Vec<_> = verdict.findings.iter().filter(|f| f.value.is_some() && !is_of_key(f.code.as_str()))
            .map(|f| f.key.unwrap_or(f.tag)).collect();
        let count = judged.len();
        judged.sort_unstable();
        judged.dedup();
        prop_assert_eq!(judged.len(), count);
    }

    #[test]
    fn a_fix_of_a_value_is_a_value_without_a_finding(value in value()) {
        let policy = policy_with(&RULES, &[], false);
        let (arn, tags) = (bucket(), Tags::Known([("CostCenter", value.as_str()), ("Environment", &value)].into_iter().collect()));
        for finding in judge_on(&policy, &arn, &tags, TODAY).findings {
            let Some(fix) = finding.fix else { continue };
            let rule = policy.required().iter().find(|rule| rule.name() == finding.tag).unwrap();
            prop_assert!(rule.accepts(&fix, TODAY), "{} {fix}", finding.code);
        }
    }

    #[test]
    fn the_canonical_form_reads_back_to_itself(
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

    #[test]
    fn any_text_is_a_policy_or_has_a_fault(text in any::<String>(), cut in 0_usize..1600, junk in "[\\[\\]{}\",:0a]{0,3}") {
        prop_assert!(Policy::parse(&text).is_err());
        let sample = include_str!("../../../../policies/tagging_policy.json");
        let at = cut.min(sample.len());
        let (head, tail) = sample.split_at(at);
        let text = format!("{head}{junk}{tail}");
        if let Err(faults) = Policy::parse(&text) {
            prop_assert!(!faults.faults.is_empty());
        }
    }
}

fn is_of_key(code: &str) -> bool {
    code.starts_with("KEY_") || code == "DUPLICATE_KEY_VARIANT" || code == "CONFLICTING_VALUES"
}
