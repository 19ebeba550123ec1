//! Who called what: handed over in no time, written in batches by a thread of its own.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use jiff::{Timestamp, ToSpan};
use sha2::{Digest, Sha256};
use tagledger_audit::{AuditEntry, AuditError, AuditLog};
use tagledger_http::Page;
use tagledger_model::error_chain::ErrorChain;
use tracing::{error, warn};

/// Calls that wait to be written; more are counted and lost.
const WAITING: usize = 20_000;

/// Calls of one batch, and for how long one is gathered.
const BATCH: usize = 2_000;

const GATHERED: Duration = Duration::from_millis(500);

/// How often old calls are forgotten, and how often trouble is told.
const HOUR: Duration = Duration::from_secs(3600);

/// Hexadecimal digits by which arguments are told apart.
const DIGITS: usize = 16;

/// What stands in the log in the place of arguments.
pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(DIGITS / 2).map(|byte| format!("{byte:02x}")).collect()
}

/// What the log is to be.
#[derive(Debug, Clone)]
pub struct AuditSettings {
    /// The file.
    pub path: PathBuf,
    /// For how many days calls are kept.
    pub days: u32,
    /// Where the time comes from.
    pub clock: fn() -> Timestamp,
}

enum AuditState {
    Call(AuditEntry),
    /// Whoever asks is told when all before is written.
    Flush(SyncSender<()>),
}

/// The audit log of a server.
#[derive(Debug)]
pub struct Audit {
    told: SyncSender<AuditState>,
    lost: Arc<AtomicU64>,
}

impl Audit {
    /// Opens the log, and begins to write.
    ///
    /// # Errors
    ///
    /// When the file cannot be written or is of something else.
    pub fn open(settings: AuditSettings) -> Result<Arc<Self>, AuditError> {
        let log = AuditLog::open(&settings.path)?;
        let (told, calls) = sync_channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let writing = Writing { log, settings, lost: Arc::clone(&lost), complained: None };
        thread::spawn(move || writing.follow(&calls));
        Ok(Arc::new(Self { told, lost }))
    }

    pub(crate) fn add(&self, entry: AuditEntry) {
        if self.told.try_send(AuditState::Call(entry)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all calls so far are written, for some seconds at most.
    pub fn flush(&self) {
        let (written, wait) = sync_channel(1);
        if self.told.send(AuditState::Flush(written)).is_ok() {
            wait.recv_timeout(Duration::from_secs(5)).ok();
        }
    }

    pub(crate) fn measure(&self, page: &mut Page) {
        let help = "Calls that could not be written to the audit log.";
        page.one("tagledger_audit_lost_total", "counter", help, self.lost.load(Ordering::Relaxed));
    }
}

struct Writing {
    log: AuditLog,
    settings: AuditSettings,
    lost: Arc<AtomicU64>,
    complained: Option<Instant>,
}

impl Writing {
    fn follow(mut self, calls: &Receiver<AuditState>) {
        let mut swept: Option<Instant> = None;
        loop {
            if swept.is_none_or(|last| last.elapsed() >= HOUR) {
                self.sweep();
                swept = Some(Instant::now());
            }
            let (mut batch, mut waiting) = (Vec::new(), Vec::new());
            let open = gather(calls, &mut batch, &mut waiting);
            self.write(&batch);
            for written in waiting {
                // Whoever asked may be gone.
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
            self.lost.fetch_add(batch.len() as u64, Ordering::Relaxed);
            if self.complained.is_none_or(|last| last.elapsed() >= HOUR) {
                error!("calls are not written down: {}", ErrorChain(&failed));
                self.complained = Some(Instant::now());
            }
        }
    }

    fn sweep(&self) {
        let oldest = (self.settings.clock)().checked_sub((i64::from(self.settings.days) * 24).hours());
        let swept = oldest.map(|oldest| self.log.prune_before(oldest));
        if let Ok(Err(failed)) = swept {
            warn!("old calls are not forgotten: {}", ErrorChain(&failed));
        }
    }
}

/// What comes within half a second of the first, as far as it fits; false when nothing more will come.
fn gather(calls: &Receiver<AuditState>, batch: &mut Vec<AuditEntry>, waiting: &mut Vec<SyncSender<()>>) -> bool {
    let mut until: Option<Instant> = None;
    while batch.len() < BATCH {
        let left = until.map_or(HOUR, |until| until.saturating_duration_since(Instant::now()));
        match calls.recv_timeout(left) {
            Ok(AuditState::Call(entry)) => batch.push(entry),
            Ok(AuditState::Flush(written)) => {
                waiting.push(written);
                return true;
            }
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        until.get_or_insert_with(|| Instant::now() + GATHERED);
    }
    true
}
