//! The policies that evaluated snapshots.

use rusqlite::Connection;
use tagledger_policy::Policy;

use crate::{
    db::{sql, statements::prepare},
    error::{ErrorContext, LedgerError, Operation},
};

/// A policy that evaluated snapshots, by its digest.
pub(crate) fn load_policy(db: &Connection, digest: &str) -> Result<Policy, LedgerError> {
    let body: String =
        prepare(db, sql::POLICY_BODY)?.query_row([digest], |row| row.get(0)).context(Operation::ReadPolicy)?;
    let unreadable =
        |faults: tagledger_policy::PolicyErrors| LedgerError::Content { what: "a policy", given: faults.to_string() };
    Policy::parse(&body).map_err(unreadable)
}
