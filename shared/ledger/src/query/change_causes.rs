//! Explains a change in compliance between two snapshots by the causes of changed verdicts.

use std::sync::Arc;

use tagledger_analysis::shapley::Counts;
use tagledger_model::{
    epoch_day::day_of,
    inventory::{TagSet, Tags},
};
use tagledger_policy::{Policy, State, Subject};

use crate::{
    error::LedgerError,
    model::{
        change::{ResourceChange, ResourceVersion, TagChange},
        change_cause::{Cause, CauseContributions},
        snapshot::Snapshot,
    },
    query::{
        coverage::{self, CompleteScopes},
        snapshot_diff::{self, SnapshotDiff},
        stored_insights,
    },
    read::session::ReadSession,
};

/// The causes of a change between two snapshots. They are read from the stored insights of the later snapshot when those compare the same
/// two snapshots.
///
/// # Errors
///
/// When the ledger cannot be read.
pub fn explain(
    session: &ReadSession<'_>,
    earlier: &Snapshot,
    later: &Snapshot,
) -> Result<CauseContributions, LedgerError> {
    match stored_insights::load(session, later)?.and_then(|insights| insights.causes_since(earlier.id)) {
        Some(causes) => Ok(causes),
        None => compute(session, earlier, later),
    }
}

/// Computes the causes from the resources of both snapshots.
pub(crate) fn compute(
    session: &ReadSession<'_>,
    earlier: &Snapshot,
    later: &Snapshot,
) -> Result<CauseContributions, LedgerError> {
    CauseClassifier::new(session, earlier, later)?.sum(&snapshot_diff::compare_all(session, earlier, later)?)
}

/// Finds the causes of each changed resource.
struct CauseClassifier<'s> {
    session: &'s ReadSession<'s>,
    /// The scopes that the scan of the earlier and of the later snapshot read completely.
    complete_scopes: [CompleteScopes; 2],
    policy: Arc<Policy>,
    same_policy: bool,
    later: Snapshot,
}

/// Whether a resource is compliant; none when it is not evaluated.
type StateAndFindings = Option<bool>;

impl<'s> CauseClassifier<'s> {
    fn new(session: &'s ReadSession<'s>, earlier: &Snapshot, later: &Snapshot) -> Result<Self, LedgerError> {
        Ok(Self {
            session,
            complete_scopes: [
                coverage::list_complete_scopes(session, earlier)?,
                coverage::list_complete_scopes(session, later)?,
            ],
            policy: session.policy(later)?,
            same_policy: earlier.policy_digest == later.policy_digest,
            later: later.clone(),
        })
    }

    fn sum(self, diff: &SnapshotDiff) -> Result<CauseContributions, LedgerError> {
        let mut sums = CauseContributions::new();
        for (position, change) in diff.changed.iter().enumerate() {
            for (cause, from, to) in self.classify(change, diff.tag_changes.changes_of(position))? {
                if from != to {
                    let sum = sums.entry(cause).or_default();
                    sum.resources += 1;
                    count(&mut sum.counts, from, -1);
                    count(&mut sum.counts, to, 1);
                }
            }
        }
        Ok(sums)
    }

    /// The causes of the change of a resource, each with the verdicts before and after it.
    fn classify<'t>(
        &self,
        change: &ResourceChange,
        mut tags: impl Iterator<Item = &'t TagChange>,
    ) -> Result<Vec<(Cause, StateAndFindings, StateAndFindings)>, LedgerError> {
        let (before, after) = (change.before.as_ref().and_then(verdict), change.after.as_ref().and_then(verdict));
        let [complete_before, complete_after] =
            self.complete_scopes.each_ref().map(|scopes| scopes.contains_resource(change));
        Ok(match (&change.before, &change.after) {
            (None, _) => vec![(if complete_before { Cause::New } else { Cause::Coverage }, before, after)],
            (_, None) => vec![(if complete_after { Cause::Removed } else { Cause::Coverage }, before, after)],
            (Some(was), Some(is)) if was.state == State::Unknown || is.state == State::Unknown => {
                vec![(Cause::Coverage, before, after)]
            }
            (Some(was), Some(is)) if was.same_tags(is) => vec![(Cause::Policy, before, after)],
            (Some(_), Some(_)) if before == after && self.same_policy => Vec::new(),
            (Some(was), Some(_)) => {
                let between = if self.same_policy {
                    before
                } else {
                    self.evaluate(change, &snapshot_diff::load_tags(self.session, was)?)?
                };
                let only_added = tags.all(|change| change.before.is_none());
                let cause = if only_added { Cause::TagsAdded } else { Cause::TagsOtherwise };
                vec![(Cause::Policy, before, between), (cause, between, after)]
            }
        })
    }

    /// The verdict of the later policy on the earlier tags.
    fn evaluate(&self, change: &ResourceChange, tags: &TagSet) -> Result<StateAndFindings, LedgerError> {
        let arn = snapshot_diff::resolve_arn(self.session, change)?;
        let tags = Tags::Known(tags.clone());
        let subject = Subject { resource_type: change.scope.resource_type, arn: &arn, tags: &tags };
        Ok(compliant(self.policy.evaluate(&subject, day_of(self.later.started_at)).state))
    }
}

fn verdict(side: &ResourceVersion) -> StateAndFindings {
    compliant(side.state)
}

fn compliant(state: State) -> StateAndFindings {
    match state {
        State::Compliant => Some(true),
        State::NonCompliant => Some(false),
        State::NotApplicable | State::Unknown | State::Exempt => None,
    }
}

fn count(counts: &mut Counts, verdict: StateAndFindings, by: i64) {
    match verdict {
        Some(true) => counts.compliant += by,
        Some(false) => counts.non_compliant += by,
        None => {}
    }
}
