//! What a narrowed scan leaves out keeps what is known of it.

use super::{
    Attempt, Night, ScopeRow, StoreError,
    intern::statement,
    night::FAILED,
    page,
    rows::{ScopeIds, arn, rows, scope_columns},
    sql,
    version::{Attributable, Version},
};
use crate::{
    inventory::{Links, Resource, Scope, Tags},
    policy::State,
};

impl Night<'_> {
    /// Keeps what the newest snapshot says of every scope that this night did not record. Verdicts stay as they are, or
    /// are derived again from the kept tags when another policy or another program judges now, or the policy judges otherwise from day
    /// to day.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read or written.
    pub fn carry_rest(&mut self) -> Result<(), StoreError> {
        self.narrowed = true;
        for columns in rows(&self.sql, sql::SCOPES, [self.previous], scope_columns)? {
            let ids = columns.ids;
            if self.recorded.insert(ids) {
                let row = self.dimensions.scope_row(columns)?;
                self.carry(ids, &row)?;
                self.add_scope(ids, &row)?;
                self.scopes.push(row);
            }
        }
        Ok(())
    }

    fn carry(&mut self, ids: ScopeIds, row: &ScopeRow) -> Result<(), StoreError> {
        let mut known: Vec<_> = self.known.take(ids)?.into_iter().collect();
        known.sort_by_key(|(key, _)| *key);
        if !self.same_verdicts {
            self.usage.begin(ids);
        }
        for (key, version) in known {
            if self.same_verdicts || version.state == State::Unknown {
                if !self.same_verdicts {
                    self.usage.count(ids, version.aside.usage, Attributable::NotJudged);
                }
                self.counter.count_known(&self.sql, ids, key, version)?;
            } else {
                let resource = self.resource(ids, &row.scope, key, &version)?;
                self.observe(ids, &row.scope, key, &resource, version.aside, Some(version))?;
            }
        }
        Ok(())
    }

    /// A resource as the ledger knows it, to be judged again.
    fn resource(&self, ids: ScopeIds, scope: &Scope, key: i64, version: &Version) -> Result<Resource, StoreError> {
        let local: String =
            statement(&self.sql, sql::LOCAL_OF_RESOURCE)?.query_row([key], |row| row.get(0)).attempt(FAILED)?;
        let outsider = || StoreError::Content { what: "an account", given: scope.account.to_string() };
        let partition = &self.dimensions.accounts.get(&ids.account).ok_or_else(outsider)?.partition;
        let tags = match version.tag_set {
            Some(set) => Tags::Known(page::tags(&self.sql, Some(set), version.name.clone())?),
            None => Tags::Untaggable,
        };
        Ok(Resource {
            arn: arn(&local, scope, partition)?,
            created_at: None,
            tags,
            usage: None,
            links: Links::default(),
        })
    }
}
