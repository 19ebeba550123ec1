//! The results of an evaluation. Their names are a stable contract.

use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use tagledger_model::{Arn, ResourceType, inventory::Tags};

/// A name that an enumeration does not have. The message lists the names that it has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a {kind}; allowed are {allowed}")]
pub struct UnknownName {
    given: String,
    kind: &'static str,
    allowed: String,
}

macro_rules! named {
    ($type:ident, $kind:literal, $($variant:ident => $name:literal),+ $(,)?) => {
        impl $type {
            /// All values, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable name, as in JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = UnknownName;

            fn from_str(given: &str) -> Result<Self, UnknownName> {
                Self::ALL.iter().copied().find(|value| value.as_str() == given).ok_or_else(|| UnknownName {
                    given: given.chars().take(100).collect(),
                    kind: $kind,
                    allowed: [$($name),+].join(", "),
                })
            }
        }
    };
}

/// The compliance state of one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Evaluated, without an error about a required tag.
    Compliant,
    /// Evaluated, with at least one error about a required tag.
    NonCompliant,
    /// No required tag applies to its type, or it cannot have tags.
    NotApplicable,
    /// Its tags could not be read.
    Unknown,
    /// The policy exempts it.
    Exempt,
}

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// About a required tag; it makes the resource non-compliant.
    Error,
    /// About an optional tag or a variant of a key; it does not make the resource non-compliant.
    Warning,
}

/// The three violation types of the specification. [`Code`] divides them further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ViolationType {
    /// The key is absent, or the resource has only a variant of it.
    MissingRequiredTag,
    /// The value is not allowed or is empty.
    InvalidValue,
    /// The key or the value has the wrong form.
    InvalidFormat,
}

/// The stable code of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Code {
    /// A required key is absent.
    Missing,
    /// The value is the empty string.
    Empty,
    /// The value consists of white space.
    Blank,
    /// The value is a placeholder, such as `tbd` or `n/a`.
    Placeholder,
    /// The value is not in the list of allowed values.
    NotAllowed,
    /// The value does not match the pattern.
    Regex,
    /// The value differs from a valid one in letter case only.
    ValueCase,
    /// The value differs from a valid one in white space only.
    ValueWhitespace,
    /// The value is not a date.
    NotADate,
    /// The date has passed.
    Expired,
    /// The key or value is longer than the naming rules allow.
    TooLong,
    /// The key or value has characters that the naming rules do not allow.
    BadChars,
    /// The key differs from the policy's in letter case only. It satisfies the policy, but billing does not recognize
    /// it.
    KeyCaseMismatch,
    /// The key is similar to the policy's. It does not satisfy the policy.
    KeyNearMiss,
    /// Two variants of one key with the same value.
    DuplicateKeyVariant,
    /// Two variants of one key with different values.
    ConflictingValues,
    /// The number of tags is close to the AWS limit.
    TagLimitNear,
}

named!(
    State, "state",
    Compliant => "compliant",
    NonCompliant => "non_compliant",
    NotApplicable => "not_applicable",
    Unknown => "unknown",
    Exempt => "exempt",
);

named!(Severity, "severity", Error => "error", Warning => "warning");

named!(
    ViolationType, "violation type",
    MissingRequiredTag => "missing_required_tag",
    InvalidValue => "invalid_value",
    InvalidFormat => "invalid_format",
);

named!(
    Code, "finding code",
    Missing => "MISSING",
    Empty => "EMPTY",
    Blank => "BLANK",
    Placeholder => "PLACEHOLDER",
    NotAllowed => "NOT_ALLOWED",
    Regex => "REGEX",
    ValueCase => "VALUE_CASE",
    ValueWhitespace => "VALUE_WHITESPACE",
    NotADate => "NOT_A_DATE",
    Expired => "EXPIRED",
    TooLong => "TOO_LONG",
    BadChars => "BAD_CHARS",
    KeyCaseMismatch => "KEY_CASE_MISMATCH",
    KeyNearMiss => "KEY_NEAR_MISS",
    DuplicateKeyVariant => "DUPLICATE_KEY_VARIANT",
    ConflictingValues => "CONFLICTING_VALUES",
    TagLimitNear => "TAG_LIMIT_NEAR",
);

impl Code {
    /// The violation type of the specification that this code belongs to.
    pub const fn violation_type(self) -> ViolationType {
        match self {
            Self::Missing => ViolationType::MissingRequiredTag,
            Self::Empty
            | Self::Blank
            | Self::Placeholder
            | Self::NotAllowed
            | Self::ValueCase
            | Self::ValueWhitespace
            | Self::Expired => ViolationType::InvalidValue,
            Self::Regex
            | Self::NotADate
            | Self::TooLong
            | Self::BadChars
            | Self::KeyCaseMismatch
            | Self::KeyNearMiss
            | Self::DuplicateKeyVariant
            | Self::ConflictingValues
            | Self::TagLimitNear => ViolationType::InvalidFormat,
        }
    }
}

/// One violation of the policy by one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding<'a> {
    /// The code.
    pub code: Code,
    /// The severity.
    pub severity: Severity,
    /// The key of the policy that the finding is about. For other keys, the key on the resource; empty for a finding
    /// about the resource as a whole.
    pub tag: &'a str,
    /// The key on the resource, when it differs from `tag`.
    pub key: Option<&'a str>,
    /// The value on the resource; none when there is none, and when `TOO_LONG` or `BAD_CHARS` is about the key.
    pub value: Option<&'a str>,
    /// The key or value that corrects the violation, when the policy determines one.
    pub fix: Option<Cow<'a, str>>,
}

/// The evaluation of one resource. Findings have a fixed order: first those about the tags of the policy, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation<'a> {
    /// The state that follows from the findings.
    pub state: State,
    /// All findings; empty unless the state is compliant or non-compliant.
    pub findings: Vec<Finding<'a>>,
}

/// A resource to evaluate.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The type, which decides which tags apply.
    pub resource_type: ResourceType,
    /// The ARN, which decides which exemptions apply.
    pub arn: &'a Arn,
    /// The tags.
    pub tags: &'a Tags,
}

impl Evaluation<'_> {
    pub(crate) const fn without_findings(state: State) -> Self {
        Self { state, findings: Vec::new() }
    }
}
