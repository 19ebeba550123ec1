//! A cache of tool answers, in memory and in Redis.
//!
//! An answer depends on the snapshot, the policy file, the tool, its arguments and the accounts of the caller only. The
//! key contains all of these, so that a cached answer is at most one millisecond out of date.

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

/// Maximum size of all answers in memory, bytes: about a hundred answers.
const MAX_BYTES: u64 = 6 << 20;

/// How long an answer stays in Redis, seconds: somewhat longer than the usual time between two snapshots.
const SHARED_TTL_SECONDS: u64 = 36 * 3600;

/// Everything that an answer depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct CacheKey {
    snapshot: SnapshotKey,
    /// The digest of the policy file and the error of loading it.
    policy: String,
    tool: String,
    /// The arguments as JSON, with the keys of objects in order.
    arguments: String,
    scope: AccountScope,
}

impl CacheKey {
    /// The key in Redis.
    fn shared_name(&self) -> String {
        let Self { snapshot, policy, tool, arguments, scope } = self;
        let [snapshot, scope] = [format!("{snapshot:?}"), format!("{scope:?}")];
        envelope::key_name("tagledger:answer", &[&snapshot, policy, tool, arguments, &scope])
    }
}

/// The cached answers. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct AnswerCache(Cache<CacheKey, Arc<CallToolResult>>);

impl Default for AnswerCache {
    fn default() -> Self {
        // An LFU policy would refuse a new answer when older ones were requested more often.
        let cache = Cache::builder().max_capacity(MAX_BYTES).eviction_policy(EvictionPolicy::lru());
        Self(cache.weigher(|key: &CacheKey, answer: &Arc<CallToolResult>| estimate_bytes(key, answer)).build())
    }
}

impl AnswerCache {
    /// The key of a request whose answer may be cached. `arguments` are those of the request, as JSON.
    ///
    /// Not cached are: answers from AWS; answers that depend on a trained model until it is trained; answers that depend
    /// on a file of the caller; pages after the first, which are rarely requested twice; and any answer when the ledger
    /// has no snapshot or cannot be read.
    pub(crate) fn key(
        state: &AppState,
        request: &CallToolRequestParams,
        arguments: &str,
        scope: &AccountScope,
    ) -> Option<CacheKey> {
        let tool = registry::find(&request.name).filter(|tool| tool.source == Source::Snapshot)?;
        // The tool refuses keys for some accounts, and a refusal is not cached.
        if tool.accounts == AccountRestriction::EntireEstate && !scope.is_unrestricted() {
            return None;
        }
        let uncached = |given: &JsonObject| given.contains_key("cursor") || given.contains_key("policy_file");
        if request.arguments.as_ref().is_some_and(uncached) {
            return None;
        }
        let snapshot = state.snapshot_key()?;
        if tool.needs_model && !state.is_model_trained(snapshot) {
            return None;
        }
        let (tool, policy) = (request.name.to_string(), state.policy().content());
        Some(CacheKey { snapshot, policy, tool, arguments: arguments.to_owned(), scope: scope.clone() })
    }

    /// The cached answer, from memory or from Redis.
    pub(crate) async fn get(&self, key: &CacheKey, state: &AppState) -> Option<CallToolResult> {
        if let Some(answer) = self.0.get(key) {
            return Some(answer.as_ref().clone());
        }
        let stored = state.redis_cache()?.get(key.shared_name()).await?;
        let answer = CallToolResult::structured(serde_json::from_slice(&stored).ok()?);
        self.0.insert(key.clone(), Arc::new(answer.clone()));
        Some(answer)
    }

    /// Stores an answer, unless it is an error.
    pub(crate) fn put(&self, key: CacheKey, answer: &CallToolResult, state: &AppState) {
        // A snapshot or a policy that is new since the key was made may be the one that was read.
        let is_current = || key.policy == state.policy().content() && state.read_snapshot_key() == Some(key.snapshot);
        if answer.is_error == Some(true) || !is_current() {
            return;
        }
        if let (Some(cache), Some(content)) = (state.redis_cache(), &answer.structured_content) {
            cache.put(key.shared_name(), content.to_string().as_bytes(), SHARED_TTL_SECONDS);
        }
        self.0.insert(key, Arc::new(answer.clone()));
    }
}

/// An answer is stored as text and as a structure; the structure takes about four times the bytes of the text.
fn estimate_bytes(key: &CacheKey, answer: &CallToolResult) -> u32 {
    let text: usize = answer.content.iter().filter_map(|block| block.as_text()).map(|text| text.text.len()).sum();
    u32::try_from(5 * text + key.arguments.len() + 200).unwrap_or(u32::MAX)
}
