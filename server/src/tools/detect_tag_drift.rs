//! detect_tag_drift: which tags changed from what to what between two nights.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::{
    ResourceType,
    money::Amount,
    policy::{Policy, State},
    store::{Changed, Differences, Filter, TagChange, TagValue, View},
};

use super::{
    ToolFailure,
    answer::{Answer, AsOf, Coverage, PolicyUsed, units},
    arguments::{listed, nullable_number, nullable_text, type_list},
    between::{Between, Night, totals},
    resource_cost,
};
use crate::{ledger::Ledger, reach::bounded, text::visible};

/// Drifts told when nobody says how many, and at most.
const ROWS: i64 = 20;
const MOST_ROWS: i64 = 100;

#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The two nights; the newest and the one before it when left out.
    #[schemars(with = "Between")]
    #[serde(default)]
    between: Option<Between>,
    /// Resource types; leave out for all.
    #[schemars(schema_with = "type_list")]
    #[serde(default)]
    resource_types: Option<Vec<ResourceType>>,
    /// One tag key, to the letter; leave out for all.
    #[schemars(with = "String")]
    #[serde(default)]
    key: Option<String>,
    /// Drifts told, 1 to 100; 20 when left out. Narrow with the other arguments for the rest.
    #[schemars(with = "i64", range(min = 1, max = 100))]
    #[serde(default)]
    limit: Option<i64>,
}

bounded!(whole);

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Body {
    from: Night,
    to: Night,
    /// Tags that changed alike: removed required ones first, then changed and added ones, then the others; of each kind those
    /// first whose resources cost most.
    drifts: Vec<Drift>,
    /// Drifts beyond those told.
    remaining: u64,
    /// Resources whose tags changed, as asked.
    resources: u64,
}

/// One key that changed alike on some resources.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Drift {
    /// `removed`, `changed` or `added`.
    change: &'static str,
    /// The key. Untrusted text.
    key: String,
    /// Whether the policy requires it of one of these resources' types.
    required: bool,
    /// Untrusted text; null when it was not there.
    #[schemars(schema_with = "nullable_text")]
    from_value: Option<String>,
    /// Untrusted text; null when it is there no more.
    #[schemars(schema_with = "nullable_text")]
    to_value: Option<String>,
    resources: u64,
    /// What they cost a month, as far as it is known; null when it is known of none.
    #[schemars(schema_with = "nullable_number")]
    monthly_cost: Option<f64>,
    /// Some of them, at most five.
    resource_arns: Vec<String>,
}

/// Resources named of each drift.
const NAMED: usize = 5;

/// What is known of a drift so far.
#[derive(Default)]
struct Sum<'c> {
    asked_for: bool,
    /// Types of which the policy requires the key.
    requiring: &'c [ResourceType],
    required: bool,
    resources: u64,
    cost: Amount,
    with_cost: u64,
    named: Vec<&'c Changed>,
}

/// The answer, from resources that are there in both nights and whose tags are known in both.
pub(crate) fn answer(ledger: &Ledger, arguments: Arguments) -> Result<Answer<Body>, ToolFailure> {
    let limit = arguments.limit.unwrap_or(ROWS);
    if !(1..=MOST_ROWS).contains(&limit) {
        return Err(ToolFailure::Caller(format!("`limit` must be 1 to {MOST_ROWS}, not {limit}")));
    }
    let filter = Filter { types: listed("resource_types", arguments.resource_types)?, ..Filter::default() };
    let key = arguments.key.as_deref();
    ledger.ask(|view, newest| {
        let (earlier, later, mut notes) = arguments.between.unwrap_or_default().nights(view, newest.clone())?;
        let (before, after) = totals(view, &earlier, &later)?;
        let finder = Finder::of(view, view.policy(&later)?);
        let differences = view.differences(&earlier, &later)?;
        let (sums, resources) = finder.find(&differences, &filter, key);
        let (drifts, remaining) =
            finder.told(&differences.retagged.kinds, sums, usize::try_from(limit).unwrap_or_default())?;
        if remaining > 0 {
            notes.push(format!(
                "{remaining} more drifts; narrow with `key`, `resource_types` or nights nearer to each other."
            ));
        }
        notes.push(resource_cost::note(view, &newest, &filter, "monthly_cost")?);
        let body =
            Body { from: Night::of(&earlier, &before), to: Night::of(&later, &after), drifts, remaining, resources };
        let (as_of, policy) = (AsOf::of(&later), PolicyUsed::of(&finder.policy));
        Ok(Answer { body, as_of, policy, coverage: Coverage::of(view, &later, &filter)?, notes })
    })
}

struct Finder<'v> {
    view: &'v View<'v>,
    policy: Arc<Policy>,
    /// Required keys, each with the types of which it is required.
    requiring: BTreeMap<String, Vec<ResourceType>>,
}

/// Of each kind of change what is known of it, in their order; and how many resources in all.
type Found<'c> = (Vec<Sum<'c>>, u64);

impl<'v> Finder<'v> {
    fn of(view: &'v View<'v>, policy: Arc<Policy>) -> Self {
        let mut requiring: BTreeMap<String, Vec<ResourceType>> = BTreeMap::new();
        for rule in policy.required() {
            let types = ResourceType::ALL.iter().copied().filter(|one| rule.applies(*one));
            requiring.entry(rule.name().to_owned()).or_default().extend(types);
        }
        Self { view, policy, requiring }
    }

    fn find<'c>(&'c self, of: &'c Differences, filter: &Filter, key: Option<&str>) -> Found<'c> {
        let kinds = &of.retagged.kinds;
        let mut sums: Vec<Sum<'_>> = kinds.iter().map(|kind| self.begun(kind, key)).collect();
        let mut resources = 0;
        for (place, one) in of.changed.iter().enumerate() {
            if !filter.admits(&one.scope) || !tags_known(one) {
                continue;
            }
            let mut drifted = false;
            for kind in of.retagged.of(place) {
                if let Some(sum) = sums.get_mut(*kind).filter(|sum| sum.asked_for) {
                    sum.add(one);
                    drifted = true;
                }
            }
            resources += u64::from(drifted);
        }
        (sums, resources)
    }

    fn begun(&self, kind: &TagChange, key: Option<&str>) -> Sum<'_> {
        let requiring = self.requiring.get(&*kind.key).map(Vec::as_slice).unwrap_or_default();
        Sum { asked_for: key.is_none_or(|key| key == &*kind.key), requiring, ..Sum::default() }
    }

    /// In the order of the answer, as many as are told, and how many are not.
    fn told(&self, kinds: &[TagChange], sums: Vec<Sum<'_>>, limit: usize) -> Result<(Vec<Drift>, u64), ToolFailure> {
        let rank = |kind: &TagChange| match (&kind.before, &kind.after) {
            (Some(_), None) => 0,
            (Some(_), Some(_)) => 1,
            _ => 2,
        };
        let order = |(kind, sum): &(&TagChange, Sum<'_>)| {
            (!sum.required, rank(kind), Reverse(sum.cost), Reverse(sum.resources))
        };
        let mut sums: Vec<(&TagChange, Sum<'_>)> =
            kinds.iter().zip(sums).filter(|(_, sum)| sum.resources > 0).collect();
        let before = |a: &_, b: &_| order(a).cmp(&order(b)).then_with(|| a.0.cmp(b.0));
        let remaining = sums.len().saturating_sub(limit) as u64;
        if remaining > 0 {
            sums.select_nth_unstable_by(limit, before);
            sums.truncate(limit);
        }
        sums.sort_unstable_by(before);
        let drift = |(kind, sum): (&TagChange, Sum<'_>)| {
            let arns = sum.named.iter().map(|one| Ok(visible(self.view.named(one)?.as_str())));
            let value = |of: &Option<TagValue>| {
                of.as_ref().map(|value| Ok::<_, ToolFailure>(visible(&self.view.value(value)?))).transpose()
            };
            Ok(Drift {
                change: ["removed", "changed", "added"].get(rank(kind)).copied().unwrap_or("added"),
                key: visible(&kind.key),
                required: sum.required,
                from_value: value(&kind.before)?,
                to_value: value(&kind.after)?,
                resources: sum.resources,
                monthly_cost: (sum.with_cost > 0).then(|| units(sum.cost.cents())),
                resource_arns: arns.collect::<Result<_, ToolFailure>>()?,
            })
        };
        Ok((sums.into_iter().map(drift).collect::<Result<_, ToolFailure>>()?, remaining))
    }
}

/// Whether its tags are known of both nights.
fn tags_known(one: &Changed) -> bool {
    let mut sides = one.before.iter().chain(&one.after);
    sides.all(|side| side.state != State::Unknown)
}

impl<'c> Sum<'c> {
    fn add(&mut self, one: &'c Changed) {
        self.required |= self.requiring.contains(&one.scope.resource_type);
        self.resources += 1;
        if let Some(cost) = one.cost {
            self.cost += cost;
            self.with_cost += 1;
        }
        if self.named.len() < NAMED {
            self.named.push(one);
        }
    }
}
