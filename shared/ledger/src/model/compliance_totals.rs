//! How judged resources stand, and how by a policy that is not in force.

use std::ops::AddAssign;

use tagledger_cost::Amount;
use tagledger_model::float;
use tagledger_policy::State;

/// Resources judged by two policies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SimulatedTotals {
    /// By the policy of the snapshot.
    pub now: ComplianceTotals,
    /// By the draft.
    pub draft: ComplianceTotals,
    /// Compliant now, and not by the draft.
    pub newly_failing: u64,
    /// Not compliant now, and by the draft.
    pub newly_passing: u64,
    /// Not judged now (exempt, or no required tag applies), and not compliant by the draft.
    pub newly_judged_failing: u64,
    /// What those that newly fail cost a month, judged now or not, as far as it is known.
    pub newly_failing_cost: Amount,
    /// Of how many of them it is known.
    pub newly_failing_with_cost: u64,
}

/// Judged resources, with what they cost a month as far as that is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ComplianceTotals {
    /// With every required tag right.
    pub compliant: u64,
    /// Without.
    pub non_compliant: u64,
    /// What the compliant cost.
    pub compliant_cost: Amount,
    /// What the others cost.
    pub non_compliant_cost: Amount,
}

impl ComplianceTotals {
    pub(crate) fn add(&mut self, state: State, cost: Amount) {
        match state {
            State::Compliant => {
                self.compliant += 1;
                self.compliant_cost += cost;
            }
            State::NonCompliant => {
                self.non_compliant += 1;
                self.non_compliant_cost += cost;
            }
            State::NotApplicable | State::Unknown | State::Exempt => {}
        }
    }

    pub(crate) fn take(&mut self, state: State) {
        match state {
            State::Compliant => self.compliant = self.compliant.saturating_sub(1),
            State::NonCompliant => self.non_compliant = self.non_compliant.saturating_sub(1),
            State::NotApplicable | State::Unknown | State::Exempt => {}
        }
    }

    /// Compliant of all judged; none where nothing was judged.
    pub fn score(&self) -> Option<f64> {
        share(self.compliant, self.compliant + self.non_compliant)
    }

    /// The same by cost.
    pub fn score_by_cost(&self) -> Option<f64> {
        let [compliant, others] =
            [self.compliant_cost, self.non_compliant_cost].map(|cost| cost.micros().max(0).unsigned_abs());
        share(compliant, compliant + others)
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| float::to_f64(part) / float::to_f64(whole))
}

impl SimulatedTotals {
    pub(crate) fn add(&mut self, now: State, draft: State, cost: Option<Amount>) {
        self.now.add(now, cost.unwrap_or_default());
        self.draft.add(draft, cost.unwrap_or_default());
        match (now, draft) {
            (State::Compliant, State::NonCompliant) => self.newly_failing += 1,
            (State::NonCompliant, State::Compliant) => self.newly_passing += 1,
            (State::NotApplicable | State::Exempt, State::NonCompliant) => self.newly_judged_failing += 1,
            _ => {}
        }
        if newly_fails(now, draft) {
            self.newly_failing_with_cost += u64::from(cost.is_some());
            self.newly_failing_cost += cost.unwrap_or_default();
        }
    }
}

impl AddAssign for ComplianceTotals {
    fn add_assign(&mut self, other: Self) {
        self.compliant += other.compliant;
        self.non_compliant += other.non_compliant;
        self.compliant_cost += other.compliant_cost;
        self.non_compliant_cost += other.non_compliant_cost;
    }
}

impl AddAssign for SimulatedTotals {
    fn add_assign(&mut self, other: Self) {
        self.now += other.now;
        self.draft += other.draft;
        self.newly_failing += other.newly_failing;
        self.newly_passing += other.newly_passing;
        self.newly_judged_failing += other.newly_judged_failing;
        self.newly_failing_cost += other.newly_failing_cost;
        self.newly_failing_with_cost += other.newly_failing_with_cost;
    }
}

/// Whether a draft finds a resource not compliant that is not so now.
pub(crate) fn newly_fails(now: State, draft: State) -> bool {
    draft == State::NonCompliant && now != State::NonCompliant
}
