//! The control port: rescans, progress, health and metrics over HTTP.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use governor::DefaultDirectRateLimiter;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use shared::cloud::Cloud;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::daemon::Daemon;

mod answers;
mod guard;
mod health;
mod metrics;
mod wish;

/// Connections at once; operators and their monitoring need a handful.
const MOST_CONNECTIONS: usize = 64;

/// For how long a client may take to send the head of a request. axum's own server would wait for ever.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// For how long answers under way are waited for at the end.
const GRACE: Duration = Duration::from_secs(3);

/// Where the control port listens, and for whom.
#[derive(Debug, Clone)]
pub struct ControlSettings {
    /// Address and port.
    pub listen: SocketAddr,
    /// What callers must give as bearer token; none: nobody needs one.
    pub key: Option<String>,
}

/// Why the control port could not be served.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Anybody could start scans.
    #[error(
        "{address} can be reached from other machines; set TAGLEDGER_CONTROL_KEY or --control-key to at least \
        {SHORTEST_KEY} characters, or listen on 127.0.0.1"
    )]
    NoKey {
        /// As configured.
        address: SocketAddr,
    },
    /// A short key can be guessed.
    #[error("the control key is shorter than {SHORTEST_KEY} characters; `openssl rand -hex 24` makes a good one")]
    ShortKey,
    /// The port is in use, or not ours to use.
    #[error(
        "cannot listen on {address}: {source}; name another address with --control-listen or TAGLEDGER_CONTROL_LISTEN"
    )]
    Listen {
        /// As configured.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

/// The shortest key that is accepted, in bytes.
const SHORTEST_KEY: usize = 16;

impl ControlSettings {
    /// Checks that strangers are kept out.
    ///
    /// # Errors
    ///
    /// When others can reach the port and need no key, or when the key is short.
    pub fn check(&self) -> Result<(), ControlError> {
        match &self.key {
            Some(key) if key.len() < SHORTEST_KEY => Err(ControlError::ShortKey),
            None if !self.listen.ip().is_loopback() => Err(ControlError::NoKey { address: self.listen }),
            _ => Ok(()),
        }
    }
}

/// What every request is answered from.
pub(crate) struct Control<C> {
    pub(crate) daemon: Arc<Daemon<C>>,
    pub(crate) rescans: DefaultDirectRateLimiter,
    key: Option<String>,
    /// Nobody but this machine can reach the port, but for web pages in its browsers.
    loopback: bool,
}

/// Serves the control port until `end` is cancelled; tells the address when it listens.
///
/// # Errors
///
/// When strangers could use it, or the address cannot be listened on.
pub async fn serve_control<C: Cloud>(
    daemon: Arc<Daemon<C>>,
    settings: ControlSettings,
    end: CancellationToken,
    listening: impl FnOnce(SocketAddr),
) -> Result<(), ControlError> {
    settings.check()?;
    let refused = |source| ControlError::Listen { address: settings.listen, source };
    let listener = TcpListener::bind(settings.listen).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    info!(listen = %address, "control port open");
    listening(address);
    let control = Control {
        daemon,
        rescans: answers::limiter(),
        key: settings.key,
        loopback: settings.listen.ip().is_loopback(),
    };
    let router = answers::router(Arc::new(control));
    let (graceful, places) = (GracefulShutdown::new(), Arc::new(Semaphore::new(MOST_CONNECTIONS)));
    while let Some(accepted) = end.run_until_cancelled(accept(&listener, &places)).await {
        let Some((stream, place)) = accepted else { continue };
        let connection = graceful.watch(connection(stream, router.clone()));
        tokio::spawn(async move {
            // A client that breaks off or dawdles is its own loss.
            drop(connection.await);
            drop(place);
        });
    }
    drop(tokio::time::timeout(GRACE, graceful.shutdown()).await);
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        Err(error) => {
            warn!("a connection cannot be accepted: {error}");
            // Out of file descriptors, mostly: trying again at once would only burn the processor.
            tokio::time::sleep(Duration::from_millis(200)).await;
            None
        }
    }
}

fn connection(
    stream: TcpStream,
    router: Router,
) -> http1::Connection<
    TokioIo<TcpStream>,
    TowerToHyperService<axum::routing::RouterIntoService<hyper::body::Incoming, ()>>,
> {
    let service = TowerToHyperService::new(router.into_service::<hyper::body::Incoming>());
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
}
