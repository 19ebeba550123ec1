//! Answers at hand: one is always the same for the same snapshot, policy file, tool and arguments, so nothing is ever stale.

use std::sync::Arc;

use moka::sync::Cache;
use rmcp::model::{CallToolRequestParams, CallToolResult, JsonObject};

use crate::{
    ledger::{Ledger, Moment},
    reach::Reach,
    tools::{LEARNT, LIVE},
};

/// What all answers kept may have together, bytes. Some hundred: who asks the same over and over asks a handful.
const MOST_BYTES: u64 = 16 << 20;

/// All that an answer depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Question {
    moment: Moment,
    tool: String,
    /// As JSON: objects have their keys in order.
    arguments: String,
    reach: Reach,
}

/// The answers that were given.
#[derive(Debug, Clone)]
pub(super) struct Answers(Cache<Question, Arc<CallToolResult>>);

impl Default for Answers {
    fn default() -> Self {
        let cache = Cache::builder().max_capacity(MOST_BYTES);
        Self(cache.weigher(|question: &Question, answer: &Arc<CallToolResult>| weight(question, answer)).build())
    }
}

impl Answers {
    /// The question, if its answer may be kept. None when there is no snapshot or the ledger cannot be read: that is for the
    /// tool to tell. None for what asks AWS or rests on what is learnt after a snapshot, nor for a later page, which hardly anybody asks for twice.
    pub(super) fn question(ledger: &Ledger, request: &CallToolRequestParams, reach: &Reach) -> Option<Question> {
        if LIVE.contains(&request.name.as_ref()) || LEARNT.contains(&request.name.as_ref()) {
            return None;
        }
        // What stands in a file of the caller's choice is nowhere in the question.
        let open = |arguments: &JsonObject| arguments.contains_key("cursor") || arguments.contains_key("policy_file");
        if request.arguments.as_ref().is_some_and(open) {
            return None;
        }
        let moment = ledger.moment()?;
        let arguments = serde_json::to_string(&request.arguments).ok()?;
        Some(Question { moment, tool: request.name.to_string(), arguments, reach: reach.clone() })
    }

    pub(super) fn get(&self, question: &Question) -> Option<CallToolResult> {
        self.0.get(question).map(|answer| answer.as_ref().clone())
    }

    /// Keeps an answer, unless it says that something went wrong.
    pub(super) fn keep(&self, question: Question, answer: &CallToolResult) {
        if answer.is_error != Some(true) {
            self.0.insert(question, Arc::new(answer.clone()));
        }
    }
}

/// About: an answer stands there twice, as text and as a structure that takes more.
fn weight(question: &Question, answer: &CallToolResult) -> u32 {
    let text: usize = answer.content.iter().filter_map(|block| block.as_text()).map(|text| text.text.len()).sum();
    u32::try_from(4 * text + question.arguments.len() + 200).unwrap_or(u32::MAX)
}
