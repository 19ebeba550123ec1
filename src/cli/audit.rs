//! Arguments of the audit log.

use std::{path::PathBuf, str::FromStr};

use clap::Args;
use jiff::civil::Date;

#[derive(Debug, Args)]
pub(crate) struct AuditSetting {
    /// The audit log of the server, one SQLite file.
    #[arg(long, env = "TAGLEDGER_AUDIT", value_name = "FILE", default_value = "tagledger-audit.sqlite")]
    pub(crate) audit: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct AuditWriting {
    #[command(flatten)]
    pub(crate) setting: AuditSetting,
    /// Number of days for which calls are retained; 0 disables the audit log.
    #[arg(long, env = "TAGLEDGER_AUDIT_DAYS", value_name = "DAYS", default_value_t = 90,
        value_parser = clap::value_parser!(u32).range(0..=36_500))]
    pub(crate) audit_days: u32,
}

#[derive(Debug, Args)]
pub(crate) struct AuditArguments {
    #[command(flatten)]
    pub(crate) setting: AuditSetting,
    /// Only calls of the last hours (`24h`) or days (`7d`), or since a date (`2026-11-01`).
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<Since>,
    /// Only calls with the API key of this ID.
    #[arg(long, value_name = "ID")]
    pub(crate) caller: Option<String>,
    /// Only calls of this tool.
    #[arg(long, value_name = "NAME")]
    pub(crate) tool: Option<String>,
    /// Maximum number of calls, newest first.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: u32,
    /// Print CSV with all fields.
    #[arg(long)]
    pub(crate) csv: bool,
}

/// The start of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    Hours(i64),
    Day(Date),
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number =
            |suffix: char| text.strip_suffix(suffix).and_then(|n| n.parse().ok()).filter(|n| (1..=100_000).contains(n));
        match (number('h'), number('d'), text.parse()) {
            (Some(hours), ..) => Ok(Self::Hours(hours)),
            (_, Some(days), _) => Ok(Self::Hours(days * 24)),
            (_, _, Ok(day)) => Ok(Self::Day(day)),
            _ => Err(format!(
                "`{text}` is not a number of hours (`24h`), a number of days (`7d`) or a date (`2026-11-01`)"
            )),
        }
    }
}
