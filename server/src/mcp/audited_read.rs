//! A read without a tool (resource, prompt, completion): its permission, its span and its entry in the audit log.

use std::time::Instant;

use rmcp::{ErrorData, RoleServer, service::RequestContext};
use tagledger_audit::AuditEntry;
use tagledger_http::Principal;

use crate::{app_state::AppState, audit_writer::digest, auth::caller::require_read, mcp::spans::Span};

/// A read that has begun.
pub(crate) struct AuditedRead {
    pub(crate) caller: Principal,
    method: &'static str,
    target_digest: String,
    started_at: Instant,
    span: Span,
}

impl AuditedRead {
    /// Begins a read of `target` by the MCP method `method`. The audit log contains a digest of the target.
    ///
    /// # Errors
    ///
    /// When the caller does not have the scope `read`.
    pub(crate) fn begin(
        method: &'static str,
        target: &str,
        context: &RequestContext<RoleServer>,
    ) -> Result<Self, ErrorData> {
        let caller = require_read(context)?;
        let (target_digest, span) = (digest(target.as_bytes()), Span::begin(method, "", context));
        Ok(Self { caller, method, target_digest, started_at: Instant::now(), span })
    }

    /// Ends the span and writes the entry. `bytes` is the length of the text that the client receives.
    pub(crate) fn finish(self, state: &AppState, outcome: &'static str, bytes: usize) {
        let Self { caller, method, target_digest, started_at, mut span } = self;
        let trace_id = span.trace_id();
        span.set_attribute("tagledger.bytes", i64::try_from(bytes).unwrap_or(i64::MAX));
        span.end(outcome);
        if let Some(audit) = state.audit() {
            audit.add(AuditEntry {
                outcome: outcome.to_owned(),
                bytes: bytes as u64,
                micros: u64::try_from(started_at.elapsed().as_micros()).unwrap_or(u64::MAX),
                trace_id,
                ..AuditEntry::begun(state.now(), caller.id, method.to_owned(), target_digest)
            });
        }
    }
}
