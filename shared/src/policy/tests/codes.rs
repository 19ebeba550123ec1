use crate::policy::{Code, Severity, State, ViolationType};

/// The whole contract: a code here never changes its name or its kind.
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

#[test]
fn the_codes_are_a_stable_contract() {
    let codes: Vec<_> = Code::ALL.iter().map(|code| format!("{code} {}", code.violation_type())).collect();
    assert_eq!(codes.join("\n"), CODES);
}

#[test]
fn a_name_reads_back_and_is_the_one_in_json() {
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

#[test]
fn an_unknown_code_is_answered_with_all_that_there_are() {
    let message = "Missing".parse::<Code>().unwrap_err().to_string();
    assert!(message.starts_with("`Missing` is not a finding code; there are MISSING, EMPTY"), "{message}");
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap()
}
