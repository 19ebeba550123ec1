//! One connection pool for all clients.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_smithy_http_client::{
    Connector,
    proxy::ProxyConfig,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};
use tokio::sync::Semaphore;

use super::counted::{note_date, note_failure};

/// An HTTP client whose connections all SDK clients share, with the proxy from the environment.
///
/// The SDK's default client opens a pool for each client, and the client that its public builder makes ignores the
/// environment's proxy; hence this one, of the same parts.
#[derive(Debug)]
pub(super) struct Pool {
    connectors: Mutex<HashMap<Timeouts, SharedHttpConnector>>,
    bodies: Arc<Semaphore>,
}

/// Answers read at once: a page of instances has 6 MB, and lists that wait for their turn or pause after a throttle have
/// none. What is not read yet waits at the sender.
const BODIES_AT_ONCE: usize = 16;

impl Default for Pool {
    fn default() -> Self {
        Self { connectors: Mutex::default(), bodies: Arc::new(Semaphore::new(BODIES_AT_ONCE)) }
    }
}

/// The connect and the read timeout, all that connectors differ in.
type Timeouts = (Option<Duration>, Option<Duration>);

impl HttpClient for Pool {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let mut connectors = self.connectors.lock().unwrap_or_else(PoisonError::into_inner);
        let timeouts = (settings.connect_timeout(), settings.read_timeout());
        let whole = || Whole { connector: connector(settings), bodies: Arc::clone(&self.bodies) };
        connectors.entry(timeouts).or_insert_with(|| SharedHttpConnector::new(whole())).clone()
    }
}

fn connector(settings: &HttpConnectorSettings) -> impl HttpConnector + 'static {
    Connector::builder()
        .connector_settings(settings.clone())
        .proxy_config(ProxyConfig::from_env())
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .build()
}

/// A connector whose XML answers are whole: the SDK reads one that ends early as if it ended there, and half a list would
/// be taken for the list. An answer that is not is a broken connection, which is tried again.
#[derive(Debug)]
struct Whole<C> {
    connector: C,
    bodies: Arc<Semaphore>,
}

impl<C: HttpConnector> HttpConnector for Whole<C> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (answer, bodies) = (self.connector.call(request), Arc::clone(&self.bodies));
        HttpConnectorFuture::new(async move {
            let answer = answer.await?;
            // It is never closed.
            let _turn = bodies.acquire().await;
            whole(answer).await
        })
    }
}

async fn whole(mut answer: HttpResponse) -> Result<HttpResponse, ConnectorError> {
    let body = std::mem::replace(answer.body_mut(), SdkBody::taken());
    let bytes = ByteStream::new(body).collect().await.map_err(|error| ConnectorError::io(error.into()))?.into_bytes();
    note_date(answer.headers().get("date"));
    if !answer.status().is_success() {
        note_failure(answer.headers().get("x-amzn-errortype"), &bytes);
    }
    let xml = answer.headers().get("content-type").is_some_and(|kind| kind.contains("xml"));
    if xml && answer.status().is_success() && !is_closed(&String::from_utf8_lossy(&bytes)) {
        return Err(ConnectorError::io("the answer ends before its document does".into()));
    }
    *answer.body_mut() = SdkBody::from(bytes);
    Ok(answer)
}

/// Whether an XML document's first element is closed at its end.
fn is_closed(document: &str) -> bool {
    let mut tags = document.split('<').skip(1);
    let root = tags.find(|tag| tag.starts_with(|c: char| c.is_alphabetic()));
    let name = root.and_then(|tag| tag.split(|c: char| c.is_whitespace() || matches!(c, '>' | '/')).next());
    let end = document.trim_end();
    name.is_none_or(|name| end.ends_with(&format!("</{name}>")) || (end.ends_with("/>") && tags.next().is_none()))
}
