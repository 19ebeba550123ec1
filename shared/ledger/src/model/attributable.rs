//! Whether the spend on a resource is attributable.

use tagledger_policy::{Code, Policy, State};

use crate::model::snapshot::Rule;

/// Whether a bill can attribute a resource by the tags that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Attributable {
    No = 0,
    Yes = 1,
    NotEvaluated = 2,
}

impl Attributable {
    /// A policy can accept another case of a required key as a warning. A bill does not: AWS treats such a key as another key.
    pub(crate) fn from_findings(state: State, policy: &Policy, findings: &[Rule]) -> Self {
        let required = |tag: &str| policy.required().iter().any(|rule| rule.name() == tag);
        match state {
            State::NonCompliant => Self::No,
            State::Compliant => {
                let misspelt = |rule: &Rule| rule.code == Code::KeyCaseMismatch && required(&rule.tag);
                if findings.iter().any(misspelt) { Self::No } else { Self::Yes }
            }
            State::NotApplicable | State::Unknown | State::Exempt => Self::NotEvaluated,
        }
    }
}
