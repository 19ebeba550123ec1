//! What was spent in each period of a history, of what the question is about.

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::Serialize;
use shared::{
    ResourceType,
    money::{Amount, Attribution, Days, Spend, category, service_of},
    policy::Code,
    store::{BilledMonth, DaySpend, Filter, Snapshot, View},
};

use super::{ToolFailure, answer::units, get_violation_history::Asked};

/// Spend that must carry required tags, or the one that is asked about.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Cost {
    /// Where one tag is asked about: what was spent under it.
    taggable_spend: f64,
    /// Of that, what has no right tags; where one finding is asked about, what has not this tag right. Absent where one tag is asked
    /// about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64")]
    attribution_gap: Option<f64>,
    /// Days of the period that are billed.
    days: u64,
}

/// How the spend of a period is found.
pub(crate) enum Costs {
    /// Of everything: day by day, read once a snapshot.
    All(Vec<DaySpend>),
    /// Of a part, from the bill itself, in this currency.
    Part(Part, String),
    /// The bill has no sums of it.
    Unknown,
}

/// A part of the bill that it has sums of.
pub(crate) enum Part {
    Types(Vec<ResourceType>),
    Places(Filter),
    /// Whether what lacks the tag counts, and whether what has a wrong value does.
    Key {
        key: String,
        missing: bool,
        wrong: bool,
    },
    Value {
        key: String,
        value: String,
    },
}

impl Costs {
    pub(crate) fn of(view: &View<'_>, asked: &Asked, newest: &Snapshot) -> Result<Self, ToolFailure> {
        if !asked.costs {
            return Ok(Self::Unknown);
        }
        if asked.filter == Filter::default() && asked.finding.is_none() && asked.tag.is_none() {
            return Ok(Self::All(view.spend_by_day(newest)?));
        }
        let currency = view.month_spend(newest, |month| month.map(|month| month.currency.clone()))?;
        Ok(Part::of(asked).zip(currency).map_or(Self::Unknown, |(part, currency)| Self::Part(part, currency)))
    }

    /// From one day to another, which is not among them any more; none where nothing is billed.
    pub(crate) fn in_days(&self, view: &View<'_>, first: Date, end: Date) -> Result<Option<Cost>, ToolFailure> {
        match self {
            Self::Unknown => Ok(None),
            Self::All(spend) => {
                let days = spend.iter().filter(|day| day.day >= first && day.day < end);
                let (mut sum, mut count) = (Spend::default(), 0);
                days.for_each(|day| {
                    sum += day.spend;
                    count += 1;
                });
                Ok((count > 0).then(|| Cost::of(sum.taggable, Some(sum.unattributable), count)))
            }
            Self::Part(part, currency) => {
                let (mut taggable, mut gap, mut count) = (Amount::ZERO, Some(Amount::ZERO), 0);
                for month in view.billed(Days { first, end })? {
                    let (spend, without) = part.spend(&month, currency);
                    taggable += spend;
                    gap = gap.zip(without).map(|(sum, more)| sum + more);
                    count += u64::try_from(month.days.iter().count()).unwrap_or_default();
                }
                Ok((count > 0).then(|| Cost::of(taggable, gap, count)))
            }
        }
    }

    /// Why there is none, where the bill is known.
    pub(crate) fn note(&self, view: &View<'_>, asked: &Asked) -> Result<Option<String>, ToolFailure> {
        let unknown = matches!(self, Self::Unknown) && asked.costs && Part::of(asked).is_none();
        Ok((unknown && !view.bill_months()?.is_empty()).then(|| {
            "Spend is not told: the bill has sums by service, by place, by required tag and by its value, and not of this together."
                .to_owned()
        }))
    }
}

impl Part {
    fn of(asked: &Asked) -> Option<Self> {
        let Filter { types, regions, accounts } = &asked.filter;
        let placed = !regions.is_empty() || !accounts.is_empty();
        match (&asked.finding, &asked.tag) {
            (_, Some(tag)) => Some(Self::Value { key: tag.key.clone(), value: tag.value.clone() }),
            (Some(finding), None) if types.is_empty() => {
                let (missing, wrong) = match finding.code {
                    None => (true, true),
                    Some(Code::Missing) => (true, false),
                    // The bill tells wrong values from right ones, and not what is wrong with them.
                    Some(_) => return None,
                };
                Some(Self::Key { key: finding.tag.clone()?, missing, wrong })
            }
            (None, None) if placed && types.is_empty() => Some(Self::Places(asked.filter.clone())),
            // Databases and their clusters stand together on a bill, under the type that carries their cost.
            (None, None) if !placed => {
                let carries = |kind: &ResourceType| service_of(*kind).all(|service| category(service) == kind.as_str());
                types.iter().all(carries).then(|| Self::Types(types.clone()))
            }
            _ => None,
        }
    }

    /// Spend of some days, and how much of it is without right tags.
    fn spend(&self, month: &BilledMonth, currency: &str) -> (Amount, Option<Amount>) {
        let attribution = || month.attribution(currency);
        match self {
            Self::Types(types) => {
                let named = |service: &str| types.iter().any(|kind| kind.as_str() == category(service));
                let Attribution { by_service, .. } = attribution();
                let mut sum = Spend::default();
                by_service.iter().filter(|(service, _)| named(service)).for_each(|(_, spend)| sum += *spend);
                (sum.taggable, Some(sum.unattributable))
            }
            Self::Places(Filter { regions, accounts, .. }) => {
                let sums = month.bill.sums_in(currency);
                let of = |lines: &[(String, String, Amount)]| -> Amount {
                    let within = |region: &str, account: &str| {
                        (regions.is_empty() || regions.iter().any(|known| known.as_str() == region))
                            && (accounts.is_empty() || accounts.iter().any(|known| known.as_str() == account))
                    };
                    lines
                        .iter()
                        .filter(|(region, account, _)| within(region, account))
                        .map(|(.., amount)| *amount)
                        .sum()
                };
                (of(&sums.places), Some(of(&sums.gap_by_place)))
            }
            Self::Key { key, missing, wrong } => {
                let spend = attribution().by_key.into_iter().find(|spend| spend.key == *key);
                let Some(spend) = spend else { return (Amount::ZERO, Some(Amount::ZERO)) };
                let of = |counts: bool, amount| if counts { amount } else { Amount::ZERO };
                (spend.required, Some(of(*missing, spend.missing) + of(*wrong, spend.invalid)))
            }
            Self::Value { key, value } => {
                let by_key = attribution().by_key;
                let values = by_key.iter().filter(|spend| spend.key == *key).flat_map(|spend| &spend.values);
                (values.filter(|(known, ..)| known == value).map(|(_, amount, _)| *amount).sum(), None)
            }
        }
    }
}

impl Cost {
    fn of(taggable: Amount, gap: Option<Amount>, days: u64) -> Self {
        let attribution_gap = gap.map(|gap| units(gap.cents()));
        Self { taggable_spend: units(taggable.cents()), attribution_gap, days }
    }
}
