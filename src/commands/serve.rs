//! `tagledger server` and `tagledger mcp`.

use std::{io, net::SocketAddr, num::NonZeroU32, path::Path, process::ExitCode, sync::Arc, time::Duration};

use gate::{DoorSettings, OAuth};
use server::{Audit, AuditSettings, Ledger, Shelf, serve_http, serve_stdio};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::now;
use crate::{
    cli::{AccessArguments, AuditWriting, DEFAULT_POLICY, DoorArguments, McpArguments, ServerArguments},
    failure::Failure,
};

/// Nobody asks a desktop client's process for its health.
const ANY_AGE: Duration = Duration::from_secs(u64::MAX);

pub(crate) async fn http(arguments: ServerArguments) -> Result<ExitCode, Failure> {
    let max_age = Duration::from_secs(u64::from(arguments.max_age_hours) * 3600);
    let door = server::door(door(arguments.listen, Some(arguments.door), None).await?)?;
    let mut ledger = ledger(&arguments.store.store, &arguments.policy.policy, &arguments.access, max_age)?;
    let end = end_signal();
    if let Some(url) = arguments.redis.redis_url {
        ledger = ledger.sharing(Shelf::open(&url, end.clone())?);
    }
    let audit = audit(&arguments.audit)?;
    if let Some(audit) = &audit {
        ledger = ledger.audited(Arc::clone(audit));
    }
    serve_http(Arc::new(ledger), door, end, |_| {}).await?;
    audit.iter().for_each(|audit| audit.flush());
    Ok(ExitCode::SUCCESS)
}

fn audit(arguments: &AuditWriting) -> Result<Option<Arc<Audit>>, Failure> {
    if arguments.audit_days == 0 {
        return Ok(None);
    }
    let settings = AuditSettings { path: arguments.setting.audit.clone(), days: arguments.audit_days, clock: now };
    Ok(Some(Audit::open(settings)?))
}

pub(crate) async fn stdio(arguments: McpArguments) -> Result<ExitCode, Failure> {
    let ledger = ledger(&arguments.store.store, &arguments.policy.policy, &arguments.access, ANY_AGE)?;
    serve_stdio(Arc::new(ledger), end_signal()).await?;
    Ok(ExitCode::SUCCESS)
}

/// A desktop client starts us in some folder of its own, so the default policy file is not missed there: the ledger keeps
/// the policy that judged it. A file that somebody named is.
fn ledger(store: &Path, policy: &Path, access: &AccessArguments, max_age: Duration) -> Result<Ledger, Failure> {
    let there = policy.exists();
    if !there && policy != Path::new(DEFAULT_POLICY) {
        let source = io::ErrorKind::NotFound.into();
        return Err(Failure::Read { path: policy.to_owned(), source });
    }
    Ok(looking(Ledger::new(store, there.then_some(policy), max_age, now), access))
}

#[cfg(not(feature = "aws"))]
fn looking(ledger: Ledger, _: &AccessArguments) -> Ledger {
    ledger
}

/// With a way to look at named resources. Whoever asks waits, so that little is tried again: what fails is said.
#[cfg(feature = "aws")]
fn looking(ledger: Ledger, access: &AccessArguments) -> Ledger {
    use shared::cloud::aws::{AwsSettings, OnDemand};

    let AccessArguments { role_name, external_id, rate_percent } = access;
    ledger.looking_through(Arc::new(OnDemand::new(AwsSettings {
        role_name: Some(role_name.clone()),
        external_id: external_id.clone(),
        rate_percent: *rate_percent,
        attempt_timeout: Duration::from_secs(6),
        max_attempts: 4,
        ..AwsSettings::default()
    })))
}

/// Who is let in; without arguments whoever is on this machine.
pub(super) async fn door(
    listen: SocketAddr,
    arguments: Option<DoorArguments>,
    single: Option<String>,
) -> Result<DoorSettings, Failure> {
    let open = DoorSettings {
        listen,
        keys: None,
        oauth: None,
        single,
        names: Vec::new(),
        a_minute: NonZeroU32::MAX,
        clock: now,
    };
    let Some(DoorArguments { keys, oauth, allowed_hosts: names, requests_per_minute: a_minute }) = arguments else {
        return Ok(open);
    };
    let oauth = match oauth.settings()? {
        Some(settings) => Some(Arc::new(OAuth::open(settings).await?)),
        None => None,
    };
    Ok(DoorSettings { keys: Some(keys.keys), oauth, names, a_minute, ..open })
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
