//! Detects callers that repeat the same call, such as an agent in a loop.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use moka::sync::Cache;
use rmcp::model::CallToolResult;
use serde_json::{Value, json};
use tagledger_audit::AuditEntry;

/// Every tenth identical call within [`WINDOW`] gets a note.
const NOTE_INTERVAL: u32 = 10;

/// Calls are counted from the first one for this time.
const WINDOW: Duration = Duration::from_secs(60);

/// Maximum number of counted calls.
const MAX_CALLS: u64 = 10_000;

/// Counts the calls by caller, tool and digest of the arguments. Clones share the counts.
#[derive(Debug, Clone)]
pub(crate) struct RepeatDetector(Cache<(String, String, String), Arc<AtomicU32>>);

impl Default for RepeatDetector {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MAX_CALLS).time_to_live(WINDOW).build())
    }
}

impl RepeatDetector {
    /// Counts a call and returns how often it was made within the window.
    pub(crate) fn count(&self, call: &AuditEntry) -> u32 {
        let key = (call.caller.clone(), call.tool.clone(), call.arguments.clone());
        self.0.get_with(key, Arc::default).fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// Adds a note to every tenth answer of a repeated call.
    pub(crate) fn add_note(&self, answer: &mut CallToolResult, times: u32) {
        if !times.is_multiple_of(NOTE_INTERVAL) || answer.is_error == Some(true) {
            return;
        }
        let Some(Value::Object(content)) = &mut answer.structured_content else { return };
        let note = format!(
            "This call was made {times} times within a minute with the same arguments. Continue with this answer: it does not \
            change until the next snapshot."
        );
        match content.entry("notes").or_insert_with(|| json!([])) {
            Value::Array(notes) => notes.push(note.into()),
            _ => return,
        }
        *answer = CallToolResult::structured(Value::Object(std::mem::take(content)));
    }
}
