//! The bill as it was known when a night ended: what stands there now, with all undone that later scans read otherwise.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use tagledger_cost::{AllocationTag, Days};
use tagledger_model::epoch_day::number_of;

use crate::{
    cost::bill_query::{self, gap, of_newest_payer, resolve_lines},
    db::{
        bill_tables::{Lines, cell, cells, months, tags},
        sql,
        statements::statement,
    },
    error::{ErrorContext, LedgerError, Operation},
    model::{
        bill::{Bill, BillGap, BilledMonth, Line, RecordedMonth},
        snapshot::Snapshot,
    },
    read::session::ReadSession,
    write::transaction::SnapshotTransaction,
};

/// What is known of the bill beside its lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct RecordedBillState {
    months: Vec<RecordedMonth>,
    tags: Vec<AllocationTag>,
    gap: Option<BillGap>,
}

impl RecordedBillState {
    fn now(db: &Connection) -> Result<Self, LedgerError> {
        Ok(Self { months: months(db)?, tags: tags(db)?, gap: gap(db)? })
    }
}

/// The bill as it was known when a night ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillAsOf {
    /// The months that were known, in order, of one account's bill.
    pub months: Vec<RecordedMonth>,
    /// Whether bills were split by the keys that the policy required; empty when nobody might ask.
    pub tags: Vec<AllocationTag>,
    /// Why not all of the bill had been read.
    pub gap: Option<BillGap>,
    snapshot: i64,
}

/// Saves the months, tags and gap of the recorded bill before the snapshot changes them.
pub(crate) fn save_state(snapshot: &SnapshotTransaction<'_>) -> Result<(), LedgerError> {
    let state = serde_json::to_string(&RecordedBillState::now(snapshot.connection())?)
        .map_err(|source| LedgerError::Encode { what: "the state of the bill", source })?;
    snapshot.run(sql::ADD_BILL_STATE_BEFORE, params![snapshot.id, state])
}

/// The recorded days of a month and their lines; none when the month is not recorded.
pub(crate) fn load_recorded_lines(db: &Connection, month: Days) -> Result<Option<(Days, Lines)>, LedgerError> {
    let recorded = months(db)?.into_iter().find(|recorded| recorded.days.first == month.first);
    recorded.map(|month| Ok((month.days, cells(db, month.days)?))).transpose()
}

/// Saves the lines that the snapshot changed, with their amounts before.
pub(crate) fn save_changed_lines(
    snapshot: &SnapshotTransaction<'_>,
    days: Days,
    before: &Lines,
) -> Result<(), LedgerError> {
    let now = cells(snapshot.connection(), days)?;
    let changed = before.iter().filter(|(cell, micros)| now.get(*cell) != Some(micros));
    let new = now.keys().filter(|cell| !before.contains_key(*cell)).map(|cell| (cell, &0));
    for ([day, part, a, b, currency], micros) in changed.chain(new) {
        snapshot.run(sql::ADD_BILL_BEFORE, params![snapshot.id, day, part, a, b, currency, micros])?;
    }
    Ok(())
}

/// The bill as it was known when the night of this snapshot ended; none where that was not kept, by a version that did not.
///
/// # Errors
///
/// When the ledger cannot be read; so for the question below.
pub fn load(session: &ReadSession<'_>, snapshot: &Snapshot) -> Result<Option<BillAsOf>, LedgerError> {
    let after = statement(session.db(), sql::BILL_STATE_AFTER)?
        .query_row([snapshot.id], |row| row.get::<_, Option<String>>(0))
        .optional()
        .context(Operation::ReadBill)?;
    let known = match after {
        None => RecordedBillState::now(session.db())?,
        Some(None) => return Ok(None),
        Some(Some(text)) => serde_json::from_str(&text)
            .map_err(|error| LedgerError::Content { what: "what was known of the bill", given: error.to_string() })?,
    };
    let RecordedBillState { months, tags, gap } = known;
    Ok(Some(BillAsOf { months: of_newest_payer(months), tags, gap, snapshot: snapshot.id }))
}

impl BillAsOf {
    /// What was billed in some days, month by month, each with the policy that it was asked by.
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
        let mut undone = statement(session.db(), sql::EARLIER_BILL_AMOUNTS)?;
        let range = params![number_of(days.first), number_of(days.end), self.snapshot];
        let mut undone = undone.query(range).context(Operation::ReadBill)?;
        let mut then: Lines = HashMap::new();
        while let Some(row) = undone.next().context(Operation::ReadBill)? {
            let (cell, micros) = cell(row).context(Operation::ReadBill)?;
            then.entry(cell).or_insert(micros);
        }
        if then.is_empty() {
            return bill_query::load_bill(session, days);
        }
        let mut lines = cells(session.db(), days)?;
        lines.extend(then);
        let mut sums: HashMap<Line, i64> = HashMap::new();
        for ([_, part, a, b, currency], micros) in lines.into_iter().filter(|(_, micros)| *micros != 0) {
            *sums.entry((part, [currency, a, b])).or_default() += micros;
        }
        resolve_lines(session.db(), sums)
    }
}
