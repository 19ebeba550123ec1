//! `tagledger doctor`: what is there of all that is needed, and what a missing thing disables.

use std::{path::Path, process::ExitCode};

use gate::{KeyFile, KeyState};
use server::Shelf;
use shared::{
    chain::Chain,
    store::{Reader, StoreError},
};

use super::now;
use crate::{cli::DoctorArguments, failure::Failure, output::say};

/// Less free space than this beside the ledger is a warning, bytes.
const LITTLE_SPACE: u64 = 1 << 30;

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Ok,
    /// Something is missing that can be done without.
    Less,
    /// Nothing works without it.
    Bad,
}

impl Mark {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Less => "--",
            Self::Bad => "!!",
        }
    }
}

/// Says what was found, and remembers the worst of it.
struct Findings(bool);

impl Findings {
    fn tell(&mut self, mark: Mark, what: &str, found: &str) {
        self.0 |= mark == Mark::Bad;
        say(format!("{}  {what:<11} {found}", mark.as_str()));
    }
}

pub(crate) async fn run(arguments: DoctorArguments) -> Result<ExitCode, Failure> {
    let mut findings = Findings(false);
    let scan = &arguments.scan;
    policy(&mut findings, &scan.policy.policy);
    ledger(&mut findings, &scan.store.store);
    space(&mut findings, &scan.store.store);
    redis(&mut findings, scan.redis.redis_url.as_deref()).await;
    keys(&mut findings, &arguments.keys.keys);
    aws::check(&mut findings, &arguments).await?;
    Ok(if findings.0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn policy(findings: &mut Findings, path: &Path) {
    match super::read_policy(path) {
        Ok(policy) => {
            let tags = policy.tags().len();
            findings.tell(
                Mark::Ok,
                "policy",
                &format!("{}, version {}, {tags} tags", path.display(), policy.version()),
            );
        }
        Err(failure) => findings.tell(Mark::Bad, "policy", &format!("{}; nothing can be judged", Chain(&failure))),
    }
}

fn ledger(findings: &mut Findings, path: &Path) {
    let newest = Reader::new(path).read(|view| view.newest());
    match newest {
        Ok(Some(newest)) => {
            let age = now().duration_since(newest.finished_at);
            let told = format!("{}, snapshot {} of {} h ago", path.display(), newest.id, age.as_hours());
            if age.is_negative() {
                let why =
                    format!("{told}: it is of the future; this machine's clock went back, or the scanner's is ahead");
                findings.tell(Mark::Less, "ledger", &why);
            } else {
                findings.tell(Mark::Ok, "ledger", &told);
            }
        }
        Ok(None) | Err(StoreError::Missing { .. }) => {
            findings.tell(
                Mark::Less,
                "ledger",
                &format!("{} has no snapshot yet; run `tagledger scan`", path.display()),
            );
        }
        Err(error) => findings.tell(Mark::Bad, "ledger", &Chain(&error).to_string()),
    }
}

/// Of the disk that the ledger is on, or would be.
fn space(findings: &mut Findings, store: &Path) {
    let folder = store.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match rustix::fs::statvfs(folder) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let told = format!("{}.{} GiB free for the ledger", free >> 30, ((free >> 20) % 1024) * 10 / 1024);
            if free < LITTLE_SPACE {
                let why = format!("{told}; a scan that finds no room is lost, and nothing before it");
                findings.tell(Mark::Less, "space", &why);
            } else {
                findings.tell(Mark::Ok, "space", &told);
            }
        }
        Err(error) => findings.tell(Mark::Bad, "space", &format!("{} cannot be looked at: {error}", folder.display())),
    }
}

async fn redis(findings: &mut Findings, url: Option<&str>) {
    let Some(url) = url else {
        let none = "none; servers share no answers, and scanners of one account take no turns";
        return findings.tell(Mark::Ok, "redis", none);
    };
    match Shelf::ping(url).await {
        Ok(Ok(())) => findings.tell(Mark::Ok, "redis", "answers"),
        Ok(Err(why)) => {
            let why = format!("does not answer ({why}); answers are worked out, and scans done, without it");
            findings.tell(Mark::Less, "redis", &why);
        }
        Err(error) => findings.tell(Mark::Bad, "redis", &error.to_string()),
    }
}

fn keys(findings: &mut Findings, path: &Path) {
    if let Ok(false) = path.try_exists() {
        let none = format!("{} is not there: only this machine is let in", path.display());
        return findings.tell(Mark::Ok, "keys", &none);
    }
    match KeyFile::list(path) {
        Ok(keys) => {
            let active = keys.iter().filter(|key| key.state(now()) == KeyState::Active).count();
            let told = format!("{active} of {} are accepted", keys.len());
            let mark = if active == 0 { Mark::Less } else { Mark::Ok };
            findings.tell(mark, "keys", &told);
        }
        Err(error) => findings.tell(Mark::Bad, "keys", &format!("{error}; nobody is let in")),
    }
}

#[cfg(not(feature = "aws"))]
mod aws {
    use super::{DoctorArguments, Failure, Findings, Mark};

    #[expect(clippy::unused_async, reason = "with AWS it is")]
    pub(super) async fn check(findings: &mut Findings, _: &DoctorArguments) -> Result<(), Failure> {
        findings.tell(Mark::Bad, "aws", "this build cannot ask AWS; build without --no-default-features");
        Ok(())
    }
}

#[cfg(feature = "aws")]
mod aws {
    use std::collections::BTreeMap;

    use shared::{
        AccountId,
        cloud::aws::{Aws, Clocks, Probe, Tried},
    };

    use super::{DoctorArguments, Failure, Findings, Mark, now};

    /// Seconds by which clocks may differ; AWS refuses signatures that are five minutes off.
    const SKEW: i64 = 60;

    pub(super) async fn check(findings: &mut Findings, arguments: &DoctorArguments) -> Result<(), Failure> {
        let cloud = match Aws::connect(super::super::scan::settings(&arguments.scan)?).await {
            Ok(cloud) => cloud,
            Err(gap) => {
                findings.tell(Mark::Bad, "aws", &format!("{gap}; nothing can be scanned"));
                return Ok(());
            }
        };
        let (account, region) = (&cloud.caller().id, cloud.default_region());
        findings.tell(Mark::Ok, "aws", &format!("credentials of account {account}, tried in {region}"));
        let (probes, clocks) = cloud.probe(arguments.costs, now).await;
        clock(findings, clocks);
        let mut accounts: BTreeMap<&AccountId, Vec<&Probe>> = BTreeMap::new();
        probes.iter().for_each(|probe| accounts.entry(&probe.account).or_default().push(probe));
        for (account, probes) in accounts {
            permissions(findings, account, &probes);
        }
        if !arguments.costs {
            findings.tell(Mark::Ok, "costs", "not tried: each request to Cost Explorer costs USD 0.01; --costs does");
        }
        Ok(())
    }

    fn clock(findings: &mut Findings, clocks: Option<Clocks>) {
        let Some(Clocks { aws, here }) = clocks else { return };
        let ahead = here.duration_since(aws).as_secs();
        if ahead.abs() > SKEW {
            let which = if ahead > 0 { "ahead of" } else { "behind" };
            let why = format!("{} s {which} AWS's; beyond five minutes it refuses every request", ahead.abs());
            findings.tell(Mark::Less, "clock", &why);
        } else {
            findings.tell(Mark::Ok, "clock", "as AWS's");
        }
    }

    /// One line for what is there, and one for each thing that is not.
    fn permissions(findings: &mut Findings, account: &AccountId, probes: &[&Probe]) {
        let granted = probes.iter().filter(|probe| probe.outcome == Ok(Tried::Granted)).count();
        let untried: Vec<&str> =
            probes.iter().filter(|probe| probe.outcome == Ok(Tried::Nothing)).map(|probe| probe.action).collect();
        let untried = match untried.as_slice() {
            [] => String::new(),
            untried => format!("; there is nothing there to try {} on", untried.join(", ")),
        };
        findings.tell(Mark::Ok, "permissions", &format!("{granted} of account {account}{untried}"));
        for probe in probes {
            if let Err(gap) = &probe.outcome {
                let (mark, disables) = disables(probe.action);
                findings.tell(
                    mark,
                    "permissions",
                    &format!("{} of account {account}: {disables} ({gap})", probe.action),
                );
            }
        }
    }

    /// What an action that is missing costs.
    fn disables(action: &str) -> (Mark, &'static str) {
        match action {
            "ec2:DescribeRegions" => (Mark::Bad, "the account cannot be entered, or its regions not be told"),
            "tag:GetResources" => (Mark::Less, "tags are read one resource at a time"),
            "cloudtrail:LookupEvents" => (Mark::Less, "suggestions know no creators"),
            "organizations:ListAccounts" => (Mark::Bad, "members are not known; name them in TAGLEDGER_ACCOUNTS"),
            action if action.starts_with("ce:") => (Mark::Less, "costs are not told"),
            "lambda:ListTags" | "s3:GetBucketTagging" => (Mark::Less, "tags of this type are not known"),
            _ => (Mark::Less, "resources of this type are a gap in every answer"),
        }
    }
}
