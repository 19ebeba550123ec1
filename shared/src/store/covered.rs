//! What a night saw of the estate, and what it did not.

use std::{collections::HashSet, hash::BuildHasherDefault};

use rusqlite::params;

use super::{
    Attempt, Changed, Filter, ScopeRow, Snapshot, StoreError, View,
    intern::statement,
    rows::{ScopeIds, rows, scope_columns},
    sql,
};
use crate::suggest::counts::Mixer;

/// What a night was asked to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Covered {
    /// Scopes that it was asked for.
    pub scopes: u64,
    /// Those of them that it did not read whole, or that stand as an earlier scan read them.
    pub amiss: Vec<ScopeRow>,
}

/// The scopes that a night read whole.
#[derive(Debug)]
pub(super) struct WholeScopes(HashSet<ScopeIds, BuildHasherDefault<Mixer>>);

impl WholeScopes {
    /// Whether the place of a resource is among them.
    pub(super) fn have(&self, changed: &Changed) -> bool {
        self.0.contains(&changed.ids)
    }
}

impl View<'_> {
    /// What a night saw of what the filter admits.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read; so for the question below.
    pub fn coverage(&self, snapshot: &Snapshot, filter: &Filter) -> Result<Covered, StoreError> {
        if let Some(all) = self.wholes().known(snapshot).and_then(|whole| whole.scopes_at_hand()) {
            let (mut scopes, mut amiss) = (0, Vec::new());
            for row in all.iter().filter(|row| filter.admits(&row.scope)) {
                scopes += 1;
                if row.gap.is_some() || row.scanned_in != snapshot.id {
                    amiss.push(row.clone());
                }
            }
            return Ok(Covered { scopes, amiss });
        }
        let [types, regions, accounts] = filter.parameters(self.dimensions());
        let asked = params![snapshot.id, types, regions, accounts];
        let scopes: i64 = statement(self.db(), sql::COUNT_SCOPES)?
            .query_row(asked, |row| row.get(0))
            .attempt("count the scopes of a night")?;
        let amiss = rows(self.db(), sql::SCOPES_AMISS, asked, scope_columns)?;
        let amiss = amiss.into_iter().map(|columns| self.dimensions().scope_row(columns)).collect::<Result<_, _>>()?;
        Ok(Covered { scopes: scopes.unsigned_abs(), amiss })
    }

    /// The scopes that a night read whole.
    pub(super) fn whole_scopes(&self, snapshot: &Snapshot) -> Result<WholeScopes, StoreError> {
        let ids = rows(self.db(), sql::WHOLE_SCOPES, [snapshot.id], |row| ScopeIds::read(row, 0))?;
        Ok(WholeScopes(ids.into_iter().collect()))
    }
}
