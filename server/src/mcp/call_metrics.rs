//! How often tools were called, how that ended and how long it took.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rmcp::{ErrorData, model::CallToolResponse};
use tagledger_http::Page;

/// Upper bounds of the histogram, seconds: most calls take less than one of the first.
const BOUNDS: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// OpenTelemetry's name for it, as Prometheus writes names.
const DURATION: &str = "mcp_server_operation_duration_seconds";

/// What is counted of calls.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    ended: Mutex<BTreeMap<(String, &'static str), Histogram>>,
    at_hand: AtomicU64,
}

#[derive(Debug, Default)]
struct Histogram {
    buckets: [u64; BOUNDS.len()],
    count: u64,
    seconds: f64,
}

/// How a call ended.
pub(crate) fn outcome(how: &Result<CallToolResponse, ErrorData>) -> &'static str {
    match how {
        Ok(CallToolResponse::Complete(answer)) if answer.is_error == Some(true) => "tool_error",
        Ok(_) => "ok",
        Err(_) => "error",
    }
}

impl Calls {
    /// An answer was at hand.
    pub(crate) fn at_hand(&self) {
        self.at_hand.fetch_add(1, Ordering::Relaxed);
    }

    /// A call of a tool has ended.
    pub(crate) fn ended(&self, tool: &str, outcome: &'static str, took: Duration) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.entry((tool.to_owned(), outcome)).or_default().add(took.as_secs_f64());
    }

    pub(crate) fn measure(&self, page: &mut Page) {
        page.head(DURATION, "histogram", "Tool calls, by tool and outcome: ok, tool_error, error, refused.");
        for ((tool, outcome), histogram) in &*self.ended.lock().unwrap_or_else(PoisonError::into_inner) {
            histogram.write(page, &[("gen_ai_tool_name", tool), ("outcome", outcome)]);
        }
        let help = "Tool calls whose answer was at hand, in memory or in Redis.";
        page.one("tagledger_answers_at_hand_total", "counter", help, self.at_hand.load(Ordering::Relaxed));
    }
}

impl Histogram {
    fn add(&mut self, seconds: f64) {
        self.buckets.iter_mut().zip(BOUNDS).filter(|(_, bound)| seconds <= *bound).for_each(|(bucket, _)| *bucket += 1);
        self.count += 1;
        self.seconds += seconds;
    }

    fn write(&self, page: &mut Page, labels: &[(&str, &str)]) {
        let bucket = format!("{DURATION}_bucket");
        let bounds = BOUNDS.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
        for (bound, n) in bounds.zip(self.buckets.iter().chain([&self.count])) {
            page.value(&bucket, &[labels, &[("le", &bound)]].concat(), n);
        }
        page.value(&format!("{DURATION}_sum"), labels, self.seconds);
        page.value(&format!("{DURATION}_count"), labels, self.count);
    }
}
