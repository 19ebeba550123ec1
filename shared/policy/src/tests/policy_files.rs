use tagledger_model::ResourceType;

use crate::{error::PolicyErrors, policy::Policy, rule::ValueType, tests::TODAY};

const SAMPLE: &str = include_str!("../../../../policies/tagging_policy.json");

/// Every file in the `policies` folder of the repository is a valid policy.
#[test]
fn every_shipped_policy_parses() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        Policy::parse(&text).unwrap_or_else(|errors: PolicyErrors| panic!("{}: {errors}", path.display()));
        count += 1;
    }
    assert!(count > 0);
}

/// Parsing the sample policy gives the version, tags, patterns, resource types and naming rules that its file contains.
#[test]
fn sample_policy_fields_are_parsed() {
    let policy = Policy::parse(SAMPLE).unwrap();
    assert_eq!((policy.version(), policy.last_updated()), ("1.0", "2024-12-01T10:00:00Z"));
    let keys: Vec<_> = policy.keys().collect();
    assert_eq!(keys, ["CostCenter", "Owner", "Environment", "Application", "Project", "Compliance"]);
    assert_eq!((policy.required().len(), policy.optional().len()), (4, 2));
    let owner = &policy.required()[1];
    assert_eq!(owner.description(), Some("Email of the resource owner"));
    assert_eq!(owner.allowed_values(), None);
    assert_eq!(owner.validation_regex(), Some(r"^[a-z0-9._%+-]+@[a-z0-9.-]+\.[a-z]{2,}$"));
    assert_eq!(owner.resource_types(), [ResourceType::Ec2Instance, ResourceType::RdsDb, ResourceType::S3Bucket]);
    assert_eq!(owner.value_type(), ValueType::Text);
    assert!(owner.accepts("a@example.com", TODAY) && !owner.accepts("a@example", TODAY));
    assert_eq!(policy.optional()[1].allowed_values().unwrap().len(), 4);
    assert_eq!((policy.naming().case_sensitivity, policy.naming().max_key_length), (false, 128));
}

/// The digest of a policy does not depend on the order of fields or on white space, and it changes with the content.
#[test]
fn digest_ignores_json_layout() {
    let policy = Policy::parse(SAMPLE).unwrap();
    let sorted: serde_json::Value = serde_json::from_str(SAMPLE).unwrap();
    for layout in
        [sorted.to_string(), serde_json::to_string_pretty(&sorted).unwrap(), policy.canonical_json().to_owned()]
    {
        assert_eq!(Policy::parse(&layout).unwrap().digest(), policy.digest());
    }
    let other = Policy::parse(&SAMPLE.replace("Marketing", "Market")).unwrap();
    assert_ne!(other.digest(), policy.digest());
    assert_eq!(policy.digest().len(), 64);
}

/// The canonical JSON of a policy and its SHA-256 digest equal fixed expected values, with sorted fields and explicit
/// defaults.
#[test]
fn canonical_json_and_digest_are_fixed() {
    let text = r#"{"version": "1", "last_updated": "2026-01-01T00:00:00Z", "required_tags": [{"name": "A",
        "applies_to": [], "value_type": "date"}, {"name": "B", "value_type": "text"}],
        "exemptions": [{"resource_arn": "arn:*", "reason": "r", "expires": "2026-01-01"}]}"#;
    let canonical = concat!(
        r#"{"exemptions":[{"expires":"2026-01-01","reason":"r","resource_arn":"arn:*"}],"#,
        r#""last_updated":"2026-01-01T00:00:00Z","optional_tags":[],"#,
        r#""required_tags":[{"name":"A","value_type":"date"},{"name":"B"}],"#,
        r#""tag_naming_rules":{"allow_special_characters":false,"case_sensitivity":false,"#,
        r#""max_key_length":128,"max_value_length":256},"version":"1"}"#,
    );
    let policy = Policy::parse(text).unwrap();
    assert_eq!(policy.canonical_json(), canonical);
    assert_eq!(policy.digest(), DIGEST_OF_CANONICAL);
}

/// `printf %s '<the text above>' | sha256sum`
const DIGEST_OF_CANONICAL: &str = "afc4e307701509ddf480e7fe6a7baccf12639da808c123c526ae6eb5c0c296cb";
