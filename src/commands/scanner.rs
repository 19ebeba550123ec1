//! `tagledger scanner`: the daemon.

use std::process::ExitCode;

use crate::{cli::ScannerArguments, failure::Failure};

#[cfg(not(feature = "aws"))]
pub(crate) async fn run(_: ScannerArguments) -> Result<ExitCode, Failure> {
    Err(Failure::WithoutAws)
}

#[cfg(feature = "aws")]
pub(crate) async fn run(mut arguments: ScannerArguments) -> Result<ExitCode, Failure> {
    use scanner::{Daemon, control_door, serve_control};
    use shared::cloud::aws::Aws;
    use tokio_util::sync::CancellationToken;

    let single = arguments.control_key.take();
    let door = control_door(super::serve::door(arguments.control_listen, Some(arguments.door.clone()), single).await?)?;
    let daemon = Daemon::<Aws>::new(daemon_settings(arguments)?);
    let end = super::serve::end_signal();
    // The port outlives the scan in hand, so that whoever asks is told how it ends.
    let closed = CancellationToken::new();
    let served = tokio::spawn(serve_control(std::sync::Arc::clone(&daemon), door, closed.clone(), |_| {}));
    let watched = end.clone();
    let served = tokio::spawn(async move {
        let served = served.await;
        watched.cancel();
        served
    });
    daemon.run(end).await;
    closed.cancel();
    match served.await {
        Ok(Ok(Err(error))) => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

#[cfg(feature = "aws")]
fn daemon_settings(arguments: ScannerArguments) -> Result<scanner::DaemonSettings<shared::cloud::aws::Aws>, Failure> {
    use std::{sync::Arc, time::Duration};

    use scanner::{Choice, DaemonSettings, Schedule};
    use shared::{chain::Chain, cloud::aws::Aws};

    let scan = arguments.scan;
    // Settings that make no sense are told now, not in the night.
    super::scan::settings(&scan)?;
    super::read_policy(&scan.policy.policy)?;
    let policy = scan.policy.policy.clone();
    let settings = DaemonSettings {
        store: scan.store.store.clone(),
        schedule: Schedule::parse(&arguments.schedule, &arguments.time_zone)?,
        jitter: Duration::from_secs(u64::from(arguments.jitter_seconds)),
        choice: Choice { regions: scan.regions.clone(), types: scan.types.clone() },
        concurrency: usize::try_from(scan.concurrency).unwrap_or(usize::MAX),
        cost_requests: u64::from(scan.cost_request_budget),
        creators: scan.creators,
        lock: super::scan::scan_lock(&scan)?,
        retention: scan.retention.retention,
        max_age: Duration::from_secs(u64::from(arguments.max_age_hours) * 3600),
        policy: Box::new(move || super::read_policy(&policy).map_err(|failure| Chain(&failure).to_string())),
        connect: Box::new({
            let scan = Arc::new(scan);
            move || {
                let settings = super::scan::settings(&scan);
                Box::pin(async move {
                    match settings {
                        Ok(settings) => Aws::connect(settings).await,
                        // Checked at the start, and nothing changes them.
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
