//! `tagledger server` and `tagledger mcp`.

use std::{path::Path, process::ExitCode, sync::Arc, time::Duration};

use server::{Ledger, serve_http, serve_stdio};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::now;
use crate::{
    cli::{McpArguments, ServerArguments},
    failure::Failure,
};

/// Nobody asks a desktop client's process for its health.
const ANY_AGE: Duration = Duration::from_secs(u64::MAX);

pub(crate) async fn http(arguments: ServerArguments) -> Result<ExitCode, Failure> {
    let max_age = Duration::from_secs(u64::from(arguments.max_age_hours) * 3600);
    let ledger = ledger(&arguments.store.store, &arguments.policy.policy, max_age);
    serve_http(ledger, arguments.listen, end_signal(), |_| {}).await?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn stdio(arguments: McpArguments) -> Result<ExitCode, Failure> {
    let ledger = ledger(&arguments.store.store, &arguments.policy.policy, ANY_AGE);
    serve_stdio(ledger, end_signal()).await?;
    Ok(ExitCode::SUCCESS)
}

/// A desktop client starts us in some folder of its own, so a policy file that is not there is not missed: the ledger
/// keeps the policy that judged it.
fn ledger(store: &Path, policy: &Path, max_age: Duration) -> Arc<Ledger> {
    let policy = policy.exists().then_some(policy);
    Arc::new(Ledger::new(store, policy, max_age, now))
}

/// Cancelled by Ctrl-C or SIGTERM.
pub(super) fn end_signal() -> CancellationToken {
    let end = CancellationToken::new();
    let ended = end.clone();
    tokio::spawn(async move {
        let terminated = async {
            match signal(SignalKind::terminate()) {
                Ok(mut signal) => drop(signal.recv().await),
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = terminated => {}
        }
        ended.cancel();
    });
    end
}
