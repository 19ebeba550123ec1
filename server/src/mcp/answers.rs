//! Answers at hand: one is always the same for the same snapshot, policy file, tool, arguments and accounts, so none is stale for
//! longer than a millisecond, whoever worked it out.

use std::sync::Arc;

use moka::{policy::EvictionPolicy, sync::Cache};
use rmcp::model::{CallToolRequestParams, CallToolResult, JsonObject};
use shared::checksum;

use crate::{
    ledger::{Ledger, Moment},
    reach::Reach,
    tools::{LEARNT, LIVE},
};

/// What all answers kept may have together, bytes. A hundred or so: who asks the same over and over asks a handful.
const MOST_BYTES: u64 = 6 << 20;

/// How long servers share an answer, seconds: it is asked for until the next night.
const SHARED_FOR: u64 = 36 * 3600;

/// All that an answer depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Question {
    moment: Moment,
    /// What the policy file says.
    policy: String,
    tool: String,
    /// As JSON: objects have their keys in order.
    arguments: String,
    reach: Reach,
}

/// The answers that were given.
#[derive(Debug, Clone)]
pub(super) struct Answers(Cache<Question, Arc<CallToolResult>>);

impl Question {
    /// Under which name servers share its answer.
    fn shared_as(&self) -> String {
        let Self { moment, policy, tool, arguments, reach } = self;
        let [moment, reach] = [format!("{moment:?}"), format!("{reach:?}")];
        checksum::name("tagledger:answer", &[&moment, policy, tool, arguments, &reach])
    }
}

impl Default for Answers {
    fn default() -> Self {
        // What was asked last is asked again: an answer is not refused its place because others were asked for more often before.
        let cache = Cache::builder().max_capacity(MOST_BYTES).eviction_policy(EvictionPolicy::lru());
        Self(cache.weigher(|question: &Question, answer: &Arc<CallToolResult>| weight(question, answer)).build())
    }
}

impl Answers {
    /// The question, if its answer may be kept. None when there is no snapshot or the ledger cannot be read: that is for the
    /// tool to tell. None for what asks AWS, nor for what rests on what is learnt after a snapshot until it has been, nor for a
    /// later page, which hardly anybody asks for twice.
    pub(super) fn question(ledger: &Ledger, request: &CallToolRequestParams, reach: &Reach) -> Option<Question> {
        if LIVE.contains(&request.name.as_ref()) {
            return None;
        }
        // What stands in a file of the caller's choice is nowhere in the question.
        let open = |arguments: &JsonObject| arguments.contains_key("cursor") || arguments.contains_key("policy_file");
        if request.arguments.as_ref().is_some_and(open) {
            return None;
        }
        let moment = ledger.moment()?;
        if LEARNT.contains(&request.name.as_ref()) && !ledger.has_learnt(moment) {
            return None;
        }
        let arguments = serde_json::to_string(&request.arguments).ok()?;
        let policy = ledger.policy().content();
        Some(Question { moment, policy, tool: request.name.to_string(), arguments, reach: reach.clone() })
    }

    /// The answer, from memory or from what other servers have given.
    pub(super) async fn get(&self, question: &Question, ledger: &Ledger) -> Option<CallToolResult> {
        if let Some(answer) = self.0.get(question) {
            return Some(answer.as_ref().clone());
        }
        let found = ledger.shelf()?.get(question.shared_as()).await?;
        let answer = CallToolResult::structured(serde_json::from_slice(&found).ok()?);
        self.0.insert(question.clone(), Arc::new(answer.clone()));
        Some(answer)
    }

    /// Keeps an answer, unless it says that something went wrong.
    pub(super) fn keep(&self, question: Question, answer: &CallToolResult, ledger: &Ledger) {
        // What changed meanwhile may have been answered from.
        let as_before =
            || question.policy == ledger.policy().content() && ledger.look_for_moment() == Some(question.moment);
        if answer.is_error == Some(true) || !as_before() {
            return;
        }
        if let (Some(shelf), Some(content)) = (ledger.shelf(), &answer.structured_content) {
            shelf.put(question.shared_as(), content.to_string().as_bytes(), SHARED_FOR);
        }
        self.0.insert(question, Arc::new(answer.clone()));
    }
}

/// About: an answer stands there twice, as text and as a structure that takes more.
fn weight(question: &Question, answer: &CallToolResult) -> u32 {
    let text: usize = answer.content.iter().filter_map(|block| block.as_text()).map(|text| text.text.len()).sum();
    u32::try_from(5 * text + question.arguments.len() + 200).unwrap_or(u32::MAX)
}
