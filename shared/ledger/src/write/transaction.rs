//! The database transaction that writes one snapshot.

use std::path::PathBuf;

use jiff::{Timestamp, civil::Date};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use tagledger_model::epoch_day::day_of;
use tagledger_policy::Policy;

use crate::{
    db::{checksum_file, sql, statements::prepare},
    error::{ErrorContext, LedgerError, Operation},
};

/// The properties of a scan that are known when it begins.
#[derive(Debug, Clone, Copy)]
pub struct SnapshotHeader<'a> {
    /// When the scan began.
    pub started_at: Timestamp,
    /// The policy that evaluates the resources.
    pub policy: &'a Policy,
    /// The version of the scanner.
    pub app_version: &'a str,
}

/// An open transaction, and the identity of the snapshot that it writes. Dropping it rolls the transaction back.
pub(crate) struct SnapshotTransaction<'w> {
    transaction: Transaction<'w>,
    pub(crate) header: SnapshotHeader<'w>,
    /// The day on which the scan began, UTC.
    pub(crate) day: Date,
    pub(crate) id: i64,
    /// The newest snapshot before this one; 0 when there is none.
    pub(crate) previous: i64,
    pub(crate) policy_id: i64,
    /// Whether the previous snapshot was evaluated by the same policy and program: a resource with the same tags then has the same
    /// findings.
    pub(crate) policy_unchanged: bool,
    path: PathBuf,
}

impl<'w> SnapshotTransaction<'w> {
    pub(crate) fn begin(
        transaction: Transaction<'w>,
        header: SnapshotHeader<'w>,
        path: PathBuf,
    ) -> Result<Self, LedgerError> {
        let id: i64 = prepare(&transaction, sql::NEXT_SNAPSHOT)?
            .query_row([], |row| row.get(0))
            .context(Operation::WriteSnapshot)?;
        let policy = params![header.policy.digest(), header.policy.canonical_json()];
        let policy_id = prepare(&transaction, sql::ADD_POLICY)?
            .query_row(policy, |row| row.get(0))
            .context(Operation::WriteSnapshot)?;
        let previous = id - 1;
        let policy_unchanged = is_policy_unchanged(&transaction, &header, previous, policy_id)?;
        Ok(Self {
            day: day_of(header.started_at),
            transaction,
            header,
            id,
            previous,
            policy_id,
            policy_unchanged,
            path,
        })
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.transaction
    }

    /// Executes a statement and ignores the number of changed rows.
    pub(crate) fn run(&self, text: &str, parameters: impl rusqlite::Params) -> Result<(), LedgerError> {
        prepare(&self.transaction, text)?.execute(parameters).context(Operation::WriteSnapshot).map(drop)
    }

    /// Removes the checksum file, which describes the file before this snapshot, and commits.
    pub(crate) fn commit(self) -> Result<(), LedgerError> {
        checksum_file::remove(&self.path)?;
        self.transaction.commit().context(Operation::WriteSnapshot)
    }
}

/// The version of the scanner and the digest of the code that evaluates policies. The digest can change without a new version.
pub(crate) fn describe_program(header: &SnapshotHeader<'_>) -> String {
    format!("{}+{}", header.app_version, tagledger_policy::PROGRAM_DIGEST)
}

/// Whether the previous snapshot was evaluated by the same policy and the same program, and the evaluation does not depend on the day.
fn is_policy_unchanged(
    db: &Connection,
    header: &SnapshotHeader<'_>,
    previous: i64,
    policy_id: i64,
) -> Result<bool, LedgerError> {
    let columns = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?));
    let before =
        prepare(db, sql::EVALUATED_BY)?.query_row([previous], columns).optional().context(Operation::ReadSnapshots)?;
    let same = before.is_some_and(|(policy, version)| policy == policy_id && version == describe_program(header));
    Ok(same && !header.policy.depends_on_date())
}
