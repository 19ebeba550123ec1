//! The HTTP control port: rescan requests, job state, health and metrics.

pub(crate) mod authorize;
pub(crate) mod health;
pub(crate) mod metrics;
pub(crate) mod rescan_request;
pub(crate) mod routes;
pub(crate) mod serve;
pub(crate) mod state;
