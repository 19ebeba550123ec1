//! Connections that have an end: axum's own server waits for ever for the rest of a request.

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

/// For how long answers under way are waited for at the end.
const GRACE: Duration = Duration::from_secs(3);

/// For how long a client may leave an answer unread before it is given up.
const UNREAD: Duration = Duration::from_secs(8);

/// What a listener takes on.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; further ones wait to be accepted.
    pub connections: usize,
    /// For how long a client may take to send the head of a request, or to send another one.
    pub head: Duration,
}

/// Serves a router until `end` is cancelled, and then ends what is under way.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, end: CancellationToken) {
    let (graceful, places) = (GracefulShutdown::new(), Arc::new(Semaphore::new(limits.connections)));
    while let Some(accepted) = end.run_until_cancelled(accept(&listener, &places)).await {
        let Some((stream, place)) = accepted else { continue };
        let connection = graceful.watch(connection(stream, router.clone(), limits.head));
        tokio::spawn(async move {
            // A client that breaks off or dawdles is its own loss.
            drop(connection.await);
            drop(place);
        });
    }
    drop(tokio::time::timeout(GRACE, graceful.shutdown()).await);
}

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // With Nagle's algorithm an answer in two parts waits for the client's delayed acknowledgement, 40 ms.
            if let Err(error) = stream.set_nodelay(true) {
                warn!("TCP_NODELAY cannot be set: {error}");
            }
            Some((stream, place))
        }
        Err(error) => {
            warn!("a connection cannot be accepted: {error}");
            // Out of file descriptors, mostly: trying again at once would only burn the processor.
            tokio::time::sleep(Duration::from_millis(200)).await;
            None
        }
    }
}

/// A client that may not leave its answers unread for long.
type Timed = TokioIo<Pin<Box<TimeoutStream<TcpStream>>>>;

type Connection =
    http1::Connection<Timed, TowerToHyperService<axum::routing::RouterIntoService<hyper::body::Incoming, ()>>>;

fn connection(stream: TcpStream, router: Router, head: Duration) -> Connection {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(UNREAD));
    let service = TowerToHyperService::new(router.into_service::<hyper::body::Incoming>());
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .serve_connection(TokioIo::new(Box::pin(stream)), service)
}
