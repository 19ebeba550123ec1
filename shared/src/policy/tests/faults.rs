//! Policies that are refused, and why.

use super::{TODAY, policy_of};
use crate::policy::{Policy, PolicyFaults};

fn faults_of(members: &str) -> PolicyFaults {
    let head = r#""version": "1", "last_updated": "2026-01-01T00:00:00Z""#;
    Policy::parse(&format!("{{{head}, {members}}}")).unwrap_err()
}

/// Expects exactly one fault, at a place, with words in its message.
#[track_caller]
fn refused(members: &str, place: &str, words: &str) {
    let faults = faults_of(members).faults;
    assert_eq!(faults.len(), 1, "{faults:#?}");
    assert_eq!(faults[0].place, place);
    assert!(faults[0].message.contains(words), "{}", faults[0].message);
}

/// The same for one required tag, whose further members these are.
#[track_caller]
fn tag_refused(members: &str, place: &str, words: &str) {
    refused(&format!(r#""required_tags": [{{{members}}}]"#), &format!("required_tags[0]{place}"), words);
}

const MANY_FAULTS: &str = r#"{
  "version": 1,
  "last_updated": "yesterday",
  "required_tags": [
    { "name": "Owner", "validation_regex": "(?=x)y", "desciption": "?" },
    { "name": "aws:Thing", "applies_to": ["rds:db-instance"] },
    { "name": "owner ", "allowed_values": [] },
    { "allowed_values": ["x"] }
  ],
  "tag_naming_rules": { "max_key_length": 0 },
  "version": "2"
}"#;

#[test]
fn all_faults_are_reported_at_once_in_file_order() {
    let faults = Policy::parse(MANY_FAULTS).unwrap_err();
    let places: Vec<_> = faults.faults.iter().map(|f| (f.line, f.column, f.place.as_str())).collect();
    let expected = [
        (2, 14, "version"),
        (3, 19, "last_updated"),
        (5, 44, "required_tags[0].validation_regex"),
        (5, 54, "required_tags[0].desciption"),
        (6, 15, "required_tags[1].name"),
        (6, 43, "required_tags[1].applies_to[0]"),
        (7, 15, "required_tags[2].name"),
        (7, 43, "required_tags[2].allowed_values"),
        (8, 5, "required_tags[3]"),
        (10, 43, "tag_naming_rules.max_key_length"),
        (11, 3, "version"),
    ];
    assert_eq!(places, expected, "{faults}");
    assert_eq!(faults.to_string().lines().count(), expected.len());
    assert!(faults.to_string().starts_with("line 2, column 14, version: must be a string, not a number"), "{faults}");
}

#[test]
fn text_that_is_not_strict_json_is_refused_with_its_position() {
    for text in [
        "",
        "{",
        "{} {}",
        "[1,]",
        "{'a': 1}",
        "{a: 1}",
        "// x\n{}",
        "{\"a\": 0x1}",
        "\u{feff}{}",
        "{\"a\" 1}",
        "\"\n\"",
    ] {
        let faults = Policy::parse(text).unwrap_err().faults;
        assert_eq!((faults.len(), faults[0].place.as_str()), (1, "policy"), "{text}: {faults:?}");
    }
    let faults = Policy::parse("{\n  \"a\": 1,\n}").unwrap_err().faults;
    assert_eq!((faults[0].line, faults[0].column, faults[0].message.as_str()), (3, 1, "is not JSON: trailing comma"));
}

#[test]
fn a_hostile_file_is_refused_quickly() {
    assert!(Policy::parse(&"[".repeat(1 << 20)).is_err());
    assert!(Policy::parse(&" ".repeat((1 << 20) + 1)).unwrap_err().to_string().contains("1048576"));
    let many = r#"{"name":1},"#.repeat(90_000);
    let text = format!(r#"{{"required_tags": [{}]}}"#, many.trim_end_matches(','));
    assert!(Policy::parse(&text).unwrap_err().faults.len() <= 1001);
    let fields = (0..60_000).map(|n| format!(r#""f{n}":1,"#)).collect::<String>();
    let faults = Policy::parse(&format!("{{{}}}", fields.trim_end_matches(','))).unwrap_err().faults;
    assert!(faults.last().unwrap().message.contains("more faults"), "{:?}", faults.last());
}

#[test]
fn a_field_is_known_there_once_and_of_its_type() {
    refused(r#""required_tags": [], "required_tag": []"#, "required_tag", "allowed are `required_tags`");
    refused(r#""required_tags": [], "required_tags": []"#, "required_tags", "there twice");
    refused(r#""optional_tags": []"#, "policy", "`required_tags` is missing");
    refused(r#""required_tags": {}"#, "required_tags", "must be a list, not an object");
    refused(r#""required_tags": [7]"#, "required_tags[0]", "must be an object, not a number");
    tag_refused(r#""name": "A", "description": null"#, ".description", "left out");
}

#[test]
fn a_key_obeys_the_limits_of_aws_and_the_policys_own() {
    let long = "k".repeat(129);
    tag_refused(&format!(r#""name": "{long}""#), ".name", "AWS takes at most 128");
    let ec2 = "k".repeat(128);
    tag_refused(&format!(r#""name": "{ec2}""#), ".name", "for ec2:instance, AWS takes at most 127");
    policy_of(&format!(r#""required_tags": [{{"name": "{ec2}", "applies_to": ["s3:bucket"]}}]"#));
    tag_refused(r#""name": "Aws:x""#, ".name", "reserved");
    tag_refused(r#""name": " ""#, ".name", "blank");
    tag_refused(r#""name": "--""#, ".name", "neither a letter nor a digit");
    tag_refused(r#""name": "Cost%""#, ".name", "allow_special_characters");
    refused(
        r#""required_tags": [{"name": "CostCenter"}], "tag_naming_rules": {"max_key_length": 9}"#,
        "required_tags[0].name",
        "max_key_length is 9",
    );
}

#[test]
fn two_spellings_of_one_key_cannot_both_be_tags() {
    refused(
        r#""required_tags": [{"name": "CostCenter"}], "optional_tags": [{"name": "cost_center"}]"#,
        "optional_tags[0].name",
        "the same key as `CostCenter` (required_tags[0].name)",
    );
}

#[test]
fn an_allowed_value_obeys_the_tags_own_rules() {
    let list = |value: &str, rest: &str| format!(r#""name": "T", "allowed_values": ["ok", "{value}"]{rest}"#);
    tag_refused(&list("OK!", r#", "validation_regex": "^[a-z]+$""#), ".allowed_values[1]", "letters, digits");
    tag_refused(&list("OK", r#", "validation_regex": "^[a-z]+$""#), ".allowed_values[1]", "does not match");
    tag_refused(&list("ok", ""), ".allowed_values[1]", "listed twice");
    tag_refused(&list(&"v".repeat(257), ""), ".allowed_values[1]", "max_value_length is 256");
    tag_refused(r#""name": "T", "allowed_values": []"#, ".allowed_values", "no value at all");
    tag_refused(r#""name": "T", "value_type": "date", "allowed_values": ["soon"]"#, ".allowed_values[0]", "not a date");
}

#[test]
fn a_pattern_or_type_that_does_not_exist_is_refused() {
    tag_refused(
        r#""name": "Owner", "validation_regex": "(?!x)y""#,
        ".validation_regex",
        "tag `Owner` uses look-around",
    );
    tag_refused(r#""name": "T", "validation_regex": "[\\p{L}]{1,256}""#, ".validation_regex", "max_value_length");
    tag_refused(r#""name": "T", "applies_to": ["rds:db-instance"]"#, ".applies_to[0]", "did you mean `rds:db`?");
    tag_refused(r#""name": "T", "applies_to": ["rds:db", "rds:db"]"#, ".applies_to[1]", "listed twice");
    tag_refused(r#""name": "T", "value_type": "datum""#, ".value_type", "allowed are `date`");
}

#[test]
fn naming_rules_stay_within_the_limits_of_aws() {
    for (rule, limit) in [("max_key_length", 128), ("max_value_length", 256)] {
        for bad in ["0", "-1", "1.5", &(limit + 1).to_string()] {
            let members = format!(r#""required_tags": [], "tag_naming_rules": {{"{rule}": {bad}}}"#);
            refused(&members, &format!("tag_naming_rules.{rule}"), &format!("from 1 to {limit}"));
        }
    }
}

#[test]
fn no_more_tags_are_asked_for_than_a_resource_carries() {
    let tags = |count: usize| {
        let name = |n: usize| format!(r#"{{"name": "{}"}}"#, "k".repeat(n + 1));
        format!(r#""required_tags": [{}]"#, (0..count).map(name).collect::<Vec<_>>().join(","))
    };
    policy_of(&tags(50));
    refused(&tags(51), "required_tags[50]", "at most 50");
}

#[test]
fn an_exemption_has_an_arn_a_reason_and_perhaps_a_day() {
    let exemption = |members: &str| format!(r#""required_tags": [], "exemptions": [{{{members}}}]"#);
    refused(&exemption(r#""resource_arn": "arn:*""#), "exemptions[0]", "`reason` is missing");
    refused(&exemption(r#""resource_arn": "*", "reason": "x""#), "exemptions[0].resource_arn", "must be an ARN");
    refused(&exemption(r#""resource_arn": "arn:*", "reason": " ""#), "exemptions[0].reason", "blank");
    refused(
        &exemption(r#""resource_arn": "arn:*", "reason": "x", "expires": "2026-13-01""#),
        "exemptions[0].expires",
        "must be a date",
    );
}

#[test]
fn what_is_legal_but_hardly_meant_is_a_warning() {
    let policy = policy_of(
        r#""required_tags": [
            {"name": "A", "allowed_values": ["x", "X", " y"], "validation_regex": "^.*$", "applies_to": ["s3:bucket"]},
            {"name": "B", "validation_regex": "b*", "applies_to": ["s3:bucket"]},
            {"name": "C", "allowed_values": ["2020-01-01"], "value_type": "expiration_date"}
        ], "exemptions": [
            {"resource_arn": "arn:*", "reason": "x", "expires": "2026-06-14"},
            {"resource_arn": "arn:aws:s3:::?", "reason": "x"}, {"resource_arn": "arn:aws:s3", "reason": "x"}
        ]"#,
    );
    let words = [
        "`A`: validation_regex has no effect",
        "`x` and `X` differ in letter case only",
        "` y` is empty, or begins or ends with white space",
        "`B`: validation_regex has no `^` and `$`",
        "`B`: validation_regex matches the empty value",
        "`2020-01-01` expired on 2020-01-01",
        "exemptions[0] (`arn:*`) expired on 2026-06-14",
        "exemptions[0] (`arn:*`) exempts every resource",
        "exemptions[1] (`arn:aws:s3:::?`) has a `?`",
        "exemptions[2] (`arn:aws:s3`) is not a whole ARN",
    ];
    let warnings = policy.warnings(TODAY);
    assert_eq!(warnings.len(), words.len(), "{warnings:#?}");
    for (warning, words) in warnings.iter().zip(words) {
        assert!(warning.contains(words), "{warning}");
    }
    let none = policy_of(r#""required_tags": [{"name": "A", "applies_to": ["s3:bucket"]}]"#).warnings(TODAY);
    assert!(none[0].starts_with("no required tag applies to ec2:instance, "), "{none:?}");
}
