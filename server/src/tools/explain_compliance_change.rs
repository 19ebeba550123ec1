//! explain_compliance_change: why the score moved between two nights, shared out among causes so that the parts add up.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::{
    day::day_of,
    explain::{Counts, in_units, parts},
    inventory::{TagSet, Tags},
    policy::{Policy, State, Subject},
    store::{Changed, Differences, Filter, Side, Snapshot, TagChange, View, WholeScopes},
};

use super::{
    ToolFailure,
    answer::{Answer, AsOf, Coverage, PolicyUsed},
    arguments::nullable_number,
    between::{Between, Night, totals},
};
use crate::{ledger::Ledger, reach::bounded};

/// The smallest part that is told, of a score from 0 to 1.
const UNIT: f64 = 0.0001;

#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The two nights; the newest and the one before it when left out.
    #[schemars(with = "Between")]
    #[serde(default)]
    between: Option<Between>,
}

bounded!(whole);

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Body {
    from: Night,
    to: Night,
    /// How far the score moved: the sum of the parts. Null when there is no score in one of the nights.
    #[schemars(schema_with = "nullable_number")]
    change: Option<f64>,
    /// What moved it, each cause once.
    parts: Vec<Part>,
}

/// A cause, and what it did.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Part {
    /// `new_resources`, `removed_resources`, `tags_added`, `tags_removed_or_changed`, `policy_changed` (or a date has passed), or
    /// `scope_or_coverage_changed` (other scopes were asked for, or could be read).
    cause: &'static str,
    /// Of `change`: the mean over all orders in which the causes can be taken. Null when there is no change to share.
    #[schemars(schema_with = "nullable_number")]
    contribution: Option<f64>,
    /// Resources that it brought in, took out or moved.
    resources: u64,
    /// Compliant resources more, or fewer.
    compliant: i64,
    /// Non-compliant resources more, or fewer.
    non_compliant: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    New,
    Removed,
    Added,
    Otherwise,
    Policy,
    Coverage,
}

impl Cause {
    const ALL: [Self; 6] = [Self::New, Self::Removed, Self::Added, Self::Otherwise, Self::Policy, Self::Coverage];

    const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new_resources",
            Self::Removed => "removed_resources",
            Self::Added => "tags_added",
            Self::Otherwise => "tags_removed_or_changed",
            Self::Policy => "policy_changed",
            Self::Coverage => "scope_or_coverage_changed",
        }
    }
}

/// The answer, from what differs between the nights.
pub(crate) fn answer(ledger: &Ledger, arguments: Arguments) -> Result<Answer<Body>, ToolFailure> {
    ledger.ask(|view, newest| {
        let (earlier, later, notes) = arguments.between.unwrap_or_default().nights(view, newest)?;
        let sums = Sorter::of(view, &earlier, &later)?.sums(&*view.differences(&earlier, &later)?)?;
        let (before, after) = totals(view, &earlier, &later)?;
        let counts: Vec<Counts> =
            Cause::ALL.iter().map(|cause| sums.get(cause).map_or_else(Counts::default, |sum| sum.1)).collect();
        let scores = of(&before.tally).score().zip(of(&after.tally).score());
        let told = parts(of(&before.tally), &counts)
            .zip(scores)
            .map(|(parts, (first, last))| in_units(&parts, last - first, UNIT));
        let part = |(place, cause): (usize, &Cause)| {
            let (resources, counts) = sums.get(cause).copied().unwrap_or_default();
            let units = told.as_ref().and_then(|told| told.get(place)).copied();
            Part {
                cause: cause.as_str(),
                contribution: units.map(in_score),
                resources,
                compliant: counts.compliant,
                non_compliant: counts.non_compliant,
            }
        };
        let body = Body {
            from: Night::of(&earlier, &before),
            to: Night::of(&later, &after),
            change: told.as_ref().map(|told| in_score(told.iter().sum())),
            parts: Cause::ALL.iter().enumerate().map(part).collect(),
        };
        let (as_of, policy) = (AsOf::of(&later), PolicyUsed::of(&*view.policy(&later)?));
        Ok(Answer { body, as_of, policy, coverage: Coverage::of(view, &later, &Filter::default())?, notes })
    })
}

fn in_score(units: i64) -> f64 {
    units as f64 / 10_000.0
}

fn of(tally: &shared::store::Tally) -> Counts {
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    Counts { compliant: count(tally.compliant), non_compliant: count(tally.non_compliant) }
}

/// Resources of a cause, and what it did to the counts.
type Sum = (u64, Counts);

/// Sorts what differs by what made it differ.
struct Sorter<'v> {
    view: &'v View<'v>,
    /// Scopes that were read whole, in either night.
    whole: [WholeScopes; 2],
    policy: std::sync::Arc<Policy>,
    same_policy: bool,
    later: Snapshot,
}

impl<'v> Sorter<'v> {
    fn of(view: &'v View<'v>, earlier: &Snapshot, later: &Snapshot) -> Result<Self, ToolFailure> {
        Ok(Self {
            view,
            whole: [view.whole_scopes(earlier)?, view.whole_scopes(later)?],
            policy: view.policy(later)?,
            same_policy: earlier.policy_digest == later.policy_digest,
            later: later.clone(),
        })
    }

    fn sums(self, differences: &Differences) -> Result<BTreeMap<Cause, Sum>, ToolFailure> {
        let mut sums: BTreeMap<Cause, Sum> = BTreeMap::new();
        for (place, one) in differences.changed.iter().enumerate() {
            for (cause, from, to) in self.steps(one, differences.retagged.changes_of(place))? {
                if from != to {
                    let sum = sums.entry(cause).or_default();
                    sum.0 += 1;
                    count(&mut sum.1, from, -1);
                    count(&mut sum.1, to, 1);
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
    ) -> Result<Vec<(Cause, Judged, Judged)>, ToolFailure> {
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
                let cause = if only_added { Cause::Added } else { Cause::Otherwise };
                vec![(Cause::Policy, before, between), (cause, between, after)]
            }
        })
    }

    /// How the later policy judges the tags of then.
    fn judge(&self, one: &Changed, tags: &TagSet) -> Result<Judged, ToolFailure> {
        let arn = self.view.named(one)?;
        let tags = Tags::Known(tags.clone());
        let subject = Subject { resource_type: one.scope.resource_type, arn: &arn, tags: &tags };
        Ok(compliant(self.policy.judge(&subject, day_of(self.later.started_at)).state))
    }
}

/// Whether a resource is compliant; none when it is not judged.
type Judged = Option<bool>;

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
