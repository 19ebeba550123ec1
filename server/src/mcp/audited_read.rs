//! A read of the ledger that is written to the audit log.

use std::time::Instant;

use rmcp::{ErrorData, RoleServer, service::RequestContext};
use tagledger_http::Principal;

use crate::{audit_writer::digest, auth::caller::may_read, mcp::spans::Span};

/// What is read without a tool.
pub(crate) struct AuditedRead {
    pub(crate) caller: Principal,
    pub(crate) method: &'static str,
    /// Digest of what tells one from another.
    pub(crate) of: String,
    pub(crate) began: Instant,
    pub(crate) span: Span,
}

impl AuditedRead {
    /// `method`: of the protocol; `of` tells one from another.
    pub(crate) fn begin(
        method: &'static str,
        of: &str,
        context: &RequestContext<RoleServer>,
    ) -> Result<Self, ErrorData> {
        let caller = may_read(context)?;
        let (of, span) = (digest(of.as_bytes()), Span::begin(method, "", context));
        Ok(Self { caller, method, of, began: Instant::now(), span })
    }
}
