//! What made two nights differ: each resource that is not as it was, by the cause of that.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Changed, Differences, Side, Snapshot, StoreError, TagChange, View, covered::WholeScopes};
use crate::{
    day::day_of,
    explain::Counts,
    inventory::{TagSet, Tags},
    policy::{Policy, State, Subject},
};

/// Why resources are judged otherwise than in an earlier night, or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// They are new.
    New,
    /// They are gone.
    Removed,
    /// Tags were added, and nothing else.
    TagsAdded,
    /// Tags were removed, or have other values.
    TagsOtherwise,
    /// The policy is another one, or a date has passed.
    Policy,
    /// Other scopes were asked for, or could be read.
    Coverage,
}

impl Cause {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 6] =
        [Self::New, Self::Removed, Self::TagsAdded, Self::TagsOtherwise, Self::Policy, Self::Coverage];
}

/// What a cause did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// Resources that it brought in, took out or moved.
    pub resources: u64,
    /// Compliant and other ones more; fewer when negative.
    pub counts: Counts,
}

/// What each cause did; those that did nothing are left out.
pub type Causes = BTreeMap<Cause, Moved>;

impl View<'_> {
    /// What made a night differ from an earlier one. Told at once where it was told when the later night was written.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub fn causes(&self, earlier: &Snapshot, later: &Snapshot) -> Result<Causes, StoreError> {
        match self.told(later)?.and_then(|told| told.causes_since(earlier.id)) {
            Some(causes) => Ok(causes),
            None => self.read_causes(earlier, later),
        }
    }

    /// The same from the facts.
    pub(super) fn read_causes(&self, earlier: &Snapshot, later: &Snapshot) -> Result<Causes, StoreError> {
        Sorter::of(self, earlier, later)?.sums(&self.all_differences(earlier, later)?)
    }
}

/// Sorts what differs by what made it differ.
struct Sorter<'v> {
    view: &'v View<'v>,
    /// Scopes that were read whole, in either night.
    whole: [WholeScopes; 2],
    policy: Arc<Policy>,
    same_policy: bool,
    later: Snapshot,
}

/// Whether a resource is compliant; none when it is not judged.
type Judged = Option<bool>;

impl<'v> Sorter<'v> {
    fn of(view: &'v View<'v>, earlier: &Snapshot, later: &Snapshot) -> Result<Self, StoreError> {
        Ok(Self {
            view,
            whole: [view.whole_scopes(earlier)?, view.whole_scopes(later)?],
            policy: view.policy(later)?,
            same_policy: earlier.policy_digest == later.policy_digest,
            later: later.clone(),
        })
    }

    fn sums(self, differences: &Differences) -> Result<Causes, StoreError> {
        let mut sums = Causes::new();
        for (place, one) in differences.changed.iter().enumerate() {
            for (cause, from, to) in self.steps(one, differences.retagged.changes_of(place))? {
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

    /// What happened to a resource, step by step: the cause, and how it was judged before and after.
    fn steps<'t>(
        &self,
        one: &Changed,
        mut tags: impl Iterator<Item = &'t TagChange>,
    ) -> Result<Vec<(Cause, Judged, Judged)>, StoreError> {
        let (before, after) = (one.before.as_ref().and_then(judged), one.after.as_ref().and_then(judged));
        let [then, now] = self.whole.each_ref().map(|whole| whole.have(one));
        Ok(match (&one.before, &one.after) {
            (None, _) => vec![(if then { Cause::New } else { Cause::Coverage }, before, after)],
            (_, None) => vec![(if now { Cause::Removed } else { Cause::Coverage }, before, after)],
            (Some(was), Some(is)) if was.state == State::Unknown || is.state == State::Unknown => {
                vec![(Cause::Coverage, before, after)]
            }
            (Some(was), Some(is)) if was.same_tags(is) => vec![(Cause::Policy, before, after)],
            (Some(_), Some(_)) if before == after && self.same_policy => Vec::new(),
            (Some(was), Some(_)) => {
                let between = if self.same_policy { before } else { self.judge(one, &self.view.tags_in(was)?)? };
                let only_added = tags.all(|change| change.before.is_none());
                let cause = if only_added { Cause::TagsAdded } else { Cause::TagsOtherwise };
                vec![(Cause::Policy, before, between), (cause, between, after)]
            }
        })
    }

    /// How the later policy judges the tags of then.
    fn judge(&self, one: &Changed, tags: &TagSet) -> Result<Judged, StoreError> {
        let arn = self.view.named(one)?;
        let tags = Tags::Known(tags.clone());
        let subject = Subject { resource_type: one.scope.resource_type, arn: &arn, tags: &tags };
        Ok(compliant(self.policy.judge(&subject, day_of(self.later.started_at)).state))
    }
}

fn judged(side: &Side) -> Judged {
    compliant(side.state)
}

fn compliant(state: State) -> Judged {
    match state {
        State::Compliant => Some(true),
        State::NonCompliant => Some(false),
        State::NotApplicable | State::Unknown | State::Exempt => None,
    }
}

fn count(counts: &mut Counts, judged: Judged, by: i64) {
    match judged {
        Some(true) => counts.compliant += by,
        Some(false) => counts.non_compliant += by,
        None => {}
    }
}
