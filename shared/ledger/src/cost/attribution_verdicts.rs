//! Decides whether the spend of a resource can be attributed.

use std::collections::HashMap;

use rusqlite::Connection;
use tagledger_policy::{Policy, State};

use crate::{
    db::{interned::rule, sql, statements::statement, values::state, varint::varints},
    error::{ErrorContext, LedgerError, Operation},
    model::attributable::Attributable,
};

pub(crate) type Verdict = (i64, Option<i64>);

/// Verdicts, as state and finding set, with whether spend can be attributed by them. Each finding set is read once.
pub(crate) struct Verdicts<'p> {
    pub(crate) policy: &'p Policy,
    known: HashMap<Verdict, Attributable>,
}

impl<'p> Verdicts<'p> {
    pub(crate) fn by(policy: &'p Policy) -> Self {
        Self { policy, known: HashMap::new() }
    }

    pub(crate) fn attributable(
        &mut self,
        db: &Connection,
        number: i64,
        set: Option<i64>,
    ) -> Result<Attributable, LedgerError> {
        if let Some(known) = self.known.get(&(number, set)) {
            return Ok(*known);
        }
        let mut findings = Vec::new();
        let state = state(number).context(Operation::ReadFindings)?;
        if let Some(set) = set.filter(|_| state == State::Compliant) {
            let blob: Vec<u8> = statement(db, sql::FINDING_SET_RULES)?
                .query_row([set], |row| row.get(0))
                .context(Operation::ReadFindings)?;
            findings = varints(&blob).into_iter().map(|id| rule(db, id)).collect::<Result<_, _>>()?;
        }
        let attributable = Attributable::of(state, self.policy, &findings);
        self.known.insert((number, set), attributable);
        Ok(attributable)
    }
}
