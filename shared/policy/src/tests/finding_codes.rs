use crate::results::{Code, Severity, State, ViolationType};

/// The complete contract: a code never changes its name or its violation type.
const CODES: &str = "\
MISSING missing_required_tag
EMPTY invalid_value
BLANK invalid_value
PLACEHOLDER invalid_value
NOT_ALLOWED invalid_value
REGEX invalid_format
VALUE_CASE invalid_value
VALUE_WHITESPACE invalid_value
NOT_A_DATE invalid_format
EXPIRED invalid_value
TOO_LONG invalid_format
BAD_CHARS invalid_format
KEY_CASE_MISMATCH invalid_format
KEY_NEAR_MISS invalid_format
DUPLICATE_KEY_VARIANT invalid_format
CONFLICTING_VALUES invalid_format
TAG_LIMIT_NEAR invalid_format";

/// The list of finding codes and their violation types equals the published contract exactly.
#[test]
fn codes_match_published_contract() {
    let codes: Vec<_> = Code::ALL.iter().map(|code| format!("{code} {}", code.violation_type())).collect();
    assert_eq!(codes.join("\n"), CODES);
}

/// Every finding code parses back from its name, and codes, states, violation types and severities have the same name
/// in JSON.
#[test]
fn code_names_round_trip_and_match_json() {
    for code in Code::ALL {
        assert_eq!(code.as_str().parse(), Ok(*code));
        assert_eq!(serde_json::to_string(code).unwrap(), format!("\"{code}\""));
    }
    for (state, name) in State::ALL.iter().zip(["compliant", "non_compliant", "not_applicable", "unknown", "exempt"]) {
        assert_eq!((state.as_str(), json(state)), (name, format!("\"{name}\"")));
    }
    for kind in ViolationType::ALL {
        assert_eq!(json(kind), format!("\"{kind}\""));
    }
    for severity in Severity::ALL {
        assert_eq!(json(severity), format!("\"{severity}\""));
    }
}

/// The error for an unknown finding code quotes it and lists the existing codes. Codes are case-sensitive.
#[test]
fn unknown_code_error_lists_all_codes() {
    let message = "Missing".parse::<Code>().unwrap_err().to_string();
    assert!(message.starts_with("`Missing` is not a finding code; allowed are MISSING, EMPTY"), "{message}");
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap()
}
