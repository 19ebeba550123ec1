//! The bill as it was recorded when a snapshot ended: the current bill, with the amounts restored that later scans changed.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use tagledger_cost::{AllocationTag, Days};
use tagledger_model::epoch_day::number_of;

use crate::{
    cost::bill_query::{self, load_gap, resolve_lines, retain_newest_payer},
    db::{
        bill_tables::{Lines, read_allocation_tags, read_cell, read_cells, read_months},
        sql,
        statements::prepare,
    },
    error::{ErrorContext, LedgerError, Operation},
    model::{
        bill::{Bill, BillGap, BilledMonth, Line, RecordedMonth},
        snapshot::Snapshot,
    },
    read::session::ReadSession,
    write::transaction::SnapshotTransaction,
};

/// The state of the recorded bill, without its lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct RecordedBillState {
    months: Vec<RecordedMonth>,
    tags: Vec<AllocationTag>,
    gap: Option<BillGap>,
}

impl RecordedBillState {
    fn load(db: &Connection) -> Result<Self, LedgerError> {
        Ok(Self { months: read_months(db)?, tags: read_allocation_tags(db)?, gap: load_gap(db)? })
    }
}

/// The bill as it was recorded when a snapshot ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillAsOf {
    /// The recorded months in order, of one payer account.
    pub months: Vec<RecordedMonth>,
    /// The required tag keys with their status as cost allocation tags; empty when the scanner was not allowed to list them.
    pub tags: Vec<AllocationTag>,
    /// Why the bill had not been read completely.
    pub gap: Option<BillGap>,
    snapshot: i64,
}

/// Saves the months, tags and gap of the recorded bill before the snapshot changes them.
pub(crate) fn save_state(snapshot: &SnapshotTransaction<'_>) -> Result<(), LedgerError> {
    let state = serde_json::to_string(&RecordedBillState::load(snapshot.connection())?)
        .map_err(|source| LedgerError::Encode { what: "the state of the bill", source })?;
    snapshot.run(sql::ADD_BILL_STATE_BEFORE, params![snapshot.id, state])
}

/// The recorded days of a month and their lines; none when the month is not recorded.
pub(crate) fn load_recorded_lines(db: &Connection, month: Days) -> Result<Option<(Days, Lines)>, LedgerError> {
    let recorded = read_months(db)?.into_iter().find(|recorded| recorded.days.first == month.first);
    recorded.map(|month| Ok((month.days, read_cells(db, month.days)?))).transpose()
}

/// Saves the lines that the snapshot changed, with their amounts before.
pub(crate) fn save_changed_lines(
    snapshot: &SnapshotTransaction<'_>,
    days: Days,
    before: &Lines,
) -> Result<(), LedgerError> {
    let after = read_cells(snapshot.connection(), days)?;
    let changed = before.iter().filter(|(cell, micros)| after.get(*cell) != Some(micros));
    let new = after.keys().filter(|cell| !before.contains_key(*cell)).map(|cell| (cell, &0));
    for ([day, part, key_a, key_b, currency], micros) in changed.chain(new) {
        snapshot.run(sql::ADD_BILL_BEFORE, params![snapshot.id, day, part, key_a, key_b, currency, micros])?;
    }
    Ok(())
}

/// The bill as it was recorded when this snapshot ended; none when a version of TagLedger that did not store it wrote the snapshot.
///
/// # Errors
///
/// When the ledger cannot be read. The same applies to the method below.
pub fn load(session: &ReadSession<'_>, snapshot: &Snapshot) -> Result<Option<BillAsOf>, LedgerError> {
    let after = prepare(session.db(), sql::BILL_STATE_AFTER)?
        .query_row([snapshot.id], |row| row.get::<_, Option<String>>(0))
        .optional()
        .context(Operation::ReadBill)?;
    let state = match after {
        None => RecordedBillState::load(session.db())?,
        Some(None) => return Ok(None),
        Some(Some(text)) => serde_json::from_str(&text)
            .map_err(|error| LedgerError::Content { what: "what was known of the bill", given: error.to_string() })?,
    };
    let RecordedBillState { months, tags, gap } = state;
    Ok(Some(BillAsOf { months: retain_newest_payer(months), tags, gap, snapshot: snapshot.id }))
}

impl BillAsOf {
    /// The bill of some days by month, each with the policy that was in force when the month was requested.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub fn billed(&self, session: &ReadSession<'_>, days: Days) -> Result<Vec<BilledMonth>, LedgerError> {
        let months = self.months.iter().filter_map(|month| Some((month.days.within(days)?, month)));
        let billed = months.map(|(days, month)| {
            let (bill, policy) = (self.bill(session, days)?, session.policy_by_digest(&month.policy_digest)?);
            Ok(BilledMonth { month: month.clone(), days, bill, policy })
        });
        billed.collect()
    }

    fn bill(&self, session: &ReadSession<'_>, days: Days) -> Result<Bill, LedgerError> {
        let mut query = prepare(session.db(), sql::EARLIER_BILL_AMOUNTS)?;
        let range = params![number_of(days.first), number_of(days.end), self.snapshot];
        let mut rows = query.query(range).context(Operation::ReadBill)?;
        let mut restored: Lines = HashMap::new();
        while let Some(row) = rows.next().context(Operation::ReadBill)? {
            let (cell, micros) = read_cell(row).context(Operation::ReadBill)?;
            // The oldest amount of a line comes first.
            restored.entry(cell).or_insert(micros);
        }
        if restored.is_empty() {
            return bill_query::load_bill(session, days);
        }
        let mut lines = read_cells(session.db(), days)?;
        lines.extend(restored);
        let mut sums: HashMap<Line, i64> = HashMap::new();
        for ([_, part, key_a, key_b, currency], micros) in lines.into_iter().filter(|(_, micros)| *micros != 0) {
            *sums.entry((part, [currency, key_a, key_b])).or_default() += micros;
        }
        resolve_lines(session.db(), sums)
    }
}
