//! `tagledger doctor`: checks what scans and servers need, and reports what each missing part disables.

use std::{path::Path, process::ExitCode, time::Duration};

use tagledger_http::{ApiKeyFile, KeyState};
use tagledger_ledger::{LedgerError, LedgerReader};
use tagledger_model::error_chain::ErrorChain;
use tagledger_redis::RedisClient;

use super::now;
use crate::{cli::DoctorArguments, failure::Failure, output::print_line};

/// Maximum time for connecting to Redis and one command.
const REDIS_TIMEOUT: Duration = Duration::from_millis(400);

/// Less free space than this for the ledger is a warning, in bytes.
const MIN_FREE_BYTES: u64 = 1 << 30;

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Ok,
    /// Something optional is missing.
    Warning,
    /// Something required is missing.
    Error,
}

impl Mark {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "--",
            Self::Error => "!!",
        }
    }
}

/// Prints the results of checks, and stores whether one of them is an error.
struct Findings {
    has_error: bool,
}

impl Findings {
    fn report(&mut self, mark: Mark, subject: &str, finding: &str) {
        self.has_error |= mark == Mark::Error;
        print_line(format!("{}  {subject:<11} {finding}", mark.as_str()));
    }
}

pub(crate) async fn run(arguments: DoctorArguments) -> Result<ExitCode, Failure> {
    let mut findings = Findings { has_error: false };
    let scan = &arguments.scan;
    check_policy(&mut findings, &scan.policy.policy);
    check_ledger(&mut findings, &scan.store.store);
    check_space(&mut findings, &scan.store.store);
    check_redis(&mut findings, scan.redis.redis_url.as_deref()).await;
    check_keys(&mut findings, &arguments.keys.keys);
    aws::check(&mut findings, &arguments).await?;
    Ok(if findings.has_error { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn check_policy(findings: &mut Findings, path: &Path) {
    match super::read_policy(path) {
        Ok(policy) => {
            let tags = policy.tags().len();
            findings.report(
                Mark::Ok,
                "policy",
                &format!("{}, version {}, {tags} tags", path.display(), policy.version()),
            );
        }
        Err(failure) => {
            findings.report(Mark::Error, "policy", &format!("{}; resources cannot be evaluated", ErrorChain(&failure)))
        }
    }
}

fn check_ledger(findings: &mut Findings, path: &Path) {
    let newest = LedgerReader::new(path).read(|session| session.newest());
    match newest {
        Ok(Some(newest)) => {
            let age = now().duration_since(newest.finished_at);
            let state = format!("{}, snapshot {} of {} h ago", path.display(), newest.id, age.as_hours());
            if age.is_negative() {
                let message =
                    format!("{state}: its time is in the future; the clock of this machine or of the scanner is wrong");
                findings.report(Mark::Warning, "ledger", &message);
            } else {
                findings.report(Mark::Ok, "ledger", &state);
            }
        }
        Ok(None) | Err(LedgerError::Missing { .. }) => {
            findings.report(
                Mark::Warning,
                "ledger",
                &format!("{} has no snapshot yet; run `tagledger scan`", path.display()),
            );
        }
        Err(error) => findings.report(Mark::Error, "ledger", &ErrorChain(&error).to_string()),
    }
}

/// Checks the free space of the disk of the ledger.
fn check_space(findings: &mut Findings, store: &Path) {
    let folder = store.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match rustix::fs::statvfs(folder) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let state = format!("{}.{} GiB free for the ledger", free >> 30, ((free >> 20) % 1024) * 10 / 1024);
            if free < MIN_FREE_BYTES {
                let message =
                    format!("{state}; a scan that fills the disk is lost; earlier snapshots are not affected");
                findings.report(Mark::Warning, "space", &message);
            } else {
                findings.report(Mark::Ok, "space", &state);
            }
        }
        Err(error) => findings.report(
            Mark::Error,
            "space",
            &format!("the free space of {} cannot be read: {error}", folder.display()),
        ),
    }
}

async fn check_redis(findings: &mut Findings, url: Option<&str>) {
    let Some(url) = url else {
        let message = "not configured; servers share no cache, and scanners of one account share no lease";
        return findings.report(Mark::Ok, "redis", message);
    };
    let client = match RedisClient::new(url) {
        Ok(client) => client,
        Err(error) => return findings.report(Mark::Error, "redis", &error.to_string()),
    };
    match client.connect_and_ping(REDIS_TIMEOUT).await {
        Ok(_) => findings.report(Mark::Ok, "redis", "responds"),
        Err(error) => {
            let message = format!("does not respond ({error}); servers and scanners work without it");
            findings.report(Mark::Warning, "redis", &message);
        }
    }
}

fn check_keys(findings: &mut Findings, path: &Path) {
    if let Ok(false) = path.try_exists() {
        let message = format!("{} does not exist: only requests from this machine are accepted", path.display());
        return findings.report(Mark::Ok, "keys", &message);
    }
    match ApiKeyFile::list(path) {
        Ok(keys) => {
            let active = keys.iter().filter(|key| key.state(now()) == KeyState::Active).count();
            let state = format!("{active} of {} are active", keys.len());
            let mark = if active == 0 { Mark::Warning } else { Mark::Ok };
            findings.report(mark, "keys", &state);
        }
        Err(error) => findings.report(Mark::Error, "keys", &format!("{error}; all requests are rejected")),
    }
}

#[cfg(not(feature = "aws"))]
mod aws {
    use super::{DoctorArguments, Failure, Findings, Mark};

    #[expect(clippy::unused_async, reason = "with AWS this function is asynchronous")]
    pub(super) async fn check(findings: &mut Findings, _: &DoctorArguments) -> Result<(), Failure> {
        findings.report(Mark::Error, "aws", "this build has no support for AWS; build without --no-default-features");
        Ok(())
    }
}

#[cfg(feature = "aws")]
mod aws {
    use std::collections::BTreeMap;

    use tagledger_aws::{Aws, ClockSkew, PermissionProbe, ProbeOutcome};
    use tagledger_model::AccountId;

    use super::{DoctorArguments, Failure, Findings, Mark, now};

    /// A larger difference between the clocks is a warning, in seconds. AWS rejects signatures that differ by five minutes.
    const MAX_SKEW_SECONDS: i64 = 60;

    pub(super) async fn check(findings: &mut Findings, arguments: &DoctorArguments) -> Result<(), Failure> {
        let cloud = match Aws::connect(super::super::scan::aws_settings(&arguments.scan)?).await {
            Ok(cloud) => cloud,
            Err(gap) => {
                findings.report(Mark::Error, "aws", &format!("{gap}; AWS cannot be scanned"));
                return Ok(());
            }
        };
        let (account, region) = (&cloud.caller().id, cloud.default_region());
        findings.report(Mark::Ok, "aws", &format!("credentials of account {account}, tested in {region}"));
        let (probes, clocks) = cloud.probe(arguments.costs, now).await;
        check_clock(findings, clocks);
        let mut accounts: BTreeMap<&AccountId, Vec<&PermissionProbe>> = BTreeMap::new();
        probes.iter().for_each(|probe| accounts.entry(&probe.account).or_default().push(probe));
        for (account, probes) in accounts {
            report_permissions(findings, account, &probes);
        }
        if !arguments.costs {
            findings.report(
                Mark::Ok,
                "costs",
                "not tested: each request to Cost Explorer costs USD 0.01; --costs tests it",
            );
        }
        Ok(())
    }

    fn check_clock(findings: &mut Findings, clocks: Option<ClockSkew>) {
        let Some(ClockSkew { aws, local }) = clocks else { return };
        let ahead = local.duration_since(aws).as_secs();
        if ahead.abs() > MAX_SKEW_SECONDS {
            let which = if ahead > 0 { "ahead of" } else { "behind" };
            let message =
                format!("{} s {which} the clock of AWS; AWS rejects requests that differ by five minutes", ahead.abs());
            findings.report(Mark::Warning, "clock", &message);
        } else {
            findings.report(Mark::Ok, "clock", "equal to the clock of AWS");
        }
    }

    /// Reports the granted permissions in one line, and each missing permission in a line.
    fn report_permissions(findings: &mut Findings, account: &AccountId, probes: &[&PermissionProbe]) {
        let granted = probes.iter().filter(|probe| probe.outcome == Ok(ProbeOutcome::Granted)).count();
        let untested: Vec<&str> = probes
            .iter()
            .filter(|probe| probe.outcome == Ok(ProbeOutcome::NotTested))
            .map(|probe| probe.action)
            .collect();
        let untested = match untested.as_slice() {
            [] => String::new(),
            untested => format!("; {} could not be tested, because there is no such resource", untested.join(", ")),
        };
        findings.report(Mark::Ok, "permissions", &format!("{granted} granted in account {account}{untested}"));
        for probe in probes {
            if let Err(gap) = &probe.outcome {
                let (mark, effect) = effect_of(probe.action);
                findings.report(
                    mark,
                    "permissions",
                    &format!("{} of account {account}: {effect} ({gap})", probe.action),
                );
            }
        }
    }

    /// The severity and the effect of a missing permission.
    fn effect_of(action: &str) -> (Mark, &'static str) {
        match action {
            "ec2:DescribeRegions" => (Mark::Error, "the account cannot be accessed, or its regions cannot be listed"),
            "tag:GetResources" => (Mark::Warning, "tags are read one resource at a time"),
            "cloudtrail:LookupEvents" => (Mark::Warning, "suggestions do not use creators"),
            "organizations:ListAccounts" => (Mark::Error, "member accounts cannot be listed; set TAGLEDGER_ACCOUNTS"),
            action if action.starts_with("ce:") => (Mark::Warning, "costs are not available"),
            "lambda:ListTags" | "s3:GetBucketTagging" => (Mark::Warning, "tags of this type cannot be read"),
            _ => (Mark::Warning, "resources of this type are a gap in every answer"),
        }
    }
}
