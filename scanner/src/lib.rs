//! TagLedger's scanner: finds out which scopes there are, lists them, and records a night.
//!
//! It knows [`Cloud`](shared::cloud::Cloud) and [`Writer`](shared::store::Writer), and no server. A scope that cannot be
//! read is data; a scan fails only when nothing can be recorded.

mod plan;
mod recorder;
mod scan;

pub use plan::{Choice, Narrow, PlanError};
pub use scan::{Progress, Scan, ScanError};
