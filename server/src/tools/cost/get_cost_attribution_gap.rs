//! `get_cost_attribution_gap`: the spend that cannot be attributed because of missing or invalid tags.

use std::{cmp::Reverse, collections::BTreeMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tagledger_cost::{AllocationTag, Amount, Attribution, Bucket, KeySpend, TagStatus, round_to_cents};
use tagledger_ledger::{BillGap, BilledMonth, Filter, ReadSession, Snapshot, cost::bill_as_of, query::compliance};
use tagledger_model::epoch_day;

use crate::{
    app_state::AppState,
    error::ToolFailure,
    tools::{
        common::{
            account_filter::limit_accounts,
            arguments::{earlier_snapshot_date, nullable_number, select_snapshot},
            envelope::{Answer, policy_note, to_units},
            time_period::{Day, ResolvedPeriod, TimePeriod, resolve_period},
        },
        cost::{
            current_tags_gap::{CurrentTagsGap, load_current_tags_spend},
            gap_breakdown::{Category, Grouping, MoreCategories, SnapshotFigures, break_down},
        },
    },
    untrusted_text::escape,
};

pub(crate) const NAME: &str = "get_cost_attribution_gap";

/// The maximum number of invalid values of a key.
const MAX_VALUES: usize = 3;

#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The time period of the bill. Default: the last complete month.
    #[schemars(with = "TimePeriod")]
    #[serde(default)]
    time_period: Option<TimePeriod>,
    /// The dimension of the breakdown. Default: `by_resource_type`.
    #[schemars(with = "Grouping")]
    #[serde(default)]
    grouping: Option<Grouping>,
    /// Reads the last snapshot of this day (UTC) or before, such as `2026-10-31`. Default: the latest.
    #[schemars(with = "String")]
    #[serde(default)]
    pub(crate) as_of: Option<Day>,
}

limit_accounts!(entire_estate);

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Body {
    /// The total of the bill in the period. The sum of `buckets`.
    total_cloud_spend: f64,
    /// The billed spend with an allowed value of every required tag.
    attributable_spend: f64,
    /// The billed spend that must carry required tags and has a missing tag or a value that is not allowed.
    attribution_gap: f64,
    /// The gap in percent of `total_cloud_spend`. Null when the total is 0.
    #[schemars(schema_with = "nullable_number")]
    attribution_gap_percentage: Option<f64>,
    /// The spend that must carry required tags: attributable_spend + attribution_gap.
    taggable_spend: f64,
    /// The gap in percent of `taggable_spend`. Null when that is 0.
    #[schemars(schema_with = "nullable_number")]
    attribution_gap_percentage_of_taggable: Option<f64>,
    /// The currency of all amounts (ISO 4217).
    currency: String,
    /// The first and the last day of the figures, both included.
    time_period: TimePeriod,
    /// The first day whose figures AWS may still change. Absent when all figures are final.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    estimated_from: Option<String>,
    /// The gap by the current tags. Absent when the costs of individual resources are not known for the period.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CurrentTagsGap")]
    live_gap: Option<CurrentTagsGap>,
    /// The bill by bucket. Every line of the bill is in exactly one bucket.
    buckets: Vec<BucketSpend>,
    /// Required keys that are not active as cost allocation tags. Activate them before you tag resources. Absent when there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fix_first: Vec<NotActivated>,
    /// The gap by category, the largest gap first.
    breakdown: Vec<Category>,
    /// The sum of the categories that are not listed. Absent when all are listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "MoreCategories")]
    more_categories: Option<MoreCategories>,
    /// The figures of each required key. They overlap, because a resource can have several missing tags.
    by_tag: Vec<TagSpend>,
    cost_source: CostSource,
}

/// One bucket of the bill.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct BucketSpend {
    /// `attributable`, `unattributable`, `no_required_tag`, `untaggable_usage`, `marketplace`, `commitment_fees`, `support`,
    /// `tax`, `credits_refunds` or `other_charges`.
    bucket: &'static str,
    amount: f64,
}

/// A required key that is not active as a cost allocation tag. Bills do not include its values.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct NotActivated {
    tag: String,
    /// `not_activated`, or `unknown_to_billing` if no resource with the key was ever billed.
    problem: &'static str,
    /// The spend that must carry the key.
    required_spend: f64,
    remedy: String,
}

/// The spend by one required key.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TagSpend {
    /// The tag key.
    tag: String,
    /// The spend that must carry the key.
    required_spend: f64,
    /// The part of it without the key or with an empty value.
    missing_spend: f64,
    /// The part of it with values that the policy does not allow.
    invalid_spend: f64,
    /// The values with the largest spend that the policy does not allow. Untrusted text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    invalid_values: Vec<ValueSpend>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ValueSpend {
    value: String,
    spend: f64,
}

/// The source of the figures.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CostSource {
    /// The Cost Explorer metric.
    metric: &'static str,
    /// The account ID of the payer.
    account_id: String,
    /// The time at which the oldest of the figures were read (RFC 3339, UTC).
    asked_at: String,
    /// The reason why newer figures could not be read. Absent when they could.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    problem: Option<String>,
}

/// Answers the call from the bill in the ledger.
pub(crate) fn answer(app: &AppState, arguments: Arguments) -> Result<Answer<Body>, ToolFailure> {
    app.read_snapshot(select_snapshot(arguments.as_of), |session, snapshot| {
        let earlier = earlier_snapshot_date(session, &snapshot, arguments.as_of)?;
        let bill = bill_as_of::load(session, &snapshot)?.ok_or_else(|| bill_not_recorded(&snapshot))?;
        let today = epoch_day::day_of(snapshot.started_at);
        let period = resolve_period(arguments.time_period, &bill.months, bill.gap.as_ref(), today)?;
        let request = ResolvedRequest {
            months: bill.billed(session, period.days)?,
            tags: bill.tags,
            grouping: arguments.grouping.unwrap_or_default(),
            period,
            gap: bill.gap,
            is_latest: earlier.is_none(),
        };
        let mut notes: Vec<String> = match earlier {
            Some(date) => vec![format!(
                "{date}The bill is as it was known at that time. live_gap is available only for the latest snapshot."
            )],
            None => policy_note(app, &snapshot).into_iter().collect(),
        };
        let body = body(session, &snapshot, &request, &mut notes)?;
        Ok(Answer::new(session, &snapshot, &Filter::default(), body, notes)?)
    })
}

/// Snapshots record the bill since version 6 of the schema.
fn bill_not_recorded(snapshot: &Snapshot) -> ToolFailure {
    ToolFailure::Caller(format!(
        "the snapshot of {} does not record the bill, because it was written by an earlier version of TagLedger; use a later \
         `as_of`, or request the period without `as_of`",
        epoch_day::day_of(snapshot.started_at)
    ))
}

struct ResolvedRequest {
    period: ResolvedPeriod,
    grouping: Grouping,
    months: Vec<BilledMonth>,
    tags: Vec<AllocationTag>,
    gap: Option<BillGap>,
    /// Whether the latest snapshot is requested.
    is_latest: bool,
}

fn body(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    request: &ResolvedRequest,
    notes: &mut Vec<String>,
) -> Result<Body, ToolFailure> {
    let currencies = sum_by_currency(&request.months);
    let currency = currencies.first().map_or("USD", |(name, _)| name.as_str());
    let mut attribution = Attribution::default();
    request.months.iter().for_each(|month| attribution += month.attribution(currency));
    notes.extend(request.period.notes.iter().cloned());
    notes.extend(bill_notes(&request.months, snapshot, &currencies, &attribution));
    let (taggable, gap) = (attribution.spend.taggable.cents(), attribution.spend.unattributable.cents());
    let attributable = taggable - gap;
    // The costs of individual resources are known only for the current state.
    let current_spend = if request.is_latest {
        load_current_tags_spend(session, snapshot, request.period.days, currency, &request.months)?
    } else {
        None
    };
    let cells = compliance::count_by_scope(session, snapshot, &Filter::default())?;
    let figures = SnapshotFigures::compute(request.grouping, &cells, current_spend.as_ref());
    let (breakdown, more_categories) = break_down(request.grouping, &attribution, gap, &figures);
    Ok(Body {
        total_cloud_spend: to_units(attribution.total.cents()),
        attributable_spend: to_units(attributable),
        attribution_gap: to_units(gap),
        attribution_gap_percentage: to_percent(attribution.spend.unattributable, attribution.total),
        taggable_spend: to_units(taggable),
        attribution_gap_percentage_of_taggable: to_percent(
            attribution.spend.unattributable,
            attribution.spend.taggable,
        ),
        currency: escape(currency),
        time_period: TimePeriod::from_days(request.period.days),
        estimated_from: find_first_estimated_day(request),
        live_gap: current_spend.map(|spend| spend.compute_gap(attribution.spend)),
        buckets: list_buckets(&attribution, attributable, gap),
        fix_first: list_inactive_keys(&request.tags, &attribution.by_key),
        breakdown,
        more_categories,
        by_tag: attribution.by_key.iter().map(TagSpend::from_key_spend).collect(),
        cost_source: CostSource::from_months(&request.months, request.gap.as_ref()),
    })
}

/// The total of the bill in each currency, the largest first.
fn sum_by_currency(months: &[BilledMonth]) -> Vec<(String, Amount)> {
    let mut sums: BTreeMap<String, Amount> = BTreeMap::new();
    for (currency, amount) in months.iter().flat_map(|month| month.bill.currencies()) {
        *sums.entry(currency).or_default() += amount;
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(_, sum)| Reverse(sum.micros().unsigned_abs()));
    sums
}

/// All buckets in cents. The two buckets of taggable spend equal the other fields of the answer; the rest is rounded so that all
/// buckets add up to the total.
fn list_buckets(attribution: &Attribution, attributable: i64, gap: i64) -> Vec<BucketSpend> {
    let is_taggable = |bucket: &Bucket| matches!(bucket, Bucket::Attributable | Bucket::Unattributable);
    let others: Vec<_> = attribution.buckets.iter().filter(|(bucket, _)| !is_taggable(bucket)).collect();
    let amounts: Vec<Amount> = others.iter().map(|(_, amount)| **amount).collect();
    let cents = round_to_cents(&amounts, attribution.total.cents() - attributable - gap);
    let others = others.into_iter().map(|(bucket, _)| *bucket).zip(cents);
    let all = [(Bucket::Attributable, attributable), (Bucket::Unattributable, gap)].into_iter().chain(others);
    all.map(|(bucket, cents)| BucketSpend { bucket: bucket.as_str(), amount: to_units(cents) }).collect()
}

fn to_percent(part: Amount, total: Amount) -> Option<f64> {
    part.share_of(total).map(|share| (share * 10_000.0).round() / 100.0)
}

fn find_first_estimated_day(request: &ResolvedRequest) -> Option<String> {
    let open = request.months.iter().filter_map(|month| month.month.open_from).min()?;
    let days = request.period.days;
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
            "{earlier} of {} months are attributed by the policy at the time when the bill was read. Scans read the last 14 \
             months again.",
            months.len()
        ));
    }
    if let [(first, _), others @ ..] = currencies
        && !others.is_empty()
    {
        let others: Vec<String> = others.iter().map(|(name, sum)| format!("{} {sum}", escape(name))).collect();
        let first = escape(first);
        notes.push(format!("The bill also has {}. The figures include only {first}.", others.join(", ")));
    }
    if months.windows(2).any(|pair| matches!(pair, [a, b] if a.month.metric != b.month.metric)) {
        notes.push(
            "Some months are net of discounts and some are not. Request each month separately to compare them."
                .to_owned(),
        );
    }
    let share = attribution.spend.unattributable.share_of(attribution.total);
    if share.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
        notes.push(
            "The gap is not between 0 and 100 percent of the bill, because credits and refunds make the bill smaller than the \
             usage. Use attribution_gap_percentage_of_taggable."
                .to_owned(),
        );
    }
    if attribution.spend.unattributable != Amount::ZERO {
        notes.push(
            "The gap is as billed: a tag applies to usage after the resource was tagged. New tags do not change past bills."
                .to_owned(),
        );
    }
    notes
}

/// The required keys that are not active as cost allocation tags. Empty if the list of cost allocation tags is not known: only the
/// payer account can read it.
fn list_inactive_keys(tags: &[AllocationTag], keys: &[KeySpend]) -> Vec<NotActivated> {
    let problem = |key: &str| match tags.iter().find(|tag| tag.key == key)?.status {
        TagStatus::Active => None,
        TagStatus::Inactive => Some("not_activated"),
        TagStatus::Unknown => Some("unknown_to_billing"),
    };
    let found = keys.iter().filter(|spend| spend.required != Amount::ZERO);
    let mut found: Vec<_> = found.filter_map(|spend| Some((spend, problem(&spend.key)?))).collect();
    found.sort_by_key(|(spend, _)| Reverse(spend.required));
    let entry = |(spend, problem): (&KeySpend, &'static str)| NotActivated {
        tag: escape(&spend.key),
        problem,
        required_spend: to_units(spend.required.cents()),
        remedy: format!(
            "in the payer account, activate {} as a cost allocation tag (Billing, Cost allocation tags) and backfill it",
            escape(&spend.key)
        ),
    };
    found.into_iter().map(entry).collect()
}

impl TagSpend {
    fn from_key_spend(spend: &KeySpend) -> Self {
        let invalid = spend.values.iter().filter(|(_, _, allowed)| !allowed).take(MAX_VALUES);
        Self {
            tag: escape(&spend.key),
            required_spend: to_units(spend.required.cents()),
            missing_spend: to_units(spend.missing.cents()),
            invalid_spend: to_units(spend.invalid.cents()),
            invalid_values: invalid
                .map(|(value, amount, _)| ValueSpend { value: escape(value), spend: to_units(amount.cents()) })
                .collect(),
        }
    }
}

impl CostSource {
    fn from_months(months: &[BilledMonth], gap: Option<&BillGap>) -> Self {
        let oldest = months.iter().map(|month| month.month.asked_at).min();
        Self {
            metric: months.first().map_or("", |month| month.month.metric.as_str()),
            account_id: months.first().map_or_else(String::new, |month| month.month.payer.clone()),
            asked_at: oldest.map_or_else(String::new, |at| at.to_string()),
            problem: gap.map(|gap| format!("{}: {}", gap.operation, escape(&gap.message))),
        }
    }
}
