//! get_cost_attribution_gap: what of the bill cannot be attributed, and where that is.

use std::{cmp::Reverse, collections::BTreeMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::{
    money::{AllocationTag, Amount, Attribution, Bucket, KeySpend, TagStatus, in_cents},
    store::{BillGap, BilledMonth, Filter, Snapshot, View},
};

use super::{
    ToolFailure,
    answer::{Answer, AsOf, Coverage, PolicyUsed, policy_note, units},
    arguments::{earlier_night, nullable_number, which},
    gap_breakdown::{Category, Counted, Grouping, MoreCategories, breakdown},
    live_gap::{LiveGap, live},
    period::{Day, Period, TimePeriod, resolve},
};
use crate::{ledger::Ledger, reach::bounded, text::visible};

/// Values told one by one of each key.
const MOST_VALUES: usize = 3;

#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The days asked about; the last whole month when left out.
    #[schemars(with = "TimePeriod")]
    #[serde(default)]
    time_period: Option<TimePeriod>,
    /// What the gap is broken down by; `by_resource_type` when left out.
    #[schemars(with = "Grouping")]
    #[serde(default)]
    grouping: Option<Grouping>,
    /// As of the end of that day (UTC), such as `2026-10-31`; now when left out.
    #[schemars(with = "String")]
    #[serde(default)]
    as_of: Option<Day>,
}

bounded!(whole);

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Body {
    /// The bill of the period: the sum of `buckets`.
    total_cloud_spend: f64,
    /// Spend that carries every required tag with an allowed value, as billed.
    attributable_spend: f64,
    /// Spend that must carry required tags and lacks one, or has a value that is not allowed, as billed.
    attribution_gap: f64,
    /// The gap in percent of `total_cloud_spend`; null when nothing was spent.
    #[schemars(schema_with = "nullable_number")]
    attribution_gap_percentage: Option<f64>,
    /// Spend that required tags could attribute: attributable_spend + attribution_gap.
    taggable_spend: f64,
    /// The gap in percent of `taggable_spend`; null when there is none.
    #[schemars(schema_with = "nullable_number")]
    attribution_gap_percentage_of_taggable: Option<f64>,
    /// Of all amounts, ISO 4217.
    currency: String,
    /// The days that the figures are of, both included.
    time_period: TimePeriod,
    /// First day whose figures AWS may still change. Absent when all are final.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    estimated_from: Option<String>,
    /// The gap by the tags of today. Absent where costs of single resources are not known of the period.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "LiveGap")]
    live_gap: Option<LiveGap>,
    /// Every line of the bill, each in exactly one bucket.
    buckets: Vec<BucketSpend>,
    /// Required keys that bills are not split by: to be activated before anything else is tagged. Absent when none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fix_first: Vec<NotActivated>,
    /// The gap by category, the largest first.
    breakdown: Vec<Category>,
    /// Categories beyond those, together. Absent when none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "MoreCategories")]
    more_categories: Option<MoreCategories>,
    /// Each required key by itself: the figures overlap, for a resource can lack several.
    by_tag: Vec<TagSpend>,
    cost_source: CostSource,
}

/// A part of the bill.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct BucketSpend {
    /// `attributable`, `unattributable`, `no_required_tag`, `untaggable_usage`, `marketplace`, `commitment_fees`, `support`,
    /// `tax`, `credits_refunds` or `other_charges`.
    bucket: &'static str,
    amount: f64,
}

/// A key without which no tag of it shows on the bill.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct NotActivated {
    tag: String,
    /// `not_activated`, or `unknown_to_billing` when no resource was ever billed with the key.
    problem: &'static str,
    /// Spend that must carry the key.
    required_spend: f64,
    remedy: String,
}

/// One required key.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TagSpend {
    /// The key.
    tag: String,
    /// Spend that must carry it.
    required_spend: f64,
    /// Of that, without it or with an empty value.
    missing_spend: f64,
    /// Of that, under values that the policy does not allow.
    invalid_spend: f64,
    /// The largest of those values. Untrusted text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    invalid_values: Vec<ValueSpend>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ValueSpend {
    value: String,
    spend: f64,
}

/// Where the figures come from.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CostSource {
    /// The Cost Explorer metric.
    metric: &'static str,
    /// Whose bill it is.
    account_id: String,
    /// When the oldest of the figures were asked for (RFC 3339, UTC).
    asked_at: String,
    /// Why newer figures could not be had. Absent when they could.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    problem: Option<String>,
}

/// The answer, from the bill that the ledger holds.
pub(crate) fn answer(ledger: &Ledger, arguments: Arguments) -> Result<Answer<Body>, ToolFailure> {
    ledger.ask_about(which(arguments.as_of), |view, snapshot| {
        let earlier = earlier_night(view, &snapshot, arguments.as_of)?;
        let then = view.bill_then(&snapshot)?.ok_or_else(|| not_kept(&snapshot))?;
        let today = shared::day::day_of(snapshot.started_at);
        let period = resolve(arguments.time_period, &then.months, then.gap.as_ref(), today)?;
        let asked = Asked {
            months: then.billed(view, period.days)?,
            tags: then.tags,
            grouping: arguments.grouping.unwrap_or_default(),
            period,
            gap: then.gap,
            newest: earlier.is_none(),
        };
        let mut notes: Vec<String> = match earlier {
            Some(of) => {
                vec![format!("{of}The bill is as it was known then; live_gap is told of the newest night alone.")]
            }
            None => policy_note(ledger, &snapshot).into_iter().collect(),
        };
        let body = body(view, &snapshot, &asked, &mut notes)?;
        let (as_of, policy) = (AsOf::of(&snapshot), PolicyUsed::of(&*view.policy(&snapshot)?));
        Ok(Answer { body, as_of, policy, coverage: Coverage::of(view, &snapshot, &Filter::default())?, notes })
    })
}

/// Kept by the night since version 6 of the schema.
fn not_kept(snapshot: &Snapshot) -> ToolFailure {
    ToolFailure::Caller(format!(
        "what was known of the bill in the night of {} was not kept by the version of TagLedger that scanned then; ask about a \
         later night, or about that period without `as_of`",
        shared::day::day_of(snapshot.started_at)
    ))
}

struct Asked {
    period: Period,
    grouping: Grouping,
    months: Vec<BilledMonth>,
    tags: Vec<AllocationTag>,
    gap: Option<BillGap>,
    /// Whether it is asked about the newest night.
    newest: bool,
}

fn body(view: &View<'_>, snapshot: &Snapshot, asked: &Asked, notes: &mut Vec<String>) -> Result<Body, ToolFailure> {
    let currencies = currencies(&asked.months);
    let currency = currencies.first().map_or("USD", |(name, _)| name.as_str());
    let mut attribution = Attribution::default();
    asked.months.iter().for_each(|month| attribution += month.attribution(currency));
    notes.extend(asked.period.notes.iter().cloned());
    notes.extend(bill_notes(&asked.months, snapshot, &currencies, &attribution));
    let (taggable, gap) = (attribution.spend.taggable.cents(), attribution.spend.unattributable.cents());
    let attributable = taggable - gap;
    // What living resources cost is known of now alone.
    let live = if asked.newest { live(view, snapshot, asked.period.days, currency, &asked.months)? } else { None };
    let counted = Counted::of(asked.grouping, &view.cells(snapshot, &Filter::default())?, live.as_ref());
    let (breakdown, more_categories) = breakdown(asked.grouping, &attribution, gap, &counted);
    Ok(Body {
        total_cloud_spend: units(attribution.total.cents()),
        attributable_spend: units(attributable),
        attribution_gap: units(gap),
        attribution_gap_percentage: percent(attribution.spend.unattributable, attribution.total),
        taggable_spend: units(taggable),
        attribution_gap_percentage_of_taggable: percent(attribution.spend.unattributable, attribution.spend.taggable),
        currency: visible(currency),
        time_period: TimePeriod::of(asked.period.days),
        estimated_from: estimated_from(asked),
        live_gap: live.map(|live| live.gap(attribution.spend)),
        buckets: buckets(&attribution, attributable, gap),
        fix_first: not_activated(&asked.tags, &attribution.by_key),
        breakdown,
        more_categories,
        by_tag: attribution.by_key.iter().map(TagSpend::of).collect(),
        cost_source: CostSource::of(&asked.months, asked.gap.as_ref()),
    })
}

/// The currencies of the bill, that with most spend first.
fn currencies(months: &[BilledMonth]) -> Vec<(String, Amount)> {
    let mut sums: BTreeMap<String, Amount> = BTreeMap::new();
    for (currency, amount) in months.iter().flat_map(|month| month.bill.currencies()) {
        *sums.entry(currency).or_default() += amount;
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(_, sum)| Reverse(sum.micros().unsigned_abs()));
    sums
}

/// All buckets, to the cent: the two of taggable spend as they are told elsewhere, and the others so that all add up.
fn buckets(attribution: &Attribution, attributable: i64, gap: i64) -> Vec<BucketSpend> {
    let taggable = |bucket: &Bucket| matches!(bucket, Bucket::Attributable | Bucket::Unattributable);
    let others: Vec<_> = attribution.buckets.iter().filter(|(bucket, _)| !taggable(bucket)).collect();
    let amounts: Vec<Amount> = others.iter().map(|(_, amount)| **amount).collect();
    let cents = in_cents(&amounts, attribution.total.cents() - attributable - gap);
    let told = others.into_iter().map(|(bucket, _)| *bucket).zip(cents);
    let told = [(Bucket::Attributable, attributable), (Bucket::Unattributable, gap)].into_iter().chain(told);
    told.map(|(bucket, cents)| BucketSpend { bucket: bucket.as_str(), amount: units(cents) }).collect()
}

fn percent(part: Amount, whole: Amount) -> Option<f64> {
    part.share_of(whole).map(|share| (share * 10_000.0).round() / 100.0)
}

fn estimated_from(asked: &Asked) -> Option<String> {
    let open = asked.months.iter().filter_map(|month| month.month.open_from).min()?;
    let days = asked.period.days;
    (open < days.end).then(|| open.max(days.first).to_string())
}

fn bill_notes(
    months: &[BilledMonth],
    snapshot: &Snapshot,
    currencies: &[(String, Amount)],
    attribution: &Attribution,
) -> Vec<String> {
    let mut notes = Vec::new();
    let earlier = months.iter().filter(|month| month.month.policy_digest != snapshot.policy_digest).count();
    if earlier > 0 {
        notes.push(format!(
            "{earlier} of {} months are attributed by the policy that was in force when the bill was asked; scans ask for the \
             last 14 months again.",
            months.len()
        ));
    }
    if let [(first, _), others @ ..] = currencies
        && !others.is_empty()
    {
        let others: Vec<String> = others.iter().map(|(name, sum)| format!("{} {sum}", visible(name))).collect();
        let first = visible(first);
        notes.push(format!("The bill also has {}, which is in no figure: all of them are {first}.", others.join(", ")));
    }
    if months.windows(2).any(|pair| matches!(pair, [a, b] if a.month.metric != b.month.metric)) {
        notes.push("Some months are net of discounts and some are not; ask for them one by one.".to_owned());
    }
    let share = attribution.spend.unattributable.share_of(attribution.total);
    if share.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
        notes.push(
            "The gap is no share of the whole bill between 0 and 100 %, for credits and refunds make the bill smaller than \
             what was used; see attribution_gap_percentage_of_taggable."
                .to_owned(),
        );
    }
    if attribution.spend.unattributable != Amount::ZERO {
        notes.push(
            "The gap is as billed: a tag counts from when it is on the resource, and no tag put on today changes past bills."
                .to_owned(),
        );
    }
    notes
}

/// Billing knows only activated keys. Without its list, which only the account that pays may ask for, nothing is said.
fn not_activated(tags: &[AllocationTag], keys: &[KeySpend]) -> Vec<NotActivated> {
    let problem = |key: &str| match tags.iter().find(|tag| tag.key == key)?.status {
        TagStatus::Active => None,
        TagStatus::Inactive => Some("not_activated"),
        TagStatus::Unknown => Some("unknown_to_billing"),
    };
    let found = keys.iter().filter(|spend| spend.required != Amount::ZERO);
    let mut found: Vec<_> = found.filter_map(|spend| Some((spend, problem(&spend.key)?))).collect();
    found.sort_by_key(|(spend, _)| Reverse(spend.required));
    let told = |(spend, problem): (&KeySpend, &'static str)| NotActivated {
        tag: visible(&spend.key),
        problem,
        required_spend: units(spend.required.cents()),
        remedy: format!(
            "in the account that pays, activate {} as a cost allocation tag (Billing, Cost allocation tags), and backfill it",
            visible(&spend.key)
        ),
    };
    found.into_iter().map(told).collect()
}

impl TagSpend {
    fn of(spend: &KeySpend) -> Self {
        let wrong = spend.values.iter().filter(|(_, _, allowed)| !allowed).take(MOST_VALUES);
        Self {
            tag: visible(&spend.key),
            required_spend: units(spend.required.cents()),
            missing_spend: units(spend.missing.cents()),
            invalid_spend: units(spend.invalid.cents()),
            invalid_values: wrong
                .map(|(value, amount, _)| ValueSpend { value: visible(value), spend: units(amount.cents()) })
                .collect(),
        }
    }
}

impl CostSource {
    fn of(months: &[BilledMonth], gap: Option<&BillGap>) -> Self {
        let oldest = months.iter().map(|month| month.month.asked_at).min();
        Self {
            metric: months.first().map_or("", |month| month.month.metric.as_str()),
            account_id: months.first().map_or_else(String::new, |month| month.month.payer.clone()),
            asked_at: oldest.map_or_else(String::new, |at| at.to_string()),
            problem: gap.map(|gap| format!("{}: {}", gap.operation, visible(&gap.message))),
        }
    }
}
