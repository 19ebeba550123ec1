//! Accounts, regions and resource types by their row ids.

use std::collections::HashMap;

use rusqlite::{Connection, Row};
use tagledger_model::{
    AccountId, Arn, Partition, Region, ResourceType,
    account::Account,
    inventory::{Gap, Scope},
};

use crate::{
    db::{
        sql,
        statements::query_all,
        values::{parse, parse_reason},
    },
    error::LedgerError,
    model::{scope_ids::ScopeIds, snapshot::ScopeRow},
};

/// Accounts, regions and resource types, by row id.
#[derive(Debug, Default)]
pub(crate) struct Dimensions {
    pub(crate) accounts: HashMap<i64, Account>,
    pub(crate) regions: HashMap<i64, Region>,
    pub(crate) types: HashMap<i64, ResourceType>,
}

impl Dimensions {
    pub(crate) fn load(sql: &Connection) -> Result<Self, LedgerError> {
        let mut dimensions = Self::default();
        for (id, account, partition, name) in query_all(sql, sql::ACCOUNTS, read_account)? {
            let account =
                Account { id: parse("an account", &account)?, partition: parse("a partition", &partition)?, name };
            dimensions.accounts.insert(id, account);
        }
        for (id, name) in query_all(sql, sql::REGIONS, |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))? {
            dimensions.regions.insert(id, parse("a region", &name)?);
        }
        for (id, name) in query_all(sql, sql::TYPES, |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))? {
            dimensions.types.insert(id, parse("a resource type", &name)?);
        }
        Ok(dimensions)
    }

    pub(crate) fn scope(&self, ids: ScopeIds) -> Result<Scope, LedgerError> {
        let missing = || LedgerError::Content { what: "a scope", given: format!("{ids:?}") };
        Ok(Scope {
            account: self.accounts.get(&ids.account).ok_or_else(missing)?.id.clone(),
            region: self.regions.get(&ids.region).ok_or_else(missing)?.clone(),
            resource_type: *self.types.get(&ids.resource_type).ok_or_else(missing)?,
        })
    }

    /// The ARN of a resource from the column `resource.local`.
    pub(crate) fn arn(&self, local: &str, scope: &Scope, ids: ScopeIds) -> Result<Arn, LedgerError> {
        let unknown_account = || LedgerError::Content { what: "an account", given: scope.account.to_string() };
        build_arn(local, scope, &self.accounts.get(&ids.account).ok_or_else(unknown_account)?.partition)
    }

    /// The row ids of the `wanted` values; a value without a row is left out.
    pub(crate) fn ids_of<T: PartialEq>(values: &HashMap<i64, T>, wanted: &[T]) -> Vec<i64> {
        values.iter().filter(|(_, value)| wanted.contains(value)).map(|(id, _)| *id).collect()
    }

    pub(crate) fn account_ids(&self, wanted: &[AccountId]) -> Vec<i64> {
        self.accounts.iter().filter(|(_, account)| wanted.contains(&account.id)).map(|(id, _)| *id).collect()
    }
}

type AccountColumns = (i64, String, String, Option<String>);

fn read_account(row: &Row<'_>) -> rusqlite::Result<AccountColumns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

/// The column `resource.local`: an ARN without partition, service, region and account, which the scope has.
pub(crate) fn strip_scope<'a>(arn: &'a Arn, scope: &Scope, partition: &Partition) -> &'a str {
    let prefix = ["arn", partition.as_str(), service(scope), scope.region.as_str(), scope.account.as_str()];
    let strip = |rest: &'a str, part| rest.strip_prefix(part)?.strip_prefix(':');
    prefix.into_iter().try_fold(arn.as_str(), strip).unwrap_or_else(|| arn.as_str())
}

/// The ARN of a resource from the column `resource.local`, the reverse of [`strip_scope`].
pub(crate) fn build_arn(local: &str, scope: &Scope, partition: &Partition) -> Result<Arn, LedgerError> {
    let text = if local.starts_with("arn:") { local.to_owned() } else { compose(local, scope, partition) };
    parse("an ARN", &text)
}

fn compose(local: &str, scope: &Scope, partition: &Partition) -> String {
    format!("arn:{partition}:{}:{}:{}:{local}", service(scope), scope.region, scope.account)
}

fn service(scope: &Scope) -> &'static str {
    scope.resource_type.as_str().split(':').next().unwrap_or_default()
}

pub(crate) struct ScopeColumns {
    pub(crate) ids: ScopeIds,
    scanned_in: i64,
    listed_all: bool,
    counts: [u64; 3],
    gap: Option<[String; 3]>,
}

pub(crate) fn read_scope(row: &Row<'_>) -> rusqlite::Result<ScopeColumns> {
    let gap = match row.get::<_, Option<String>>(8)? {
        Some(reason) => Some([reason, row.get(9)?, row.get(10)?]),
        None => None,
    };
    let counts = [row.get(5)?, row.get(6)?, row.get(7)?];
    let (scanned_in, listed_all) = (row.get(3)?, row.get(4)?);
    Ok(ScopeColumns { ids: ScopeIds::read(row, 0)?, scanned_in, listed_all, counts, gap })
}

impl Dimensions {
    pub(crate) fn scope_row(&self, columns: ScopeColumns) -> Result<ScopeRow, LedgerError> {
        let [resources, unknown, stale] = columns.counts;
        let gap = match columns.gap {
            Some([kind, operation, message]) => Some(Gap { reason: parse_reason(&kind)?, operation, message }),
            None => None,
        };
        let scope = self.scope(columns.ids)?;
        let ScopeColumns { scanned_in, listed_all, .. } = columns;
        Ok(ScopeRow { scope, scanned_in, listed_all, resources, unknown, stale, gap })
    }
}
