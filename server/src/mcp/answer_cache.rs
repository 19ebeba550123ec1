//! Answers at hand: one is always the same for the same snapshot, policy file, tool, arguments and accounts, so none is stale for
//! longer than a millisecond, whoever worked it out.

use std::sync::Arc;

use moka::{policy::EvictionPolicy, sync::Cache};
use rmcp::model::{CallToolRequestParams, CallToolResult, JsonObject};
use tagledger_redis::envelope;

use crate::{
    app_state::AppState,
    auth::account_scope::{AccountRestriction, AccountScope},
    snapshot_ref::SnapshotKey,
    tools::registry::{self, Source},
};

/// What all answers kept may have together, bytes. A hundred or so: who asks the same over and over asks a handful.
const MOST_BYTES: u64 = 6 << 20;

/// How long servers share an answer, seconds: it is asked for until the next night.
const SHARED_FOR: u64 = 36 * 3600;

/// All that an answer depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct CacheKey {
    moment: SnapshotKey,
    /// What the policy file says.
    policy: String,
    tool: String,
    /// As JSON: objects have their keys in order.
    arguments: String,
    reach: AccountScope,
}

/// The answers that were given.
#[derive(Debug, Clone)]
pub(crate) struct AnswerCache(Cache<CacheKey, Arc<CallToolResult>>);

impl CacheKey {
    /// Under which name servers share its answer.
    fn shared_as(&self) -> String {
        let Self { moment, policy, tool, arguments, reach } = self;
        let [moment, reach] = [format!("{moment:?}"), format!("{reach:?}")];
        envelope::name("tagledger:answer", &[&moment, policy, tool, arguments, &reach])
    }
}

impl Default for AnswerCache {
    fn default() -> Self {
        // What was asked last is asked again: an answer is not refused its place because others were asked for more often before.
        let cache = Cache::builder().max_capacity(MOST_BYTES).eviction_policy(EvictionPolicy::lru());
        Self(cache.weigher(|question: &CacheKey, answer: &Arc<CallToolResult>| weight(question, answer)).build())
    }
}

impl AnswerCache {
    /// The question, if its answer may be kept. None when there is no snapshot or the ledger cannot be read: that is for the
    /// tool to tell. None for what asks AWS, nor for what rests on what is learnt after a snapshot until it has been, nor for a
    /// later page, which hardly anybody asks for twice.
    pub(crate) fn question(
        ledger: &AppState,
        request: &CallToolRequestParams,
        reach: &AccountScope,
    ) -> Option<CacheKey> {
        let tool = registry::find(&request.name).filter(|tool| tool.source == Source::Snapshot)?;
        // The tool refuses keys for some accounts, and a refusal is not cached.
        if tool.accounts == AccountRestriction::EntireEstate && !reach.is_all() {
            return None;
        }
        // What stands in a file of the caller's choice is nowhere in the question.
        let open = |arguments: &JsonObject| arguments.contains_key("cursor") || arguments.contains_key("policy_file");
        if request.arguments.as_ref().is_some_and(open) {
            return None;
        }
        let moment = ledger.snapshot_key()?;
        if tool.needs_model && !ledger.is_model_trained(moment) {
            return None;
        }
        let arguments = serde_json::to_string(&request.arguments).ok()?;
        let policy = ledger.policy().content();
        Some(CacheKey { moment, policy, tool: request.name.to_string(), arguments, reach: reach.clone() })
    }

    /// The answer, from memory or from what other servers have given.
    pub(crate) async fn get(&self, question: &CacheKey, ledger: &AppState) -> Option<CallToolResult> {
        if let Some(answer) = self.0.get(question) {
            return Some(answer.as_ref().clone());
        }
        let found = ledger.redis_cache()?.get(question.shared_as()).await?;
        let answer = CallToolResult::structured(serde_json::from_slice(&found).ok()?);
        self.0.insert(question.clone(), Arc::new(answer.clone()));
        Some(answer)
    }

    /// Keeps an answer, unless it says that something went wrong.
    pub(crate) fn keep(&self, question: CacheKey, answer: &CallToolResult, ledger: &AppState) {
        // What changed meanwhile may have been answered from.
        let as_before =
            || question.policy == ledger.policy().content() && ledger.read_snapshot_key() == Some(question.moment);
        if answer.is_error == Some(true) || !as_before() {
            return;
        }
        if let (Some(shelf), Some(content)) = (ledger.redis_cache(), &answer.structured_content) {
            shelf.put(question.shared_as(), content.to_string().as_bytes(), SHARED_FOR);
        }
        self.0.insert(question, Arc::new(answer.clone()));
    }
}

/// About: an answer stands there twice, as text and as a structure that takes more.
fn weight(question: &CacheKey, answer: &CallToolResult) -> u32 {
    let text: usize = answer.content.iter().filter_map(|block| block.as_text()).map(|text| text.text.len()).sum();
    u32::try_from(5 * text + question.arguments.len() + 200).unwrap_or(u32::MAX)
}
