//! Creators of resources. CloudTrail keeps creation events for 90 days; the ledger keeps the creator as long as the resource exists.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use tagledger_model::{Arn, account::Creation, inventory::Scope};

use crate::{
    db::{
        dimensions::Dimensions,
        sql,
        statements::{prepare, query_all},
        values::parse_time,
    },
    error::{ErrorContext, LedgerError, Operation},
    model::scope_ids::ScopeIds,
    read::session::ReadSession,
    write::{change_log::ChangeLog, transaction::SnapshotTransaction},
};

/// For each scope, the time up to which its creation events were read.
pub(crate) fn load_read_until(db: &Connection) -> Result<HashMap<Scope, Timestamp>, LedgerError> {
    let dimensions = Dimensions::load(db)?;
    let found = query_all(db, sql::TRAIL, |row| Ok((ScopeIds::read(row, 0)?, row.get::<_, i64>(3)?)))?;
    found.into_iter().map(|(ids, until)| Ok((dimensions.scope(ids)?, parse_time(until)?))).collect()
}

/// Records the creators of resources of a scope. `until`: the time up to which events were read; none when CloudTrail gave no answer.
pub(crate) fn record_creators(
    snapshot: &SnapshotTransaction<'_>,
    changes: &mut ChangeLog,
    ids: ScopeIds,
    creations: &[Creation],
    until: Option<Timestamp>,
) -> Result<(), LedgerError> {
    for Creation { arn, principal } in creations {
        let id: i64 = prepare(snapshot.connection(), sql::ADD_PRINCIPAL)?
            .query_row([principal], |row| row.get(0))
            .context(Operation::WriteSnapshot)?;
        snapshot.run(sql::ADD_CREATOR, [arn.key(), id])?;
    }
    if let Some(until) = until {
        snapshot.run(sql::ADD_TRAIL, params![ids.account, ids.region, ids.resource_type, until.as_second()])?;
    }
    changes.has_creators |= !creations.is_empty();
    Ok(())
}

/// Deletes the creators of resources that the ledger does not list as current. A resource can be deleted before it is listed.
pub(crate) fn prune_creators(snapshot: &SnapshotTransaction<'_>, changes: &ChangeLog) -> Result<(), LedgerError> {
    if changes.has_creators {
        snapshot.run(sql::DROP_CREATORS, [])?;
        snapshot.run(sql::DROP_PRINCIPALS, [])?;
    }
    Ok(())
}

/// The ARN of the principal that created a current resource; none when no creation event was recorded.
///
/// # Errors
///
/// When the ledger cannot be read.
pub fn find_creator(session: &ReadSession<'_>, arn: &Arn) -> Result<Option<String>, LedgerError> {
    let found = prepare(session.db(), sql::CREATOR_OF)?.query_row([arn.key()], |row| row.get(0)).optional();
    found.context(Operation::ReadResources)
}
