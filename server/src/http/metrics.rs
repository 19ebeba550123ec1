//! Measurements of HTTP requests.

use std::sync::Arc;

use tagledger_http::{Page, RequestGuard};

use crate::{app_state::AppState, mcp::call_metrics::Calls};

/// What the server tells of itself.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub(crate) ledger: Arc<AppState>,
    pub(crate) calls: Arc<Calls>,
    pub(crate) door: Arc<RequestGuard>,
}

impl Measured {
    pub(crate) fn page(&self) -> Page {
        let mut page = Page::default();
        self.calls.measure(&mut page);
        self.door.measure(&mut page);
        self.ledger.audit().into_iter().for_each(|audit| audit.measure(&mut page));
        self.ledger.redis_cache().into_iter().for_each(|shelf| shelf.measure(&mut page));
        if let Ok(Some(snapshot)) = self.ledger.latest_snapshot() {
            let age = self.ledger.now().duration_since(snapshot.finished_at).as_secs();
            page.one("tagledger_snapshot_id", "gauge", "Number of the newest snapshot.", snapshot.id);
            page.one("tagledger_snapshot_age_seconds", "gauge", "Since the newest snapshot was recorded.", age);
            let complete = u8::from(snapshot.complete);
            page.one("tagledger_snapshot_complete", "gauge", "Whether the newest snapshot has no gap.", complete);
        }
        let up = self.ledger.now().duration_since(self.ledger.started_at()).as_secs().max(0);
        page.one("tagledger_uptime_seconds", "gauge", "Since the server started.", up);
        page
    }
}
