//! Learning from the newest snapshot, and keeping what was learnt.

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};

use super::{
    Attempt, StoreError, Writer,
    intern::{push_varint, statement},
    lore::{FAILED, Lore},
    reader::policy_of,
    rows::{int, time},
    sql,
};
use crate::{day::day_of, suggest::counts::Tally};

/// What was learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learned {
    /// Things that resources share and that tell something.
    pub features: u64,
    /// Cases that the weights were learnt from.
    pub cases: u64,
}

impl Writer {
    /// Learns from the newest snapshot what its resources tell of each other, in place of what was learnt before. None without
    /// a snapshot.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be written; then what was learnt before stands.
    pub fn learn(&mut self) -> Result<Option<Learned>, StoreError> {
        let path = self.path().to_owned();
        learn(self.connection_mut()).map_err(|error| error.at(&path))
    }
}

fn learn(connection: &mut Connection) -> Result<Option<Learned>, StoreError> {
    let db = connection.transaction_with_behavior(TransactionBehavior::Immediate).attempt(FAILED)?;
    let Some((snapshot, lore)) = newest_lore(&db)? else { return Ok(None) };
    let model = lore.model(None);
    for clear in [sql::DROP_EVIDENCE, sql::DROP_EVIDENCE_VALUES, sql::DROP_EVIDENCE_MODEL] {
        statement(&db, clear)?.execute([]).attempt(FAILED)?;
    }
    let mut features = 0;
    {
        let mut add = statement(&db, sql::ADD_EVIDENCE)?;
        for (feature, tallies) in lore.table.features() {
            add.execute(params![feature, packed(&tallies)]).attempt(FAILED)?;
            features += 1;
        }
        let mut add = statement(&db, sql::ADD_EVIDENCE_VALUE)?;
        for (number, value) in (0_i64..).zip(&lore.values) {
            add.execute(params![number, value]).attempt(FAILED)?;
        }
    }
    let text = serde_json::to_string(&model).unwrap_or_default();
    statement(&db, sql::ADD_EVIDENCE_MODEL)?.execute(params![snapshot, text]).attempt(FAILED)?;
    db.commit().attempt(FAILED)?;
    Ok(Some(Learned { features, cases: model.keys.iter().map(|key| key.cases).sum() }))
}

/// The newest snapshot with all that is known of its resources.
pub(super) fn newest_lore(db: &Connection) -> Result<Option<(i64, Lore)>, StoreError> {
    let columns = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(4)?));
    let newest = statement(db, sql::NEWEST_SNAPSHOT)?.query_row([], columns).optional().attempt(FAILED)?;
    let Some((id, started, digest)) = newest else { return Ok(None) };
    let lore = Lore::gather(db, policy_of(db, &digest)?, day_of(time(started)?))?;
    Ok(Some((id, lore)))
}

/// For each tag its place, the total, how many values follow, and these with their counts.
fn packed(tallies: &[(usize, Tally)]) -> Vec<u8> {
    let mut blob = Vec::new();
    for (key, tally) in tallies {
        for number in [int(*key), int(tally.total), int(tally.values.len())] {
            push_varint(&mut blob, number);
        }
        for (value, count) in &tally.values {
            push_varint(&mut blob, i64::from(*value));
            push_varint(&mut blob, int(*count));
        }
    }
    blob
}
