//! Loads the cache of a reader after a new snapshot, so that the first queries do not have to.

use crate::{
    cost::bill_lines_index,
    error::LedgerError,
    index::{missing_tags_by_cost, ranked_by_scope, tag_sets},
    model::snapshot::Snapshot,
    query::{compliance, history, remediation, spend, tag_groups},
    read::session::ReadSession,
};

/// Loads a part of the cache for the newest snapshot.
pub type WarmupStep = fn(&ReadSession<'_>, &Snapshot) -> Result<(), LedgerError>;

/// The steps of a warmup, first those that most queries need. Run each in its own session, so that each has the full timeout.
pub const STEPS: [WarmupStep; 4] =
    [load_answers, load_lookups, |session, _| history::preload(session), remediation::preload];

/// Runs all steps in one session.
///
/// # Errors
///
/// When the ledger cannot be read.
pub fn run(session: &ReadSession<'_>, newest: &Snapshot) -> Result<(), LedgerError> {
    STEPS.iter().try_for_each(|step| step(session, newest))
}

/// Counts, costs and recommendations of a snapshot.
fn load_answers(session: &ReadSession<'_>, newest: &Snapshot) -> Result<(), LedgerError> {
    compliance::preload(session, newest)?;
    spend::preload(session, newest)?;
    missing_tags_by_cost::load(session, newest)?;
    tag_groups::find_recommendations(session, newest).map(drop)
}

/// Indexes for queries that look up many rows one by one.
fn load_lookups(session: &ReadSession<'_>, newest: &Snapshot) -> Result<(), LedgerError> {
    tag_sets::preload(session, newest)?;
    bill_lines_index::preload(session, newest)?;
    ranked_by_scope::preload(session, newest)
}
