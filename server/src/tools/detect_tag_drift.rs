//! detect_tag_drift: which tags changed from what to what between two nights.

use std::{cmp::Reverse, collections::BTreeMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::{
    ResourceType,
    inventory::TagSet,
    money::Amount,
    policy::{Policy, State},
    store::{Changed, Filter, Snapshot, TagsRead, View},
};

use super::{
    ToolFailure,
    answer::{Answer, AsOf, Coverage, PolicyUsed, units},
    arguments::{listed, nullable_number, nullable_text, type_list},
    between::{Between, Night, totals},
    resource_cost,
};
use crate::{ledger::Ledger, text::visible};

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

/// A key with what it was and what it is.
type Kind = (String, Option<String>, Option<String>);

/// What is known of a drift so far.
#[derive(Default)]
struct Sum {
    required: bool,
    resources: u64,
    cost: Amount,
    with_cost: u64,
    named: Vec<String>,
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
        let mut finder = Finder { view, newest, policy: view.policy(&later)?, read: TagsRead::default() };
        let (sums, resources) = finder.find(view.changed(&earlier, &later)?, &filter, key)?;
        let drifts = in_order(sums);
        let remaining = drifts.len().saturating_sub(usize::try_from(limit).unwrap_or_default()) as u64;
        if remaining > 0 {
            notes.push(format!(
                "{remaining} more drifts; narrow with `key`, `resource_types` or nights nearer to each other."
            ));
        }
        notes.push(resource_cost::note(view, &finder.newest, &filter, "monthly_cost")?);
        let body = Body {
            from: Night::of(&earlier, &before),
            to: Night::of(&later, &after),
            drifts: drifts.into_iter().take(usize::try_from(limit).unwrap_or_default()).collect(),
            remaining,
            resources,
        };
        let (as_of, policy) = (AsOf::of(&later), PolicyUsed::of(&finder.policy));
        Ok(Answer { body, as_of, policy, coverage: Coverage::of(view, &later, &filter)?, notes })
    })
}

struct Finder<'v> {
    view: &'v View<'v>,
    newest: Snapshot,
    policy: std::sync::Arc<Policy>,
    read: TagsRead,
}

impl Finder<'_> {
    fn find(
        &mut self,
        changed: Vec<Changed>,
        filter: &Filter,
        key: Option<&str>,
    ) -> Result<(BTreeMap<Kind, Sum>, u64), ToolFailure> {
        let (mut sums, mut resources) = (BTreeMap::new(), 0);
        for one in changed.iter().filter(|one| filter.admits(&one.scope)) {
            let (Some(was), Some(is)) = (&one.before, &one.after) else { continue };
            let known = was.state != State::Unknown && is.state != State::Unknown;
            if !known || was.same_tags(is) {
                continue;
            }
            let (old, new) = (self.view.tags_in(was, &mut self.read)?, self.view.tags_in(is, &mut self.read)?);
            let mut kinds = differences(&old, &new);
            kinds.retain(|(of, ..)| key.is_none_or(|key| key == of));
            if !kinds.is_empty() {
                resources += 1;
                self.add(one, kinds, &mut sums)?;
            }
        }
        Ok((sums, resources))
    }

    fn add(&self, one: &Changed, kinds: Vec<Kind>, sums: &mut BTreeMap<Kind, Sum>) -> Result<(), ToolFailure> {
        let (arn, cost) = self.view.named(&self.newest, one)?;
        let kind = one.scope.resource_type;
        for drift in kinds {
            let required = self.policy.required().iter().any(|rule| rule.name() == drift.0 && rule.applies(kind));
            let sum = sums.entry(drift).or_default();
            sum.required |= required;
            sum.resources += 1;
            if let Some(cost) = cost {
                sum.cost += cost.monthly;
                sum.with_cost += 1;
            }
            if sum.named.len() < NAMED {
                sum.named.push(visible(arn.as_str()));
            }
        }
        Ok(())
    }
}

/// Keys whose values differ; tags of AWS's own among them.
fn differences(old: &TagSet, new: &TagSet) -> Vec<Kind> {
    let owned = |value: Option<&str>| value.map(str::to_owned);
    let gone = old.iter().filter(|(key, value)| new.get(key) != Some(value));
    let mut kinds: Vec<Kind> =
        gone.map(|(key, value)| (key.to_owned(), Some(value.to_owned()), owned(new.get(key)))).collect();
    let added = new.iter().filter(|(key, _)| old.get(key).is_none());
    kinds.extend(added.map(|(key, value)| (key.to_owned(), None, Some(value.to_owned()))));
    kinds
}

fn in_order(sums: BTreeMap<Kind, Sum>) -> Vec<Drift> {
    let rank = |kind: &Kind| match kind {
        (_, Some(_), None) => 0,
        (_, Some(_), Some(_)) => 1,
        _ => 2,
    };
    let mut sums: Vec<(Kind, Sum)> = sums.into_iter().collect();
    sums.sort_by_key(|(kind, sum)| (!sum.required, rank(kind), Reverse(sum.cost), Reverse(sum.resources)));
    let drift = |(kind, sum): (Kind, Sum)| Drift {
        change: ["removed", "changed", "added"].get(rank(&kind)).copied().unwrap_or("added"),
        key: visible(&kind.0),
        required: sum.required,
        from_value: kind.1.as_deref().map(visible),
        to_value: kind.2.as_deref().map(visible),
        resources: sum.resources,
        monthly_cost: (sum.with_cost > 0).then(|| units(sum.cost.cents())),
        resource_arns: sum.named,
    };
    sums.into_iter().map(drift).collect()
}
