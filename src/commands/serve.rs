//! `tagledger server` and `tagledger mcp`: answer questions from the ledger.

use std::{io, net::SocketAddr, num::NonZeroU32, path::Path, process::ExitCode, sync::Arc, time::Duration};

use tagledger_http::{GuardSettings, OAuth};
use tagledger_server::{AppState, Audit, AuditSettings, RedisCache, serve_http, serve_stdio};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::now;
use crate::{
    cli::{AccessArguments, AuditWriting, DEFAULT_POLICY, GuardArguments, McpArguments, ServerArguments},
    failure::Failure,
};

/// The maximum age of a process of a desktop client, which has no health check.
const UNLIMITED_AGE: Duration = Duration::from_secs(u64::MAX);

pub(crate) async fn http(arguments: ServerArguments) -> Result<ExitCode, Failure> {
    let max_age = Duration::from_secs(u64::from(arguments.max_age_hours) * 3600);
    let guard = tagledger_server::guard(guard_settings(arguments.listen, Some(arguments.guard), None).await?)?;
    let mut state = open_state(&arguments.store.store, &arguments.policy.policy, &arguments.access, max_age)?;
    let shutdown = cancel_on_signal();
    if let Some(url) = arguments.redis.redis_url {
        state = state.with_redis_cache(RedisCache::open(&url, shutdown.clone())?);
    }
    let audit = open_audit(&arguments.audit)?;
    if let Some(audit) = &audit {
        state = state.with_audit(Arc::clone(audit));
    }
    serve_http(Arc::new(state), guard, shutdown, |_| {}).await?;
    audit.iter().for_each(|audit| audit.flush());
    Ok(ExitCode::SUCCESS)
}

fn open_audit(arguments: &AuditWriting) -> Result<Option<Arc<Audit>>, Failure> {
    if arguments.audit_days == 0 {
        return Ok(None);
    }
    let settings = AuditSettings { path: arguments.setting.audit.clone(), days: arguments.audit_days, clock: now };
    Ok(Some(Audit::open(settings)?))
}

pub(crate) async fn stdio(arguments: McpArguments) -> Result<ExitCode, Failure> {
    let state = open_state(&arguments.store.store, &arguments.policy.policy, &arguments.access, UNLIMITED_AGE)?;
    serve_stdio(Arc::new(state), cancel_on_signal()).await?;
    Ok(ExitCode::SUCCESS)
}

/// The default policy file may be missing, because a desktop client starts the process in another folder. The policy in the
/// ledger is then used. A configured file must exist.
fn open_state(store: &Path, policy: &Path, access: &AccessArguments, max_age: Duration) -> Result<AppState, Failure> {
    let exists = policy.exists();
    if !exists && policy != Path::new(DEFAULT_POLICY) {
        let source = io::ErrorKind::NotFound.into();
        return Err(Failure::Read { path: policy.to_owned(), source });
    }
    Ok(with_lookups(AppState::new(store, exists.then_some(policy), max_age, now), access))
}

#[cfg(not(feature = "aws"))]
fn with_lookups(state: AppState, _: &AccessArguments) -> AppState {
    state
}

/// Adds live lookups. A client waits for a lookup, so it has a short timeout and few attempts.
#[cfg(feature = "aws")]
fn with_lookups(state: AppState, access: &AccessArguments) -> AppState {
    use tagledger_aws::{AwsSettings, LazyAws};

    let AccessArguments { role_name, external_id, rate_percent } = access;
    state.with_lookup(Arc::new(LazyAws::new(AwsSettings {
        role_name: Some(role_name.clone()),
        external_id: external_id.clone(),
        rate_percent: *rate_percent,
        attempt_timeout: Duration::from_secs(6),
        max_attempts: 4,
        ..AwsSettings::default()
    })))
}

/// The settings of the request guard. Without arguments only requests from this machine are accepted.
pub(super) async fn guard_settings(
    listen: SocketAddr,
    arguments: Option<GuardArguments>,
    control_key: Option<String>,
) -> Result<GuardSettings, Failure> {
    let local_only = GuardSettings {
        listen,
        keys: None,
        oauth: None,
        control_key,
        names: Vec::new(),
        requests_per_minute: NonZeroU32::MAX,
        clock: now,
    };
    let Some(GuardArguments { keys, oauth, allowed_hosts: names, requests_per_minute }) = arguments else {
        return Ok(local_only);
    };
    let oauth = match oauth.settings()? {
        Some(settings) => Some(Arc::new(OAuth::open(settings).await?)),
        None => None,
    };
    Ok(GuardSettings { keys: Some(keys.keys), oauth, names, requests_per_minute, ..local_only })
}

/// Returns a token that is cancelled by Ctrl-C or SIGTERM.
pub(super) fn cancel_on_signal() -> CancellationToken {
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    tokio::spawn(async move {
        let termination = async {
            match signal(SignalKind::terminate()) {
                Ok(mut signal) => drop(signal.recv().await),
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = termination => {}
        }
        token.cancel();
    });
    shutdown
}
