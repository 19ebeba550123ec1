//! Counts tool calls and measures their duration.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};
use rmcp::{ErrorData, model::CallToolResponse};
use tagledger_http::register_counter;

/// Upper bounds of the duration buckets, seconds. Most calls fall into the first buckets.
const BUCKETS: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// The metric `mcp.server.operation.duration` of OpenTelemetry's semantic conventions, as Prometheus writes names.
const DURATION: &str = "mcp_server_operation_duration_seconds";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    gen_ai_tool_name: String,
    outcome: &'static str,
}

/// The metrics of tool calls. Clones share their values.
#[derive(Debug, Clone)]
pub(crate) struct CallMetrics {
    durations: Family<CallLabels, Histogram, fn() -> Histogram>,
    cached: Counter,
}

impl Default for CallMetrics {
    fn default() -> Self {
        let durations = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        Self { durations, cached: Counter::default() }
    }
}

/// How a call ended.
pub(crate) fn outcome(result: &Result<CallToolResponse, ErrorData>) -> &'static str {
    match result {
        Ok(CallToolResponse::Complete(answer)) if answer.is_error == Some(true) => "tool_error",
        Ok(_) => "ok",
        Err(_) => "error",
    }
}

impl CallMetrics {
    /// Counts a call that was answered from the cache.
    pub(crate) fn count_cached(&self) {
        self.cached.inc();
    }

    /// Counts a call that has ended.
    pub(crate) fn record(&self, tool: &str, outcome: &'static str, duration: Duration) {
        let labels = CallLabels { gen_ai_tool_name: tool.to_owned(), outcome };
        self.durations.get_or_create(&labels).observe(duration.as_secs_f64());
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        let help = "Tool calls, by tool and outcome: ok, tool_error, error, refused";
        registry.register(DURATION, help, self.durations.clone());
        let help = "Tool calls answered from the cache, in memory or in Redis";
        register_counter(registry, "tagledger_answers_at_hand_total", help, self.cached.clone());
    }
}
