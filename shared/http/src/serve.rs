//! Serves connections with timeouts. The server of axum waits without limit for the rest of a request.

use std::{pin::Pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// Maximum time for the requests in progress at shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);

/// A client that does not read its response for this time is disconnected.
const WRITE_TIMEOUT: Duration = Duration::from_secs(8);

/// The limits of a listener.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Maximum number of connections. Further connections wait to be accepted.
    pub connections: usize,
    /// Maximum time for receiving the header of a request, and between two requests.
    pub head: Duration,
}

/// Serves a router until `end` is cancelled. Requests in progress then have a few seconds to end.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, end: CancellationToken) {
    let (graceful, permits) = (GracefulShutdown::new(), Arc::new(Semaphore::new(limits.connections)));
    while let Some(accepted) = end.run_until_cancelled(accept(&listener, &permits)).await {
        let Some((stream, permit)) = accepted else { continue };
        let connection = graceful.watch(connection(stream, router.clone(), limits.head));
        tokio::spawn(async move {
            // An error of a connection concerns its client only.
            drop(connection.await);
            drop(permit);
        });
    }
    drop(tokio::time::timeout(SHUTDOWN_TIMEOUT, graceful.shutdown()).await);
}

async fn accept(listener: &TcpListener, permits: &Arc<Semaphore>) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // With Nagle's algorithm an answer in two parts waits for the client's delayed acknowledgement, 40 ms.
            if let Err(error) = stream.set_nodelay(true) {
                warn!("TCP_NODELAY cannot be set: {error}");
            }
            Some((stream, permit))
        }
        Err(error) => {
            warn!("a connection cannot be accepted: {error}");
            // The usual cause is a lack of file descriptors. An immediate retry would fail again.
            tokio::time::sleep(Duration::from_millis(200)).await;
            None
        }
    }
}

/// A stream with a write timeout.
type Timed = TokioIo<Pin<Box<TimeoutStream<TcpStream>>>>;

type Connection =
    http1::Connection<Timed, TowerToHyperService<axum::routing::RouterIntoService<hyper::body::Incoming, ()>>>;

fn connection(stream: TcpStream, router: Router, head: Duration) -> Connection {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    let service = TowerToHyperService::new(router.into_service::<hyper::body::Incoming>());
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .serve_connection(TokioIo::new(Box::pin(stream)), service)
}
