//! Records the bill, and reads the recorded bill before a scan requests it from Cost Explorer.

use std::collections::BTreeMap;

use jiff::civil::Date;
use rusqlite::params;
use tagledger_model::epoch_day::{day_of, number_of};

use crate::{
    cost::{bill_as_of, resource_cost_records},
    db::{
        bill_tables::{read_allocation_tags, read_basis, read_months, sum_requests},
        sql,
        statements::prepare,
    },
    error::{ErrorContext, LedgerError, Operation},
    model::bill::{BillCollection, BillGap, MonthBill, RecordedBill},
    write::{new_resources, snapshot_writer::SnapshotWriter, transaction::SnapshotTransaction, writer::LedgerWriter},
};

impl LedgerWriter {
    /// The recorded bill, with the number of requests that were sent on `today`.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub fn recorded_bill(&self, today: Date) -> Result<RecordedBill, LedgerError> {
        let load = || {
            let db = self.connection();
            let needs = prepare(db, sql::BILL_REQUESTS_NEEDED)?.query_row([], |row| row.get::<_, u64>(0));
            let needs = needs.context(Operation::ReadBill)?;
            let (months, tags, requests_today) =
                (read_months(db)?, read_allocation_tags(db)?, sum_requests(db, today)?);
            Ok(RecordedBill { months, tags, requests_today, needs, basis: read_basis(db)?.map(|row| row.recorded) })
        };
        load().map_err(|error: LedgerError| error.at(self.path()))
    }
}

impl SnapshotWriter<'_> {
    /// Records the bill. A month that was read completely replaces what the ledger has of it.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be written.
    pub fn record_bill(&mut self, collection: &BillCollection) -> Result<(), LedgerError> {
        // Costs are recorded only for resources that have a row.
        new_resources::flush(&mut self.state)?;
        let snapshot = &self.state.snapshot;
        bill_as_of::save_state(snapshot)?;
        let asked_at = collection.asked_at.as_second();
        for month in &collection.months {
            record_month(snapshot, month)?;
        }
        if let Some(costs) = &collection.resource_costs {
            let interner = &mut self.state.rollups.interner;
            resource_cost_records::record(snapshot, interner, self.state.scopes.dimensions(), costs, asked_at)?;
        }
        if collection.requests > 0 {
            let columns = params![number_of(day_of(collection.asked_at)), collection.requests];
            snapshot.run(sql::ADD_BILL_REQUESTS, columns)?;
        }
        if let Some(tags) = &collection.tags {
            snapshot.run(sql::DROP_ALLOCATION_TAGS, [])?;
            for tag in tags {
                snapshot.run(sql::ADD_ALLOCATION_TAG, params![tag.key, tag.status.as_str(), asked_at])?;
            }
        }
        snapshot.run(sql::DROP_BILL_GAP, [])?;
        if let Some(gap) = &collection.gap {
            let BillGap { asked_at, reason, operation, message, needs } = gap;
            snapshot.run(sql::PUT_BILL_GAP, params![asked_at.as_second(), reason, operation, message, needs])?;
        }
        Ok(())
    }
}

fn record_month(snapshot: &SnapshotTransaction<'_>, month: &MonthBill) -> Result<(), LedgerError> {
    let (first, end) = (number_of(month.days.first), number_of(month.days.end));
    let before = bill_as_of::load_recorded_lines(snapshot.connection(), month.days)?;
    // When the clock was set back, fewer days are read than the ledger has: the recorded days stay.
    if before.as_ref().is_some_and(|(days, _)| days.end > month.days.end) {
        return Ok(());
    }
    snapshot.run(sql::DROP_BILL_DAYS, params![first, end])?;
    let mut ids = BTreeMap::new();
    for line in &month.lines {
        let mut id = |text: &str| -> Result<i64, LedgerError> {
            if let Some(id) = ids.get(text) {
                return Ok(*id);
            }
            let added = prepare(snapshot.connection(), sql::ADD_BILL_TEXT)?
                .query_row([text], |row| row.get(0))
                .context(Operation::WriteSnapshot)?;
            ids.insert(text.to_owned(), added);
            Ok(added)
        };
        let (a, b, currency) = (id(&line.key_a)?, id(&line.key_b)?, id(&line.currency)?);
        let columns = params![number_of(line.day), line.part as i64, a, b, currency, line.amount.micros()];
        snapshot.run(sql::ADD_BILL, columns)?;
    }
    if let Some((days, before)) = before {
        bill_as_of::save_changed_lines(snapshot, days, &before)?;
    }
    let columns = params![
        first,
        end,
        month.open_from.map(number_of),
        month.asked_at.as_second(),
        snapshot.id,
        month.metric.as_str(),
        month.payer,
        snapshot.policy_id,
        month.scope_fingerprint,
        month.requests
    ];
    snapshot.run(sql::PUT_BILL_MONTH, columns)
}
