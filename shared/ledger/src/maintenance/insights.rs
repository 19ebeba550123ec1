//! Stores the insights of snapshots.

use rusqlite::params;

use crate::{
    db::{
        sql,
        statements::{prepare, query_rows},
    },
    error::{ErrorContext, LedgerError, Operation},
    query::snapshot_insights,
    read::session::LedgerReader,
    write::writer::LedgerWriter,
};

impl LedgerWriter {
    /// Computes and stores the insights of all snapshots after the last one with insights, or of the newest snapshot only when none has
    /// insights. To be called after a snapshot is committed.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be written. The call after the next snapshot tries again.
    pub fn materialize_insights(&mut self) -> Result<(), LedgerError> {
        let reader = LedgerReader::new(self.path()).with_long_timeout();
        let missing = reader.read(|session| {
            query_rows(session.db(), sql::SNAPSHOTS_WITHOUT_INSIGHTS, [], |row| row.get::<_, i64>(0))
        })?;
        // A failure for one snapshot does not prevent the others.
        let results: Vec<Result<(), LedgerError>> =
            missing.into_iter().map(|id| self.materialize_snapshot(&reader, id)).collect();
        results.into_iter().collect()
    }

    fn materialize_snapshot(&mut self, reader: &LedgerReader, id: i64) -> Result<(), LedgerError> {
        let Some(insights) = reader.read(|session| snapshot_insights::compute_by_id(session, id))? else {
            return Ok(());
        };
        let unwritable = |error: serde_json::Error| LedgerError::Content {
            what: "insights of a snapshot",
            given: error.to_string(),
        };
        let body = serde_json::to_string(&insights).map_err(unwritable)?;
        let path = self.path().to_owned();
        let added = self.change(Operation::ReadInsights, |db| {
            prepare(db, sql::ADD_INSIGHTS)?.execute(params![id, body]).context(Operation::ReadInsights).map(drop)
        });
        added.map_err(|error| error.at(&path))
    }
}
