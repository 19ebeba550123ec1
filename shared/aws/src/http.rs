//! The HTTP connection pool that all SDK clients share.

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

use crate::request_counter::{record_date, record_failure};

/// An HTTP client with one connection pool for all SDK clients and the proxy settings of the environment.
///
/// The default HTTP client of the SDK opens one pool for each SDK client. The client from the SDK's public builder ignores
/// the proxy settings of the environment. This type combines the same parts without these two limits.
#[derive(Debug)]
pub(crate) struct ConnectionPool {
    connectors: Mutex<HashMap<Timeouts, SharedHttpConnector>>,
    body_slots: Arc<Semaphore>,
}

/// Number of response bodies that are read at the same time. It limits memory, because a page of instances has 6 MB. Other
/// responses stay in the socket buffers until a slot is free.
const MAX_CONCURRENT_BODIES: usize = 16;

impl Default for ConnectionPool {
    fn default() -> Self {
        Self { connectors: Mutex::default(), body_slots: Arc::new(Semaphore::new(MAX_CONCURRENT_BODIES)) }
    }
}

/// The connect timeout and the read timeout. Connectors differ in nothing else.
type Timeouts = (Option<Duration>, Option<Duration>);

impl HttpClient for ConnectionPool {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let mut connectors = self.connectors.lock().unwrap_or_else(PoisonError::into_inner);
        let timeouts = (settings.connect_timeout(), settings.read_timeout());
        let create = || CollectedBody { connector: new_connector(settings), body_slots: Arc::clone(&self.body_slots) };
        connectors.entry(timeouts).or_insert_with(|| SharedHttpConnector::new(create())).clone()
    }
}

fn new_connector(settings: &HttpConnectorSettings) -> impl HttpConnector + 'static {
    Connector::builder()
        .connector_settings(settings.clone())
        .proxy_config(ProxyConfig::from_env())
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .build()
}

/// A connector that reads the complete body and rejects a truncated XML document.
///
/// The SDK accepts an XML document that ends early, so a truncated page would be recorded as a complete list. Here it is an
/// I/O error, which the SDK retries.
#[derive(Debug)]
struct CollectedBody<C> {
    connector: C,
    body_slots: Arc<Semaphore>,
}

impl<C: HttpConnector> HttpConnector for CollectedBody<C> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (response, body_slots) = (self.connector.call(request), Arc::clone(&self.body_slots));
        HttpConnectorFuture::new(async move {
            let response = response.await?;
            // The semaphore is never closed, so this cannot fail.
            let _slot = body_slots.acquire().await;
            collect_body(response).await
        })
    }
}

async fn collect_body(mut response: HttpResponse) -> Result<HttpResponse, ConnectorError> {
    let body = std::mem::replace(response.body_mut(), SdkBody::taken());
    let bytes = ByteStream::new(body).collect().await.map_err(|error| ConnectorError::io(error.into()))?.into_bytes();
    record_date(response.headers().get("date"));
    if !response.status().is_success() {
        record_failure(response.headers().get("x-amzn-errortype"), &bytes);
    }
    let xml = response.headers().get("content-type").is_some_and(|kind| kind.contains("xml"));
    if xml && response.status().is_success() && !is_complete_xml(&String::from_utf8_lossy(&bytes)) {
        return Err(ConnectorError::io("the response body is a truncated XML document".into()));
    }
    *response.body_mut() = SdkBody::from(bytes);
    Ok(response)
}

/// Whether an XML document ends with the end tag of its root element.
fn is_complete_xml(document: &str) -> bool {
    let mut tags = document.split('<').skip(1);
    let root = tags.find(|tag| tag.starts_with(|c: char| c.is_alphabetic()));
    let name = root.and_then(|tag| tag.split(|c: char| c.is_whitespace() || matches!(c, '>' | '/')).next());
    let end = document.trim_end();
    name.is_none_or(|name| end.ends_with(&format!("</{name}>")) || (end.ends_with("/>") && tags.next().is_none()))
}
