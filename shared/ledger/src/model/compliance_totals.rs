//! Totals of evaluated resources, by the policy of a snapshot and by a draft policy.

use std::ops::AddAssign;

use tagledger_cost::Amount;
use tagledger_model::float;
use tagledger_policy::State;

/// Totals of resources that two policies evaluated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SimulatedTotals {
    /// The totals by the policy of the snapshot.
    pub now: ComplianceTotals,
    /// The totals by the draft policy.
    pub draft: ComplianceTotals,
    /// Resources that are compliant now and non-compliant by the draft.
    pub newly_failing: u64,
    /// Resources that are non-compliant now and compliant by the draft.
    pub newly_passing: u64,
    /// Resources that are not evaluated now (exempt, or no required tag applies) and non-compliant by the draft.
    pub newly_evaluated_failing: u64,
    /// The monthly cost of all resources that only the draft finds non-compliant, whether they are evaluated now or not, if known.
    pub newly_failing_cost: Amount,
    /// The number of these resources whose cost is known.
    pub newly_failing_with_cost: u64,
}

/// Numbers of evaluated resources, and the sums of their monthly costs as far as these are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ComplianceTotals {
    /// Resources whose required tags are all present and valid.
    pub compliant: u64,
    /// Resources with a required tag that is missing or not valid.
    pub non_compliant: u64,
    /// The monthly cost of the compliant resources.
    pub compliant_cost: Amount,
    /// The monthly cost of the non-compliant resources.
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

    pub(crate) fn subtract(&mut self, state: State) {
        match state {
            State::Compliant => self.compliant = self.compliant.saturating_sub(1),
            State::NonCompliant => self.non_compliant = self.non_compliant.saturating_sub(1),
            State::NotApplicable | State::Unknown | State::Exempt => {}
        }
    }

    /// The share of compliant resources, 0 to 1; none when no resource was evaluated.
    pub fn score(&self) -> Option<f64> {
        share(self.compliant, self.compliant + self.non_compliant)
    }

    /// The same share, weighted by cost.
    pub fn score_by_cost(&self) -> Option<f64> {
        let [compliant, others] =
            [self.compliant_cost, self.non_compliant_cost].map(|cost| cost.micros().max(0).unsigned_abs());
        share(compliant, compliant + others)
    }
}

fn share(part: u64, total: u64) -> Option<f64> {
    (total > 0).then(|| float::to_f64(part) / float::to_f64(total))
}

impl SimulatedTotals {
    pub(crate) fn add(&mut self, now: State, draft: State, cost: Option<Amount>) {
        self.now.add(now, cost.unwrap_or_default());
        self.draft.add(draft, cost.unwrap_or_default());
        match (now, draft) {
            (State::Compliant, State::NonCompliant) => self.newly_failing += 1,
            (State::NonCompliant, State::Compliant) => self.newly_passing += 1,
            (State::NotApplicable | State::Exempt, State::NonCompliant) => self.newly_evaluated_failing += 1,
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
        self.newly_evaluated_failing += other.newly_evaluated_failing;
        self.newly_failing_cost += other.newly_failing_cost;
        self.newly_failing_with_cost += other.newly_failing_with_cost;
    }
}

/// Whether a resource is non-compliant by a draft and is not so now.
pub(crate) fn newly_fails(now: State, draft: State) -> bool {
    draft == State::NonCompliant && now != State::NonCompliant
}
