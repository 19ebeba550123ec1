//! Decides whether tags attribute the spend of a resource.

use std::collections::HashMap;

use rusqlite::Connection;
use tagledger_policy::{Policy, State};

use crate::{
    db::{interned::read_rule, sql, statements::prepare, values::parse_state, varint::decode_varints},
    error::{ErrorContext, LedgerError, Operation},
    model::attributable::Attributable,
};

/// The number of a state, and the row id of a finding set.
pub(crate) type StateAndFindings = (i64, Option<i64>);

/// Decides for each verdict whether spend is attributable, and caches the result. Each finding set is read once.
pub(crate) struct AttributionEvaluator<'p> {
    pub(crate) policy: &'p Policy,
    cache: HashMap<StateAndFindings, Attributable>,
}

impl<'p> AttributionEvaluator<'p> {
    pub(crate) fn new(policy: &'p Policy) -> Self {
        Self { policy, cache: HashMap::new() }
    }

    pub(crate) fn evaluate(
        &mut self,
        db: &Connection,
        number: i64,
        set: Option<i64>,
    ) -> Result<Attributable, LedgerError> {
        if let Some(cached) = self.cache.get(&(number, set)) {
            return Ok(*cached);
        }
        let mut findings = Vec::new();
        let state = parse_state(number).context(Operation::ReadFindings)?;
        if let Some(set) = set.filter(|_| state == State::Compliant) {
            let blob: Vec<u8> = prepare(db, sql::FINDING_SET_RULES)?
                .query_row([set], |row| row.get(0))
                .context(Operation::ReadFindings)?;
            findings = decode_varints(&blob).into_iter().map(|id| read_rule(db, id)).collect::<Result<_, _>>()?;
        }
        let attributable = Attributable::from_findings(state, self.policy, &findings);
        self.cache.insert((number, set), attributable);
        Ok(attributable)
    }
}
