//! explain_compliance_change: why the score moved between two nights, shared out among causes so that the parts add up.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::{
    explain::{Counts, in_units, parts},
    store::{Cause, Filter, Moved},
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

const fn name(cause: Cause) -> &'static str {
    match cause {
        Cause::New => "new_resources",
        Cause::Removed => "removed_resources",
        Cause::TagsAdded => "tags_added",
        Cause::TagsOtherwise => "tags_removed_or_changed",
        Cause::Policy => "policy_changed",
        Cause::Coverage => "scope_or_coverage_changed",
    }
}

/// The answer, from what differs between the nights.
pub(crate) fn answer(ledger: &Ledger, arguments: Arguments) -> Result<Answer<Body>, ToolFailure> {
    ledger.ask(|view, newest| {
        let (earlier, later, notes) = arguments.between.unwrap_or_default().nights(view, newest)?;
        let causes = view.causes(&earlier, &later)?;
        let did = |cause: &Cause| causes.get(cause).copied().unwrap_or_default();
        let (before, after) = totals(view, &earlier, &later)?;
        let counts: Vec<Counts> = Cause::ALL.iter().map(|cause| did(cause).counts).collect();
        let scores = of(&before.tally).score().zip(of(&after.tally).score());
        let told = parts(of(&before.tally), &counts)
            .zip(scores)
            .map(|(parts, (first, last))| in_units(&parts, last - first, UNIT));
        let part = |(place, cause): (usize, &Cause)| {
            let Moved { resources, counts } = did(cause);
            let units = told.as_ref().and_then(|told| told.get(place)).copied();
            Part {
                cause: name(*cause),
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
