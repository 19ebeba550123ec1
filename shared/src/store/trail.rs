//! Who created resources: CloudTrail keeps it for ninety days, the ledger for as long as the resource lives.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    Attempt, Night, StoreError, View, Writer,
    intern::statement,
    rows::{Dimensions, ScopeIds, all, time},
    sql,
};
use crate::{Arn, cloud::Creation, inventory::Scope};

impl Writer {
    /// Until when the trail was asked about each scope.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub fn trail_known(&self) -> Result<HashMap<Scope, Timestamp>, StoreError> {
        known(self.connection()).map_err(|error| error.at(self.path()))
    }
}

fn known(db: &Connection) -> Result<HashMap<Scope, Timestamp>, StoreError> {
    let dimensions = Dimensions::load(db)?;
    let found = all(db, sql::TRAIL, |row| Ok((ScopeIds::read(row, 0)?, row.get::<_, i64>(3)?)))?;
    found.into_iter().map(|(ids, until)| Ok((dimensions.scope(ids)?, time(until)?))).collect()
}

impl Night<'_> {
    /// Records who created resources of a scope. `until`: when the trail was asked, where it answered.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be written, or it does not know the scope's account.
    pub fn created(
        &mut self,
        scope: &Scope,
        creations: &[Creation],
        until: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let ids = self.scope_ids(scope)?;
        for Creation { arn, principal } in creations {
            let id: i64 = statement(&self.sql, sql::ADD_PRINCIPAL)?
                .query_row([principal], |row| row.get(0))
                .attempt(super::night::FAILED)?;
            self.run(sql::ADD_CREATOR, [arn.key(), id])?;
        }
        if let Some(until) = until {
            self.run(sql::ADD_TRAIL, params![ids.account, ids.region, ids.resource_type, until.as_second()])?;
        }
        self.trailed |= !creations.is_empty();
        Ok(())
    }

    /// Forgets who created what lives no more, or was gone before it was listed.
    pub(super) fn forget_creators(&self) -> Result<(), StoreError> {
        if self.trailed {
            self.run(sql::DROP_CREATORS, [])?;
            self.run(sql::DROP_PRINCIPALS, [])?;
        }
        Ok(())
    }
}

impl View<'_> {
    /// The ARN of who created a living resource; none where the trail was not asked in time, or said nothing.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub fn creator(&self, arn: &Arn) -> Result<Option<String>, StoreError> {
        let found = statement(self.db(), sql::CREATOR_OF)?.query_row([arn.key()], |row| row.get(0)).optional();
        found.attempt("read who created a resource")
    }
}
