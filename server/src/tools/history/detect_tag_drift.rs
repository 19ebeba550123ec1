//! `detect_tag_drift`: the tag changes between two snapshots.

use std::{cmp::Reverse, collections::BTreeMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tagledger_cost::Amount;
use tagledger_ledger::{
    Filter, ReadSession, ResourceChange, SnapshotDiff, TagChange, TagValue,
    query::{snapshot_diff, tag_changes},
};
use tagledger_model::ResourceType;
use tagledger_policy::{Policy, State};

use crate::{
    app_state::AppState,
    error::ToolFailure,
    tools::{
        common::{
            account_filter::limit_accounts,
            arguments::{nullable_number, nullable_text, require_non_empty, type_list},
            envelope::{Answer, to_units},
            resource_cost,
        },
        history::snapshot_pair::{SnapshotPair, SnapshotState, load_totals},
    },
    untrusted_text::escape,
};

pub(crate) const NAME: &str = "detect_tag_drift";

/// The default of `limit`.
const DEFAULT_ROWS: i64 = 20;

/// The maximum of `limit`.
const MAX_ROWS: i64 = 100;

#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The two snapshots to compare. Default: the latest snapshot and the one before it.
    #[schemars(with = "SnapshotPair")]
    #[serde(default)]
    between: Option<SnapshotPair>,
    /// Default: all types.
    #[schemars(schema_with = "type_list")]
    #[serde(default)]
    resource_types: Option<Vec<ResourceType>>,
    /// Includes only changes of this tag key, which must match exactly. Default: all keys.
    #[schemars(with = "String")]
    #[serde(default)]
    key: Option<String>,
    /// The maximum number of drifts to return, 1 to 100. Default: 20. There is no paging; use the other arguments to see the rest.
    #[schemars(with = "i64", range(min = 1, max = 100))]
    #[serde(default)]
    limit: Option<i64>,
}

limit_accounts!(entire_estate);

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Body {
    /// The earlier snapshot.
    from: SnapshotState,
    /// The later snapshot.
    to: SnapshotState,
    /// The tag changes, with equal changes of several resources in one row: changes of required tags first (removed, then changed,
    /// then added), then those of other tags. Within each kind, the highest cost of the resources first.
    drifts: Vec<Drift>,
    /// The number of drifts that are not returned.
    remaining: u64,
    /// The number of resources with a tag change that matches the arguments.
    resources: u64,
}

/// The same change of one tag on one or more resources.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Drift {
    /// `removed`, `changed` or `added`.
    change: &'static str,
    /// The tag key. Untrusted text.
    key: String,
    /// Whether the policy requires the key for the type of at least one of the resources.
    required: bool,
    /// The value in the earlier snapshot. Null when the tag was added. Untrusted text.
    #[schemars(schema_with = "nullable_text")]
    from_value: Option<String>,
    /// The value in the later snapshot. Null when the tag was removed. Untrusted text.
    #[schemars(schema_with = "nullable_text")]
    to_value: Option<String>,
    resources: u64,
    /// The monthly cost of these resources, as far as it is known. Null when no cost is known.
    #[schemars(schema_with = "nullable_number")]
    monthly_cost: Option<f64>,
    /// The ARNs of some of the resources, at most 5.
    resource_arns: Vec<String>,
}

/// The maximum number of ARNs of a drift.
const MAX_ARNS: usize = 5;

/// The sums of one kind of change.
#[derive(Default)]
struct DriftSum<'c> {
    is_requested: bool,
    /// The resource types for which the policy requires the key.
    required_types: &'c [ResourceType],
    required: bool,
    resources: u64,
    cost: Amount,
    with_cost: u64,
    examples: Vec<&'c ResourceChange>,
}

/// Answers the call from the resources that exist in both snapshots and whose tags are known in both.
pub(crate) fn answer(app: &AppState, arguments: Arguments) -> Result<Answer<Body>, ToolFailure> {
    let limit = arguments.limit.unwrap_or(DEFAULT_ROWS);
    if !(1..=MAX_ROWS).contains(&limit) {
        return Err(ToolFailure::Caller(format!("`limit` must be 1 to {MAX_ROWS}, not {limit}")));
    }
    let filter = Filter { types: require_non_empty("resource_types", arguments.resource_types)?, ..Filter::default() };
    let key = arguments.key.as_deref();
    app.read_latest(|session, latest| {
        let (earlier, later, mut notes) = arguments.between.unwrap_or_default().load(session, latest.clone())?;
        let (before, after) = load_totals(session, &earlier, &later)?;
        let finder = DriftFinder::new(session, &*session.policy(&later)?);
        let diff = snapshot_diff::compare(session, &earlier, &later)?;
        let (sums, resources) = finder.sum_changes(&diff, &filter, key);
        let (drifts, remaining) =
            finder.list_drifts(&diff.tag_changes.kinds, sums, usize::try_from(limit).unwrap_or_default())?;
        if remaining > 0 {
            notes.push(format!(
                "{remaining} more drifts are not listed. Use `key`, `resource_types` or a shorter period to see them."
            ));
        }
        notes.push(resource_cost::describe_basis(session, &latest, &filter, "monthly_cost")?);
        let body = Body {
            from: SnapshotState::new(&earlier, &before),
            to: SnapshotState::new(&later, &after),
            drifts,
            remaining,
            resources,
        };
        Ok(Answer::new(session, &later, &filter, body, notes)?)
    })
}

struct DriftFinder<'v> {
    session: &'v ReadSession<'v>,
    /// The required keys, each with the resource types for which it is required.
    required_types: BTreeMap<String, Vec<ResourceType>>,
}

/// The sums of each kind of change, in the order of the kinds, and the number of resources.
type DriftSums<'c> = (Vec<DriftSum<'c>>, u64);

impl<'v> DriftFinder<'v> {
    fn new(session: &'v ReadSession<'v>, policy: &Policy) -> Self {
        let mut required_types: BTreeMap<String, Vec<ResourceType>> = BTreeMap::new();
        for rule in policy.required() {
            let types = ResourceType::ALL.iter().copied().filter(|one| rule.applies_to(*one));
            required_types.entry(rule.name().to_owned()).or_default().extend(types);
        }
        Self { session, required_types }
    }

    fn sum_changes<'c>(&'c self, diff: &'c SnapshotDiff, filter: &Filter, key: Option<&str>) -> DriftSums<'c> {
        let kinds = &diff.tag_changes.kinds;
        let mut sums: Vec<DriftSum<'_>> = kinds.iter().map(|kind| self.new_sum(kind, key)).collect();
        let mut resources = 0;
        for (place, one) in diff.changed.iter().enumerate() {
            if !filter.admits(&one.scope) || !has_known_tags(one) {
                continue;
            }
            let mut has_drift = false;
            for kind in diff.tag_changes.positions_of(place) {
                if let Some(sum) = sums.get_mut(*kind).filter(|sum| sum.is_requested) {
                    sum.add(one);
                    has_drift = true;
                }
            }
            resources += u64::from(has_drift);
        }
        (sums, resources)
    }

    fn new_sum(&self, kind: &TagChange, key: Option<&str>) -> DriftSum<'_> {
        let required_types = self.required_types.get(&*kind.key).map(Vec::as_slice).unwrap_or_default();
        DriftSum { is_requested: key.is_none_or(|key| key == &*kind.key), required_types, ..DriftSum::default() }
    }

    /// The first `limit` drifts in the order of the answer, and the number of the others.
    fn list_drifts(
        &self,
        kinds: &[TagChange],
        sums: Vec<DriftSum<'_>>,
        limit: usize,
    ) -> Result<(Vec<Drift>, u64), ToolFailure> {
        let rank = |kind: &TagChange| match (&kind.before, &kind.after) {
            (Some(_), None) => 0,
            (Some(_), Some(_)) => 1,
            _ => 2,
        };
        let order = |(kind, sum): &(&TagChange, DriftSum<'_>)| {
            (!sum.required, rank(kind), Reverse(sum.cost), Reverse(sum.resources))
        };
        let mut sums: Vec<(&TagChange, DriftSum<'_>)> =
            kinds.iter().zip(sums).filter(|(_, sum)| sum.resources > 0).collect();
        let compare = |a: &_, b: &_| order(a).cmp(&order(b)).then_with(|| a.0.cmp(b.0));
        let remaining = sums.len().saturating_sub(limit) as u64;
        if remaining > 0 {
            sums.select_nth_unstable_by(limit, compare);
            sums.truncate(limit);
        }
        sums.sort_unstable_by(compare);
        let drift = |(kind, sum): (&TagChange, DriftSum<'_>)| {
            let arns =
                sum.examples.iter().map(|one| Ok(escape(snapshot_diff::resolve_arn(self.session, one)?.as_str())));
            let value = |of: &Option<TagValue>| {
                of.as_ref()
                    .map(|value| Ok::<_, ToolFailure>(escape(&tag_changes::resolve_value(self.session, value)?)))
                    .transpose()
            };
            Ok(Drift {
                change: ["removed", "changed", "added"].get(rank(kind)).copied().unwrap_or("added"),
                key: escape(&kind.key),
                required: sum.required,
                from_value: value(&kind.before)?,
                to_value: value(&kind.after)?,
                resources: sum.resources,
                monthly_cost: (sum.with_cost > 0).then(|| to_units(sum.cost.cents())),
                resource_arns: arns.collect::<Result<_, ToolFailure>>()?,
            })
        };
        Ok((sums.into_iter().map(drift).collect::<Result<_, ToolFailure>>()?, remaining))
    }
}

/// Whether the tags of the resource are known in both snapshots.
fn has_known_tags(one: &ResourceChange) -> bool {
    let mut sides = one.before.iter().chain(&one.after);
    sides.all(|side| side.state != State::Unknown)
}

impl<'c> DriftSum<'c> {
    fn add(&mut self, one: &'c ResourceChange) {
        self.required |= self.required_types.contains(&one.scope.resource_type);
        self.resources += 1;
        if let Some(cost) = one.cost {
            self.cost += cost;
            self.with_cost += 1;
        }
        if self.examples.len() < MAX_ARNS {
            self.examples.push(one);
        }
    }
}
