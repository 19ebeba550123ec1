//! The results of judging: their names are a stable contract.

use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Arn, ResourceType, inventory::Tags};

/// A name that is none of those an enumeration has; says which there are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a {kind}; there are {known}")]
pub struct UnknownName {
    given: String,
    kind: &'static str,
    known: String,
}

macro_rules! named {
    ($type:ident, $kind:literal, $($variant:ident => $name:literal),+ $(,)?) => {
        impl $type {
            /// Every one, in declaration order.
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
                Self::ALL.iter().copied().find(|known| known.as_str() == given).ok_or_else(|| UnknownName {
                    given: given.chars().take(100).collect(),
                    kind: $kind,
                    known: [$($name),+].join(", "),
                })
            }
        }
    };
}

/// What the policy says of one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Judged, and no required tag is wrong.
    Compliant,
    /// Judged, and at least one required tag is wrong.
    NonCompliant,
    /// No required tag applies to its type, or it cannot carry tags.
    NotApplicable,
    /// Its tags could not be read.
    Unknown,
    /// The policy exempts it.
    Exempt,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// About a required tag: the resource is non-compliant.
    Error,
    /// About an optional tag or a spelling: the resource may be compliant all the same.
    Warning,
}

/// The specification's three kinds of violation; [`Code`] is finer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ViolationType {
    /// The key is not there, or only under another spelling.
    MissingRequiredTag,
    /// The value is not one of those allowed, or is none at all.
    InvalidValue,
    /// The key or the value has the wrong form.
    InvalidFormat,
}

/// What is wrong, as a stable code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Code {
    /// A required key is absent.
    Missing,
    /// The value is the empty string.
    Empty,
    /// The value is nothing but white space.
    Blank,
    /// The value stands for "not filled in", such as `tbd` or `n/a`.
    Placeholder,
    /// The value is not one of those allowed.
    NotAllowed,
    /// The value does not match the pattern.
    Regex,
    /// The value is right but for letter case.
    ValueCase,
    /// The value is right but for white space.
    ValueWhitespace,
    /// The value is not a date.
    NotADate,
    /// The date has passed.
    Expired,
    /// The key or value is longer than the naming rules allow.
    TooLong,
    /// The key or value has characters that the naming rules do not allow.
    BadChars,
    /// The key differs from the policy's in letter case only; it counts, but not in billing.
    KeyCaseMismatch,
    /// The key is almost the policy's; it does not count.
    KeyNearMiss,
    /// Two spellings of one key with the same value.
    DuplicateKeyVariant,
    /// Two spellings of one key with different values.
    ConflictingValues,
    /// Nearly as many tags as AWS allows.
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
    /// The specification's kind of violation that this code refines.
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

/// One thing that is wrong with one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding<'a> {
    /// What.
    pub code: Code,
    /// How much it matters.
    pub severity: Severity,
    /// The policy's key that it is about; the key as found when it is about no key of the policy; empty when it is
    /// about the whole resource.
    pub tag: &'a str,
    /// The key as found, where that is not `tag`.
    pub key: Option<&'a str>,
    /// The value as found; none where there is none, and where `TOO_LONG` or `BAD_CHARS` is about the key.
    pub value: Option<&'a str>,
    /// The canonical key or value to write instead, where one follows from the policy.
    pub fix: Option<Cow<'a, str>>,
}

/// The judgement on one resource. Findings stand in a fixed order: the policy's tags first, in the policy's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// The state that follows from the findings.
    pub state: State,
    /// All findings; empty unless the state is compliant or non-compliant.
    pub findings: Vec<Finding<'a>>,
}

/// What is judged.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its type decides which tags apply.
    pub resource_type: ResourceType,
    /// Its name decides which exemptions apply.
    pub arn: &'a Arn,
    /// Its tags.
    pub tags: &'a Tags,
}

impl Verdict<'_> {
    pub(super) const fn bare(state: State) -> Self {
        Self { state, findings: Vec::new() }
    }
}
