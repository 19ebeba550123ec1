//! `tagledger scan`: runs one scan.

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

    use tagledger_aws::Aws;
    use tagledger_ledger::{LedgerReader, LedgerWriter};
    use tagledger_scanner::{Scan, ScanScopeFilter, ScanTargets};
    use tokio_util::sync::CancellationToken;

    let policy = Arc::new(super::read_policy(&arguments.policy.policy)?);
    let lease = lease_settings(&arguments)?;
    // The ledger is opened first, so that no request is sent to AWS when the snapshot could not be recorded.
    let writer = LedgerWriter::open_with_progress(&arguments.store.store, super::store::report_upgrade)?;
    let cloud = Aws::connect(aws_settings(&arguments)?).await.map_err(Failure::Aws)?;
    let scan = Scan {
        cloud: &cloud,
        policy,
        targets: ScanTargets { regions: arguments.regions, types: arguments.types },
        filter: ScanScopeFilter::default(),
        concurrency: usize::try_from(arguments.concurrency).unwrap_or(usize::MAX),
        cost_request_budget: u64::from(arguments.cost_request_budget),
        creators: arguments.creators,
        train: true,
        lease: lease.as_ref(),
        now: &super::now,
        app_version: env!("CARGO_PKG_VERSION"),
        cancel: CancellationToken::new(),
    };
    let summary = scan.run(writer, crate::progress::reporter()).await?;
    if let Some(retention) = &arguments.retention.retention {
        let today = tagledger_model::epoch_day::day_of(super::now());
        if let Err(error) = tagledger_scanner::prune(&arguments.store.store, retention, today) {
            crate::output::print_warning(&format!(
                "old snapshots were not pruned: {}",
                tagledger_model::error_chain::ErrorChain(&error)
            ));
        }
    }
    let reader = LedgerReader::new(&arguments.store.store);
    crate::summary::print(&summary, &reader)?;
    Ok(if summary.snapshot.complete { ExitCode::SUCCESS } else { ExitCode::from(PARTIAL) })
}

#[cfg(feature = "aws")]
pub(super) fn lease_settings(arguments: &ScanArguments) -> Result<Option<tagledger_scanner::LeaseSettings>, Failure> {
    Ok(arguments.redis.redis_url.as_deref().map(tagledger_scanner::LeaseSettings::new).transpose()?)
}

#[cfg(feature = "aws")]
pub(super) fn aws_settings(arguments: &ScanArguments) -> Result<tagledger_aws::AwsSettings, Failure> {
    use tagledger_aws::{AwsSettings, MemberAccounts};

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
