//! `tagledger scan`.

use std::process::ExitCode;

use crate::{cli::ScanArguments, failure::Failure};

/// Exit code of a scan with gaps.
#[cfg(feature = "aws")]
const PARTIAL: u8 = 3;

#[cfg(not(feature = "aws"))]
pub(crate) async fn run(_: ScanArguments) -> Result<ExitCode, Failure> {
    Err(Failure::WithoutAws)
}

#[cfg(feature = "aws")]
pub(crate) async fn run(arguments: ScanArguments) -> Result<ExitCode, Failure> {
    use std::sync::Arc;

    use scanner::{Choice, Narrow, Scan};
    use shared::{
        cloud::aws::Aws,
        store::{Reader, Writer},
    };
    use tokio_util::sync::CancellationToken;

    let policy = Arc::new(super::read_policy(&arguments.policy.policy)?);
    let lock = scan_lock(&arguments)?;
    // Before AWS is asked anything: what cannot be recorded need not be read.
    let writer = Writer::open_upgrading(&arguments.store.store, super::store::tell_upgrade)?;
    let cloud = Aws::connect(settings(&arguments)?).await.map_err(Failure::Aws)?;
    let scan = Scan {
        cloud: &cloud,
        policy,
        choice: Choice { regions: arguments.regions, types: arguments.types },
        narrow: Narrow::default(),
        concurrency: usize::try_from(arguments.concurrency).unwrap_or(usize::MAX),
        cost_requests: u64::from(arguments.cost_request_budget),
        creators: arguments.creators,
        learn: true,
        lock: lock.as_ref(),
        now: &super::now,
        app_version: env!("CARGO_PKG_VERSION"),
        end: CancellationToken::new(),
    };
    let summary = scan.run(writer, crate::progress::follower()).await?;
    if let Some(retention) = &arguments.retention.retention {
        let today = shared::day::day_of(super::now());
        if let Err(error) = scanner::thin(&arguments.store.store, retention, today) {
            crate::output::warn(&format!("old nights were not thinned out: {}", shared::chain::Chain(&error)));
        }
    }
    let reader = Reader::new(&arguments.store.store);
    crate::summary::print(&summary, &reader)?;
    Ok(if summary.snapshot.complete { ExitCode::SUCCESS } else { ExitCode::from(PARTIAL) })
}

#[cfg(feature = "aws")]
pub(super) fn scan_lock(arguments: &ScanArguments) -> Result<Option<scanner::ScanLock>, Failure> {
    Ok(arguments.redis.redis_url.as_deref().map(scanner::ScanLock::new).transpose()?)
}

#[cfg(feature = "aws")]
pub(super) fn settings(arguments: &ScanArguments) -> Result<shared::cloud::aws::AwsSettings, Failure> {
    use shared::cloud::aws::{AwsSettings, MemberAccounts};

    use crate::cli::AccountSetting;

    let organization = arguments.accounts.contains(&AccountSetting::Organization);
    let listed: Vec<_> = arguments.accounts.iter().filter_map(AccountSetting::account).collect();
    let accounts = match (organization, listed.is_empty()) {
        (true, true) => MemberAccounts::Organization,
        (true, false) => return Err(Failure::Accounts),
        (false, true) => MemberAccounts::None,
        (false, false) => MemberAccounts::Listed(listed),
    };
    Ok(AwsSettings {
        accounts,
        payer: arguments.payer_account.clone(),
        role_name: Some(arguments.access.role_name.clone()),
        external_id: arguments.access.external_id.clone(),
        rate_percent: arguments.access.rate_percent,
        ..AwsSettings::default()
    })
}
