//! MCP over standard input and output.

use std::sync::Arc;

use rmcp::{ServiceExt, transport::stdio};
use tokio_util::sync::CancellationToken;

use crate::{
    app_state::AppState,
    mcp::handler::{Mcp, Transport},
    snapshot_watcher,
};

/// Why serving over stdio ended.
#[derive(Debug, thiserror::Error)]
pub enum StdioError {
    /// The client did not speak MCP.
    #[error("the client on standard input does not speak MCP")]
    Handshake(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The serving task died.
    #[error("serving over stdio ended unexpectedly")]
    Died(#[source] tokio::task::JoinError),
}

/// Serves MCP over standard input and output until the client closes them or `end` is cancelled.
///
/// # Errors
///
/// When the client does not speak MCP.
pub async fn serve_stdio(ledger: Arc<AppState>, end: CancellationToken) -> Result<(), StdioError> {
    let follow = tokio::spawn(Arc::clone(ledger.policy()).follow(end.clone()));
    let watch = snapshot_watcher::watch(Arc::clone(&ledger), end.clone());
    let service = Mcp::new(ledger, Transport::Connection, Arc::default())
        .serve_with_ct(stdio(), end)
        .await
        .map_err(|e| StdioError::Handshake(Box::new(e)))?;
    let ended = service.waiting().await.map_err(StdioError::Died);
    follow.abort();
    watch.abort();
    ended.map(drop)
}
