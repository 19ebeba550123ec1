//! One case for each thing that is known to go wrong with tags in real estates.

use jiff::civil::date;

use super::{TODAY, bucket, check, judge_on, policy_of, short, tags_of};
use crate::{
    ResourceType,
    inventory::{Gap, GapReason, Tags},
    policy::{Code, Severity, State, Subject},
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

#[test]
fn a_key_in_another_letter_case_counts_with_a_warning() {
    check(COST_CENTER, "CostCenter=7", "");
    check(COST_CENTER, "costcenter=7", "~KEY_CASE_MISMATCH CostCenter @costcenter >CostCenter");
    check(
        COST_CENTER,
        "costcenter=tbd",
        "~KEY_CASE_MISMATCH CostCenter @costcenter >CostCenter; !PLACEHOLDER CostCenter @costcenter",
    );
    check(r#""required_tags": [{"name": "Größe"}]"#, "GRÖSSE=7", "~KEY_CASE_MISMATCH Größe @GRÖSSE >Größe");
}

#[test]
fn where_case_matters_a_key_in_another_letter_case_is_only_a_hint() {
    check(STRICT_CASE, "costcenter=7", "!MISSING CostCenter; ~KEY_CASE_MISMATCH CostCenter @costcenter >CostCenter");
}

#[test]
fn of_several_letter_cases_the_first_in_byte_order_counts() {
    check(
        COST_CENTER,
        "COSTCENTER=7; costcenter=tbd",
        "~KEY_CASE_MISMATCH CostCenter @COSTCENTER >CostCenter; ~CONFLICTING_VALUES CostCenter @costcenter >CostCenter",
    );
}

#[test]
fn a_key_that_is_almost_right_does_not_count() {
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

#[test]
fn a_key_of_the_policy_is_never_another_key_misspelt() {
    let policy = r#""required_tags": [{"name": "Region1"}], "optional_tags": [{"name": "Region2"}]"#;
    check(policy, "Region2=a", "!MISSING Region1");
    check(policy, "region2=a", "!MISSING Region1; ~KEY_CASE_MISMATCH Region2 @region2 >Region2");
    check(policy, "Region_2=a", "!MISSING Region1; ~KEY_NEAR_MISS Region2 @Region_2 >Region2");
}

#[test]
fn two_spellings_of_one_key_are_duplicates_or_contradict_each_other() {
    check(COST_CENTER, "CostCenter=7; costcenter=7", "~DUPLICATE_KEY_VARIANT CostCenter @costcenter >CostCenter");
    check(COST_CENTER, "CostCenter=7; cost-center=8", "~CONFLICTING_VALUES CostCenter @cost-center >CostCenter");
    check(COST_CENTER, "CostCenter=7; Team=a; team=b", "~CONFLICTING_VALUES Team @team");
    check(COST_CENTER, "CostCenter=7; -=a; _=b", "");
}

#[test]
fn keys_with_spaces_are_keys() {
    check(r#""required_tags": [{"name": "Billing Cost Center"}]"#, "Billing Cost Center=7", "");
}

#[test]
fn empty_blank_placeholder_and_absent_are_four_findings() {
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

#[test]
fn a_value_that_is_almost_right_is_reported_with_the_right_one() {
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

#[test]
fn an_allowed_value_is_right_whatever_it_looks_like() {
    check(ODD_VALUES, "Compliance=None", "");
    check(ODD_VALUES, "Compliance=", "");
    check(ODD_VALUES, "Compliance=none", "!PLACEHOLDER Compliance >None");
}

#[test]
fn a_pattern_matches_the_whole_value_in_its_letter_case() {
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

#[test]
fn a_pattern_that_takes_exponential_time_elsewhere_takes_none_here() {
    let policy = r#""required_tags": [{"name": "Name", "validation_regex": "^([a-z]+)+$"}]"#;
    let start = std::time::Instant::now();
    check(policy, &format!("Name={}!", "a".repeat(200)), "!REGEX Name");
    assert!(start.elapsed().as_secs() < 1);
}

#[test]
fn a_date_that_has_passed_is_another_finding_than_no_date() {
    check(EXPIRY, "ExpirationDate=2026-06-15", "");
    check(EXPIRY, "ExpirationDate=2026-06-14", "!EXPIRED ExpirationDate");
    check(EXPIRY, "ExpirationDate=2026-06-14T23:00:00-02:00", "");
    check(EXPIRY, "ExpirationDate=15.06.2026", "!NOT_A_DATE ExpirationDate");
    check(EXPIRY, "ExpirationDate=2027-02-29", "!NOT_A_DATE ExpirationDate");
    check(EXPIRY, "ExpirationDate=2027-01-31 ", "!VALUE_WHITESPACE ExpirationDate >2027-01-31");
    let plain = r#""required_tags": [{"name": "Created", "value_type": "date"}]"#;
    check(plain, "Created=1999-12-31", "");
}

#[test]
fn tags_of_aws_never_violate_never_satisfy_and_never_count() {
    let long = "x,".repeat(200);
    check(COST_CENTER, &format!("CostCenter=7; aws:createdBy={long}; AWS:CostCenter=9"), "");
    check(COST_CENTER, "aws:CostCenter=7", "!MISSING CostCenter");
    let many = |count: usize| (0..count).map(|n| format!("; aws:k{n}=v; {}=v", "k".repeat(n + 8))).collect::<String>();
    check(COST_CENTER, &format!("CostCenter=7{}", many(43)), "");
    check(COST_CENTER, &format!("CostCenter=7{}", many(44)), "~TAG_LIMIT_NEAR ");
}

#[test]
fn naming_rules_bind_every_user_tag_as_warnings() {
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

#[test]
fn at_most_one_finding_is_about_the_value_of_one_tag() {
    check(CODE, "CostCenter=a,b", "!REGEX CostCenter");
}

#[test]
fn findings_about_optional_tags_are_warnings() {
    check(OPTIONAL, "Owner=a", "");
    check(OPTIONAL, "Owner=a; Project=zeus", "~NOT_ALLOWED Project");
    check(OPTIONAL, "Owner=a; Project=Atlas", "~VALUE_CASE Project >atlas");
    check(OPTIONAL, "Owner=a; Projects=atlas", "~KEY_NEAR_MISS Project @Projects >Project");
    check(OPTIONAL, "Project=", "!MISSING Owner; ~EMPTY Project");
}

#[test]
fn unknown_tags_are_no_violation_and_untaggable_resources_are_not_judged() {
    let (policy, arn) = (policy_of(COST_CENTER), bucket());
    let gap = Gap { reason: GapReason::Denied, operation: "s3:GetBucketTagging".into(), message: "no".into() };
    for (tags, state) in [(Tags::Unknown(gap), State::Unknown), (Tags::Untaggable, State::NotApplicable)] {
        let verdict = judge_on(&policy, &arn, &tags, TODAY);
        assert_eq!((verdict.state, verdict.findings.len()), (state, 0));
    }
}

#[test]
fn a_type_without_a_required_tag_is_not_applicable() {
    let policy = policy_of(
        r#""required_tags": [{"name": "Owner", "applies_to": ["ec2:instance"]}], "optional_tags": [{"name": "Team"}]"#,
    );
    let (arn, tags) = (bucket(), tags_of("Team="));
    let judge = |resource_type| policy.judge(&Subject { resource_type, arn: &arn, tags: &tags }, TODAY);
    assert_eq!(judge(ResourceType::S3Bucket).state, State::NotApplicable);
    assert!(judge(ResourceType::S3Bucket).findings.is_empty());
    assert_eq!(judge(ResourceType::Ec2Instance).state, State::NonCompliant);
    assert!(policy.applies(ResourceType::Ec2Instance) && !policy.applies(ResourceType::S3Bucket));
}

#[test]
fn an_exemption_holds_until_the_end_of_its_last_day() {
    let policy = policy_of(
        r#""required_tags": [{"name": "Owner"}],
           "exemptions": [{"resource_arn": "arn:aws:s3:::a-*", "reason": "frozen", "expires": "2026-06-15"}]"#,
    );
    let (arn, tags) = (bucket(), tags_of(""));
    assert_eq!(judge_on(&policy, &arn, &tags, TODAY).state, State::Exempt);
    assert!(judge_on(&policy, &arn, &tags, TODAY).findings.is_empty());
    assert_eq!(judge_on(&policy, &arn, &tags, date(2026, 6, 16)).state, State::NonCompliant);
    let other = "arn:aws:s3:::b-bucket".parse().unwrap();
    assert_eq!(judge_on(&policy, &other, &tags, TODAY).state, State::NonCompliant);
}

#[test]
fn findings_stand_in_the_policys_order_then_by_key() {
    let members = r#""required_tags": [{"name": "Zone"}, {"name": "App"}], "optional_tags": [{"name": "Beta"}]"#;
    check(members, "b=,; Beta=; a=,", "!MISSING Zone; !MISSING App; ~EMPTY Beta; ~BAD_CHARS a; ~BAD_CHARS b");
}

#[test]
fn a_finding_says_what_was_found() {
    let (policy, arn, tags) = (policy_of(ENVIRONMENT), bucket(), tags_of("environment=Prod"));
    let verdict = judge_on(&policy, &arn, &tags, TODAY);
    let last = verdict.findings.last().unwrap();
    assert_eq!((last.code, last.severity), (Code::NotAllowed, Severity::Error));
    assert_eq!((last.tag, last.key, last.value), ("Environment", Some("environment"), Some("Prod")));
    assert_eq!(short(last), "!NOT_ALLOWED Environment @environment >production");
}
