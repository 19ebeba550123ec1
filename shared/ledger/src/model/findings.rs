//! Sets of findings.

use tagledger_policy::Severity;

use crate::model::snapshot::Rule;

/// An interned set of findings: what it is, and what it counts as.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// None of the empty set, which is not kept.
    pub(crate) id: Option<i64>,
    pub(crate) hash: i64,
    /// In the order of the findings.
    pub(crate) rules: Vec<Rule>,
    /// Their ids.
    pub(crate) ids: Vec<i64>,
}

impl Findings {
    pub(crate) fn severities(&self) -> impl Iterator<Item = Severity> {
        self.rules.iter().map(|rule| rule.severity)
    }

    pub(crate) fn errors(&self) -> usize {
        self.severities().filter(|severity| *severity == Severity::Error).count()
    }
}
