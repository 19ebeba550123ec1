//! Sets of findings.

use tagledger_policy::Severity;

use crate::model::snapshot::Rule;

/// An interned set of findings.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// The row id; none for the empty set, which has no row.
    pub(crate) id: Option<i64>,
    pub(crate) hash: i64,
    /// The rules in the order of the findings.
    pub(crate) rules: Vec<Rule>,
    /// The row ids of the rules.
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
