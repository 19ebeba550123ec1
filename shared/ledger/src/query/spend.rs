//! Taggable spend by month and by day, and the cost of current resources.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::civil::Date;
use rusqlite::Row;
use tagledger_cost::{Amount, TaggableSpend};
use tagledger_model::epoch_day::day_numbered;

use crate::{
    cost::{
        attribution_evaluator::AttributionEvaluator,
        bill_query::{self, find_default_month},
        resource_cost,
    },
    db::{sql, statements::query_rows},
    error::LedgerError,
    model::{
        bill::{BillPart, MonthSpend},
        history::DaySpend,
        resource_cost::{CostBasis, RemediatedSpend, ScopeSpend},
        snapshot::Snapshot,
    },
    read::{
        memo::{CacheValue, SCOPE_BYTES, bytes_of},
        session::ReadSession,
    },
};

/// The spend of the last complete month, or of the current one when there is none; none when no bill is recorded.
///
/// # Errors
///
/// When the ledger cannot be read. The same applies to all functions below.
pub fn find_month_spend(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
) -> Result<Option<Arc<MonthSpend>>, LedgerError> {
    let load = || load_default_month(session).map(|month| DefaultMonth(month.map(Arc::new)));
    Ok(session.memo(snapshot).get_or_load(load)?.0.clone())
}

fn load_default_month(session: &ReadSession<'_>) -> Result<Option<MonthSpend>, LedgerError> {
    let Some(days) = find_default_month(&bill_query::load_months(session)?).map(|month| month.days) else {
        return Ok(None);
    };
    Ok(bill_query::load_billed_months(session, days)?.first().and_then(MonthSpend::from_month))
}

/// The basis of the costs of resources; none when costs are not known.
pub fn find_cost_basis(session: &ReadSession<'_>, snapshot: &Snapshot) -> Result<Option<CostBasis>, LedgerError> {
    Ok(resource_cost::load_model(session, snapshot)?.basis.clone())
}

/// The cost of current resources by scope, and the cost of those whose tags were fixed or broken since the billed month ended; the second
/// is none when no retained snapshot is that old. Both use the tags of the newest snapshot.
pub fn sum_current_spend(
    session: &ReadSession<'_>,
    newest: &Snapshot,
) -> Result<(Vec<ScopeSpend>, Option<RemediatedSpend>), LedgerError> {
    let cached = session.memo(newest).get_or_load(|| load_current_spend(session, newest))?;
    Ok((cached.scopes.clone(), cached.remediated.clone()))
}

fn load_current_spend(session: &ReadSession<'_>, newest: &Snapshot) -> Result<CurrentSpend, LedgerError> {
    let (model, policy) = (resource_cost::load_model(session, newest)?, session.policy(newest)?);
    let mut verdicts = AttributionEvaluator::new(&policy);
    let scopes = model.current_spend(session.db(), session.dimensions(), &mut verdicts)?;
    let remediated = model.remediated_spend(session.db(), session.dimensions(), &mut verdicts)?;
    Ok(CurrentSpend { scopes, remediated })
}

/// Taggable spend by day, in the currency with the largest sum, for all recorded days.
pub fn list_spend_by_day(session: &ReadSession<'_>, snapshot: &Snapshot) -> Result<Vec<DaySpend>, LedgerError> {
    Ok(session.memo(snapshot).get_or_load(|| load_spend_by_day(session).map(SpendByDay))?.0.clone())
}

fn load_spend_by_day(session: &ReadSession<'_>) -> Result<Vec<DaySpend>, LedgerError> {
    let months = bill_query::load_months(session)?;
    let recorded: BTreeSet<Date> = months.iter().flat_map(|month| month.days.iter()).collect();
    let columns = |row: &Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?, row.get(3)?));
    let mut by_currency: BTreeMap<String, BTreeMap<Date, TaggableSpend>> = BTreeMap::new();
    for (day, part, currency, micros) in query_rows(session.db(), sql::SPEND_BY_DAY, [], columns)? {
        let day = day_numbered(day);
        if recorded.contains(&day) {
            let spend = by_currency.entry(currency).or_default().entry(day).or_default();
            let sum = if part == BillPart::ByRegion as i64 { &mut spend.taggable } else { &mut spend.unattributable };
            *sum += Amount::from_micros(micros);
        }
    }
    let taggable = |days: &BTreeMap<Date, TaggableSpend>| days.values().map(|spend| spend.taggable).sum::<Amount>();
    let largest = by_currency.into_values().max_by_key(taggable).unwrap_or_default();
    Ok(largest.into_iter().map(|(day, spend)| DaySpend { day, spend }).collect())
}

/// Loads the spend of months, days and current resources into the cache.
pub(crate) fn preload(session: &ReadSession<'_>, newest: &Snapshot) -> Result<(), LedgerError> {
    find_month_spend(session, newest)?;
    sum_current_spend(session, newest)?;
    list_spend_by_day(session, newest).map(drop)
}

struct DefaultMonth(Option<Arc<MonthSpend>>);

impl CacheValue for DefaultMonth {
    fn weight(&self) -> usize {
        bytes_of::<MonthSpend>(1)
    }
}

struct CurrentSpend {
    scopes: Vec<ScopeSpend>,
    remediated: Option<RemediatedSpend>,
}

impl CacheValue for CurrentSpend {
    fn weight(&self) -> usize {
        let remediated = self.remediated.iter().map(|spend| spend.fixed.len() + spend.regressed.len()).sum::<usize>();
        (bytes_of::<ScopeSpend>(1) + SCOPE_BYTES) * (self.scopes.len() + remediated)
    }
}

struct SpendByDay(Vec<DaySpend>);

impl CacheValue for SpendByDay {
    fn weight(&self) -> usize {
        bytes_of::<DaySpend>(self.0.len())
    }
}
