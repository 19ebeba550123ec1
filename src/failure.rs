//! Why a command failed.

use std::{io, path::PathBuf};

use gate::{DoorError, KeyFileError, OAuthError};
use scanner::{ControlError, ScanError, ScanLockError, ScheduleError};
use server::{HttpError, ShelfError, StdioError};
use shared::{
    policy::PolicyFaults,
    store::{AuditError, StoreError},
};

/// Every way in which a command fails; what is printed is this and its causes, on one line where it can be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("no such setting: {names}; `tagledger COMMAND --help` lists the settings of a command")]
    UnknownSettings { names: String },
    #[error("the file {} cannot be read", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the folder {} cannot be made", path.display())]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the policy {} has faults:\n{faults}", path.display())]
    Policy { path: PathBuf, faults: PolicyFaults },
    #[cfg(feature = "aws")]
    #[error("--accounts takes account ids or `organization`, not both")]
    Accounts,
    #[cfg(feature = "aws")]
    #[error("AWS cannot be reached")]
    Aws(#[source] shared::inventory::Gap),
    #[cfg(not(feature = "aws"))]
    #[error("this build cannot scan AWS; build without --no-default-features")]
    WithoutAws,
    #[error(transparent)]
    Scan(#[from] ScanError),
    #[error(transparent)]
    ScanLock(#[from] ScanLockError),
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error(transparent)]
    Door(#[from] DoorError),
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    #[error("nothing answers at {address}")]
    Unhealthy {
        address: String,
        #[source]
        source: io::Error,
    },
    #[error("set TAGLEDGER_OAUTH_ISSUER, TAGLEDGER_OAUTH_RESOURCE and TAGLEDGER_OAUTH_JWKS together, or none of them")]
    HalfOAuth,
    #[error(transparent)]
    OAuth(#[from] OAuthError),
    #[error("give the key a name that says whose it is, of 1 to 64 characters")]
    KeyName,
    #[error("the ledger has no snapshot yet; run `tagledger scan` first")]
    NoSnapshot,
    #[error("say what to keep: --retention or TAGLEDGER_RETENTION, such as `90d,52w,m`")]
    NoRetention,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    #[error(transparent)]
    Stdio(#[from] StdioError),
    #[error("the asynchronous runtime cannot be started")]
    Runtime(#[source] io::Error),
}
