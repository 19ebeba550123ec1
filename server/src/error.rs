//! Why a tool call fails.

use rmcp::{
    ErrorData,
    handler::server::tool::IntoCallToolResult,
    model::{CallToolResponse, CallToolResult, ContentBlock},
};
use tagledger_ledger::{LedgerError, page_token::InvalidPageToken};
use tagledger_model::error_chain::ErrorChain;

/// Why a tool call has no answer, by who can correct the cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ToolFailure {
    /// The caller can correct the cause. The text says how.
    Caller(String),
    /// Only the operator can correct the cause. It is in the log; the caller gets no details.
    Internal,
    /// The read took longer than its time limit. A later call can succeed.
    Timeout(String),
}

impl From<InvalidPageToken> for ToolFailure {
    fn from(error: InvalidPageToken) -> Self {
        Self::Caller(error.to_string())
    }
}

impl From<LedgerError> for ToolFailure {
    fn from(error: LedgerError) -> Self {
        match &error {
            LedgerError::Query { .. } | LedgerError::Content { .. } | LedgerError::Damaged { .. } => {
                tracing::error!("a tool call failed because the ledger could not be read: {}", ErrorChain(&error));
                Self::Internal
            }
            LedgerError::OutOfTime => {
                tracing::warn!("a tool call was stopped: {error}");
                Self::Timeout(error.to_string())
            }
            // These errors say how to correct the cause, and contain no more than the path of the ledger.
            _ => Self::Caller(error.to_string()),
        }
    }
}

impl IntoCallToolResult for ToolFailure {
    fn into_call_tool_result(self) -> Result<CallToolResponse, ErrorData> {
        match self {
            Self::Caller(text) | Self::Timeout(text) => {
                Ok(CallToolResult::error(vec![ContentBlock::text(text)]).into())
            }
            Self::Internal => {
                Err(ErrorData::internal_error("the server could not read the ledger; see the server's log", None))
            }
        }
    }
}
