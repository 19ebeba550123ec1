//! TagLedger's scanner: finds out which scopes there are, lists them, and records a night.
//!
//! It knows [`Cloud`](shared::cloud::Cloud) and [`Writer`](shared::store::Writer), and no server. A scope that cannot be
//! read is data; a scan fails only when nothing can be recorded. [`Scan`] scans once; [`Daemon`] does it by a schedule
//! and when asked over HTTP ([`serve_control`]).

mod control;
mod costs;
mod creators;
mod daemon;
mod jobs;
mod plan;
mod recorder;
mod scan;
mod scan_lock;
mod schedule;
mod timetable;
mod traces;

pub use control::{ControlError, control_door, serve_control};
pub use daemon::{Connect, Daemon, DaemonSettings, ReadPolicy, thin};
pub use plan::{Choice, Narrow, PlanError};
pub use scan::{Progress, Scan, ScanError};
pub use scan_lock::{ScanLock, ScanLockError};
pub use schedule::{Schedule, ScheduleError};
