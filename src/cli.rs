//! The command line: every setting, once, as a flag and as an environment variable of the same name.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf};

use clap::{Args, CommandFactory, Parser, Subcommand};
use shared::{AccountId, Region, ResourceType, store::Retention};

use crate::failure::Failure;

mod audit;
mod keys;

pub(crate) use audit::{AuditArguments, AuditWriting, Since};
pub(crate) use keys::{DoorArguments, KeyArguments, KeyCommand, KeysSetting};

/// Where the policy is looked for when nobody says where it is.
pub(crate) const DEFAULT_POLICY: &str = "policies/tagging_policy.json";

/// Prefix of TagLedger's own environment variables.
const PREFIX: &str = "TAGLEDGER_";

/// How well an AWS estate is tagged, and how that changes: a ledger of nightly snapshots, asked in chat.
#[derive(Debug, Parser)]
#[command(name = "tagledger", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// Log level on standard error: error, warn, info, debug, trace, or a filter such as `info,shared=debug`.
    #[arg(long, global = true, env = "TAGLEDGER_LOG", value_name = "LEVEL")]
    pub(crate) log: Option<String>,
    /// Log format.
    #[arg(long, global = true, env = "TAGLEDGER_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// One readable line a fact.
    Text,
    /// One JSON object a fact.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show TagLedger on a simulated company: 90 nights of history, served on this machine, no AWS needed.
    Demo(DemoArguments),
    /// Scan AWS once and append a snapshot. Exit code 0: complete, 3: partial, 1: nothing recorded.
    Scan(ScanArguments),
    /// Scan AWS by a schedule for as long as it runs, with a control port: rescan, progress, health, metrics.
    Scanner(ScannerArguments),
    /// Serve MCP over HTTP from the ledger, at /mcp, with /health.
    Server(ServerArguments),
    /// Serve MCP over standard input and output from the ledger, for a desktop client.
    Mcp(McpArguments),
    /// Make, list and revoke the keys that the server and the scanner's control port ask for.
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Key(KeyArguments),
    /// Check all that a scan and a server need, and say what each missing thing disables. Exit code 1: something needed is missing.
    Doctor(DoctorArguments),
    /// Read who called which tool of a server, when, and how that ended.
    Audit(AuditArguments),
    /// Ask a running server or scanner for its health. Exit code 0: healthy.
    Health(HealthArguments),
    /// Check, copy, measure, thin out or upgrade the ledger.
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Store(LedgerArguments),
    /// Say how right suggestions of tags are, on the ledger's own resources.
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Evaluate(EvaluateArguments),
    /// Work with tagging policies.
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Policy(PolicyArguments),
}

#[derive(Debug, Args)]
pub(crate) struct StoreArguments {
    /// The ledger: one SQLite file.
    #[arg(long, env = "TAGLEDGER_STORE", value_name = "FILE", default_value = "tagledger.sqlite")]
    pub(crate) store: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct PolicySetting {
    /// The tagging policy.
    #[arg(long, env = "TAGLEDGER_POLICY", value_name = "FILE", default_value = DEFAULT_POLICY)]
    pub(crate) policy: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// Where to serve.
    #[arg(long, env = "TAGLEDGER_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// How many resources the company has, about.
    #[arg(long, value_name = "N", default_value_t = 1500, value_parser = clap::value_parser!(u32).range(100..=200_000))]
    pub(crate) resources: u32,
}

#[derive(Debug, Args)]
pub(crate) struct ScanArguments {
    #[command(flatten)]
    pub(crate) store: StoreArguments,
    #[command(flatten)]
    pub(crate) policy: PolicySetting,
    /// Regions to scan [default: all that each account has enabled].
    #[arg(long, env = "TAGLEDGER_REGIONS", value_name = "REGION,...", value_delimiter = ',')]
    pub(crate) regions: Vec<Region>,
    /// Resource types to scan [default: all].
    #[arg(long, env = "TAGLEDGER_TYPES", value_name = "TYPE,...", value_delimiter = ',')]
    pub(crate) types: Vec<ResourceType>,
    /// Member accounts to scan beside the caller's own, or `organization` for all of the organization's.
    #[arg(long, env = "TAGLEDGER_ACCOUNTS", value_name = "ACCOUNT,...", value_delimiter = ',')]
    pub(crate) accounts: Vec<AccountSetting>,
    #[command(flatten)]
    pub(crate) access: AccessArguments,
    /// Lists read at once.
    #[arg(long, env = "TAGLEDGER_CONCURRENCY", value_name = "N", default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) concurrency: u32,
    /// Requests to Cost Explorer a day, at USD 0.01 each; 0: it is never asked.
    #[arg(long, env = "TAGLEDGER_COST_REQUEST_BUDGET", value_name = "N", default_value_t = 50,
        value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub(crate) cost_request_budget: u32,
    /// The account that pays the bill, whose Cost Explorer is asked with the same role [default: the caller's own].
    #[arg(long, env = "TAGLEDGER_PAYER_ACCOUNT", value_name = "ACCOUNT")]
    pub(crate) payer_account: Option<AccountId>,
    /// Whether CloudTrail is asked who created what, which suggestions rest on: a few requests for each account and region.
    #[arg(long, env = "TAGLEDGER_CREATORS", value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    pub(crate) creators: bool,
    #[command(flatten)]
    pub(crate) redis: RedisSetting,
    #[command(flatten)]
    pub(crate) retention: RetentionSetting,
}

#[derive(Debug, Args)]
pub(crate) struct RedisSetting {
    /// The Redis through which scanners of one account take turns and servers share answers, such as
    /// `redis://:PASSWORD@HOST:6379/0` [default: none].
    #[arg(long, env = "REDIS_URL", value_name = "URL", hide_env_values = true)]
    pub(crate) redis_url: Option<String>,
}

/// How AWS is entered, by those who list it and by those who look at single resources.
#[derive(Debug, Args)]
pub(crate) struct AccessArguments {
    /// The role to assume in member accounts.
    #[arg(long, env = "TAGLEDGER_ROLE_NAME", value_name = "NAME", default_value = "TagLedgerScanner")]
    pub(crate) role_name: String,
    /// The external id that the role asks for.
    #[arg(long, env = "TAGLEDGER_EXTERNAL_ID", value_name = "ID")]
    pub(crate) external_id: Option<String>,
    /// Share of AWS's published request rates to use, in percent.
    #[arg(long, env = "TAGLEDGER_RATE_PERCENT", value_name = "PERCENT", default_value_t = 50,
        value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rate_percent: u32,
}

#[derive(Debug, Args)]
pub(crate) struct RetentionSetting {
    /// Nights to keep, such as `90d,52w,m`: all of 90 days, then one a week for 52 weeks, then one a month for ever
    /// [default: all].
    #[arg(long, env = "TAGLEDGER_RETENTION", value_name = "DAYS[,WEEKS[,MONTHS]]")]
    pub(crate) retention: Option<Retention>,
}

#[derive(Debug, Args)]
pub(crate) struct ScannerArguments {
    #[command(flatten)]
    pub(crate) scan: ScanArguments,
    /// When to scan, as a cron expression: minute, hour, day of month, month, day of week.
    #[arg(long, env = "TAGLEDGER_SCHEDULE", value_name = "CRON", default_value = "0 2 * * *")]
    pub(crate) schedule: String,
    /// The time zone of the schedule.
    #[arg(long, env = "TAGLEDGER_TIME_ZONE", value_name = "ZONE", default_value = "UTC")]
    pub(crate) time_zone: String,
    /// By how many seconds at most a scheduled scan begins later, so that many scanners do not begin at once.
    #[arg(long, env = "TAGLEDGER_JITTER_SECONDS", value_name = "SECONDS", default_value_t = 0,
        value_parser = clap::value_parser!(u32).range(0..=86_400))]
    pub(crate) jitter_seconds: u32,
    /// Where the control port listens.
    #[arg(long, env = "TAGLEDGER_CONTROL_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    pub(crate) control_listen: SocketAddr,
    /// A single key for the control port, beside those of the file.
    #[arg(long, env = "TAGLEDGER_CONTROL_KEY", value_name = "KEY", hide_env_values = true)]
    pub(crate) control_key: Option<String>,
    #[command(flatten)]
    pub(crate) door: DoorArguments,
    /// Hours after which a snapshot is too old for /health to be healthy.
    #[arg(long, env = "TAGLEDGER_MAX_AGE_HOURS", value_name = "HOURS", default_value_t = 36,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) max_age_hours: u32,
}

#[derive(Debug, Args)]
pub(crate) struct LedgerArguments {
    #[command(flatten)]
    pub(crate) store: StoreArguments,
    #[command(subcommand)]
    pub(crate) command: LedgerCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Check the file, its hashes and seal, and count the newest snapshot again from the facts. Exit code 1: faults.
    Check {
        /// Count every kept snapshot again, not only the newest.
        #[arg(long)]
        all: bool,
    },
    /// Copy the ledger to a new file, packed and sealed; scans and questions can go on meanwhile.
    Backup {
        /// Where to; must not be there yet.
        file: PathBuf,
    },
    /// Say how large the ledger is, and of what.
    Stats,
    /// Thin out old nights now, as every scan does with TAGLEDGER_RETENTION.
    Thin {
        #[command(flatten)]
        retention: RetentionSetting,
    },
    /// Bring a ledger of an earlier version to this one, as every scan does.
    Upgrade,
}

/// An account to scan, or all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AccountSetting {
    Account(AccountId),
    Organization,
}

impl AccountSetting {
    /// The account, unless it is all of them.
    #[cfg(feature = "aws")]
    pub(crate) fn account(&self) -> Option<AccountId> {
        match self {
            Self::Account(id) => Some(id.clone()),
            Self::Organization => None,
        }
    }
}

impl std::str::FromStr for AccountSetting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "organization" {
            return Ok(Self::Organization);
        }
        text.parse().map(Self::Account).map_err(|error| format!("{error}, nor `organization`"))
    }
}

#[derive(Debug, Args)]
pub(crate) struct ServerArguments {
    #[command(flatten)]
    pub(crate) store: StoreArguments,
    #[command(flatten)]
    pub(crate) policy: PolicySetting,
    /// Where to serve.
    #[arg(long, env = "TAGLEDGER_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    #[command(flatten)]
    pub(crate) door: DoorArguments,
    #[command(flatten)]
    pub(crate) access: AccessArguments,
    #[command(flatten)]
    pub(crate) redis: RedisSetting,
    #[command(flatten)]
    pub(crate) audit: AuditWriting,
    /// Hours after which a snapshot is too old for /health to be healthy.
    #[arg(long, env = "TAGLEDGER_MAX_AGE_HOURS", value_name = "HOURS", default_value_t = 36,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) max_age_hours: u32,
}

#[derive(Debug, Args)]
pub(crate) struct McpArguments {
    #[command(flatten)]
    pub(crate) store: StoreArguments,
    #[command(flatten)]
    pub(crate) policy: PolicySetting,
    #[command(flatten)]
    pub(crate) access: AccessArguments,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    #[command(flatten)]
    pub(crate) scan: ScanArguments,
    #[command(flatten)]
    pub(crate) keys: KeysSetting,
    /// Also ask Cost Explorer, with two requests at USD 0.01 each.
    #[arg(long)]
    pub(crate) costs: bool,
}

#[derive(Debug, Args)]
pub(crate) struct HealthArguments {
    /// Where it listens, such as `scanner:8081`.
    #[arg(value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) address: String,
}

#[derive(Debug, Args)]
pub(crate) struct PolicyArguments {
    #[command(subcommand)]
    pub(crate) command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Check a policy file: every fault with its place, and rules that match nothing.
    Check {
        /// The file.
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct EvaluateArguments {
    #[command(subcommand)]
    pub(crate) command: EvaluateCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EvaluateCommand {
    /// Hide each required tag that is there, guess it without the resource's whole group, and say how often that was right,
    /// how far confidence can be trusted, and what simpler rules would have come to.
    Suggestions {
        #[command(flatten)]
        store: StoreArguments,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Every environment variable of ours.
fn known_settings() -> Vec<OsString> {
    let root = Cli::command();
    let variables = arguments(&root).into_iter().filter_map(|argument| argument.get_env());
    variables.map(OsString::from).collect()
}

/// The arguments of a command and of all below it.
fn arguments(command: &clap::Command) -> Vec<&clap::Arg> {
    command.get_arguments().chain(command.get_subcommands().flat_map(arguments)).collect()
}

/// A variable with our prefix that nobody reads is a typing error that would otherwise go unnoticed.
pub(crate) fn refuse_unknown_settings() -> Result<(), Failure> {
    let known = known_settings();
    let ours = std::env::vars_os().map(|(name, _)| name).filter(|name| name.to_string_lossy().starts_with(PREFIX));
    let mut unknown: Vec<String> =
        ours.filter(|name| !known.contains(name)).map(|name| name.to_string_lossy().into_owned()).collect();
    unknown.sort();
    if unknown.is_empty() { Ok(()) } else { Err(Failure::UnknownSettings { names: unknown.join(", ") }) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_table_in_the_readme_has_every_setting_with_its_default_and_no_other() {
        let root = Cli::command();
        let row = |argument: &clap::Arg| {
            let variable = argument.get_env()?.to_str()?;
            let default = argument.get_default_values().first().and_then(|value| value.to_str()).unwrap_or("");
            let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
            Some(format!("| `{variable}` | `--{}` | {default} |", argument.get_long()?))
        };
        let settings: BTreeSet<String> = arguments(&root).into_iter().filter_map(row).collect();
        let readme = include_str!("../README.md");
        let rows = readme.lines().filter(|line| line.starts_with("| `TAGLEDGER_") || line.starts_with("| `REDIS_"));
        let table: BTreeSet<String> =
            rows.map(|line| line.rsplitn(3, '|').last().map(|cells| format!("{cells}|")).unwrap()).collect();
        assert_eq!(table, settings);
    }
}
