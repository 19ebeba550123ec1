//! Counts of resources by state, and of findings.

use std::ops::AddAssign;

use tagledger_policy::{Severity, State};

/// Counts of resources and findings. The counts of several scopes are the sum of the counts of each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ComplianceCounts {
    /// Evaluated resources whose required tags are all present and valid.
    pub compliant: u64,
    /// Evaluated resources with a required tag that is missing or not valid.
    pub non_compliant: u64,
    /// Resources to which no required tag applies.
    pub not_applicable: u64,
    /// Resources whose tags could not be read.
    pub unknown: u64,
    /// Resources that the policy exempts.
    pub exempt: u64,
    /// Resources without any user tag.
    pub untagged: u64,
    /// Resources with user tags and without a required one.
    pub missing_required: u64,
    /// Resources with a warning.
    pub warned: u64,
    /// Resources with any finding.
    pub flagged: u64,
    /// Findings of severity error.
    pub errors: u64,
    /// Findings of severity warning.
    pub warnings: u64,
}

impl ComplianceCounts {
    /// compliant / (compliant + non-compliant), 0 to 1; none, and not 1, when no resource was evaluated.
    pub fn score(&self) -> Option<f64> {
        let evaluated = self.compliant + self.non_compliant;
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        (evaluated > 0).then(|| self.compliant as f64 / evaluated as f64)
    }

    /// The number of resources in all states.
    pub fn total(&self) -> u64 {
        self.compliant + self.non_compliant + self.not_applicable + self.unknown + self.exempt
    }

    /// The counts of one resource.
    pub(crate) fn for_resource(
        state: State,
        missing_required: bool,
        untagged: bool,
        findings: impl Iterator<Item = Severity>,
    ) -> Self {
        let mut one = Self::default();
        *match state {
            State::Compliant => &mut one.compliant,
            State::NonCompliant => &mut one.non_compliant,
            State::NotApplicable => &mut one.not_applicable,
            State::Unknown => &mut one.unknown,
            State::Exempt => &mut one.exempt,
        } = 1;
        one.untagged = u64::from(untagged);
        one.missing_required = u64::from(missing_required && !untagged);
        for severity in findings {
            *match severity {
                Severity::Error => &mut one.errors,
                Severity::Warning => &mut one.warnings,
            } += 1;
        }
        one.warned = u64::from(one.warnings > 0);
        one.flagged = u64::from(one.errors + one.warnings > 0);
        one
    }

    /// The counts in the order of the columns of `rollup_cell`.
    pub(crate) fn columns(&self) -> [u64; 11] {
        [
            self.compliant,
            self.non_compliant,
            self.not_applicable,
            self.unknown,
            self.exempt,
            self.untagged,
            self.missing_required,
            self.warned,
            self.flagged,
            self.errors,
            self.warnings,
        ]
    }

    /// The reverse of [`crate::model::counts::ComplianceCounts::columns`].
    pub(crate) fn from_columns(columns: [u64; 11]) -> Self {
        let [
            compliant,
            non_compliant,
            not_applicable,
            unknown,
            exempt,
            untagged,
            missing_required,
            warned,
            flagged,
            errors,
            warnings,
        ] = columns;
        Self {
            compliant,
            non_compliant,
            not_applicable,
            unknown,
            exempt,
            untagged,
            missing_required,
            warned,
            flagged,
            errors,
            warnings,
        }
    }

    /// Subtracts the counts of a resource; none when they were not added before.
    pub(crate) fn checked_sub(self, other: Self) -> Option<Self> {
        let mut columns = self.columns();
        for (mine, theirs) in columns.iter_mut().zip(other.columns()) {
            *mine = mine.checked_sub(theirs)?;
        }
        Some(Self::from_columns(columns))
    }
}

impl AddAssign for ComplianceCounts {
    fn add_assign(&mut self, other: Self) {
        let mut columns = self.columns();
        columns.iter_mut().zip(other.columns()).for_each(|(mine, theirs)| *mine += theirs);
        *self = Self::from_columns(columns);
    }
}
