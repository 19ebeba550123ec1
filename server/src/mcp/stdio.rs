//! MCP over standard input and output.

use std::sync::Arc;

use rmcp::{ServiceExt, transport::stdio};
use tokio_util::sync::CancellationToken;

use crate::{
    app_state::AppState,
    mcp::{call_metrics::CallMetrics, handler::Mcp, transport::Transport},
    snapshot_watcher,
};

/// Why serving over standard input and output ended.
#[derive(Debug, thiserror::Error)]
pub enum StdioError {
    /// The handshake failed.
    #[error("the client on standard input does not speak MCP")]
    Handshake(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The serving task panicked or was aborted.
    #[error("serving over stdio ended unexpectedly")]
    Died(#[source] tokio::task::JoinError),
}

/// Serves MCP over standard input and output until the client closes them or `end` is cancelled.
///
/// # Errors
///
/// When the client does not speak MCP.
pub async fn serve_stdio(state: Arc<AppState>, end: CancellationToken) -> Result<(), StdioError> {
    let policy_task = tokio::spawn(Arc::clone(state.policy()).follow(end.clone()));
    let snapshot_task = snapshot_watcher::watch(Arc::clone(&state), end.clone());
    let service = Mcp::new(state, Transport::Connection, CallMetrics::default())
        .serve_with_ct(stdio(), end)
        .await
        .map_err(|error| StdioError::Handshake(Box::new(error)))?;
    let ended = service.waiting().await.map_err(StdioError::Died);
    policy_task.abort();
    snapshot_task.abort();
    ended.map(drop)
}
