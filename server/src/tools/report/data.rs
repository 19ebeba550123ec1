//! The data of a report: the figures of the other tools.

use jiff::{ToSpan, civil::Date, tz::TimeZone};
use schemars::JsonSchema;
use serde::Serialize;
use tagledger_analysis::recommendations::{MAX_RECOMMENDATIONS, TagRecommendation, ViolationGroup};
use tagledger_cost::{Amount, Attribution, Bucket, service_category, services_of};
use tagledger_ledger::{
    ComplianceCounts, Filter, FlowFilter, ReadSession, Snapshot,
    cost::bill_query,
    find_default_month,
    query::{compliance, history, tag_groups},
};
use tagledger_model::{epoch_day::day_of, inventory::Scope};
use tagledger_policy::Code;

use crate::{
    error::ToolFailure,
    tools::common::{
        arguments::{nullable_number, nullable_text},
        envelope::{score, to_units},
        scope_counts,
        time_period::TimePeriod,
    },
    untrusted_text::escape,
};

/// The maximum number of rows of a table.
const MAX_ROWS: usize = MAX_RECOMMENDATIONS;

/// The number of resources by state, and the attribution gap.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Summary {
    pub(crate) total_resources: u64,
    pub(crate) compliant: u64,
    pub(crate) non_compliant: u64,
    pub(crate) not_applicable: u64,
    pub(crate) unknown: u64,
    pub(crate) exempt: u64,
    /// The spend of the last complete month that must carry required tags and cannot be attributed. Null when the bill is not known.
    #[schemars(schema_with = "nullable_number")]
    pub(crate) cost_attribution_gap: Option<f64>,
}

/// The bill of a month. attributable_spend, attribution_gap and other_spend add up to total_cloud_spend.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Money {
    pub(crate) time_period: TimePeriod,
    pub(crate) currency: String,
    pub(crate) total_cloud_spend: f64,
    pub(crate) attributable_spend: f64,
    pub(crate) attribution_gap: f64,
    /// Spend that requires no tag or cannot carry tags, tax, support and credits. get_cost_attribution_gap has the details.
    pub(crate) other_spend: f64,
    /// attributable_spend in percent of the spend that must carry tags. Null when that is 0.
    #[schemars(schema_with = "nullable_number")]
    pub(crate) attributable_percentage: Option<f64>,
}

/// The change since the end of last month, or since the first snapshot of the ledger.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Change {
    /// The date of the earlier snapshot.
    pub(crate) since: String,
    /// The compliance score of the earlier snapshot. Null when it has none.
    #[schemars(schema_with = "nullable_number")]
    pub(crate) compliance_score: Option<f64>,
    /// The number of violations that began since then.
    pub(crate) opened: u64,
    /// The number of violations that were corrected since then.
    pub(crate) fixed: u64,
    /// The number of violations that ended because the resource was deleted or the policy changed.
    pub(crate) ended_otherwise: u64,
    /// The change of the number of evaluated resources.
    pub(crate) judged_more: i64,
    /// Whether the policy changed since then.
    pub(crate) policy_changed: bool,
    /// Whether the scopes that were read completely have changed. If so, the scores do not include the same resources.
    pub(crate) coverage_changed: bool,
}

/// A kind of violation.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct TopViolation {
    /// The name of the violation, such as `missing_costcenter_tag`.
    pub(crate) violation: String,
    /// The required tag key.
    pub(crate) tag: String,
    pub(crate) code: &'static str,
    /// The number of resources with the violation.
    pub(crate) count: u64,
    /// The monthly cost of these resources, as far as it is known. Null when no cost is known.
    #[schemars(schema_with = "nullable_number")]
    pub(crate) cost_impact: Option<f64>,
}

/// An account or a resource type.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Worst {
    /// The account ID or the resource type.
    pub(crate) name: String,
    #[schemars(schema_with = "nullable_number")]
    pub(crate) compliance_score: Option<f64>,
    pub(crate) non_compliant: u64,
    /// The attribution gap of the last complete month. Null when it is not known.
    #[schemars(schema_with = "nullable_number")]
    pub(crate) attribution_gap: Option<f64>,
}

/// A recommendation to tag a group of resources.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Recommendation {
    pub(crate) resource_type: String,
    /// The required tag key that is missing or invalid.
    pub(crate) tag: String,
    /// The key of the tag that the resources have in common. Absent when they have no valid tag in common.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) group_key: Option<String>,
    /// The value of that tag. Untrusted text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) group_value: Option<String>,
    /// The suggested value. Null when the other resources of the group have different values or are too few. Untrusted text.
    #[schemars(schema_with = "nullable_text")]
    pub(crate) suggested_value: Option<String>,
    /// The number of resources of the group with this value, and with any valid value. Absent without a suggestion.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<u64>")]
    pub(crate) evidence: Option<[u64; 2]>,
    pub(crate) resources: u64,
    /// The known monthly cost of the resources.
    pub(crate) monthly_cost: f64,
}

/// The data of a report.
pub(crate) struct ReportData {
    pub(crate) day: Date,
    pub(crate) counts: ComplianceCounts,
    pub(crate) money: Option<Money>,
    pub(crate) change: Option<Change>,
    pub(crate) by_count: Vec<TopViolation>,
    pub(crate) by_cost: Vec<TopViolation>,
    pub(crate) accounts: Vec<Worst>,
    pub(crate) types: Vec<Worst>,
    pub(crate) recommendations: Vec<Recommendation>,
    /// The number of groups that are not among the recommendations.
    pub(crate) more_recommendations: u64,
}

impl ReportData {
    /// Loads the data of a snapshot. `costs`: whether to include costs, which the ledger has only for the latest snapshot.
    pub(crate) fn load(session: &ReadSession<'_>, snapshot: &Snapshot, costs: bool) -> Result<Self, ToolFailure> {
        let cells = compliance::count_by_scope(session, snapshot, &Filter::default())?;
        let counts = scope_counts::sum_all(&cells);
        let bill = if costs { load_bill(session)? } else { None };
        let day = day_of(snapshot.started_at);
        let recommended = tag_groups::find_recommendations(session, snapshot)?;
        let shown = recommended.recommendations.iter().map(Recommendation::from_tag_recommendation);
        let recommendations: Vec<Recommendation> = shown.collect();
        let groups = recommended.groups;
        let mut by_count: Vec<TopViolation> = recommended.violations.iter().map(TopViolation::from_group).collect();
        let mut by_cost: Vec<TopViolation> =
            by_count.iter().filter(|one| one.cost_impact.is_some_and(|cost| cost > 0.0)).cloned().collect();
        by_cost.sort_by(|a, b| b.cost_impact.unwrap_or_default().total_cmp(&a.cost_impact.unwrap_or_default()));
        by_count.truncate(MAX_ROWS);
        by_cost.truncate(MAX_ROWS);
        let spends = bill.as_ref().map(|(_, attribution)| attribution);
        let by = |name: fn(&Scope) -> String, gap: &dyn Fn(&str) -> Option<Amount>| rank_worst(&cells, name, gap);
        let account_gap = |name: &str| Some(spends?.by_account.get(name)?.unattributable);
        let type_gap = |name: &str| gap_of_type(spends?, name);
        Ok(Self {
            day,
            counts,
            change: compare_with_earlier(session, snapshot, day, &counts)?,
            by_count,
            by_cost,
            accounts: by(|scope| scope.account.to_string(), &account_gap),
            types: by(|scope| scope.resource_type.to_string(), &type_gap),
            more_recommendations: groups.saturating_sub(recommendations.len() as u64),
            recommendations,
            money: bill.map(|(period, attribution)| Money::from_attribution(period, &attribution)),
        })
    }

    pub(crate) fn summary(&self) -> Summary {
        let ComplianceCounts { compliant, non_compliant, not_applicable, unknown, exempt, .. } = self.counts;
        Summary {
            total_resources: self.counts.total(),
            compliant,
            non_compliant,
            not_applicable,
            unknown,
            exempt,
            cost_attribution_gap: self.money.as_ref().map(|money| money.attribution_gap),
        }
    }
}

/// The time period and the currency of a month.
type Month = (TimePeriod, String);

/// The attribution of the default month, as in get_cost_attribution_gap.
fn load_bill(session: &ReadSession<'_>) -> Result<Option<(Month, Attribution)>, ToolFailure> {
    let months = bill_query::load_months(session)?;
    let Some(days) = find_default_month(&months).map(|month| month.days) else { return Ok(None) };
    let billed = bill_query::load_billed_months(session, days)?;
    let Some(month) = billed.first() else { return Ok(None) };
    let Some((currency, _)) = month.bill.currencies().into_iter().next() else { return Ok(None) };
    let attribution = month.attribution(&currency);
    Ok(Some(((TimePeriod::from_days(days), currency), attribution)))
}

impl Money {
    fn from_attribution((time_period, currency): Month, attribution: &Attribution) -> Self {
        let (total, taggable) = (attribution.total.cents(), attribution.spend.taggable.cents());
        let gap = attribution.spend.unattributable.cents();
        let attributable = attribution.buckets.get(&Bucket::Attributable).copied().unwrap_or_default();
        let share = attributable.share_of(attribution.spend.taggable);
        Self {
            time_period,
            currency: escape(&currency),
            total_cloud_spend: to_units(total),
            attributable_spend: to_units(taggable - gap),
            attribution_gap: to_units(gap),
            other_spend: to_units(total - taggable),
            attributable_percentage: share.map(|share| (share * 10_000.0).round() / 100.0),
        }
    }
}

/// The gap of a resource type. `None` for a type whose cost the bill has under another type: databases and their clusters have one
/// category.
fn gap_of_type(attribution: &Attribution, name: &str) -> Option<Amount> {
    let kind: tagledger_model::ResourceType = name.parse().ok()?;
    let has_own_category = services_of(kind).all(|service| service_category(service) == name);
    let of = attribution.by_service.iter().filter(|(service, _)| service_category(service) == name);
    has_own_category.then(|| of.map(|(_, spend)| spend.unattributable).sum())
}

fn rank_worst(
    cells: &[(Scope, ComplianceCounts)],
    name: fn(&Scope) -> String,
    gap: &dyn Fn(&str) -> Option<Amount>,
) -> Vec<Worst> {
    let ranked = scope_counts::rank_by(cells, name).into_iter().filter(|(_, counts)| counts.non_compliant > 0);
    let row = |(name, counts): (String, ComplianceCounts)| Worst {
        compliance_score: score(&counts),
        non_compliant: counts.non_compliant,
        attribution_gap: gap(&name).map(|gap| to_units(gap.cents())),
        name,
    };
    ranked.take(MAX_ROWS).map(row).collect()
}

impl TopViolation {
    fn from_group(group: &ViolationGroup) -> Self {
        let ViolationGroup { key, code, resources, cost, with_cost } = group;
        Self {
            violation: violation_name(key, *code),
            tag: escape(key),
            code: code.as_str(),
            count: *resources,
            cost_impact: (*with_cost > 0).then(|| to_units(cost.cents())),
        }
    }
}

fn violation_name(key: &str, code: Code) -> String {
    let key: String = key.to_lowercase().chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    match code {
        Code::Missing => format!("missing_{key}_tag"),
        code => format!("{}_{key}_tag", code.as_str().to_lowercase()),
    }
}

/// Compares with the last complete snapshot of last month, or with the first snapshot of the ledger.
fn compare_with_earlier(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    day: Date,
    now: &ComplianceCounts,
) -> Result<Option<Change>, ToolFailure> {
    let start_of = |day: Date| TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).unwrap_or_default();
    let month = day.first_of_month();
    let snapshots = history::list_snapshots_since(session, start_of(month.saturating_sub(1.month())))?;
    let earlier = snapshots.iter().filter(|other| other.id < snapshot.id);
    let last_month = earlier.clone().rev().find(|other| other.complete && day_of(other.started_at) < month);
    let Some(then) = last_month.or_else(|| snapshots.first().filter(|other| other.id < snapshot.id)) else {
        return Ok(None);
    };
    let [before, after] = [then, snapshot].map(|one| history::find_snapshot_totals(session, one, &Filter::default()));
    let (before, after) = (before?, after?);
    let mut change = Change {
        since: day_of(then.started_at).to_string(),
        compliance_score: score(&before.tally),
        opened: 0,
        fixed: 0,
        ended_otherwise: 0,
        judged_more: count_evaluated(now) - count_evaluated(&before.tally),
        policy_changed: then.policy_digest != snapshot.policy_digest,
        coverage_changed: before.coverage != after.coverage,
    };
    for (at, flow) in
        history::find_violation_flow(session, then.started_at, &FlowFilter::default(), &Filter::default())?
    {
        if at > then.started_at && at <= snapshot.started_at {
            change.opened += flow.opened;
            change.fixed += flow.fixed;
            change.ended_otherwise += flow.removed + flow.dropped;
        }
    }
    Ok(Some(change))
}

fn count_evaluated(counts: &ComplianceCounts) -> i64 {
    i64::try_from(counts.compliant + counts.non_compliant).unwrap_or(i64::MAX)
}

impl Recommendation {
    fn from_tag_recommendation(advice: &TagRecommendation) -> Self {
        let (group_key, group_value) =
            advice.grouping_tag.as_ref().map(|(key, value)| (escape(key), escape(value))).unzip();
        Self {
            resource_type: advice.resource_type.to_string(),
            tag: escape(&advice.key),
            group_key,
            group_value,
            suggested_value: advice.value.as_ref().map(|agreed| escape(&agreed.value)),
            evidence: advice.value.as_ref().map(|agreed| [agreed.agreeing, agreed.of]),
            resources: advice.resources,
            monthly_cost: to_units(advice.cost.cents()),
        }
    }

    /// The recommendation as a sentence. It contains an untrusted value only if that is a plain word; otherwise it refers to the field
    /// with the value. `quote` marks a value in the text.
    pub(crate) fn sentence(&self, currency: &str, quote: fn(&str) -> String) -> String {
        let group = match (&self.group_key, &self.group_value) {
            (Some(key), Some(value)) => format!(" of {key} {}", quote_if_plain(value, quote)),
            _ => " without a common valid tag".to_owned(),
        };
        let verb = if self.resources == 1 { "has" } else { "have" };
        let cost = if self.monthly_cost > 0.0 {
            format!("; {currency} {} per month", format_amount(self.monthly_cost))
        } else {
            String::new()
        };
        let head = format!("{} {}{group} {verb} no valid {}", self.resources, self.resource_type, self.tag);
        match (&self.suggested_value, self.evidence) {
            (Some(value), Some([agreeing, of])) => {
                format!("{head}: {agreeing} of {of} others have {}{cost}", quote_if_plain(value, quote))
            }
            _ => format!("{head}{cost}"),
        }
    }
}

/// An amount with two decimals and thousands separators.
#[expect(clippy::cast_possible_truncation, reason = "the value was converted from an amount in cents")]
pub(crate) fn format_amount(units: f64) -> String {
    Amount::from_micros((units * 100.0).round() as i64 * 10_000).to_string()
}

fn quote_if_plain(value: &str, quote: fn(&str) -> String) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.@/".contains(c);
    let is_link = value.contains("www.") || value.contains("//");
    if !value.is_empty() && value.len() <= 40 && !is_link && value.chars().all(is_plain) {
        quote(value)
    } else {
        "(see recommendation_details)".to_owned()
    }
}
