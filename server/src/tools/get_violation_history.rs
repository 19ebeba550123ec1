//! get_violation_history: how compliance moved, one night a period, and what began and ended between them.

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::{
    ResourceType,
    policy::Code,
    store::{Filter, LifeOf, Snapshot, View},
};

use super::{
    ToolFailure,
    answer::{Answer, AsOf, Coverage, PolicyUsed, policy_note},
    arguments::{Filters, covered, earlier, listed, nullable_number, nullable_text, type_list, which},
    calendar::{GroupBy, day_in, zone},
    history_points::{Point, coverage_note, nights, points},
    history_trend::{TrendBasis, moved},
    period::Day,
};
use crate::{ledger::Ledger, reach::bounded};

/// Days looked back when nobody says.
const DAYS: i64 = 90;

/// More than any ledger has.
const MOST_DAYS: i64 = 36_500;

/// Points told; more than that say less.
const MOST_POINTS: usize = 100;

#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Days to look back from the newest snapshot, or from `as_of`, which counts as the first; 90 when left out.
    #[schemars(with = "i64", range(min = 1, max = 36_500))]
    #[serde(default)]
    days_back: Option<i64>,
    /// One point a `day`, `week` (from Monday) or `month`; `week` when left out.
    #[schemars(with = "GroupBy")]
    #[serde(default)]
    group_by: Option<GroupBy>,
    /// The time zone of days, weeks and months, as IANA names it, such as `Europe/Berlin`; UTC when left out.
    #[schemars(with = "String")]
    #[serde(default)]
    time_zone: Option<String>,
    /// Resource types; leave out for all.
    #[schemars(schema_with = "type_list")]
    #[serde(default)]
    resource_types: Option<Vec<ResourceType>>,
    /// Narrows to one region, one account, or both.
    #[schemars(with = "Filters")]
    #[serde(default)]
    filters: Option<Filters>,
    /// Counts one kind of finding instead of all violations.
    #[schemars(with = "Finding")]
    #[serde(default)]
    finding: Option<Finding>,
    /// Counts resources with one tag, of a key that the policy names, instead of all. Not together with other filters.
    #[schemars(with = "TagValue")]
    #[serde(default)]
    tag: Option<TagValue>,
    /// As of the end of that day (UTC), such as `2026-10-31`; now when left out.
    #[schemars(with = "String")]
    #[serde(default)]
    as_of: Option<Day>,
}

bounded!(filters);

/// A kind of finding: by its code, by the tag that it is about, or both.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Finding {
    /// Such as `MISSING` or `NOT_ALLOWED`; see by_rule of check_tag_compliance.
    #[schemars(with = "String")]
    #[serde(default)]
    code: Option<Code>,
    /// The tag key that it is about.
    #[schemars(with = "String")]
    #[serde(default)]
    tag: Option<String>,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TagValue {
    pub(crate) key: String,
    pub(crate) value: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Body {
    /// One point a period, the oldest first: of its last complete snapshot, never a mean of several. Periods without a
    /// snapshot have none.
    history: Vec<Point>,
    /// `improving`, `declining` or `stable`; null when there are too few points to compare.
    #[schemars(schema_with = "nullable_text")]
    trend: Option<&'static str>,
    /// Change of the score a period of `group_by`, along the slope; null when there are too few points to compare.
    #[schemars(schema_with = "nullable_number")]
    improvement_rate: Option<f64>,
    /// What trend and rate are of.
    trend_basis: TrendBasis,
    /// Periods that have no snapshot, from the ledger's first night on.
    periods_without_snapshot: u64,
    /// Of days, weeks and months.
    time_zone: String,
}

/// The answer, of one night a period.
pub(crate) fn answer(ledger: &Ledger, arguments: Arguments) -> Result<Answer<Body>, ToolFailure> {
    let as_of = arguments.as_of;
    let asked = Asked::of(arguments)?;
    ledger.ask_about(which(as_of), |view, snapshot| {
        covered(view, &snapshot, &asked.filter)?;
        let earlier = earlier(view, &snapshot, as_of)?;
        let asked = Asked { costs: earlier.is_none(), ..asked };
        let mut notes: Vec<String> = earlier.or_else(|| policy_note(ledger, &snapshot)).into_iter().collect();
        let body = body(view, &snapshot, &asked, &mut notes)?;
        Ok(Answer {
            body,
            as_of: AsOf::of(&snapshot),
            policy: PolicyUsed::of(&*view.policy(&snapshot)?),
            coverage: Coverage::of(view, &snapshot, &asked.filter)?,
            notes,
        })
    })
}

/// The question, checked.
pub(crate) struct Asked {
    days_back: i64,
    pub(crate) group_by: GroupBy,
    pub(crate) zone: TimeZone,
    pub(crate) filter: Filter,
    pub(crate) finding: Option<LifeOf>,
    pub(crate) tag: Option<TagValue>,
    /// Whether spend is told: the ledger has one bill, that of the newest scan.
    pub(crate) costs: bool,
}

impl Asked {
    fn of(arguments: Arguments) -> Result<Self, ToolFailure> {
        let days_back = arguments.days_back.unwrap_or(DAYS);
        if !(1..=MOST_DAYS).contains(&days_back) {
            return Err(ToolFailure::Caller(format!("`days_back` must be 1 to {MOST_DAYS}, not {days_back}")));
        }
        let filters = arguments.filters.unwrap_or_default();
        let filter = filters.filter(listed("resource_types", arguments.resource_types)?);
        let finding = arguments.finding.map(|finding| LifeOf { code: finding.code, tag: finding.tag });
        if finding.as_ref().is_some_and(|finding| *finding == LifeOf::default()) {
            return Err(ToolFailure::Caller("`finding` is empty; give `code`, `tag` or both".to_owned()));
        }
        let placed = !filter.regions.is_empty() || !filter.accounts.is_empty();
        if finding.is_some() && placed {
            let why =
                "of one finding the ledger counts resources by type, not by region or account; ask without `filters`";
            return Err(ToolFailure::Caller(why.to_owned()));
        }
        if arguments.tag.is_some() && (finding.is_some() || filter != Filter::default()) {
            let why = "`tag` counts resources of the whole estate; ask without other filters";
            return Err(ToolFailure::Caller(why.to_owned()));
        }
        Ok(Self {
            days_back,
            group_by: arguments.group_by.unwrap_or(GroupBy::Week),
            zone: zone(arguments.time_zone.as_deref())?,
            filter,
            finding,
            tag: arguments.tag,
            costs: true,
        })
    }

    pub(crate) fn period(&self, moment: Timestamp) -> Date {
        self.group_by.first_of(day_in(&self.zone, moment))
    }

    /// What began and ended is counted by type and finding, not by place.
    pub(crate) fn knows_lives(&self) -> bool {
        self.tag.is_none() && self.filter.regions.is_empty() && self.filter.accounts.is_empty()
    }
}

fn body(view: &View<'_>, newest: &Snapshot, asked: &Asked, notes: &mut Vec<String>) -> Result<Body, ToolFailure> {
    if let Some(tag) = &asked.tag
        && !view.policy(newest)?.keys().any(|key| key == tag.key)
    {
        let why = "`tag.key` is none that the policy names, and the values of no other keys are counted; get_tagging_policy has them";
        return Err(ToolFailure::Caller(why.to_owned()));
    }
    let last = day_in(&asked.zone, newest.started_at);
    let first = asked.group_by.first_of(last.saturating_sub((asked.days_back - 1).days()));
    let oldest = view.oldest()?.map_or(last, |at| day_in(&asked.zone, at));
    if oldest > first {
        notes.push(format!("The ledger begins on {oldest}: there is no earlier night."));
    }
    let from = first.max(asked.group_by.first_of(oldest));
    let periods: Vec<Date> = std::iter::successors(Some(from), |first| Some(asked.group_by.next(*first)))
        .take_while(|first| *first <= last)
        .collect();
    if periods.len() > MOST_POINTS {
        let why = format!(
            "{} periods are more than the {MOST_POINTS} that are told; ask for fewer `days_back`, or `group_by` week or month",
            periods.len()
        );
        return Err(ToolFailure::Caller(why));
    }
    let nights = nights(view, asked, from, newest, notes)?;
    let points = points(view, asked, &nights, from, newest, notes)?;
    let (trend, improvement_rate, trend_basis) = moved(view, asked, newest, &nights)?;
    notes.extend(coverage_note(&points));
    Ok(Body {
        periods_without_snapshot: periods.len().saturating_sub(points.len()) as u64,
        history: points,
        trend,
        improvement_rate,
        trend_basis,
        time_zone: asked.zone.iana_name().unwrap_or("UTC").to_owned(),
    })
}
