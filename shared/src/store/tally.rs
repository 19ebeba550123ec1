//! Counts: the five states, and the findings.

use std::ops::AddAssign;

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

    /// Counts one resource.
    pub(super) fn count(&mut self, state: State, lacking: i64, findings: impl Iterator<Item = Severity>) {
        *match state {
            State::Compliant => &mut self.compliant,
            State::NonCompliant => &mut self.non_compliant,
            State::NotApplicable => &mut self.not_applicable,
            State::Unknown => &mut self.unknown,
            State::Exempt => &mut self.exempt,
        } += 1;
        self.untagged += u64::from(lacking >= UNTAGGED);
        self.lacking += u64::from((1..UNTAGGED).contains(&lacking));
        let before = (self.errors, self.warnings);
        for severity in findings {
            *match severity {
                Severity::Error => &mut self.errors,
                Severity::Warning => &mut self.warnings,
            } += 1;
        }
        self.warned += u64::from(self.warnings > before.1);
        self.flagged += u64::from((self.errors, self.warnings) != before);
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.compliant += other.compliant;
        self.non_compliant += other.non_compliant;
        self.not_applicable += other.not_applicable;
        self.unknown += other.unknown;
        self.exempt += other.exempt;
        self.untagged += other.untagged;
        self.lacking += other.lacking;
        self.warned += other.warned;
        self.flagged += other.flagged;
        self.errors += other.errors;
        self.warnings += other.warnings;
    }
}
