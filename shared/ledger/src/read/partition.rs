//! Queries that read every resource or every change, as two partitions in parallel.

use std::{ops::RangeInclusive, panic::resume_unwind, thread};

use crate::{
    db::{sql, statements::prepare},
    error::{ErrorContext, LedgerError, Operation},
    model::snapshot::Snapshot,
    read::session::ReadSession,
};

/// A range of keys. Keys are hashes, so that each half of the range has about half of the resources.
pub(crate) type KeyRange = RangeInclusive<i64>;

pub(crate) const ALL_KEYS: KeyRange = 0..=i64::MAX;

/// Half of the resources as of a snapshot. Current states are divided by their keys. Superseded states are divided by the snapshots that
/// ended them, because the ledger stores them in that order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Partition {
    lowest: i64,
    highest: i64,
    /// The parity of the snapshots that ended the superseded states: 0 for even ids, 1 for odd ids.
    parity: i64,
}

const LOWER: Partition = Partition { lowest: 0, highest: i64::MAX / 2, parity: 0 };

const UPPER: Partition = Partition { lowest: i64::MAX / 2 + 1, highest: i64::MAX, parity: 1 };

impl Partition {
    /// The keys of the partition, for queries that need all states of a resource in one partition.
    pub(crate) fn keys(self) -> KeyRange {
        self.lowest..=self.highest
    }

    /// The parameters 1 to 4 of statements that read a partition of a snapshot.
    pub(crate) fn parameters(self, snapshot: &Snapshot) -> [i64; 4] {
        [snapshot.id, self.lowest, self.highest, self.parity]
    }
}

/// Identifies a state of the ledger. A scan adds a snapshot, and pruning changes the number of retained snapshots.
type LedgerState = (Option<Snapshot>, i64);

/// Reads both partitions and returns their results, the lower one first. The upper one is read on a second thread and connection,
/// if a thread can be started and its session sees the same state of the ledger.
pub(crate) fn par_partitions<T: Send>(
    session: &ReadSession<'_>,
    read: impl Fn(&ReadSession<'_>, Partition) -> Result<T, LedgerError> + Sync,
) -> Result<Vec<T>, LedgerError> {
    let (state, reader, started, read) = (ledger_state(session)?, session.reader, session.started, &read);
    thread::scope(|scope| {
        let spawned = thread::Builder::new().spawn_scoped(scope, move || {
            reader.read_since(started, |second| {
                if ledger_state(second)? == state { read(second, UPPER).map(Some) } else { Ok(None) }
            })
        });
        let lower = read(session, LOWER)?;
        let upper = match spawned {
            Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic))?,
            Err(_) => None,
        };
        // None when a snapshot was committed or pruned after the first session began and before the second one did.
        Ok(vec![lower, upper.map_or_else(|| read(session, UPPER), Ok)?])
    })
}

fn ledger_state(session: &ReadSession<'_>) -> Result<LedgerState, LedgerError> {
    let retained = prepare(session.db(), sql::COUNT_RETAINED)?
        .query_row([], |row| row.get(0))
        .context(Operation::ReadSnapshots)?;
    Ok((session.newest()?, retained))
}
