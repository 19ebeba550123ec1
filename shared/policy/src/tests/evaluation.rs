//! A case for each kind of invalid tag.

use jiff::civil::date;
use tagledger_model::{
    ResourceType,
    inventory::{Gap, GapReason, Tags},
};

use crate::{
    results::{Code, Severity, State, Subject},
    tests::{TODAY, bucket, check, evaluate_on, policy_of, short, tags_of},
};

const COST_CENTER: &str = r#""required_tags": [{"name": "CostCenter"}]"#;

const ENVIRONMENT: &str =
    r#""required_tags": [{"name": "Environment", "allowed_values": ["production", "staging", "development"]}]"#;

const STRICT_CASE: &str =
    r#""required_tags": [{"name": "CostCenter"}], "tag_naming_rules": {"case_sensitivity": true}"#;

const ODD_VALUES: &str = r#""required_tags": [{"name": "Compliance", "allowed_values": ["SOC2", "None", ""]}]"#;

const CODE: &str = r#""required_tags": [{"name": "CostCenter", "validation_regex": "^CC-[0-9]{4}$"}]"#;

const EXPIRY: &str = r#""required_tags": [{"name": "ExpirationDate", "value_type": "expiration_date"}]"#;

const OPTIONAL: &str = r#""required_tags": [{"name": "Owner"}],
    "optional_tags": [{"name": "Project", "allowed_values": ["atlas"]}]"#;

/// Without case sensitivity, a key that differs only in letter case satisfies the required tag and gives a
/// `KEY_CASE_MISMATCH` warning.
#[test]
fn key_case_mismatch_counts_with_warning() {
    check(COST_CENTER, "CostCenter=7", "");
    check(COST_CENTER, "costcenter=7", "~KEY_CASE_MISMATCH CostCenter @costcenter >CostCenter");
    check(
        COST_CENTER,
        "costcenter=tbd",
        "~KEY_CASE_MISMATCH CostCenter @costcenter >CostCenter; !PLACEHOLDER CostCenter @costcenter",
    );
    check(r#""required_tags": [{"name": "Größe"}]"#, "GRÖSSE=7", "~KEY_CASE_MISMATCH Größe @GRÖSSE >Größe");
}

/// With case sensitivity, a key in another letter case leaves the required tag missing, and the mismatch is reported as
/// a warning.
#[test]
fn case_sensitive_policy_rejects_key_case() {
    check(STRICT_CASE, "costcenter=7", "!MISSING CostCenter; ~KEY_CASE_MISMATCH CostCenter @costcenter >CostCenter");
}

/// When a resource has several case variants of a required key, the first in byte order supplies the value and the
/// others are reported as conflicts.
#[test]
fn first_case_variant_in_byte_order_counts() {
    check(
        COST_CENTER,
        "COSTCENTER=7; costcenter=tbd",
        "~KEY_CASE_MISMATCH CostCenter @COSTCENTER >CostCenter; ~CONFLICTING_VALUES CostCenter @costcenter >CostCenter",
    );
}

/// A key that differs by separators or by one edit does not satisfy the required tag, and is reported as a near miss.
/// More distant keys and variants of short keys are not reported.
#[test]
fn near_miss_key_does_not_satisfy_tag() {
    for key in ["cost-center", "cost_center", "Cost Center ", "cost.center", "CostCentre", "CostCenters", "CotsCenter"]
    {
        let expected = format!("!MISSING CostCenter; ~KEY_NEAR_MISS CostCenter @{key} >CostCenter");
        check(COST_CENTER, &format!("{key}=7"), &expected);
    }
    for key in ["Cost", "Center", "CC", "CostCentres"] {
        check(COST_CENTER, &format!("{key}=7"), "!MISSING CostCenter");
    }
    check(r#""required_tags": [{"name": "Owner"}]"#, "Owners=a", "!MISSING Owner");
}

/// A key that the policy defines, or a variant of it, is never reported as a misspelling of another key that the policy
/// defines.
#[test]
fn defined_key_is_not_near_miss_of_another() {
    let policy = r#""required_tags": [{"name": "Region1"}], "optional_tags": [{"name": "Region2"}]"#;
    check(policy, "Region2=a", "!MISSING Region1");
    check(policy, "region2=a", "!MISSING Region1; ~KEY_CASE_MISMATCH Region2 @region2 >Region2");
    check(policy, "Region_2=a", "!MISSING Region1; ~KEY_NEAR_MISS Region2 @Region_2 >Region2");
}

/// Two spellings of one key on a resource are a duplicate when their values are equal and a conflict when their values
/// differ.
#[test]
fn key_variants_are_duplicate_or_conflict() {
    check(COST_CENTER, "CostCenter=7; costcenter=7", "~DUPLICATE_KEY_VARIANT CostCenter @costcenter >CostCenter");
    check(COST_CENTER, "CostCenter=7; cost-center=8", "~CONFLICTING_VALUES CostCenter @cost-center >CostCenter");
    check(COST_CENTER, "CostCenter=7; Team=a; team=b", "~CONFLICTING_VALUES Team @team");
    check(COST_CENTER, "CostCenter=7; -=a; _=b", "");
}

/// A required tag key may contain spaces, and the exact key satisfies it.
#[test]
fn key_with_spaces_is_valid() {
    check(r#""required_tags": [{"name": "Billing Cost Center"}]"#, "Billing Cost Center=7", "");
}

/// An absent tag, an empty value, a value of only white space and a placeholder such as `tbd` give four distinct
/// finding codes.
#[test]
fn missing_empty_blank_placeholder_are_distinct() {
    check(COST_CENTER, "", "!MISSING CostCenter");
    check(COST_CENTER, "CostCenter=", "!EMPTY CostCenter");
    for blank in [" ", "\t\n", "\u{a0}", "\u{200b}"] {
        let policy =
            r#""required_tags": [{"name": "CostCenter"}], "tag_naming_rules": {"allow_special_characters": true}"#;
        check(policy, &format!("CostCenter={blank}"), "!BLANK CostCenter");
    }
    for word in ["tbd", "n/a", "none", "null", "unknown", "-", "todo", "xxx", "changeme", "TBD", " N/A ", "ToDo"] {
        check(COST_CENTER, &format!("CostCenter={word}"), "!PLACEHOLDER CostCenter");
    }
    check(COST_CENTER, "CostCenter=nonesuch", "");
}

/// A value that differs from one allowed value in letter case, white space, one edit or as its prefix is reported with
/// that value as the fix. Ambiguous values have no fix.
#[test]
fn near_value_reports_intended_value() {
    check(ENVIRONMENT, "Environment=production", "");
    for value in ["Production", "PRODUCTION", " Production"] {
        check(ENVIRONMENT, &format!("Environment={value}"), "!VALUE_CASE Environment >production");
    }
    check(ENVIRONMENT, "Environment=production ", "!VALUE_WHITESPACE Environment >production");
    for (value, fix) in
        [("prod", " >production"), ("Prod", " >production"), ("stagng", " >staging"), ("qa", ""), ("p", "")]
    {
        check(ENVIRONMENT, &format!("Environment={value}"), &format!("!NOT_ALLOWED Environment{fix}"));
    }
    let two = r#""required_tags": [{"name": "Env", "allowed_values": ["product", "production"]}]"#;
    check(two, "Env=prod", "!NOT_ALLOWED Env");
}

/// A value in the list of allowed values is accepted even when it is empty or has the form of a placeholder.
#[test]
fn allowed_value_overrides_placeholder_check() {
    check(ODD_VALUES, "Compliance=None", "");
    check(ODD_VALUES, "Compliance=", "");
    check(ODD_VALUES, "Compliance=none", "!PLACEHOLDER Compliance >None");
}

/// A pattern must match the entire value in its letter case. A value that would match in another case or without white
/// space is reported with the corrected value.
#[test]
fn pattern_applies_to_whole_value_with_case() {
    check(CODE, "CostCenter=CC-1234", "");
    for value in ["CC-1234junk", "xCC-1234", "CC-123"] {
        check(CODE, &format!("CostCenter={value}"), "!REGEX CostCenter");
    }
    check(CODE, "CostCenter=CC-1234\n", "!VALUE_WHITESPACE CostCenter >CC-1234");
    check(CODE, "CostCenter=cc-1234", "!VALUE_CASE CostCenter >CC-1234");
    let unanchored = r#""required_tags": [{"name": "Env", "validation_regex": "prod"}]"#;
    check(unanchored, "Env=PRODuction-x", "!REGEX Env");
    check(unanchored, "Env=PROD", "!VALUE_CASE Env >prod");
}

/// A pattern that causes catastrophic backtracking in other engines is evaluated in less than one second.
#[test]
fn backtracking_pattern_runs_in_linear_time() {
    let policy = r#""required_tags": [{"name": "Name", "validation_regex": "^([a-z]+)+$"}]"#;
    let start = std::time::Instant::now();
    check(policy, &format!("Name={}!", "a".repeat(200)), "!REGEX Name");
    assert!(start.elapsed().as_secs() < 1);
}

/// An expiration date in the past is `EXPIRED`, and text that is not a date is `NOT_A_DATE`. A tag of the type `date`
/// may lie in the past.
#[test]
fn expired_date_differs_from_invalid_date() {
    check(EXPIRY, "ExpirationDate=2026-06-15", "");
    check(EXPIRY, "ExpirationDate=2026-06-14", "!EXPIRED ExpirationDate");
    check(EXPIRY, "ExpirationDate=2026-06-14T23:00:00-02:00", "");
    check(EXPIRY, "ExpirationDate=15.06.2026", "!NOT_A_DATE ExpirationDate");
    check(EXPIRY, "ExpirationDate=2027-02-29", "!NOT_A_DATE ExpirationDate");
    check(EXPIRY, "ExpirationDate=2027-01-31 ", "!VALUE_WHITESPACE ExpirationDate >2027-01-31");
    let plain = r#""required_tags": [{"name": "Created", "value_type": "date"}]"#;
    check(plain, "Created=1999-12-31", "");
}

/// Tags with the `aws:` prefix neither violate nor satisfy a rule, and they do not count toward the limit of 50 tags.
#[test]
fn aws_tags_are_ignored_by_evaluation() {
    let long = "x,".repeat(200);
    check(COST_CENTER, &format!("CostCenter=7; aws:createdBy={long}; AWS:CostCenter=9"), "");
    check(COST_CENTER, "aws:CostCenter=7", "!MISSING CostCenter");
    let many = |count: usize| (0..count).map(|n| format!("; aws:k{n}=v; {}=v", "k".repeat(n + 8))).collect::<String>();
    check(COST_CENTER, &format!("CostCenter=7{}", many(43)), "");
    check(COST_CENTER, &format!("CostCenter=7{}", many(44)), "~TAG_LIMIT_NEAR ");
}

/// The naming rules apply to every user tag, whether the policy defines it or not, and their findings are warnings.
#[test]
fn naming_rules_warn_on_every_user_tag() {
    let rules = r#""required_tags": [{"name": "Owner"}],
        "tag_naming_rules": {"max_key_length": 6, "max_value_length": 4}"#;
    check(rules, "Owner=éééé; Kürzel=a", "");
    check(rules, "Owner=abcde; Project=a", "~TOO_LONG Owner; ~TOO_LONG Project");
    check(rules, "Owner=a,b; b%=a; c=x;y", "~BAD_CHARS Owner; ~BAD_CHARS b%; ~BAD_CHARS c");
    check(rules, "Owner=tbd,; owner=a,", "~BAD_CHARS Owner; ~CONFLICTING_VALUES Owner @owner >Owner; ~BAD_CHARS owner");
    check(rules, "Owner=", "!EMPTY Owner");
    let free = r#""required_tags": [{"name": "Owner"}], "tag_naming_rules": {"allow_special_characters": true}"#;
    check(free, "Owner=a,b", "");
}

/// A value that fails its pattern gives only that finding, not a further warning about its characters.
#[test]
fn value_error_suppresses_naming_warning() {
    check(CODE, "CostCenter=a,b", "!REGEX CostCenter");
}

/// Findings about optional tags are warnings and never make a resource non-compliant.
#[test]
fn optional_tag_findings_are_warnings() {
    check(OPTIONAL, "Owner=a", "");
    check(OPTIONAL, "Owner=a; Project=zeus", "~NOT_ALLOWED Project");
    check(OPTIONAL, "Owner=a; Project=Atlas", "~VALUE_CASE Project >atlas");
    check(OPTIONAL, "Owner=a; Projects=atlas", "~KEY_NEAR_MISS Project @Projects >Project");
    check(OPTIONAL, "Project=", "!MISSING Owner; ~EMPTY Project");
}

/// A resource whose tags could not be read has the state `unknown`, and an untaggable resource is not applicable.
/// Neither has findings.
#[test]
fn unknown_or_untaggable_has_no_findings() {
    let (policy, arn) = (policy_of(COST_CENTER), bucket());
    let gap = Gap { reason: GapReason::Denied, operation: "s3:GetBucketTagging".into(), message: "no".into() };
    for (tags, state) in [(Tags::Unknown(gap), State::Unknown), (Tags::Untaggable, State::NotApplicable)] {
        let evaluation = evaluate_on(&policy, &arn, &tags, TODAY);
        assert_eq!((evaluation.state, evaluation.findings.len()), (state, 0));
    }
}

/// A resource whose type has no required tag is not applicable and has no findings, not even about optional tags.
#[test]
fn type_without_required_tag_not_applicable() {
    let policy = policy_of(
        r#""required_tags": [{"name": "Owner", "applies_to": ["ec2:instance"]}], "optional_tags": [{"name": "Team"}]"#,
    );
    let (arn, tags) = (bucket(), tags_of("Team="));
    let evaluate = |resource_type| policy.evaluate(&Subject { resource_type, arn: &arn, tags: &tags }, TODAY);
    assert_eq!(evaluate(ResourceType::S3Bucket).state, State::NotApplicable);
    assert!(evaluate(ResourceType::S3Bucket).findings.is_empty());
    assert_eq!(evaluate(ResourceType::Ec2Instance).state, State::NonCompliant);
    assert!(policy.applies_to(ResourceType::Ec2Instance) && !policy.applies_to(ResourceType::S3Bucket));
}

/// An exemption applies through its expiry day and no longer, and only to resources whose ARN matches its pattern.
#[test]
fn exemption_includes_expiry_day() {
    let policy = policy_of(
        r#""required_tags": [{"name": "Owner"}],
           "exemptions": [{"resource_arn": "arn:aws:s3:::a-*", "reason": "frozen", "expires": "2026-06-15"}]"#,
    );
    let (arn, tags) = (bucket(), tags_of(""));
    assert_eq!(evaluate_on(&policy, &arn, &tags, TODAY).state, State::Exempt);
    assert!(evaluate_on(&policy, &arn, &tags, TODAY).findings.is_empty());
    assert_eq!(evaluate_on(&policy, &arn, &tags, date(2026, 6, 16)).state, State::NonCompliant);
    let other = "arn:aws:s3:::b-bucket".parse().unwrap();
    assert_eq!(evaluate_on(&policy, &other, &tags, TODAY).state, State::NonCompliant);
}

/// Findings are sorted in the order of the tags in the policy, then by tag key for tags that the policy does not
/// define.
#[test]
fn findings_follow_policy_order_then_key() {
    let members = r#""required_tags": [{"name": "Zone"}, {"name": "App"}], "optional_tags": [{"name": "Beta"}]"#;
    check(members, "b=,; Beta=; a=,", "!MISSING Zone; !MISSING App; ~EMPTY Beta; ~BAD_CHARS a; ~BAD_CHARS b");
}

/// A finding carries its code, its severity, the tag of the policy, the key and value found on the resource, and the
/// fix.
#[test]
fn finding_carries_tag_key_value_and_fix() {
    let (policy, arn, tags) = (policy_of(ENVIRONMENT), bucket(), tags_of("environment=Prod"));
    let evaluation = evaluate_on(&policy, &arn, &tags, TODAY);
    let last = evaluation.findings.last().unwrap();
    assert_eq!((last.code, last.severity), (Code::NotAllowed, Severity::Error));
    assert_eq!((last.tag, last.key, last.value), ("Environment", Some("environment"), Some("Prod")));
    assert_eq!(short(last), "!NOT_ALLOWED Environment @environment >production");
}
