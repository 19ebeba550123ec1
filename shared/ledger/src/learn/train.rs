//! Trains the prediction model on the newest snapshot and stores it.

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use tagledger_analysis::prediction::counts::ValueTally;
use tagledger_model::epoch_day::day_of;

use crate::{
    db::{policies::load_policy, sql, statements::prepare, values::parse_time, varint::push_word},
    error::{ErrorContext, LedgerError, Operation},
    learn::dataset::TrainingData,
    write::writer::LedgerWriter,
};

/// The size of a trained model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrainReport {
    /// Features with counts.
    pub features: u64,
    /// Training cases for the weights.
    pub cases: u64,
}

impl LedgerWriter {
    /// Trains the model on the current resources of the newest snapshot, and replaces the stored one. None without a snapshot.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be written; the stored model then stays as it was.
    pub fn train(&mut self) -> Result<Option<TrainReport>, LedgerError> {
        let path = self.path().to_owned();
        train(self.connection_mut()).map_err(|error| error.at(&path))
    }
}

fn train(connection: &mut Connection) -> Result<Option<TrainReport>, LedgerError> {
    let db = connection.transaction_with_behavior(TransactionBehavior::Immediate).context(Operation::Train)?;
    let Some((snapshot, data)) = load_newest(&db)? else { return Ok(None) };
    let model = data.model(None);
    for clear in [sql::DROP_FEATURE_COUNTS, sql::DROP_FEATURE_COUNTS_VALUES, sql::DROP_FEATURE_COUNTS_MODEL] {
        prepare(&db, clear)?.execute([]).context(Operation::Train)?;
    }
    let mut features = 0;
    {
        let mut add = prepare(&db, sql::ADD_FEATURE_COUNTS)?;
        for (feature, tallies) in data.table.features() {
            add.execute(params![feature, encode_tallies(&tallies)]).context(Operation::Train)?;
            features += 1;
        }
        let mut add = prepare(&db, sql::ADD_FEATURE_COUNTS_VALUE)?;
        for (number, value) in (0_i64..).zip(&data.values) {
            add.execute(params![number, value]).context(Operation::Train)?;
        }
    }
    let text =
        serde_json::to_string(&model).map_err(|source| LedgerError::Encode { what: "the trained model", source })?;
    prepare(&db, sql::ADD_FEATURE_COUNTS_MODEL)?.execute(params![snapshot, text]).context(Operation::Train)?;
    db.commit().context(Operation::Train)?;
    Ok(Some(TrainReport { features, cases: model.keys.iter().map(|key| key.cases).sum() }))
}

/// The id of the newest snapshot and the training data of its resources.
pub(crate) fn load_newest(db: &Connection) -> Result<Option<(i64, TrainingData)>, LedgerError> {
    let columns = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(4)?));
    let newest = prepare(db, sql::NEWEST_SNAPSHOT)?.query_row([], columns).optional().context(Operation::Train)?;
    let Some((id, started, digest)) = newest else { return Ok(None) };
    let data = TrainingData::load(db, load_policy(db, &digest)?, day_of(parse_time(started)?))?;
    Ok(Some((id, data)))
}

/// For each tag of the policy: its index, the number of resources, the number of values, and each value with its number of resources.
fn encode_tallies(tallies: &[(usize, ValueTally)]) -> Vec<u8> {
    let mut blob = Vec::new();
    for (key, tally) in tallies {
        for number in [*key as u64, tally.total, tally.values.len() as u64] {
            push_word(&mut blob, number);
        }
        for (value, count) in &tally.values {
            push_word(&mut blob, u64::from(*value));
            push_word(&mut blob, *count);
        }
    }
    blob
}
