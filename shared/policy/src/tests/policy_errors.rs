//! Policy files that are rejected, and their errors.

use crate::{
    error::PolicyErrors,
    policy::Policy,
    tests::{TODAY, policy_of},
};

fn errors_of(members: &str) -> PolicyErrors {
    let head = r#""version": "1", "last_updated": "2026-01-01T00:00:00Z""#;
    Policy::parse(&format!("{{{head}, {members}}}")).unwrap_err()
}

/// Expects exactly one error, with this path and these words in its message.
#[track_caller]
fn expect_error(members: &str, place: &str, text: &str) {
    let errors = errors_of(members).errors;
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert_eq!(errors[0].path, place);
    assert!(errors[0].message.contains(text), "{}", errors[0].message);
}

/// The same for one required tag with these fields.
#[track_caller]
fn expect_tag_error(members: &str, place: &str, text: &str) {
    expect_error(&format!(r#""required_tags": [{{{members}}}]"#), &format!("required_tags[0]{place}"), text);
}

const MANY_ERRORS: &str = r#"{
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

/// Parsing reports every error of a policy file at once, in file order, each with its line, column and JSON path.
#[test]
fn all_errors_reported_in_file_order() {
    let errors = Policy::parse(MANY_ERRORS).unwrap_err();
    let places: Vec<_> = errors.errors.iter().map(|f| (f.line, f.column, f.path.as_str())).collect();
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
    assert_eq!(places, expected, "{errors}");
    assert_eq!(errors.to_string().lines().count(), expected.len());
    assert!(errors.to_string().starts_with("line 2, column 14, version: must be a string, not a number"), "{errors}");
}

/// Text that is not strict JSON gives exactly one error, which has the line and column of the problem.
#[test]
fn non_strict_json_is_rejected_with_position() {
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
        let errors = Policy::parse(text).unwrap_err().errors;
        assert_eq!((errors.len(), errors[0].path.as_str()), (1, "policy"), "{text}: {errors:?}");
    }
    let errors = Policy::parse("{\n  \"a\": 1,\n}").unwrap_err().errors;
    assert_eq!((errors[0].line, errors[0].column, errors[0].message.as_str()), (3, 1, "is not JSON: trailing comma"));
}

/// Deep nesting and files over 1 MiB are rejected, and a file with tens of thousands of errors reports at most about a
/// thousand.
#[test]
fn hostile_file_errors_are_bounded() {
    assert!(Policy::parse(&"[".repeat(1 << 20)).is_err());
    assert!(Policy::parse(&" ".repeat((1 << 20) + 1)).unwrap_err().to_string().contains("1048576"));
    let many = r#"{"name":1},"#.repeat(90_000);
    let text = format!(r#"{{"required_tags": [{}]}}"#, many.trim_end_matches(','));
    assert!(Policy::parse(&text).unwrap_err().errors.len() <= 1001);
    let fields = (0..60_000).map(|n| format!(r#""f{n}":1,"#)).collect::<String>();
    let errors = Policy::parse(&format!("{{{}}}", fields.trim_end_matches(','))).unwrap_err().errors;
    assert!(errors.last().unwrap().message.contains("more errors"), "{:?}", errors.last());
}

/// A field that is unknown, duplicated, missing, null or of the wrong type is rejected at its place with a message that
/// names the problem.
#[test]
fn unknown_duplicate_or_mistyped_field_fails() {
    expect_error(r#""required_tags": [], "required_tag": []"#, "required_tag", "allowed are `required_tags`");
    expect_error(r#""required_tags": [], "required_tags": []"#, "required_tags", "occurs twice");
    expect_error(r#""optional_tags": []"#, "policy", "`required_tags` is missing");
    expect_error(r#""required_tags": {}"#, "required_tags", "must be a list, not an object");
    expect_error(r#""required_tags": [7]"#, "required_tags[0]", "must be an object, not a number");
    expect_tag_error(r#""name": "A", "description": null"#, ".description", "remove a field");
}

/// A tag key must respect the AWS limits, including 127 characters for EC2, and the naming rules of the policy itself.
#[test]
fn tag_key_respects_aws_and_policy_limits() {
    let long = "k".repeat(129);
    expect_tag_error(&format!(r#""name": "{long}""#), ".name", "AWS accepts at most 128");
    let ec2 = "k".repeat(128);
    expect_tag_error(&format!(r#""name": "{ec2}""#), ".name", "for ec2:instance, AWS accepts at most 127");
    policy_of(&format!(r#""required_tags": [{{"name": "{ec2}", "applies_to": ["s3:bucket"]}}]"#));
    expect_tag_error(r#""name": "Aws:x""#, ".name", "reserved");
    expect_tag_error(r#""name": " ""#, ".name", "blank");
    expect_tag_error(r#""name": "--""#, ".name", "neither a letter nor a digit");
    expect_tag_error(r#""name": "Cost%""#, ".name", "allow_special_characters");
    expect_error(
        r#""required_tags": [{"name": "CostCenter"}], "tag_naming_rules": {"max_key_length": 9}"#,
        "required_tags[0].name",
        "max_key_length is 9",
    );
}

/// A policy cannot define two tags whose keys are spelling variants of each other.
#[test]
fn variant_of_existing_key_is_rejected() {
    expect_error(
        r#""required_tags": [{"name": "CostCenter"}], "optional_tags": [{"name": "cost_center"}]"#,
        "optional_tags[0].name",
        "the same key as `CostCenter` (required_tags[0].name)",
    );
}

/// Each allowed value must satisfy the pattern, the value type and the naming rules of its tag. An empty list and
/// duplicate values are rejected.
#[test]
fn allowed_values_must_satisfy_own_rules() {
    let list = |value: &str, rest: &str| format!(r#""name": "T", "allowed_values": ["ok", "{value}"]{rest}"#);
    expect_tag_error(&list("OK!", r#", "validation_regex": "^[a-z]+$""#), ".allowed_values[1]", "letters, digits");
    expect_tag_error(&list("OK", r#", "validation_regex": "^[a-z]+$""#), ".allowed_values[1]", "does not match");
    expect_tag_error(&list("ok", ""), ".allowed_values[1]", "listed twice");
    expect_tag_error(&list(&"v".repeat(257), ""), ".allowed_values[1]", "max_value_length is 256");
    expect_tag_error(r#""name": "T", "allowed_values": []"#, ".allowed_values", "no value at all");
    expect_tag_error(
        r#""name": "T", "value_type": "date", "allowed_values": ["soon"]"#,
        ".allowed_values[0]",
        "not a date",
    );
}

/// An unsupported or too large pattern and an unknown or duplicate resource type or value type are rejected at their
/// place.
#[test]
fn invalid_pattern_or_type_is_rejected() {
    expect_tag_error(
        r#""name": "Owner", "validation_regex": "(?!x)y""#,
        ".validation_regex",
        "tag `Owner` uses look-around",
    );
    expect_tag_error(r#""name": "T", "validation_regex": "[\\p{L}]{1,256}""#, ".validation_regex", "max_value_length");
    expect_tag_error(r#""name": "T", "applies_to": ["rds:db-instance"]"#, ".applies_to[0]", "did you mean `rds:db`?");
    expect_tag_error(r#""name": "T", "applies_to": ["rds:db", "rds:db"]"#, ".applies_to[1]", "listed twice");
    expect_tag_error(r#""name": "T", "value_type": "datum""#, ".value_type", "allowed are `date`");
}

/// Limits on the length of keys and values must be integers from 1 to the AWS limit, which is 128 for keys and 256 for
/// values.
#[test]
fn naming_limits_stay_within_aws_limits() {
    for (rule, limit) in [("max_key_length", 128), ("max_value_length", 256)] {
        for bad in ["0", "-1", "1.5", &(limit + 1).to_string()] {
            let members = format!(r#""required_tags": [], "tag_naming_rules": {{"{rule}": {bad}}}"#);
            expect_error(&members, &format!("tag_naming_rules.{rule}"), &format!("from 1 to {limit}"));
        }
    }
}

/// A policy may require 50 tags of a resource type, the AWS limit of tags on a resource. The 51st is rejected.
#[test]
fn required_tags_limited_to_fifty() {
    let tags = |count: usize| {
        let name = |n: usize| format!(r#"{{"name": "{}"}}"#, "k".repeat(n + 1));
        format!(r#""required_tags": [{}]"#, (0..count).map(name).collect::<Vec<_>>().join(","))
    };
    policy_of(&tags(50));
    expect_error(&tags(51), "required_tags[50]", "at most 50");
}

/// An exemption requires an ARN pattern and a reason that is not blank. Its expiry is optional and must be a valid
/// date.
#[test]
fn exemption_requires_arn_and_reason() {
    let exemption = |members: &str| format!(r#""required_tags": [], "exemptions": [{{{members}}}]"#);
    expect_error(&exemption(r#""resource_arn": "arn:*""#), "exemptions[0]", "`reason` is missing");
    expect_error(&exemption(r#""resource_arn": "*", "reason": "x""#), "exemptions[0].resource_arn", "must be an ARN");
    expect_error(&exemption(r#""resource_arn": "arn:*", "reason": " ""#), "exemptions[0].reason", "blank");
    expect_error(
        &exemption(r#""resource_arn": "arn:*", "reason": "x", "expires": "2026-13-01""#),
        "exemptions[0].expires",
        "must be a date",
    );
}

/// A valid policy with settings that are probably mistakes, such as a pattern without effect or an expired exemption,
/// parses and gives one warning for each.
#[test]
fn suspicious_settings_give_warnings() {
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
    let text = [
        "`A`: validation_regex has no effect",
        "`x` and `X` differ in letter case only",
        "` y` is empty, or begins or ends with white space",
        "`B`: validation_regex has no `^` and `$`",
        "`B`: validation_regex matches the empty value",
        "`2020-01-01` expired on 2020-01-01",
        "exemptions[0] (`arn:*`) expired on 2026-06-14",
        "exemptions[0] (`arn:*`) exempts every resource",
        "exemptions[1] (`arn:aws:s3:::?`) has a `?`",
        "exemptions[2] (`arn:aws:s3`) is not a complete ARN",
    ];
    let warnings = policy.warnings(TODAY);
    assert_eq!(warnings.len(), text.len(), "{warnings:#?}");
    for (warning, text) in warnings.iter().zip(text) {
        assert!(warning.contains(text), "{warning}");
    }
    let none = policy_of(r#""required_tags": [{"name": "A", "applies_to": ["s3:bucket"]}]"#).warnings(TODAY);
    assert!(none[0].starts_with("no required tag applies to ec2:instance, "), "{none:?}");
}
