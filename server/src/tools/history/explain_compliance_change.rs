//! `explain_compliance_change`: the contributions of causes to the change of the compliance score between two snapshots.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tagledger_analysis::shapley::{Counts, round_contributions, shapley_contributions};
use tagledger_ledger::{Cause, CauseContribution, Filter, query::change_causes};

use crate::{
    app_state::AppState,
    error::ToolFailure,
    tools::{
        common::{account_filter::limit_accounts, arguments::nullable_number, envelope::Answer},
        history::snapshot_pair::{SnapshotPair, SnapshotState, load_totals},
    },
};

pub(crate) const NAME: &str = "explain_compliance_change";

/// The unit of contributions. Scores are 0 to 1.
const UNIT: f64 = 0.0001;

#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The two snapshots to compare. Default: the latest snapshot and the one before it.
    #[schemars(with = "SnapshotPair")]
    #[serde(default)]
    between: Option<SnapshotPair>,
}

limit_accounts!(entire_estate);

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Body {
    /// The earlier snapshot.
    from: SnapshotState,
    /// The later snapshot.
    to: SnapshotState,
    /// The change of the score, which is the sum of the parts. Null when one of the snapshots has no score.
    #[schemars(schema_with = "nullable_number")]
    change: Option<f64>,
    /// The contribution of each cause.
    parts: Vec<Part>,
}

/// A cause and its effect.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Part {
    /// `new_resources`, `removed_resources`, `tags_added`, `tags_removed_or_changed`, `policy_changed` (includes tag dates that have
    /// expired), or `scope_or_coverage_changed` (other scopes were scanned, or could be read).
    cause: &'static str,
    /// The part of `change` due to this cause: the mean over all orders in which the causes can be applied (Shapley value). Null when
    /// `change` is null.
    #[schemars(schema_with = "nullable_number")]
    contribution: Option<f64>,
    /// The number of resources that the cause added, removed or changed.
    resources: u64,
    /// The change of the number of compliant resources.
    compliant: i64,
    /// The change of the number of non-compliant resources.
    non_compliant: i64,
}

const fn cause_name(cause: Cause) -> &'static str {
    match cause {
        Cause::New => "new_resources",
        Cause::Removed => "removed_resources",
        Cause::TagsAdded => "tags_added",
        Cause::TagsOtherwise => "tags_removed_or_changed",
        Cause::Policy => "policy_changed",
        Cause::Coverage => "scope_or_coverage_changed",
    }
}

/// Answers the call from the differences of the two snapshots.
pub(crate) fn answer(app: &AppState, arguments: Arguments) -> Result<Answer<Body>, ToolFailure> {
    app.read_latest(|session, latest| {
        let (earlier, later, notes) = arguments.between.unwrap_or_default().load(session, latest)?;
        let causes = change_causes::explain(session, &earlier, &later)?;
        let effect = |cause: &Cause| causes.get(cause).copied().unwrap_or_default();
        let (before, after) = load_totals(session, &earlier, &later)?;
        let counts: Vec<Counts> = Cause::ALL.iter().map(|cause| effect(cause).counts).collect();
        let scores = to_counts(&before.tally).score().zip(to_counts(&after.tally).score());
        let contributions = shapley_contributions(to_counts(&before.tally), &counts)
            .zip(scores)
            .map(|(parts, (first, last))| round_contributions(&parts, last - first, UNIT));
        let part = |(index, cause): (usize, &Cause)| {
            let CauseContribution { resources, counts } = effect(cause);
            let units = contributions.as_ref().and_then(|units| units.get(index)).copied();
            Part {
                cause: cause_name(*cause),
                contribution: units.map(to_score),
                resources,
                compliant: counts.compliant,
                non_compliant: counts.non_compliant,
            }
        };
        let body = Body {
            from: SnapshotState::new(&earlier, &before),
            to: SnapshotState::new(&later, &after),
            change: contributions.as_ref().map(|units| to_score(units.iter().sum())),
            parts: Cause::ALL.iter().enumerate().map(part).collect(),
        };
        Ok(Answer::new(session, &later, &Filter::default(), body, notes)?)
    })
}

fn to_score(units: i64) -> f64 {
    units as f64 / 10_000.0
}

fn to_counts(counts: &tagledger_ledger::ComplianceCounts) -> Counts {
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    Counts { compliant: count(counts.compliant), non_compliant: count(counts.non_compliant) }
}
