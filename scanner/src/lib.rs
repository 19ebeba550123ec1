//! TagLedger's scanner: determines the scopes of an estate, lists their resources and records a snapshot.
//!
//! It reads through [`Cloud`](tagledger_cloud::Cloud) and writes through [`LedgerWriter`](tagledger_ledger::LedgerWriter). A
//! scope that cannot be read is recorded as a gap; a scan fails only when nothing can be recorded. [`Scan`] runs one scan.
//! [`Daemon`] runs scans by a schedule, and by request over HTTP ([`serve_control`]).

mod bill;
mod control;
mod daemon;
mod lease;
mod scan;

pub use crate::{
    control::serve::{ControlError, control_guard, serve_control},
    daemon::{
        run::{Connect, Daemon, DaemonSettings, ReadPolicy, prune},
        schedule::{Schedule, ScheduleError},
    },
    lease::LeaseSettings,
    scan::{
        plan::{PlanError, ScanScopeFilter, ScanTargets},
        progress::{Progress, ScanError},
        run::Scan,
    },
};
