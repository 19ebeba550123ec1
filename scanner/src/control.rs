//! The control port: rescans, progress, health and metrics over HTTP.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use gate::{Door, DoorError, DoorSettings, Limits, Port};
use governor::DefaultDirectRateLimiter;
use shared::cloud::Cloud;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::daemon::Daemon;

mod answers;
mod health;
mod metrics;
mod permit;
mod wish;

/// Operators and their monitoring need a handful of connections.
const LIMITS: Limits = Limits { connections: 64, head: Duration::from_secs(5) };

const PORT: Port = Port {
    // All accounts of a large organization.
    body: 1 << 18,
    refusal: permit::refusal,
    remedy: "set TAGLEDGER_CONTROL_KEY to a long random text, or run `tagledger key create --scopes rescan`",
};

/// The door of the control port.
///
/// # Errors
///
/// When strangers could come in, or the keys cannot be read.
pub fn control_door(settings: DoorSettings) -> Result<Door, DoorError> {
    Door::new(settings, PORT)
}

/// The control port cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; name another address with --control-listen or TAGLEDGER_CONTROL_LISTEN")]
pub struct ControlError {
    /// As configured.
    address: SocketAddr,
    /// What the system says.
    source: io::Error,
}

/// What every request is answered from.
pub(crate) struct Control<C> {
    pub(crate) daemon: Arc<Daemon<C>>,
    pub(crate) rescans: DefaultDirectRateLimiter,
}

/// Serves the control port to those whom the door lets in, until `end` is cancelled; tells the address when it listens.
///
/// # Errors
///
/// When the address cannot be listened on.
pub async fn serve_control<C: Cloud>(
    daemon: Arc<Daemon<C>>,
    door: Door,
    end: CancellationToken,
    listening: impl FnOnce(SocketAddr),
) -> Result<(), ControlError> {
    let listen = door.listen();
    let refused = |source| ControlError { address: listen, source };
    let listener = TcpListener::bind(listen).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    info!(listen = %address, "control port open");
    listening(address);
    let control = Control { daemon, rescans: answers::limiter() };
    let followed = door.keys().map(|keys| tokio::spawn(keys.follow(end.clone())));
    gate::serve(listener, answers::router(Arc::new(control), Arc::new(door)), LIMITS, end).await;
    followed.into_iter().for_each(|task| task.abort());
    Ok(())
}
