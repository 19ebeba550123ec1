//! `tagledger scanner`: runs the daemon.

use std::process::ExitCode;

use crate::{cli::ScannerArguments, failure::Failure};

#[cfg(not(feature = "aws"))]
pub(crate) async fn run(_: ScannerArguments) -> Result<ExitCode, Failure> {
    Err(Failure::WithoutAws)
}

#[cfg(feature = "aws")]
pub(crate) async fn run(mut arguments: ScannerArguments) -> Result<ExitCode, Failure> {
    use tagledger_aws::Aws;
    use tagledger_scanner::{Daemon, control_guard, serve_control};
    use tokio_util::sync::CancellationToken;

    let control_key = arguments.control_key.take();
    let listen = arguments.control_listen;
    let settings = super::serve::guard_settings(listen, Some(arguments.guard.clone()), control_key).await?;
    let guard = control_guard(settings)?;
    let daemon = Daemon::<Aws>::new(daemon_settings(arguments)?);
    let shutdown = super::serve::cancel_on_signal();
    // The control port remains open until the running scan has ended, so that its result can be read.
    let close_port = CancellationToken::new();
    let port = tokio::spawn(serve_control(std::sync::Arc::clone(&daemon), guard, close_port.clone(), |_| {}));
    let token = shutdown.clone();
    // If the control port fails, the daemon stops.
    let port = tokio::spawn(async move {
        let result = port.await;
        token.cancel();
        result
    });
    daemon.run(shutdown).await;
    close_port.cancel();
    match port.await {
        Ok(Ok(Err(error))) => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

#[cfg(feature = "aws")]
fn daemon_settings(
    arguments: ScannerArguments,
) -> Result<tagledger_scanner::DaemonSettings<tagledger_aws::Aws>, Failure> {
    use std::{sync::Arc, time::Duration};

    use tagledger_aws::Aws;
    use tagledger_model::error_chain::ErrorChain;
    use tagledger_scanner::{DaemonSettings, ScanTargets, Schedule};

    let scan = arguments.scan;
    // Invalid settings are reported at the start, not at the first scan.
    super::scan::aws_settings(&scan)?;
    super::read_policy(&scan.policy.policy)?;
    let policy = scan.policy.policy.clone();
    let settings = DaemonSettings {
        store: scan.store.store.clone(),
        schedule: Schedule::parse(&arguments.schedule, &arguments.time_zone)?,
        jitter: Duration::from_secs(u64::from(arguments.jitter_seconds)),
        targets: ScanTargets { regions: scan.regions.clone(), types: scan.types.clone() },
        concurrency: usize::try_from(scan.concurrency).unwrap_or(usize::MAX),
        cost_request_budget: u64::from(scan.cost_request_budget),
        creators: scan.creators,
        lease: super::scan::lease_settings(&scan)?,
        retention: scan.retention.retention,
        max_age: Duration::from_secs(u64::from(arguments.max_age_hours) * 3600),
        policy: Box::new(move || super::read_policy(&policy).map_err(|failure| ErrorChain(&failure).to_string())),
        connect: Box::new({
            let scan = Arc::new(scan);
            move || {
                let settings = super::scan::aws_settings(&scan);
                Box::pin(async move {
                    match settings {
                        Ok(settings) => Aws::connect(settings).await,
                        // The settings were checked at the start and do not change.
                        Err(_) => std::future::pending().await,
                    }
                })
            }
        }),
        now: super::now,
        app_version: env!("CARGO_PKG_VERSION"),
    };
    Ok(settings)
}
