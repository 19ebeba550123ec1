//! What single resources cost, as questions need it, and what of that a bill could attribute by the tags of today.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::BuildHasherDefault,
};

use jiff::{Timestamp, tz::TimeZone};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{
    Attempt, Snapshot, StoreError,
    gathering::ByNumber,
    intern::{statement, varints},
    page::rule,
    rows::{Dimensions, ScopeIds, all, dated, rows, snapshot_columns, state},
    single::basis,
    sql,
    version::{Attributable, UsageIds, usage_ids},
};
use crate::{
    ResourceType,
    inventory::Scope,
    money::{Amount, Days, monthly_units, types_of},
    policy::{Policy, State},
    suggest::counts::Mixer,
};

/// On what the costs of single resources are based.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostBasis {
    /// The month whose spend is shared out: costs are a month's, as in this one.
    pub days: Days,
    /// Of all amounts.
    pub currency: String,
    /// The days for which the bill names single resources; none when it does not.
    pub window: Option<Days>,
    /// Why it does not; empty when it does.
    pub problem: String,
    /// Types of which single resources have costs.
    pub types: Vec<ResourceType>,
}

/// Where the cost of a resource comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CostSource {
    /// The bill names the resource in the last fourteen days: its part of what its service cost in the month.
    ResourceCharges,
    /// Its part of what the hours of its instance type or class cost in its account and region.
    InstanceHours,
    /// Its part of what the gigabytes of its volume type cost in its account and region.
    VolumeSize,
}

impl CostSource {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ResourceCharges => "resource_charges",
            Self::InstanceHours => "share_of_instance_hours",
            Self::VolumeSize => "share_of_volume_size",
        }
    }
}

/// What a resource costs a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceCost {
    /// How much.
    pub monthly: Amount,
    /// Where the figure comes from.
    pub source: CostSource,
}

/// What the living resources of a scope cost a month, as far as it is known of single ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeSpend {
    /// Which.
    pub scope: Scope,
    /// How much.
    pub spend: LiveSpend,
}

/// Spend by the tags of today.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LiveSpend {
    /// Of resources with every required tag.
    pub attributable: Amount,
    /// Of those that lack one, or have a value that is not allowed.
    pub unattributable: Amount,
    /// Of those that are not judged.
    pub not_judged: Amount,
}

impl LiveSpend {
    fn add(&mut self, attributable: Attributable, amount: Amount) {
        *match attributable {
            Attributable::Yes => &mut self.attributable,
            Attributable::No => &mut self.unattributable,
            Attributable::NotJudged => &mut self.not_judged,
        } += amount;
    }
}

/// What living resources cost whose tags were put right, or spoilt, since a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turned {
    /// When its scan began.
    pub since: Timestamp,
    /// Of those that a bill could not attribute then, and can now; by scope.
    pub fixed: Vec<(Scope, Amount)>,
    /// The other way round.
    pub spoilt: Vec<(Scope, Amount)>,
}

/// What something costs that resources share: so much for so many units.
type Rate = (i64, i64);

/// By place and by what is taken there.
type Rates = HashMap<(ScopeIds, i64), Rate, BuildHasherDefault<Mixer>>;

/// All that the cost of a resource follows from.
#[derive(Debug, Default)]
pub(super) struct CostBook {
    pub(super) basis: Option<CostBasis>,
    rates: Rates,
    /// A month of one, by type.
    units: ByNumber<(i64, CostSource)>,
    /// Types whose resources the bill names.
    named: HashSet<i64>,
}

/// What the resources of a scope take.
struct UsageRow {
    ids: ScopeIds,
    driver: i64,
    attributable: Attributable,
    quantity: i64,
}

impl CostBook {
    pub(super) fn load(db: &Connection, dimensions: &Dimensions) -> Result<Self, StoreError> {
        let Some(row) = basis(db)? else { return Ok(Self::default()) };
        let days = row.known.days;
        let source = |kind| {
            if kind == ResourceType::Ec2Volume { CostSource::VolumeSize } else { CostSource::InstanceHours }
        };
        let units = dimensions.types.iter().map(|(id, kind)| (*id, (monthly_units(*kind, 1, days), source(*kind))));
        let mut book = Self { units: units.collect(), named: named(db, dimensions)?, ..Self::default() };
        book.rates = book.rates(db, dimensions)?;
        let shared: HashSet<i64> = book.rates.keys().map(|(ids, _)| ids.resource_type).collect();
        let mut types: Vec<ResourceType> =
            book.named.union(&shared).filter_map(|id| dimensions.types.get(id).copied()).collect();
        types.sort_unstable();
        let (currency, window, problem) = (row.currency, row.window, row.problem);
        book.basis = Some(CostBasis { days, currency, window, problem, types });
        Ok(book)
    }

    /// A pool is shared by what was billed of it or by what there is now, whichever is more.
    fn rates(&self, db: &Connection, dimensions: &Dimensions) -> Result<Rates, StoreError> {
        let mut living: HashMap<(ScopeIds, i64), i64> = HashMap::new();
        for UsageRow { ids, driver, quantity, .. } in usage(db)? {
            let units = self.units.get(&ids.resource_type).map_or(0, |(one, _)| one.saturating_mul(quantity));
            let sum = living.entry((ids, driver)).or_default();
            *sum = sum.saturating_add(units);
        }
        let columns = |row: &Row<'_>| {
            let place: [String; 3] = [row.get(0)?, row.get(1)?, row.get(2)?];
            Ok((place, (row.get::<_, i64>(3)?, row.get::<_, i64>(4)?, row.get::<_, i64>(5)?)))
        };
        let mut rates = Rates::default();
        for ([kind, account, region], (driver, micros, billed)) in all(db, sql::POOLS, columns)? {
            let Some(ids) = dimensions.ids_named(&kind, &account, &region) else { continue };
            let place = (ids, driver);
            let units = billed.max(living.get(&place).copied().unwrap_or_default());
            if units > 0 && !self.named.contains(&ids.resource_type) {
                rates.insert(place, (micros, units));
            }
        }
        Ok(rates)
    }

    /// What a resource costs; none when that is not known. `charged`: what the bill says of it by name.
    pub(super) fn of(&self, ids: ScopeIds, usage: Option<UsageIds>, charged: Option<i64>) -> Option<ResourceCost> {
        if let Some(micros) = charged {
            return Some(ResourceCost { monthly: Amount::from_micros(micros), source: CostSource::ResourceCharges });
        }
        let (driver, quantity) = usage?;
        let (_, source) = self.units.get(&ids.resource_type)?;
        if quantity == 0 {
            return Some(ResourceCost { monthly: Amount::ZERO, source: *source });
        }
        let monthly = self.share(ids, driver, i64::from(quantity))?;
        Some(ResourceCost { monthly, source: *source })
    }

    /// What so much of something costs a month.
    fn share(&self, ids: ScopeIds, driver: i64, quantity: i64) -> Option<Amount> {
        let (micros, units) = self.rates.get(&(ids, driver))?;
        let (one, _) = self.units.get(&ids.resource_type)?;
        let part = i128::from(*micros) * i128::from(one.saturating_mul(quantity)) / i128::from(*units);
        i64::try_from(part).ok().map(Amount::from_micros)
    }

    /// What living resources cost by the tags of now.
    pub(super) fn live(
        &self,
        db: &Connection,
        dimensions: &Dimensions,
        verdicts: &mut Verdicts<'_>,
    ) -> Result<Vec<ScopeSpend>, StoreError> {
        let mut sums: BTreeMap<ScopeIds, LiveSpend> = BTreeMap::new();
        for UsageRow { ids, driver, attributable, quantity } in usage(db)? {
            if let Some(amount) = self.share(ids, driver, quantity) {
                sums.entry(ids).or_default().add(attributable, amount);
            }
        }
        let columns = |row: &Row<'_>| {
            Ok((ScopeIds::read(row, 0)?, (row.get::<_, i64>(3)?, row.get::<_, Option<i64>>(4)?), row.get(5)?))
        };
        for (ids, (state, set), micros) in all(db, sql::COSTS_BY_VERDICT, columns)? {
            let attributable = verdicts.attributable(db, state, set)?;
            sums.entry(ids).or_default().add(attributable, Amount::from_micros(micros));
        }
        let named = sums.into_iter().map(|(ids, spend)| Ok(ScopeSpend { scope: dimensions.scope(ids)?, spend }));
        named.collect()
    }

    /// Whose tags were put right or spoilt since the month ended; none when no kept night is that old.
    pub(super) fn turned(
        &self,
        db: &Connection,
        dimensions: &Dimensions,
        verdicts: &mut Verdicts<'_>,
    ) -> Result<Option<Turned>, StoreError> {
        let Some(basis) = &self.basis else { return Ok(None) };
        let end = TimeZone::UTC.to_timestamp(basis.days.end.at(0, 0, 0, 0)).unwrap_or(Timestamp::MAX);
        let Some(then) = snapshot_before(db, end)? else { return Ok(None) };
        // Verdicts of two policies differ where nobody touched a tag.
        if then.policy_digest != verdicts.policy.digest() {
            return Ok(None);
        }
        let mut sums: BTreeMap<(ScopeIds, bool), Amount> = BTreeMap::new();
        for (ids, usage, charged, [(was, was_set), (is, is_set)]) in rows(db, sql::TURNED_SINCE, [then.id], turned)? {
            let before = verdicts.attributable(db, was, was_set)?;
            let now = verdicts.attributable(db, is, is_set)?;
            let fixed = match (before, now) {
                (Attributable::No, Attributable::Yes) => true,
                (Attributable::Yes, Attributable::No) => false,
                _ => continue,
            };
            if let Some(cost) = self.of(ids, usage, charged) {
                *sums.entry((ids, fixed)).or_default() += cost.monthly;
            }
        }
        let (mut fixed, mut spoilt) = (Vec::new(), Vec::new());
        for ((ids, put_right), amount) in sums {
            let of = if put_right { &mut fixed } else { &mut spoilt };
            of.push((dimensions.scope(ids)?, amount));
        }
        Ok(Some(Turned { since: then.started_at, fixed, spoilt }))
    }
}

type Verdict = (i64, Option<i64>);

type TurnedColumns = (ScopeIds, Option<UsageIds>, Option<i64>, [Verdict; 2]);

fn turned(row: &Row<'_>) -> rusqlite::Result<TurnedColumns> {
    let usage = usage_ids(row, 3)?;
    Ok((ScopeIds::read(row, 0)?, usage, row.get(5)?, [(row.get(6)?, row.get(7)?), (row.get(8)?, row.get(9)?)]))
}

/// Whether a bill can attribute by a verdict, each set of findings read once.
pub(super) struct Verdicts<'p> {
    policy: &'p Policy,
    known: HashMap<Verdict, Attributable>,
}

impl<'p> Verdicts<'p> {
    pub(super) fn by(policy: &'p Policy) -> Self {
        Self { policy, known: HashMap::new() }
    }

    pub(super) fn attributable(
        &mut self,
        db: &Connection,
        number: i64,
        set: Option<i64>,
    ) -> Result<Attributable, StoreError> {
        if let Some(known) = self.known.get(&(number, set)) {
            return Ok(*known);
        }
        let mut findings = Vec::new();
        if let Some(set) = set.filter(|_| state(number) == State::Compliant) {
            let blob: Vec<u8> =
                statement(db, sql::FINDING_SET_RULES)?.query_row([set], |row| row.get(0)).attempt("read findings")?;
            findings = varints(&blob).into_iter().map(|id| rule(db, id)).collect::<Result<_, _>>()?;
        }
        let attributable = Attributable::of(state(number), self.policy, &findings);
        self.known.insert((number, set), attributable);
        Ok(attributable)
    }
}

fn usage(db: &Connection) -> Result<Vec<UsageRow>, StoreError> {
    let columns = |row: &Row<'_>| {
        let attributable = match row.get::<_, i64>(4)? {
            0 => Attributable::No,
            1 => Attributable::Yes,
            _ => Attributable::NotJudged,
        };
        Ok(UsageRow { ids: ScopeIds::read(row, 0)?, driver: row.get(3)?, attributable, quantity: row.get(5)? })
    };
    all(db, sql::USAGE, columns)
}

/// Types whose resources the bill names: all that a charged service sells, but for containers, of which it names tasks.
fn named(db: &Connection, dimensions: &Dimensions) -> Result<HashSet<i64>, StoreError> {
    let services: Vec<String> = all(db, sql::CHARGED_SERVICES, |row| row.get(0))?;
    let sold: Vec<ResourceType> = services.iter().flat_map(|service| types_of(service)).copied().collect();
    let tasks = [ResourceType::EcsService, ResourceType::EcsCluster];
    let named = dimensions.types.iter().filter(|(_, kind)| sold.contains(kind) && !tasks.contains(kind));
    Ok(named.map(|(id, _)| *id).collect())
}

/// The newest kept snapshot that began before a moment.
pub(super) fn snapshot_before(db: &Connection, moment: Timestamp) -> Result<Option<Snapshot>, StoreError> {
    let found = statement(db, sql::SNAPSHOT_BEFORE)?.query_row([moment.as_second()], snapshot_columns).optional();
    found.attempt("find a snapshot")?.map(dated).transpose()
}

impl Dimensions {
    fn ids_named(&self, kind: &str, account: &str, region: &str) -> Option<ScopeIds> {
        Some(ScopeIds {
            account: self.accounts.iter().find(|(_, known)| known.id.as_str() == account).map(|(id, _)| *id)?,
            region: self.regions.iter().find(|(_, known)| known.as_str() == region).map(|(id, _)| *id)?,
            resource_type: self.types.iter().find(|(_, known)| known.as_str() == kind).map(|(id, _)| *id)?,
        })
    }
}
