//! Callers that ask the same over and over: an agent in a loop is told so.

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

/// A question that is asked so often within [`WITHIN`] of its first time is asked in a loop.
const OFTEN: u32 = 10;

const WITHIN: Duration = Duration::from_secs(60);

/// Questions remembered.
const MOST: u64 = 10_000;

/// How often each caller has asked each question of late.
#[derive(Debug, Clone)]
pub(crate) struct RepeatDetector(Cache<(String, String, String), Arc<AtomicU32>>);

impl Default for RepeatDetector {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MOST).time_to_live(WITHIN).build())
    }
}

impl RepeatDetector {
    /// Counts a call; says which time it is.
    pub(crate) fn count(&self, call: &AuditEntry) -> u32 {
        let key = (call.caller.clone(), call.tool.clone(), call.arguments.clone());
        self.0.get_with(key, Arc::default).fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// Adds to the notes of every tenth answer that it was asked for often. The answer is as it was otherwise.
    pub(crate) fn hint(&self, answer: &mut CallToolResult, times: u32) {
        if !times.is_multiple_of(OFTEN) || answer.is_error == Some(true) {
            return;
        }
        let Some(Value::Object(content)) = &mut answer.structured_content else { return };
        let note = format!(
            "This was asked {times} times within a minute with the same arguments. Go on from the answer; of the ledger it stays \
            the same until the next snapshot."
        );
        match content.entry("notes").or_insert_with(|| json!([])) {
            Value::Array(notes) => notes.push(note.into()),
            _ => return,
        }
        *answer = CallToolResult::structured(Value::Object(std::mem::take(content)));
    }
}
