//! The control port: rescans, progress, health and metrics over HTTP.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tagledger_cloud::Cloud;
use tagledger_http::{GuardError, GuardSettings, Limits, Port, RequestGuard};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::{
    control::{authorize, routes, state::Control},
    daemon::run::Daemon,
};

/// Operators and their monitoring need few connections.
const LIMITS: Limits = Limits { connections: 64, head: Duration::from_secs(5) };

const PORT: Port = Port {
    // A rescan request can name all accounts of a large organization.
    body: 1 << 18,
    refusal: authorize::error_response,
    remedy: "set TAGLEDGER_CONTROL_KEY to a long random string, or run `tagledger key create --scopes rescan`",
};

/// The request guard of the control port.
///
/// # Errors
///
/// When the port would be open to other machines without a key, or the key file cannot be read.
pub fn control_guard(settings: GuardSettings) -> Result<RequestGuard, GuardError> {
    RequestGuard::new(settings, PORT)
}

/// The control port cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; name another address with --control-listen or TAGLEDGER_CONTROL_LISTEN")]
pub struct ControlError {
    /// The configured address.
    address: SocketAddr,
    /// The error of the operating system.
    source: io::Error,
}

/// Serves the control port until `end` is cancelled. `listening` receives the address when the port is open.
///
/// # Errors
///
/// When the address cannot be listened on.
pub async fn serve_control<C: Cloud>(
    daemon: Arc<Daemon<C>>,
    request_guard: RequestGuard,
    end: CancellationToken,
    listening: impl FnOnce(SocketAddr),
) -> Result<(), ControlError> {
    let listen = request_guard.listen();
    let listen_error = |source| ControlError { address: listen, source };
    let listener = TcpListener::bind(listen).await.map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    info!(listen = %address, "control port open");
    listening(address);
    let control = Control { daemon, rescans: routes::limiter() };
    let key_reload = request_guard.keys().map(|keys| tokio::spawn(keys.follow(end.clone())));
    tagledger_http::serve(listener, routes::router(Arc::new(control), Arc::new(request_guard)), LIMITS, end).await;
    key_reload.into_iter().for_each(|task| task.abort());
    Ok(())
}
