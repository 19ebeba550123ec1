//! Counts: the five states, and the findings.

use std::ops::{AddAssign, SubAssign};

use crate::policy::{Severity, State};

/// Counts of resources and findings. Additive: the tally of a whole is the sum of its parts' tallies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Resources judged, with no required tag wrong.
    pub compliant: u64,
    /// Resources judged, with a required tag wrong.
    pub non_compliant: u64,
    /// Resources to which no required tag applies.
    pub not_applicable: u64,
    /// Resources whose tags could not be read.
    pub unknown: u64,
    /// Resources that the policy exempts.
    pub exempt: u64,
    /// Resources without any user tag.
    pub untagged: u64,
    /// Resources with user tags that lack a required one.
    pub lacking: u64,
    /// Resources with a warning.
    pub warned: u64,
    /// Resources with any finding.
    pub flagged: u64,
    /// Findings of severity error.
    pub errors: u64,
    /// Findings of severity warning.
    pub warnings: u64,
}

/// Added to `lacking` of a resource without any user tag, so that those come first.
pub(super) const UNTAGGED: i64 = 1000;

impl Tally {
    /// compliant / (compliant + non-compliant); none when nothing was judged, never 1.
    pub fn score(&self) -> Option<f64> {
        let judged = self.compliant + self.non_compliant;
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        (judged > 0).then(|| self.compliant as f64 / judged as f64)
    }

    /// All resources, whatever their state.
    pub fn total(&self) -> u64 {
        self.compliant + self.non_compliant + self.not_applicable + self.unknown + self.exempt
    }

    /// Counts of one resource.
    pub(super) fn of(state: State, lacking: i64, findings: impl Iterator<Item = Severity>) -> Self {
        let mut one = Self::default();
        *match state {
            State::Compliant => &mut one.compliant,
            State::NonCompliant => &mut one.non_compliant,
            State::NotApplicable => &mut one.not_applicable,
            State::Unknown => &mut one.unknown,
            State::Exempt => &mut one.exempt,
        } = 1;
        one.untagged = u64::from(lacking >= UNTAGGED);
        one.lacking = u64::from((1..UNTAGGED).contains(&lacking));
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

    /// In the order of the columns of `rollup_cell`.
    pub(super) fn columns(&self) -> [u64; 11] {
        [
            self.compliant,
            self.non_compliant,
            self.not_applicable,
            self.unknown,
            self.exempt,
            self.untagged,
            self.lacking,
            self.warned,
            self.flagged,
            self.errors,
            self.warnings,
        ]
    }

    /// The reverse of [`Tally::columns`].
    pub(super) fn from_columns(columns: [u64; 11]) -> Self {
        let [
            compliant,
            non_compliant,
            not_applicable,
            unknown,
            exempt,
            untagged,
            lacking,
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
            lacking,
            warned,
            flagged,
            errors,
            warnings,
        }
    }

    fn with(self, other: Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        let mut columns = self.columns();
        columns.iter_mut().zip(other.columns()).for_each(|(mine, theirs)| *mine = combine(*mine, theirs));
        Self::from_columns(columns)
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        *self = self.with(other, |mine, theirs| mine + theirs);
    }
}

impl SubAssign for Tally {
    /// What was counted before can be taken back; nothing else.
    fn sub_assign(&mut self, other: Self) {
        *self = self.with(other, u64::saturating_sub);
    }
}
