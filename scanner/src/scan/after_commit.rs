//! The work that follows the commit of a snapshot: train the suggestions, materialize the insights, checkpoint the ledger.
//!
//! The snapshot is already recorded. A failure of this work is a warning, and the next scan repeats the work.

use tagledger_ledger::LedgerWriter;
use tagledger_model::error_chain::ErrorChain;
use tracing::{debug, warn};

/// Runs the work on a blocking thread. `train`: whether suggestions are trained on this snapshot.
pub(crate) async fn run(writer: LedgerWriter, train: bool) {
    let work = tokio::task::spawn_blocking(move || {
        let mut writer = writer;
        if train {
            train_suggestions(&mut writer);
        }
        materialize_insights(&mut writer);
        checkpoint(&writer);
    });
    if let Err(error) = work.await {
        warn!("the work after the commit ended early: {error}");
    }
}

/// Without new training, suggestions use the counts of the previous training.
fn train_suggestions(writer: &mut LedgerWriter) {
    match writer.train() {
        Ok(report) => debug!(?report, "suggestions trained"),
        Err(error) => warn!("suggestions were not trained on this snapshot: {}", ErrorChain(&error)),
    }
}

/// Without materialized insights, the first questions about the snapshot take longer.
fn materialize_insights(writer: &mut LedgerWriter) {
    if let Err(error) = writer.materialize_insights() {
        warn!("the insights of the snapshot were not materialized: {}", ErrorChain(&error));
    }
}

/// Without a checkpoint, the write-ahead log stays large until the next checkpoint.
fn checkpoint(writer: &LedgerWriter) {
    match writer.checkpoint() {
        Ok(true) => {}
        Ok(false) => warn!("the checkpoint of the ledger is incomplete: a reader uses the write-ahead log"),
        Err(error) => warn!("the checkpoint of the ledger failed: {}", ErrorChain(&error)),
    }
}
