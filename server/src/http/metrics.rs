//! The server's metrics, in the Prometheus text format.

use std::sync::Arc;

use prometheus_client::registry::Registry;
use tagledger_http::{RequestGuard, register_gauge};

use crate::{app_state::AppState, mcp::call_metrics::CallMetrics};

/// The sources of the server's metrics.
#[derive(Debug, Clone)]
pub(crate) struct MetricSources {
    pub(crate) state: Arc<AppState>,
    pub(crate) calls: CallMetrics,
    pub(crate) guard: Arc<RequestGuard>,
}

impl MetricSources {
    /// All metrics, as of now.
    pub(crate) fn collect(&self) -> Registry {
        let mut registry = Registry::default();
        self.calls.register(&mut registry);
        self.guard.register_metrics(&mut registry);
        self.state.audit().into_iter().for_each(|audit| audit.register_metrics(&mut registry));
        self.state.redis_cache().into_iter().for_each(|cache| cache.register_metrics(&mut registry));
        if let Ok(Some(snapshot)) = self.state.latest_snapshot() {
            let age = self.state.now().duration_since(snapshot.finished_at).as_secs();
            register_gauge(&mut registry, "tagledger_snapshot_id", "Number of the newest snapshot", snapshot.id);
            let help = "Since the newest snapshot was recorded";
            register_gauge(&mut registry, "tagledger_snapshot_age_seconds", help, age);
            let (help, complete) = ("Whether the newest snapshot has no gap", u32::from(snapshot.complete));
            register_gauge(&mut registry, "tagledger_snapshot_complete", help, complete);
        }
        let uptime = self.state.now().duration_since(self.state.started_at()).as_secs().max(0);
        register_gauge(&mut registry, "tagledger_uptime_seconds", "Since the server started", uptime);
        registry
    }
}
