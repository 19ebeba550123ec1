//! One connection pool for all clients.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use aws_smithy_http_client::{
    Connector,
    proxy::ProxyConfig,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    http::{HttpClient, HttpConnector, HttpConnectorSettings, SharedHttpConnector},
    runtime_components::RuntimeComponents,
};

/// An HTTP client whose connections all SDK clients share, with the proxy from the environment.
///
/// The SDK's default client opens a pool for each client, and the client that its public builder makes ignores the
/// environment's proxy; hence this one, of the same parts.
#[derive(Debug, Default)]
pub(super) struct Pool {
    connectors: Mutex<HashMap<Timeouts, SharedHttpConnector>>,
}

/// The connect and the read timeout, all that connectors differ in.
type Timeouts = (Option<Duration>, Option<Duration>);

impl HttpClient for Pool {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let mut connectors = self.connectors.lock().unwrap_or_else(PoisonError::into_inner);
        let timeouts = (settings.connect_timeout(), settings.read_timeout());
        connectors.entry(timeouts).or_insert_with(|| SharedHttpConnector::new(connector(settings))).clone()
    }
}

fn connector(settings: &HttpConnectorSettings) -> impl HttpConnector + 'static {
    Connector::builder()
        .connector_settings(settings.clone())
        .proxy_config(ProxyConfig::from_env())
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .build()
}
