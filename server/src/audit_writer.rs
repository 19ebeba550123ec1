//! Writes calls to the audit log, in batches, on a thread of its own: a request never waits for the disk.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use jiff::{Timestamp, ToSpan};
use prometheus_client::{metrics::counter::Counter, registry::Registry};
use sha2::{Digest, Sha256};
use tagledger_audit::{AuditEntry, AuditError, AuditLog};
use tagledger_http::register_counter;
use tagledger_model::error_chain::ErrorChain;
use tracing::{error, warn};

/// Maximum number of queued calls. Further calls are counted as lost.
const QUEUE_LENGTH: usize = 20_000;

/// Maximum number of calls in a batch.
const BATCH_SIZE: usize = 2_000;

/// A batch is written this long after its first call.
const BATCH_INTERVAL: Duration = Duration::from_millis(500);

/// How often expired calls are deleted, and how often a write error is logged.
const HOUR: Duration = Duration::from_secs(3600);

/// Hexadecimal digits of the digest of arguments.
const DIGEST_LENGTH: usize = 16;

/// The digest that the log contains instead of the arguments, because arguments can contain names of the estate.
pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(DIGEST_LENGTH / 2).map(|byte| format!("{byte:02x}")).collect()
}

/// Settings of the audit log.
#[derive(Debug, Clone)]
pub struct AuditSettings {
    /// The SQLite file.
    pub path: PathBuf,
    /// Retention, days.
    pub days: u32,
    /// The source of the current time.
    pub clock: fn() -> Timestamp,
}

enum AuditMessage {
    Call(AuditEntry),
    /// Replies when all earlier calls are written.
    Flush(SyncSender<()>),
}

/// The audit log of a server.
#[derive(Debug)]
pub struct Audit {
    queue: SyncSender<AuditMessage>,
    lost: Counter,
}

impl Audit {
    /// Opens the log and starts the writing thread.
    ///
    /// # Errors
    ///
    /// When the file cannot be written or is not an audit log.
    pub fn open(settings: AuditSettings) -> Result<Arc<Self>, AuditError> {
        let log = AuditLog::open(&settings.path)?;
        let (queue, calls) = sync_channel(QUEUE_LENGTH);
        let lost = Counter::default();
        let writer = BatchWriter { log, settings, lost: lost.clone(), last_error_logged_at: None };
        thread::spawn(move || writer.run(&calls));
        Ok(Arc::new(Self { queue, lost }))
    }

    pub(crate) fn add(&self, entry: AuditEntry) {
        if self.queue.try_send(AuditMessage::Call(entry)).is_err() {
            self.lost.inc();
        }
    }

    /// Waits until all queued calls are written, for at most five seconds.
    pub fn flush(&self) {
        let (written, wait) = sync_channel(1);
        if self.queue.send(AuditMessage::Flush(written)).is_ok() {
            wait.recv_timeout(Duration::from_secs(5)).ok();
        }
    }

    pub(crate) fn register_metrics(&self, registry: &mut Registry) {
        let help = "Calls that could not be written to the audit log";
        register_counter(registry, "tagledger_audit_lost_total", help, self.lost.clone());
    }
}

struct BatchWriter {
    log: AuditLog,
    settings: AuditSettings,
    lost: Counter,
    last_error_logged_at: Option<Instant>,
}

impl BatchWriter {
    fn run(mut self, calls: &Receiver<AuditMessage>) {
        let mut last_cleanup: Option<Instant> = None;
        loop {
            if last_cleanup.is_none_or(|last| last.elapsed() >= HOUR) {
                self.delete_expired();
                last_cleanup = Some(Instant::now());
            }
            let (mut batch, mut waiting) = (Vec::new(), Vec::new());
            let open = collect_batch(calls, &mut batch, &mut waiting);
            self.write(&batch);
            for written in waiting {
                // The task that waits for the flush may have ended.
                written.send(()).ok();
            }
            if !open {
                return;
            }
        }
    }

    fn write(&mut self, batch: &[AuditEntry]) {
        if batch.is_empty() {
            return;
        }
        if let Err(failed) = self.log.append(batch) {
            self.lost.inc_by(batch.len() as u64);
            if self.last_error_logged_at.is_none_or(|last| last.elapsed() >= HOUR) {
                error!("the audit log cannot be written: {}", ErrorChain(&failed));
                self.last_error_logged_at = Some(Instant::now());
            }
        }
    }

    fn delete_expired(&self) {
        let oldest = (self.settings.clock)().checked_sub((i64::from(self.settings.days) * 24).hours());
        let swept = oldest.map(|oldest| self.log.prune_before(oldest));
        if let Ok(Err(failed)) = swept {
            warn!("expired calls cannot be deleted from the audit log: {}", ErrorChain(&failed));
        }
    }
}

/// Receives the calls of one batch; returns false when the sender is gone.
fn collect_batch(
    calls: &Receiver<AuditMessage>,
    batch: &mut Vec<AuditEntry>,
    waiting: &mut Vec<SyncSender<()>>,
) -> bool {
    let mut until: Option<Instant> = None;
    while batch.len() < BATCH_SIZE {
        let left = until.map_or(HOUR, |until| until.saturating_duration_since(Instant::now()));
        match calls.recv_timeout(left) {
            Ok(AuditMessage::Call(entry)) => batch.push(entry),
            Ok(AuditMessage::Flush(written)) => {
                waiting.push(written);
                return true;
            }
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        until.get_or_insert_with(|| Instant::now() + BATCH_INTERVAL);
    }
    true
}
