//! The command line. Each setting is defined once, as a flag and as an environment variable of the same name.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf};

use clap::{Args, CommandFactory, Parser, Subcommand};
use tagledger_ledger::RetentionPolicy;
use tagledger_model::{AccountId, Region, ResourceType};

use crate::failure::Failure;

mod audit;
mod keys;
#[cfg(test)]
mod reference;

pub(crate) use audit::{AuditArguments, AuditWriting, Since};
pub(crate) use keys::{GuardArguments, KeyArguments, KeyCommand, KeysSetting};

/// The default path of the policy.
pub(crate) const DEFAULT_POLICY: &str = "policies/tagging_policy.json";

/// Prefix of TagLedger's own environment variables.
const PREFIX: &str = "TAGLEDGER_";

/// Records the tags of an AWS estate in snapshots, and answers questions about them over MCP.
#[derive(Debug, Parser)]
#[command(name = "tagledger", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// Log level on standard error: error, warn, info, debug, trace, or a filter such as `info,tagledger_scanner=debug`.
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
    /// One line of text for each event.
    Text,
    /// One JSON object for each event.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the ledger of a simulated company with 90 snapshots on this machine. Needs no AWS account.
    Demo(DemoArguments),
    /// Scan AWS once and record a snapshot. Exit code 0: complete, 3: partial, 1: nothing recorded.
    Scan(ScanArguments),
    /// Scan AWS by a schedule until stopped. The control port serves rescans, progress, health and metrics.
    Scanner(ScannerArguments),
    /// Answer questions from the ledger over MCP on HTTP, at /mcp. Health is at /health.
    Server(ServerArguments),
    /// Answer questions from the ledger over MCP on standard input and output, for a desktop client.
    Mcp(McpArguments),
    /// Create, list and revoke the API keys of the server and of the control port of the scanner.
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Key(KeyArguments),
    /// Check what scans and servers need, and report what each missing part disables. Exit code 1: a required part is missing.
    Doctor(DoctorArguments),
    /// Print the audit log of a server: caller, tool, time and result of each call.
    Audit(AuditArguments),
    /// Print the health of a running server or scanner. Exit code 0: healthy.
    Health(HealthArguments),
    /// Verify, back up, measure, prune or upgrade the ledger.
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Store(LedgerArguments),
    /// Measure the accuracy of tag suggestions on the resources of the ledger.
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Evaluate(EvaluateArguments),
    /// Check tagging policies.
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Policy(PolicyArguments),
}

#[derive(Debug, Args)]
pub(crate) struct StoreArguments {
    /// The ledger, one SQLite file.
    #[arg(long, env = "TAGLEDGER_STORE", value_name = "FILE", default_value = "tagledger.sqlite")]
    pub(crate) store: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct PolicySetting {
    /// The tagging policy file.
    #[arg(long, env = "TAGLEDGER_POLICY", value_name = "FILE", default_value = DEFAULT_POLICY)]
    pub(crate) policy: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// Address and port to serve on.
    #[arg(long, env = "TAGLEDGER_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Approximate number of resources of the company.
    #[arg(long, value_name = "N", default_value_t = 1500, value_parser = clap::value_parser!(u32).range(100..=200_000))]
    pub(crate) resources: u32,
}

#[derive(Debug, Args)]
pub(crate) struct ScanArguments {
    #[command(flatten)]
    pub(crate) store: StoreArguments,
    #[command(flatten)]
    pub(crate) policy: PolicySetting,
    /// Regions to scan [default: all enabled regions of each account].
    #[arg(long, env = "TAGLEDGER_REGIONS", value_name = "REGION,...", value_delimiter = ',')]
    pub(crate) regions: Vec<Region>,
    /// Resource types to scan [default: all].
    #[arg(long, env = "TAGLEDGER_TYPES", value_name = "TYPE,...", value_delimiter = ',')]
    pub(crate) types: Vec<ResourceType>,
    /// Member accounts to scan in addition to the account of the credentials, or `organization` for all accounts of the
    /// organization.
    #[arg(long, env = "TAGLEDGER_ACCOUNTS", value_name = "ACCOUNT,...", value_delimiter = ',')]
    pub(crate) accounts: Vec<AccountSetting>,
    #[command(flatten)]
    pub(crate) access: AccessArguments,
    /// Maximum number of scopes that are listed concurrently.
    #[arg(long, env = "TAGLEDGER_CONCURRENCY", value_name = "N", default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) concurrency: u32,
    /// Maximum number of Cost Explorer requests a day, at USD 0.01 each; 0 disables Cost Explorer.
    #[arg(long, env = "TAGLEDGER_COST_REQUEST_BUDGET", value_name = "N", default_value_t = 50,
        value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub(crate) cost_request_budget: u32,
    /// The account whose Cost Explorer is read, with the same role [default: the account of the credentials].
    #[arg(long, env = "TAGLEDGER_PAYER_ACCOUNT", value_name = "ACCOUNT")]
    pub(crate) payer_account: Option<AccountId>,
    /// Whether the creators of resources are read from CloudTrail for suggestions: a few requests for each account and region.
    #[arg(long, env = "TAGLEDGER_CREATORS", value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    pub(crate) creators: bool,
    #[command(flatten)]
    pub(crate) redis: RedisSetting,
    #[command(flatten)]
    pub(crate) retention: RetentionSetting,
}

#[derive(Debug, Args)]
pub(crate) struct RedisSetting {
    /// The Redis in which scanners of one account share a lease and servers share a cache, such as
    /// `redis://:PASSWORD@HOST:6379/0` [default: none].
    #[arg(long, env = "REDIS_URL", value_name = "URL", hide_env_values = true)]
    pub(crate) redis_url: Option<String>,
}

/// Access to AWS for scans and for live lookups.
#[derive(Debug, Args)]
pub(crate) struct AccessArguments {
    /// The role to assume in member accounts.
    #[arg(long, env = "TAGLEDGER_ROLE_NAME", value_name = "NAME", default_value = "TagLedgerScanner")]
    pub(crate) role_name: String,
    /// The external ID that the trust policy of the role requires.
    #[arg(long, env = "TAGLEDGER_EXTERNAL_ID", value_name = "ID")]
    pub(crate) external_id: Option<String>,
    /// Percentage of the request rates published by AWS to use.
    #[arg(long, env = "TAGLEDGER_RATE_PERCENT", value_name = "PERCENT", default_value_t = 50,
        value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rate_percent: u32,
}

#[derive(Debug, Args)]
pub(crate) struct RetentionSetting {
    /// Snapshots to retain, such as `90d,52w,m`: all of 90 days, then one a week for 52 weeks, then one a month without a limit
    /// [default: all].
    #[arg(long, env = "TAGLEDGER_RETENTION", value_name = "DAYS[,WEEKS[,MONTHS]]")]
    pub(crate) retention: Option<RetentionPolicy>,
}

#[derive(Debug, Args)]
pub(crate) struct ScannerArguments {
    #[command(flatten)]
    pub(crate) scan: ScanArguments,
    /// When to scan, as a cron expression of minute, hour, day of month, month and day of week.
    #[arg(long, env = "TAGLEDGER_SCHEDULE", value_name = "CRON", default_value = "0 2 * * *")]
    pub(crate) schedule: String,
    /// The IANA time zone of the schedule.
    #[arg(long, env = "TAGLEDGER_TIME_ZONE", value_name = "ZONE", default_value = "UTC")]
    pub(crate) time_zone: String,
    /// Maximum random delay of a scheduled scan, in seconds, so that several scanners do not start at the same time.
    #[arg(long, env = "TAGLEDGER_JITTER_SECONDS", value_name = "SECONDS", default_value_t = 0,
        value_parser = clap::value_parser!(u32).range(0..=86_400))]
    pub(crate) jitter_seconds: u32,
    /// Address and port of the control port.
    #[arg(long, env = "TAGLEDGER_CONTROL_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    pub(crate) control_listen: SocketAddr,
    /// An API key for the control port in addition to the key file.
    #[arg(long, env = "TAGLEDGER_CONTROL_KEY", value_name = "KEY", hide_env_values = true)]
    pub(crate) control_key: Option<String>,
    #[command(flatten)]
    pub(crate) guard: GuardArguments,
    /// Age in hours from which the newest full scan makes /health unhealthy.
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
    /// Verify the file and its checksums, and recompute the totals of the newest snapshot. Exit code 1: errors found.
    Check {
        /// Recompute the totals of every retained snapshot, not only of the newest.
        #[arg(long)]
        all: bool,
    },
    /// Copy the ledger to a new, compacted file with a checksum. Scans and questions can run meanwhile.
    Backup {
        /// The new file, which must not exist.
        file: PathBuf,
    },
    /// Print the size of the ledger and of its tables.
    Stats,
    /// Prune old snapshots now, as every scan does when TAGLEDGER_RETENTION is set.
    Thin {
        #[command(flatten)]
        retention: RetentionSetting,
    },
    /// Migrate a ledger of an earlier version to the schema of this version, as every scan does.
    Upgrade,
}

/// An account to scan, or all accounts of the organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AccountSetting {
    Account(AccountId),
    Organization,
}

impl AccountSetting {
    /// The account ID, unless it is the organization.
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
        text.parse().map(Self::Account).map_err(|error| format!("{error}, and not `organization`"))
    }
}

#[derive(Debug, Args)]
pub(crate) struct ServerArguments {
    #[command(flatten)]
    pub(crate) store: StoreArguments,
    #[command(flatten)]
    pub(crate) policy: PolicySetting,
    /// Address and port to serve on.
    #[arg(long, env = "TAGLEDGER_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    #[command(flatten)]
    pub(crate) guard: GuardArguments,
    #[command(flatten)]
    pub(crate) access: AccessArguments,
    #[command(flatten)]
    pub(crate) redis: RedisSetting,
    #[command(flatten)]
    pub(crate) audit: AuditWriting,
    /// Age in hours from which the newest full scan makes /health unhealthy.
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
    /// Also test Cost Explorer, with two requests at USD 0.01 each.
    #[arg(long)]
    pub(crate) costs: bool,
}

#[derive(Debug, Args)]
pub(crate) struct HealthArguments {
    /// The address of the process, such as `scanner:8081`.
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
    /// Check a policy file: report every error with its position, and rules that match nothing.
    Check {
        /// The policy file.
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
    /// Hide each required tag that is set, predict it without the group of the resource, and report accuracy, calibration and
    /// the accuracy of simpler rules.
    Suggestions {
        #[command(flatten)]
        store: StoreArguments,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Every environment variable of the command line.
fn known_settings() -> Vec<OsString> {
    let root = Cli::command();
    let variables = arguments(&root).into_iter().filter_map(|argument| argument.get_env());
    variables.map(OsString::from).collect()
}

/// The arguments of a command and of its subcommands.
fn arguments(command: &clap::Command) -> Vec<&clap::Arg> {
    command.get_arguments().chain(command.get_subcommands().flat_map(arguments)).collect()
}

/// Rejects unknown variables with the prefix of TagLedger. A misspelled setting would otherwise have no effect.
pub(crate) fn reject_unknown_settings() -> Result<(), Failure> {
    let known = known_settings();
    let prefixed = std::env::vars_os().map(|(name, _)| name).filter(|name| name.to_string_lossy().starts_with(PREFIX));
    let mut unknown: Vec<String> =
        prefixed.filter(|name| !known.contains(name)).map(|name| name.to_string_lossy().into_owned()).collect();
    unknown.sort();
    if unknown.is_empty() { Ok(()) } else { Err(Failure::UnknownSettings { names: unknown.join(", ") }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition of the command line passes the consistency checks of clap.
    #[test]
    fn command_definition_is_consistent() {
        Cli::command().debug_assert();
    }
}
