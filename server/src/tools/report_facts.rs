//! What a report says: figures of the other tools, put side by side.

use std::{cmp::Reverse, collections::BTreeMap};

use jiff::{ToSpan, civil::Date, tz::TimeZone};
use schemars::JsonSchema;
use serde::Serialize;
use shared::{
    advice::{Advice, Fault, MOST_ADVICE},
    day::day_of,
    inventory::Scope,
    money::{Amount, Attribution, Bucket, category, service_of},
    policy::Code,
    store::{Filter, LifeOf, Snapshot, Tally, View, usual_month},
};

use super::{
    ToolFailure,
    answer::{score, units},
    arguments::{nullable_number, nullable_text},
    period::TimePeriod,
};
use crate::text::visible;

/// Rows of each table.
const MOST_ROWS: usize = MOST_ADVICE;

/// Counts of resources, and the gap.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Summary {
    pub(crate) total_resources: u64,
    pub(crate) compliant: u64,
    pub(crate) non_compliant: u64,
    pub(crate) not_applicable: u64,
    pub(crate) unknown: u64,
    pub(crate) exempt: u64,
    /// Spend of the last whole month that must carry required tags and cannot be attributed; null when no bill is known.
    #[schemars(schema_with = "nullable_number")]
    pub(crate) cost_attribution_gap: Option<f64>,
}

/// The bill of a month: its three parts add up to it, to the cent.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Money {
    pub(crate) time_period: TimePeriod,
    pub(crate) currency: String,
    pub(crate) total_cloud_spend: f64,
    pub(crate) attributable_spend: f64,
    pub(crate) attribution_gap: f64,
    /// No required tag, nothing that can carry one, tax, support, credits: see get_cost_attribution_gap.
    pub(crate) other_spend: f64,
    /// attributable_spend in percent of what must carry tags; null when nothing must.
    #[schemars(schema_with = "nullable_number")]
    pub(crate) attributable_percentage: Option<f64>,
}

/// What moved since the end of last month, or since the ledger's first night.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Change {
    /// Date of the snapshot that is compared with.
    pub(crate) since: String,
    #[schemars(schema_with = "nullable_number")]
    pub(crate) compliance_score: Option<f64>,
    /// Violations that began since.
    pub(crate) opened: u64,
    /// Violations whose tags were put right since.
    pub(crate) fixed: u64,
    /// Violations that ended with their resources, or for the policy changed.
    pub(crate) ended_otherwise: u64,
    /// Resources that are judged more than then; fewer when negative.
    pub(crate) judged_more: i64,
    pub(crate) policy_changed: bool,
    /// Whether other scopes were read whole then: the scores are not of the same resources.
    pub(crate) coverage_changed: bool,
}

/// A kind of violation.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct TopViolation {
    /// Such as `missing_costcenter_tag`.
    pub(crate) violation: String,
    /// The required key.
    pub(crate) tag: String,
    pub(crate) code: &'static str,
    /// Resources with it.
    pub(crate) count: u64,
    /// What they cost a month, as far as it is known; null when it is known of none.
    #[schemars(schema_with = "nullable_number")]
    pub(crate) cost_impact: Option<f64>,
}

/// An account or a resource type.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Worst {
    pub(crate) name: String,
    #[schemars(schema_with = "nullable_number")]
    pub(crate) compliance_score: Option<f64>,
    pub(crate) non_compliant: u64,
    /// Of the last whole month; null when it is not known.
    #[schemars(schema_with = "nullable_number")]
    pub(crate) attribution_gap: Option<f64>,
}

/// A group of resources to tag.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Recommendation {
    pub(crate) resource_type: String,
    /// The required key that they lack, or have a wrong value of.
    pub(crate) tag: String,
    /// The tag by which they belong together. Absent when they have none that is right.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) group_key: Option<String>,
    /// Its value. Untrusted text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) group_value: Option<String>,
    /// What to tag them with; null when those they belong with do not agree, or are too few. Untrusted text.
    #[schemars(schema_with = "nullable_text")]
    pub(crate) suggested_value: Option<String>,
    /// Resources of the group that have this value, and all that have a right one. Absent without a suggestion.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<u64>")]
    pub(crate) evidence: Option<[u64; 2]>,
    pub(crate) resources: u64,
    /// What they cost a month, as far as it is known.
    pub(crate) monthly_cost: f64,
}

/// All that a report says.
pub(crate) struct Facts {
    pub(crate) day: Date,
    pub(crate) tally: Tally,
    pub(crate) money: Option<Money>,
    pub(crate) change: Option<Change>,
    pub(crate) by_count: Vec<TopViolation>,
    pub(crate) by_cost: Vec<TopViolation>,
    pub(crate) accounts: Vec<Worst>,
    pub(crate) types: Vec<Worst>,
    pub(crate) advice: Vec<Recommendation>,
    pub(crate) more_advice: u64,
}

impl Facts {
    /// `costs`: whether costs are told, which are those of the newest snapshot.
    pub(crate) fn of(view: &View<'_>, snapshot: &Snapshot, costs: bool) -> Result<Self, ToolFailure> {
        let cells = view.cells(snapshot, &Filter::default())?;
        let mut tally = Tally::default();
        cells.iter().for_each(|(_, cell)| tally += *cell);
        let bill = if costs { bill(view)? } else { None };
        let day = day_of(snapshot.started_at);
        let told = view.advised(snapshot, |advised| {
            let shown = advised.advice.iter().map(Recommendation::of).collect();
            (advised.faults.iter().map(TopViolation::of).collect(), shown, advised.groups)
        })?;
        let (mut by_count, advice, groups): (Vec<TopViolation>, Vec<Recommendation>, u64) = told;
        let mut by_cost: Vec<TopViolation> =
            by_count.iter().filter(|one| one.cost_impact.is_some_and(|cost| cost > 0.0)).cloned().collect();
        by_cost.sort_by(|a, b| b.cost_impact.unwrap_or_default().total_cmp(&a.cost_impact.unwrap_or_default()));
        by_count.truncate(MOST_ROWS);
        by_cost.truncate(MOST_ROWS);
        let spends = bill.as_ref().map(|(_, attribution)| attribution);
        let by = |name: fn(&Scope) -> String, gap: &dyn Fn(&str) -> Option<Amount>| worst(&cells, name, gap);
        let account_gap = |name: &str| Some(spends?.by_account.get(name)?.unattributable);
        let type_gap = |name: &str| gap_of_type(spends?, name);
        Ok(Self {
            day,
            tally,
            change: change(view, snapshot, day, &tally)?,
            by_count,
            by_cost,
            accounts: by(|scope| scope.account.to_string(), &account_gap),
            types: by(|scope| scope.resource_type.to_string(), &type_gap),
            more_advice: groups.saturating_sub(advice.len() as u64),
            advice,
            money: bill.map(|(period, attribution)| Money::of(period, &attribution)),
        })
    }

    pub(crate) fn summary(&self) -> Summary {
        let Tally { compliant, non_compliant, not_applicable, unknown, exempt, .. } = self.tally;
        Summary {
            total_resources: self.tally.total(),
            compliant,
            non_compliant,
            not_applicable,
            unknown,
            exempt,
            cost_attribution_gap: self.money.as_ref().map(|money| money.attribution_gap),
        }
    }
}

/// The days and the currency of a month.
type Month = (TimePeriod, String);

/// The month that is meant where nobody names one, attributed as get_cost_attribution_gap does.
fn bill(view: &View<'_>) -> Result<Option<(Month, Attribution)>, ToolFailure> {
    let months = view.bill_months()?;
    let Some(days) = usual_month(&months).map(|month| month.days) else { return Ok(None) };
    let billed = view.billed(days)?;
    let Some(month) = billed.first() else { return Ok(None) };
    let Some((currency, _)) = month.bill.currencies().into_iter().next() else { return Ok(None) };
    let attribution = month.attribution(&currency);
    Ok(Some(((TimePeriod::of(days), currency), attribution)))
}

impl Money {
    fn of((time_period, currency): Month, attribution: &Attribution) -> Self {
        let (total, taggable) = (attribution.total.cents(), attribution.spend.taggable.cents());
        let gap = attribution.spend.unattributable.cents();
        let attributable = attribution.buckets.get(&Bucket::Attributable).copied().unwrap_or_default();
        let share = attributable.share_of(attribution.spend.taggable);
        Self {
            time_period,
            currency: visible(&currency),
            total_cloud_spend: units(total),
            attributable_spend: units(taggable - gap),
            attribution_gap: units(gap),
            other_spend: units(total - taggable),
            attributable_percentage: share.map(|share| (share * 10_000.0).round() / 100.0),
        }
    }
}

/// Databases and their clusters stand together on a bill, under the type that carries their cost.
fn gap_of_type(attribution: &Attribution, name: &str) -> Option<Amount> {
    let kind: shared::ResourceType = name.parse().ok()?;
    let carries = service_of(kind).all(|service| category(service) == name);
    let of = attribution.by_service.iter().filter(|(service, _)| category(service) == name);
    carries.then(|| of.map(|(_, spend)| spend.unattributable).sum())
}

fn worst(cells: &[(Scope, Tally)], name: fn(&Scope) -> String, gap: &dyn Fn(&str) -> Option<Amount>) -> Vec<Worst> {
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    for (scope, cell) in cells {
        *tallies.entry(name(scope)).or_default() += *cell;
    }
    let mut tallies: Vec<(String, Tally)> = tallies.into_iter().filter(|(_, tally)| tally.non_compliant > 0).collect();
    tallies.sort_by_key(|(_, tally)| Reverse(tally.non_compliant));
    let row = |(name, tally): (String, Tally)| Worst {
        compliance_score: score(&tally),
        non_compliant: tally.non_compliant,
        attribution_gap: gap(&name).map(|gap| units(gap.cents())),
        name,
    };
    tallies.into_iter().take(MOST_ROWS).map(row).collect()
}

impl TopViolation {
    fn of(fault: &Fault) -> Self {
        let Fault { key, code, resources, cost, with_cost } = fault;
        Self {
            violation: name(key, *code),
            tag: visible(key),
            code: code.as_str(),
            count: *resources,
            cost_impact: (*with_cost > 0).then(|| units(cost.cents())),
        }
    }
}

fn name(key: &str, code: Code) -> String {
    let key: String = key.to_lowercase().chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    match code {
        Code::Missing => format!("missing_{key}_tag"),
        code => format!("{}_{key}_tag", code.as_str().to_lowercase()),
    }
}

/// Compared with the last complete night of last month, else with the first night that is kept.
fn change(view: &View<'_>, snapshot: &Snapshot, day: Date, now: &Tally) -> Result<Option<Change>, ToolFailure> {
    let begin = |day: Date| TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).unwrap_or_default();
    let month = day.first_of_month();
    let nights = view.nights_since(begin(month.saturating_sub(1.month())))?;
    let earlier = nights.iter().filter(|night| night.id < snapshot.id);
    let last_month = earlier.clone().rev().find(|night| night.complete && day_of(night.started_at) < month);
    let Some(then) = last_month.or_else(|| nights.first().filter(|night| night.id < snapshot.id)) else {
        return Ok(None);
    };
    let [before, after] = [then, snapshot].map(|night| view.night_totals(night, &Filter::default()));
    let (before, after) = (before?, after?);
    let mut change = Change {
        since: day_of(then.started_at).to_string(),
        compliance_score: score(&before.tally),
        opened: 0,
        fixed: 0,
        ended_otherwise: 0,
        judged_more: judged(now) - judged(&before.tally),
        policy_changed: then.policy_digest != snapshot.policy_digest,
        coverage_changed: before.coverage != after.coverage,
    };
    for (at, life) in view.lives(then.started_at, &LifeOf::default(), &Filter::default())? {
        if at > then.started_at && at <= snapshot.started_at {
            change.opened += life.opened;
            change.fixed += life.fixed;
            change.ended_otherwise += life.removed + life.dropped;
        }
    }
    Ok(Some(change))
}

fn judged(tally: &Tally) -> i64 {
    i64::try_from(tally.compliant + tally.non_compliant).unwrap_or(i64::MAX)
}

impl Recommendation {
    fn of(advice: &Advice) -> Self {
        let (group_key, group_value) = advice.by.as_ref().map(|(key, value)| (visible(key), visible(value))).unzip();
        Self {
            resource_type: advice.resource_type.to_string(),
            tag: visible(&advice.key),
            group_key,
            group_value,
            suggested_value: advice.value.as_ref().map(|agreed| visible(&agreed.value)),
            evidence: advice.value.as_ref().map(|agreed| [agreed.agreeing, agreed.of]),
            resources: advice.resources,
            monthly_cost: units(advice.cost.cents()),
        }
    }

    /// As a sentence. Values of others stand in it only when they are plain words; else it says where they stand. `quote`: how a
    /// value is set off from our own words.
    pub(crate) fn sentence(&self, currency: &str, quote: fn(&str) -> String) -> String {
        let group = match (&self.group_key, &self.group_value) {
            (Some(key), Some(value)) => format!(" of {key} {}", plain(value, quote)),
            _ => " without any tag to tell them by".to_owned(),
        };
        let verb = if self.resources == 1 { "has" } else { "have" };
        let cost = if self.monthly_cost > 0.0 {
            format!("; {currency} {} a month", grouped(self.monthly_cost))
        } else {
            String::new()
        };
        let head = format!("{} {}{group} {verb} no right {}", self.resources, self.resource_type, self.tag);
        match (&self.suggested_value, self.evidence) {
            (Some(value), Some([agreeing, of])) => {
                format!("{head}: {agreeing} of {of} others say {}{cost}", plain(value, quote))
            }
            _ => format!("{head}{cost}"),
        }
    }
}

/// An amount to be read, with commas.
#[expect(clippy::cast_possible_truncation, reason = "an amount of whole cents, which came from one")]
pub(crate) fn grouped(units: f64) -> String {
    Amount::from_micros((units * 100.0).round() as i64 * 10_000).to_string()
}

fn plain(value: &str, quote: fn(&str) -> String) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "-_.@/".contains(c);
    let link = value.contains("www.") || value.contains("//");
    if !value.is_empty() && value.len() <= 40 && !link && value.chars().all(harmless) {
        quote(value)
    } else {
        "(see recommendation_details)".to_owned()
    }
}
