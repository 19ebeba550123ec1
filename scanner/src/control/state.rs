//! The state that the routes of the control port share.

use std::sync::Arc;

use axum::extract::State;
use governor::DefaultDirectRateLimiter;
use tagledger_cloud::Cloud;

use crate::daemon::run::Daemon;

/// The state that every route shares.
pub(crate) struct Control<C> {
    pub(crate) daemon: Arc<Daemon<C>>,
    pub(crate) rescans: DefaultDirectRateLimiter,
}

pub(crate) type Shared<C> = State<Arc<Control<C>>>;

pub(crate) fn next_scheduled<C: Cloud>(control: &Control<C>) -> Option<String> {
    control.daemon.next_run().map(|next| next.to_string())
}
