//! One tool call: permission, cache, computation, metrics, span and audit entry.

use std::{num::NonZeroUsize, sync::Arc, thread::available_parallelism, time::Instant};

use rmcp::{
    ErrorData, RoleServer,
    handler::server::{router::tool::ToolRouter, tool::ToolCallContext},
    model::{CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Tool},
    service::RequestContext,
};
use tagledger_audit::AuditEntry;
use tagledger_http::{LOCAL, Principal};
use tokio::{runtime::Handle, sync::Semaphore};

use crate::{
    app_state::AppState,
    audit_writer::digest,
    auth::{account_scope::AccountScope, caller::identify_caller},
    lookup::client::count_listings,
    mcp::{
        answer_cache::AnswerCache,
        call_metrics::{CallMetrics, outcome},
        prompt_injection,
        repeat_detector::RepeatDetector,
        spans::Span,
        tool_names::known_tool,
        tool_router::Tools,
        transport::Transport,
    },
    tools::registry::{self, CostClass, required_scope},
};

/// Executes tool calls. Clones share the cache and the metrics.
#[derive(Clone)]
pub(crate) struct ToolCaller {
    state: Arc<AppState>,
    tools: Arc<Tools>,
    router: Arc<ToolRouter<Tools>>,
    transport: Transport,
    cache: AnswerCache,
    metrics: CallMetrics,
    repeats: RepeatDetector,
    /// Permits for expensive calls, one for each processor.
    blocking_permits: Arc<Semaphore>,
}

impl ToolCaller {
    pub(crate) fn new(state: Arc<AppState>, transport: Transport, metrics: CallMetrics) -> Self {
        let permits = available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            tools: Arc::new(Tools::new(Arc::clone(&state))),
            state,
            router: Arc::new(Tools::tool_router()),
            transport,
            cache: AnswerCache::default(),
            metrics,
            repeats: RepeatDetector::default(),
            blocking_permits: Arc::new(Semaphore::new(permits)),
        }
    }

    /// The definition of a tool.
    pub(crate) fn find_tool(&self, name: &str) -> Option<Tool> {
        self.router.get(name).cloned()
    }

    /// Executes a call.
    ///
    /// # Errors
    ///
    /// When the tool does not exist, its arguments are invalid, or the ledger cannot be read. Other failures are tool
    /// errors, which are answers.
    pub(crate) async fn call(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let caller = identify_caller(&context.extensions);
        let arguments = serde_json::to_string(&request.arguments).unwrap_or_default();
        // Without keys, all programs of this machine have the same id, so that repeats over HTTP cannot be attributed.
        let detect_repeats = caller.id != LOCAL || self.transport == Transport::Connection;
        let mut call = CallRecord::begin(&caller, &request, &context, &self.state);
        if detect_repeats || self.state.audit().is_some() {
            call.entry.arguments = digest(arguments.as_bytes());
        }
        if let Err(missing) = require_scope(&caller, &request.name) {
            self.finish(call, "refused", 0, None);
            return Ok(CallToolResult::error(vec![ContentBlock::text(missing)]).into());
        }
        let (mut result, lookups) = count_listings(self.answer(&caller, request, &arguments, context)).await;
        if let (true, Ok(CallToolResponse::Complete(answer))) = (detect_repeats, &mut result) {
            self.repeats.add_note(answer, self.repeats.count(&call.entry));
        }
        let answer = match &result {
            Ok(CallToolResponse::Complete(answer)) => Some(answer),
            _ => None,
        };
        self.finish(call, outcome(&result), lookups, answer);
        result
    }

    /// The answer from the cache, or else a computed one, which is cached.
    async fn answer(
        &self,
        caller: &Principal,
        request: CallToolRequestParams,
        arguments: &str,
        mut context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let scope = AccountScope::from_principal(caller);
        let key = AnswerCache::key(&self.state, &request, arguments, &scope);
        context.extensions.insert(scope);
        let cached = match &key {
            Some(key) => self.cache.get(key, &self.state).await,
            None => None,
        };
        if let Some(answer) = cached {
            self.metrics.count_cached();
            return Ok(answer.into());
        }
        let mut result = self.compute(request, context).await;
        if let Ok(CallToolResponse::Complete(answer)) = &mut result {
            prompt_injection::add_note(answer);
        }
        if let (Some(key), Ok(CallToolResponse::Complete(answer))) = (key, &result) {
            self.cache.put(key, answer, &self.state);
        }
        result
    }

    /// Runs the tool. Expensive tools run on blocking threads, at most one for each processor, so that health checks and
    /// cheap calls do not wait for them.
    async fn compute(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if registry::find(&request.name).is_none_or(|tool| tool.cost == CostClass::Light) {
            return self.router.call(ToolCallContext::new(&*self.tools, request, context)).await;
        }
        let Ok(permit) = Arc::clone(&self.blocking_permits).acquire_owned().await else { return Err(not_computed()) };
        let (tools, router, runtime) = (Arc::clone(&self.tools), Arc::clone(&self.router), Handle::current());
        let computation = tokio::task::spawn_blocking(move || {
            // Held until the computation ends: dropping the request does not stop it.
            let _permit = permit;
            runtime.block_on(router.call(ToolCallContext::new(&*tools, request, context)))
        });
        computation.await.unwrap_or_else(|_| Err(not_computed()))
    }

    /// Records the metrics, ends the span and writes the audit entry.
    fn finish(&self, call: CallRecord, outcome: &'static str, lookups: u64, answer: Option<&CallToolResult>) {
        let CallRecord { entry, started_at, mut span } = call;
        let duration = started_at.elapsed();
        self.metrics.record(&entry.tool, outcome, duration);
        let (rows, bytes) = answer.map_or((0, 0), measure);
        span.set_attribute("tagledger.rows", to_i64(rows));
        span.set_attribute("tagledger.bytes", to_i64(bytes));
        span.set_attribute("tagledger.aws_lookups", to_i64(lookups));
        span.end(outcome);
        if let Some(audit) = self.state.audit() {
            audit.add(AuditEntry {
                outcome: outcome.to_owned(),
                rows,
                bytes,
                micros: u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
                aws_lookups: lookups,
                ..entry
            });
        }
    }
}

fn not_computed() -> ErrorData {
    ErrorData::internal_error("the answer could not be computed; the server's log says why", None)
}

/// A call that has begun.
struct CallRecord {
    entry: AuditEntry,
    started_at: Instant,
    span: Span,
}

impl CallRecord {
    fn begin(
        caller: &Principal,
        request: &CallToolRequestParams,
        context: &RequestContext<RoleServer>,
        state: &AppState,
    ) -> Self {
        let tool = known_tool(&request.name);
        let mut span = Span::begin("tools/call", tool, context);
        span.set_attribute("gen_ai.tool.name", tool);
        span.set_attribute("gen_ai.operation.name", "execute_tool");
        let entry = AuditEntry::begun(state.now(), caller.id.clone(), tool.to_owned(), String::new());
        Self { entry: AuditEntry { trace_id: span.trace_id(), ..entry }, started_at: Instant::now(), span }
    }
}

fn to_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The number of rows of the longest list, and the number of bytes of the text.
fn measure(answer: &CallToolResult) -> (u64, u64) {
    let objects = answer.structured_content.iter().filter_map(|content| content.as_object());
    let rows = objects.flat_map(|content| content.values()).filter_map(|value| value.as_array()).map(Vec::len).max();
    let bytes: usize = answer.content.iter().filter_map(|block| block.as_text()).map(|text| text.text.len()).sum();
    (rows.unwrap_or_default() as u64, bytes as u64)
}

/// Verifies that the caller has the scope of the tool.
///
/// # Errors
///
/// When it does not: the text of a tool error.
fn require_scope(caller: &Principal, tool: &str) -> Result<(), String> {
    let scope = required_scope(tool);
    if caller.may(scope) {
        return Ok(());
    }
    let scope = scope.as_str();
    Err(format!(
        "this key may not be used for that: it lacks the scope `{scope}`; `tagledger key create` makes one with it"
    ))
}
