//! Rows to domain values, and back.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{Connection, Row};

use super::{Attempt, ScopeRow, Snapshot, StoreError, Tally, intern::statement, sql};
use crate::{
    AccountId, Arn, Partition, Region, ResourceType,
    cloud::Account,
    inventory::{Gap, GapReason, Scope},
    policy::State,
};

/// The dimensions of the ledger, by local id and back.
#[derive(Debug, Default)]
pub(super) struct Dimensions {
    pub(super) accounts: HashMap<i64, Account>,
    pub(super) regions: HashMap<i64, Region>,
    pub(super) types: HashMap<i64, ResourceType>,
}

impl Dimensions {
    pub(super) fn load(sql: &Connection) -> Result<Self, StoreError> {
        let mut dimensions = Self::default();
        for (id, account, partition, name) in all(sql, sql::ACCOUNTS, account_columns)? {
            let account =
                Account { id: parse("an account", &account)?, partition: parse("a partition", &partition)?, name };
            dimensions.accounts.insert(id, account);
        }
        for (id, name) in all(sql, sql::REGIONS, |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))? {
            dimensions.regions.insert(id, parse("a region", &name)?);
        }
        for (id, name) in all(sql, sql::TYPES, |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))? {
            dimensions.types.insert(id, parse("a resource type", &name)?);
        }
        Ok(dimensions)
    }

    pub(super) fn scope(&self, ids: ScopeIds) -> Result<Scope, StoreError> {
        let missing = || StoreError::Content { what: "a scope", given: format!("{ids:?}") };
        Ok(Scope {
            account: self.accounts.get(&ids.account).ok_or_else(missing)?.id.clone(),
            region: self.regions.get(&ids.region).ok_or_else(missing)?.clone(),
            resource_type: *self.types.get(&ids.resource_type).ok_or_else(missing)?,
        })
    }

    /// The ARN of a resource from what stands in `resource.local`.
    pub(super) fn arn(&self, local: &str, scope: &Scope, ids: ScopeIds) -> Result<Arn, StoreError> {
        let outsider = || StoreError::Content { what: "an account", given: scope.account.to_string() };
        arn(local, scope, &self.accounts.get(&ids.account).ok_or_else(outsider)?.partition)
    }

    /// The local ids of those of the given that the ledger has ever seen.
    pub(super) fn ids_of<T: PartialEq>(of: &HashMap<i64, T>, wanted: &[T]) -> Vec<i64> {
        of.iter().filter(|(_, value)| wanted.contains(value)).map(|(id, _)| *id).collect()
    }

    pub(super) fn account_ids(&self, wanted: &[AccountId]) -> Vec<i64> {
        self.accounts.iter().filter(|(_, account)| wanted.contains(&account.id)).map(|(id, _)| *id).collect()
    }
}

/// A scope by local ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ScopeIds {
    pub(super) account: i64,
    pub(super) region: i64,
    pub(super) resource_type: i64,
}

impl ScopeIds {
    /// From three columns in the order account, region, type.
    pub(super) fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<Self> {
        Ok(Self { account: row.get(first)?, region: row.get(first + 1)?, resource_type: row.get(first + 2)? })
    }
}

type AccountColumns = (i64, String, String, Option<String>);

fn account_columns(row: &Row<'_>) -> rusqlite::Result<AccountColumns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

/// Every row of a statement without parameters.
pub(super) fn all<T>(
    sql: &Connection,
    text: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    rows(sql, text, [], read)
}

/// Every row of a statement.
pub(super) fn rows<T>(
    sql: &Connection,
    text: &str,
    parameters: impl rusqlite::Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = statement(sql, text)?;
    let found = statement.query_map(parameters, read).attempt("read")?;
    found.collect::<Result<_, _>>().attempt("read")
}

/// Parses a text that only this program writes.
pub(super) fn parse<T: std::str::FromStr>(what: &'static str, given: &str) -> Result<T, StoreError> {
    given.parse().map_err(|_| StoreError::Content { what, given: given.to_owned() })
}

pub(super) fn time(seconds: i64) -> Result<Timestamp, StoreError> {
    let invalid = |_| StoreError::Content { what: "a time", given: seconds.to_string() };
    Timestamp::from_second(seconds).map_err(invalid)
}

/// A count as SQLite keeps it; nothing here comes near 2^63.
pub(super) fn int(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

pub(super) fn snapshot_columns(row: &Row<'_>) -> rusqlite::Result<(Snapshot, i64, i64)> {
    let snapshot = Snapshot {
        id: row.get(0)?,
        started_at: Timestamp::UNIX_EPOCH,
        finished_at: Timestamp::UNIX_EPOCH,
        complete: row.get::<_, String>(3)? == "complete",
        policy_digest: row.get(4)?,
        requests: row.get::<_, i64>(5)?.unsigned_abs(),
        fingerprint: row.get(6)?,
        narrowed: row.get(7)?,
    };
    Ok((snapshot, row.get(1)?, row.get(2)?))
}

/// A snapshot with its times, from [`snapshot_columns`].
pub(super) fn dated((snapshot, started, finished): (Snapshot, i64, i64)) -> Result<Snapshot, StoreError> {
    Ok(Snapshot { started_at: time(started)?, finished_at: time(finished)?, ..snapshot })
}

pub(super) fn state_number(state: State) -> i64 {
    match state {
        State::Compliant => 0,
        State::NonCompliant => 1,
        State::NotApplicable => 2,
        State::Unknown => 3,
        State::Exempt => 4,
    }
}

pub(super) fn state(number: i64) -> State {
    match number {
        0 => State::Compliant,
        1 => State::NonCompliant,
        2 => State::NotApplicable,
        4 => State::Exempt,
        _ => State::Unknown,
    }
}

pub(super) fn reason(text: &str) -> Result<GapReason, StoreError> {
    let found = GapReason::ALL.iter().copied().find(|reason| reason.as_str() == text);
    found.ok_or_else(|| StoreError::Content { what: "a gap's reason", given: text.to_owned() })
}

/// What stands in `resource.local`: an ARN without what the dimensions say already.
pub(super) fn local<'a>(arn: &'a Arn, scope: &Scope, partition: &Partition) -> &'a str {
    let known = ["arn", partition.as_str(), service(scope), scope.region.as_str(), scope.account.as_str()];
    let strip = |rest: &'a str, part| rest.strip_prefix(part)?.strip_prefix(':');
    known.into_iter().try_fold(arn.as_str(), strip).unwrap_or_else(|| arn.as_str())
}

/// The ARN of which [`local`] kept a part.
pub(super) fn arn(local: &str, scope: &Scope, partition: &Partition) -> Result<Arn, StoreError> {
    let text = if local.starts_with("arn:") { local.to_owned() } else { compose(local, scope, partition) };
    parse("an ARN", &text)
}

fn compose(local: &str, scope: &Scope, partition: &Partition) -> String {
    format!("arn:{partition}:{}:{}:{}:{local}", service(scope), scope.region, scope.account)
}

fn service(scope: &Scope) -> &'static str {
    scope.resource_type.as_str().split(':').next().unwrap_or_default()
}

/// The counts of a row of `rollup_cell`, which stand behind its scope.
pub(super) fn tally_columns(row: &Row<'_>) -> rusqlite::Result<Tally> {
    let mut columns = [0; 11];
    for (place, column) in (3..).zip(&mut columns) {
        *column = row.get::<_, i64>(place)?.unsigned_abs();
    }
    Ok(Tally::from_columns(columns))
}

pub(super) struct ScopeColumns {
    pub(super) ids: ScopeIds,
    scanned_in: i64,
    listed_all: bool,
    counts: [i64; 3],
    gap: Option<[String; 3]>,
}

pub(super) fn scope_columns(row: &Row<'_>) -> rusqlite::Result<ScopeColumns> {
    let gap = match row.get::<_, Option<String>>(8)? {
        Some(reason) => Some([reason, row.get(9)?, row.get(10)?]),
        None => None,
    };
    let counts = [row.get(5)?, row.get(6)?, row.get(7)?];
    let (scanned_in, listed_all) = (row.get(3)?, row.get(4)?);
    Ok(ScopeColumns { ids: ScopeIds::read(row, 0)?, scanned_in, listed_all, counts, gap })
}

impl Dimensions {
    pub(super) fn scope_row(&self, columns: ScopeColumns) -> Result<ScopeRow, StoreError> {
        let [resources, unknown, stale] = columns.counts.map(i64::unsigned_abs);
        let gap = match columns.gap {
            Some([kind, operation, message]) => Some(Gap { reason: reason(&kind)?, operation, message }),
            None => None,
        };
        let scope = self.scope(columns.ids)?;
        let ScopeColumns { scanned_in, listed_all, .. } = columns;
        Ok(ScopeRow { scope, scanned_in, listed_all, resources, unknown, stale, gap })
    }
}
