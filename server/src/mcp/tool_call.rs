//! One tool call: who may, whether the answer is at hand, and what is kept of it.

use std::{sync::Arc, time::Instant};

use jiff::Timestamp;
use rmcp::{
    ErrorData, RoleServer,
    handler::server::tool::ToolCallContext,
    model::{CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock},
    service::RequestContext,
};
use tagledger_audit::AuditEntry;
use tagledger_http::{LOCAL, Principal};
use tokio::runtime::Handle;

use crate::{
    audit_writer::digest,
    auth::{account_scope::AccountScope, caller::caller},
    lookup::client::counting,
    mcp::{
        answer_cache::AnswerCache,
        audited_read::AuditedRead,
        call_metrics::outcome,
        handler::{Mcp, Transport},
        prompt_injection,
        spans::Span,
        tool_names::known_tool,
    },
    tools::registry::{self, CostClass, required_scope},
};

impl Mcp {
    pub(crate) async fn called(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let caller = caller(&context.extensions);
        // Without keys, whoever is on this machine is one caller, though they may be many.
        let one = caller.id != LOCAL || self.transport == Transport::Connection;
        let call = ToolCall::begin(&caller, &request, &context, self.ledger.now());
        let call = if one || self.ledger.audit().is_some() { call.naming(&request) } else { call };
        if let Err(lacking) = permitted(&caller, &request.name) {
            self.keep_call(call, "refused", 0, None);
            return Ok(CallToolResult::error(vec![ContentBlock::text(lacking)]).into());
        }
        let (mut called, lookups) = counting(self.answered(&caller, request, context)).await;
        if let (true, Ok(CallToolResponse::Complete(answer))) = (one, &mut called) {
            self.repeats.hint(answer, self.repeats.count(&call.entry));
        }
        let answer = match &called {
            Ok(CallToolResponse::Complete(answer)) => Some(answer),
            _ => None,
        };
        self.keep_call(call, outcome(&called), lookups, answer);
        called
    }

    async fn answered(
        &self,
        caller: &Principal,
        request: CallToolRequestParams,
        mut context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let reach = AccountScope::of(caller);
        let question = AnswerCache::question(&self.ledger, &request, &reach);
        context.extensions.insert(reach);
        let at_hand = match &question {
            Some(question) => self.answers.get(question, &self.ledger).await,
            None => None,
        };
        if let Some(answer) = at_hand {
            self.calls.at_hand();
            return Ok(answer.into());
        }
        let mut called = self.worked_out(request, context).await;
        if let Ok(CallToolResponse::Complete(answer)) = &mut called {
            prompt_injection::flag(answer);
        }
        if let (Some(question), Ok(CallToolResponse::Complete(answer))) = (question, &called) {
            self.answers.keep(question, answer, &self.ledger);
        }
        called
    }

    /// Works an answer out. What takes more than a moment does so on a thread of its own, as many at a time as there are processors:
    /// who asks for health, or for little, shall not wait for it.
    async fn worked_out(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if registry::find(&request.name).is_none_or(|tool| tool.cost == CostClass::Light) {
            return self.router.call(ToolCallContext::new(self, request, context)).await;
        }
        let Ok(turn) = Arc::clone(&self.turns).acquire_owned().await else { return Err(ended()) };
        let (this, runtime) = (self.clone(), Handle::current());
        let working = tokio::task::spawn_blocking(move || {
            // Held until the work is done, and not until somebody stops waiting for it.
            let _turn = turn;
            runtime.block_on(this.router.call(ToolCallContext::new(&this, request, context)))
        });
        working.await.unwrap_or_else(|_| Err(ended()))
    }

    /// Ends the span of what was read without a tool, and hands it to the audit log.
    pub(crate) fn keep_read(&self, read: AuditedRead, outcome: &'static str, bytes: usize) {
        let AuditedRead { caller, method, of, began, mut span } = read;
        let trace_id = span.trace_id();
        span.say("tagledger.bytes", whole(bytes as u64));
        span.end(outcome);
        if let Some(audit) = self.ledger.audit() {
            audit.add(AuditEntry {
                outcome: outcome.to_owned(),
                bytes: bytes as u64,
                micros: u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
                trace_id,
                ..AuditEntry::begun(self.ledger.now(), caller.id, method.to_owned(), of)
            });
        }
    }

    /// Counts a call, ends its span, and hands it to the audit log.
    fn keep_call(&self, call: ToolCall, outcome: &'static str, lookups: u64, answer: Option<&CallToolResult>) {
        let ToolCall { entry, began, mut span } = call;
        let took = began.elapsed();
        self.calls.ended(&entry.tool, outcome, took);
        let (rows, bytes) = answer.map_or((0, 0), size);
        span.say("tagledger.rows", whole(rows));
        span.say("tagledger.bytes", whole(bytes));
        span.say("tagledger.aws_lookups", whole(lookups));
        span.end(outcome);
        if let Some(audit) = self.ledger.audit() {
            audit.add(AuditEntry {
                outcome: outcome.to_owned(),
                rows,
                bytes,
                micros: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
                aws_lookups: lookups,
                ..entry
            });
        }
    }
}

fn ended() -> ErrorData {
    ErrorData::internal_error("the answer could not be worked out; the server's log says why", None)
}

/// A call in hand.
struct ToolCall {
    entry: AuditEntry,
    began: Instant,
    span: Span,
}

impl ToolCall {
    fn begin(
        caller: &Principal,
        request: &CallToolRequestParams,
        context: &RequestContext<RoleServer>,
        at: Timestamp,
    ) -> Self {
        let tool = known_tool(&request.name);
        let mut span = Span::begin("tools/call", tool, context);
        span.say("gen_ai.tool.name", tool);
        span.say("gen_ai.operation.name", "execute_tool");
        let begun = AuditEntry::begun(at, caller.id.clone(), tool.to_owned(), String::new());
        Self { entry: AuditEntry { trace_id: span.trace_id(), ..begun }, began: Instant::now(), span }
    }

    /// With the digest of what is asked.
    fn naming(mut self, request: &CallToolRequestParams) -> Self {
        self.entry.arguments = digest(&serde_json::to_vec(&request.arguments).unwrap_or_default());
        self
    }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Rows of the longest list, and bytes.
fn size(answer: &CallToolResult) -> (u64, u64) {
    let lists = answer.structured_content.iter().filter_map(|content| content.as_object());
    let rows = lists.flat_map(|content| content.values()).filter_map(|value| value.as_array()).map(Vec::len).max();
    let bytes: usize = answer.content.iter().filter_map(|block| block.as_text()).map(|text| text.text.len()).sum();
    (rows.unwrap_or_default() as u64, bytes as u64)
}

/// Whether a caller may use a tool; what their key lacks where not.
fn permitted(caller: &Principal, tool: &str) -> Result<(), String> {
    let scope = required_scope(tool);
    if caller.may(scope) {
        return Ok(());
    }
    let scope = scope.as_str();
    Err(format!(
        "this key may not be used for that: it lacks the scope `{scope}`; `tagledger key create` makes one with it"
    ))
}
