//! The spend in each period of a history.

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::Serialize;
use tagledger_cost::{Amount, Attribution, Days, TaggableSpend, service_category, services_of};
use tagledger_ledger::{BilledMonth, DaySpend, Filter, ReadSession, Snapshot, cost::bill_query, query::spend};
use tagledger_model::ResourceType;
use tagledger_policy::Code;

use crate::{
    error::ToolFailure,
    tools::{common::envelope::to_units, history::request::ResolvedRequest},
};

/// The spend of a period.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Cost {
    /// The spend that must carry required tags. With the argument `tag`: the spend with this tag.
    taggable_spend: f64,
    /// The part of it with missing or invalid required tags. With the argument `finding`: the part with that finding. Absent with the
    /// argument `tag`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64")]
    attribution_gap: Option<f64>,
    /// The number of billed days in the period.
    days: u64,
}

/// The source of the spend of a period.
pub(crate) enum PeriodSpend {
    /// The spend of the entire estate by day, which is computed once for a snapshot.
    All(Vec<DaySpend>),
    /// A part of the bill, and the currency.
    Part(BillPart, String),
    /// The bill has no sums for the request.
    Unavailable,
}

/// A part for which the bill has sums.
pub(crate) enum BillPart {
    Types(Vec<ResourceType>),
    Scopes(Filter),
    /// The spend that must carry the key. Whether a missing key and an invalid value belong to the gap.
    Key {
        key: String,
        missing: bool,
        invalid: bool,
    },
    Value {
        key: String,
        value: String,
    },
}

impl PeriodSpend {
    pub(crate) fn load(
        session: &ReadSession<'_>,
        request: &ResolvedRequest,
        latest: &Snapshot,
    ) -> Result<Self, ToolFailure> {
        if !request.costs {
            return Ok(Self::Unavailable);
        }
        if request.filter == Filter::default() && request.finding.is_none() && request.tag.is_none() {
            return Ok(Self::All(spend::list_spend_by_day(session, latest)?));
        }
        let currency = spend::find_month_spend(session, latest)?.map(|month| month.currency.clone());
        Ok(BillPart::from_request(request)
            .zip(currency)
            .map_or(Self::Unavailable, |(part, currency)| Self::Part(part, currency)))
    }

    /// The spend from `first` to `end`, which is excluded. `None` if no day is billed.
    pub(crate) fn sum_days(
        &self,
        session: &ReadSession<'_>,
        first: Date,
        end: Date,
    ) -> Result<Option<Cost>, ToolFailure> {
        match self {
            Self::Unavailable => Ok(None),
            Self::All(spend) => {
                let days = spend.iter().filter(|day| day.day >= first && day.day < end);
                let (mut sum, mut count) = (TaggableSpend::default(), 0);
                days.for_each(|day| {
                    sum += day.spend;
                    count += 1;
                });
                Ok((count > 0).then(|| Cost::new(sum.taggable, Some(sum.unattributable), count)))
            }
            Self::Part(part, currency) => {
                let (mut taggable, mut gap, mut count) = (Amount::ZERO, Some(Amount::ZERO), 0);
                for month in bill_query::load_billed_months(session, Days { first, end })? {
                    let (spend, month_gap) = part.sum_month(&month, currency);
                    taggable += spend;
                    gap = gap.zip(month_gap).map(|(sum, more)| sum + more);
                    count += u64::try_from(month.days.iter().count()).unwrap_or_default();
                }
                Ok((count > 0).then(|| Cost::new(taggable, gap, count)))
            }
        }
    }

    /// A note if the ledger has a bill, but no spend for the request.
    pub(crate) fn note(
        &self,
        session: &ReadSession<'_>,
        request: &ResolvedRequest,
    ) -> Result<Option<String>, ToolFailure> {
        let is_unavailable =
            matches!(self, Self::Unavailable) && request.costs && BillPart::from_request(request).is_none();
        Ok((is_unavailable && !bill_query::load_months(session)?.is_empty()).then(|| {
            "TaggableSpend is not available: the bill has sums by service, by region and account, by required tag and by tag value, but not by \
             this combination."
                .to_owned()
        }))
    }
}

impl BillPart {
    fn from_request(request: &ResolvedRequest) -> Option<Self> {
        let Filter { types, regions, accounts } = &request.filter;
        let has_scope = !regions.is_empty() || !accounts.is_empty();
        match (&request.finding, &request.tag) {
            (_, Some(tag)) => Some(Self::Value { key: tag.key.clone(), value: tag.value.clone() }),
            (Some(finding), None) if types.is_empty() => {
                let (missing, invalid) = match finding.code {
                    None => (true, true),
                    Some(Code::Missing) => (true, false),
                    // The bill separates valid from invalid values, but does not have the kind of the error.
                    Some(_) => return None,
                };
                Some(Self::Key { key: finding.tag.clone()?, missing, invalid })
            }
            (None, None) if has_scope && types.is_empty() => Some(Self::Scopes(request.filter.clone())),
            // The bill has one category for databases and their clusters, that of the type with their cost.
            (None, None) if !has_scope => {
                let has_own_category =
                    |kind: &ResourceType| services_of(*kind).all(|service| service_category(service) == kind.as_str());
                types.iter().all(has_own_category).then(|| Self::Types(types.clone()))
            }
            _ => None,
        }
    }

    /// The spend of a billed month, and the part of it in the gap.
    fn sum_month(&self, month: &BilledMonth, currency: &str) -> (Amount, Option<Amount>) {
        let attribution = || month.attribution(currency);
        match self {
            Self::Types(types) => {
                let is_included = |service: &str| types.iter().any(|kind| kind.as_str() == service_category(service));
                let Attribution { by_service, .. } = attribution();
                let mut sum = TaggableSpend::default();
                by_service.iter().filter(|(service, _)| is_included(service)).for_each(|(_, spend)| sum += *spend);
                (sum.taggable, Some(sum.unattributable))
            }
            Self::Scopes(Filter { regions, accounts, .. }) => {
                let sums = month.bill.sums_in(currency);
                let sum_lines = |lines: &[(String, String, Amount)]| -> Amount {
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
                (sum_lines(&sums.by_region), Some(sum_lines(&sums.gap_by_region)))
            }
            Self::Key { key, missing, invalid } => {
                let spend = attribution().by_key.into_iter().find(|spend| spend.key == *key);
                let Some(spend) = spend else { return (Amount::ZERO, Some(Amount::ZERO)) };
                let part = |is_included: bool, amount| if is_included { amount } else { Amount::ZERO };
                (spend.required, Some(part(*missing, spend.missing) + part(*invalid, spend.invalid)))
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
    fn new(taggable: Amount, gap: Option<Amount>, days: u64) -> Self {
        let attribution_gap = gap.map(|gap| to_units(gap.cents()));
        Self { taggable_spend: to_units(taggable.cents()), attribution_gap, days }
    }
}
