//! Why a command failed.

use std::{io, path::PathBuf};

use tagledger_audit::AuditError;
use tagledger_http::{ApiKeyFileError, GuardError, OAuthError};
use tagledger_ledger::LedgerError;
use tagledger_policy::PolicyErrors;
use tagledger_redis::InvalidRedisUrl;
use tagledger_scanner::{ControlError, ScanError, ScheduleError};
use tagledger_server::{HttpError, StdioError};

/// Every error of a command. The command prints the error and its causes on one line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A variable that begins with `TAGLEDGER_` is misspelled, or belongs to another version.
    #[error("unknown settings: {names}; `tagledger COMMAND --help` lists the settings of a command")]
    UnknownSettings { names: String },
    /// The file does not exist, or its permissions do not allow reading. The cause follows in the message.
    #[error("the file {} cannot be read", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The permissions of the parent folder do not allow it. The cause follows in the message.
    #[error("the folder {} cannot be created", path.display())]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The policy file is invalid. Each error is listed with its line and column.
    #[error("the policy {} has errors:\n{errors}", path.display())]
    Policy { path: PathBuf, errors: PolicyErrors },
    /// `TAGLEDGER_ACCOUNTS` or `--accounts` has both forms.
    #[cfg(feature = "aws")]
    #[error("--accounts accepts account IDs or `organization`, not both")]
    Accounts,
    /// There are no valid credentials, or the endpoint of AWS cannot be reached. The cause and its remedy follow in the message.
    #[cfg(feature = "aws")]
    #[error("AWS cannot be reached")]
    Aws(#[source] tagledger_model::inventory::Gap),
    /// The program was built without the feature `aws`.
    #[cfg(not(feature = "aws"))]
    #[error("this build has no support for AWS; build without --no-default-features")]
    WithoutAws,
    #[error(transparent)]
    Scan(#[from] ScanError),
    #[error(transparent)]
    Redis(#[from] InvalidRedisUrl),
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error(transparent)]
    Guard(#[from] GuardError),
    #[error(transparent)]
    Keys(#[from] ApiKeyFileError),
    /// The process does not run, or it listens on another address.
    #[error("no process answers at {address}; check the address, and whether the server or scanner is running")]
    Unhealthy {
        address: String,
        #[source]
        source: io::Error,
    },
    /// Some of the three settings of OAuth are missing.
    #[error(
        "set TAGLEDGER_OAUTH_ISSUER, TAGLEDGER_OAUTH_RESOURCE and TAGLEDGER_OAUTH_JWKS together, or none of the three"
    )]
    IncompleteOAuth,
    #[error(transparent)]
    OAuth(#[from] OAuthError),
    /// The name is empty, too long or has control characters.
    #[error(
        "the name of a key must have 1 to 64 characters and no control characters; set --name to the name of its owner"
    )]
    KeyName,
    /// The command needs the resources of a snapshot.
    #[error("the ledger has no snapshot yet; run `tagledger scan` first")]
    NoSnapshot,
    /// `tagledger store thin` was called without a retention.
    #[error("no retention is configured; set --retention or TAGLEDGER_RETENTION, such as `90d,52w,m`")]
    NoRetention,
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error(transparent)]
    Stdio(#[from] StdioError),
    /// The operating system provides no threads or file descriptors. Increase the limits of the process.
    #[error("the asynchronous runtime cannot be started")]
    Runtime(#[source] io::Error),
}
