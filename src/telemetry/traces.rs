//! Traces to an OpenTelemetry collector: OTLP over HTTP, configured by the standard variables of OpenTelemetry.

use std::{env, fmt, time::Duration};

use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use opentelemetry::{KeyValue, global};
use opentelemetry_http::{Bytes, HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    resource::{EnvResourceDetector, ResourceDetector},
    trace::SdkTracerProvider,
};
use tokio::runtime::Handle;

use crate::output::print_warning;

/// The variables that name a collector. One of them enables traces.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const SUPPORTED_PROTOCOL: &str = "http/protobuf";

/// Maximum duration of a request to the collector, and of the last request when the process ends.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);

/// Maximum size of a response of the collector, in bytes.
const MAX_RESPONSE_BYTES: usize = 1 << 20;

/// Sends spans until it is dropped, and then sends the remaining spans.
#[must_use]
pub(crate) struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Starts sending traces when a collector is configured. A wrong configuration is a warning, because answers must not depend
    /// on traces. `service`: the name of the service unless `OTEL_SERVICE_NAME` sets another.
    pub(crate) fn start(service: &'static str) -> Self {
        let disabled = read_variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if disabled || ENDPOINTS.iter().all(|name| read_variable(name).is_none()) {
            return Self(None);
        }
        let provider =
            provider(service).inspect_err(|error| print_warning(&format!("traces are disabled: {error}"))).ok();
        if let Some(provider) = &provider {
            global::set_tracer_provider(provider.clone());
        }
        Self(provider)
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.0.take().map(|provider| provider.shutdown_with_timeout(SHUTDOWN_TIMEOUT)) {
            print_warning(&format!("the last traces were not sent: {error}"));
        }
    }
}

fn read_variable(name: &str) -> Option<String> {
    env::var_os(name).and_then(|value| value.into_string().ok()).filter(|value| !value.is_empty())
}

fn provider(service: &'static str) -> Result<SdkTracerProvider, String> {
    if let Some(protocol) =
        PROTOCOLS.iter().find_map(|name| read_variable(name)).filter(|protocol| protocol != SUPPORTED_PROTOCOL)
    {
        return Err(format!(
            "OTEL_EXPORTER_OTLP_PROTOCOL is `{protocol}`; only {SUPPORTED_PROTOCOL} is supported (usually port 4318)"
        ));
    }
    let client = RuntimeClient::new().map_err(|error| error.to_string())?;
    let exporter = SpanExporter::builder().with_http().with_http_client(client).build();
    let exporter = exporter.map_err(|error| error.to_string())?;
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource(service)).build())
}

/// The attributes of this process. The environment overrides the defaults.
fn resource(service: &'static str) -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let environment: Box<dyn ResourceDetector> = Box::new(EnvResourceDetector::new());
    let builder =
        Resource::builder_empty().with_service_name(service).with_attribute(version).with_detector(environment);
    match read_variable("OTEL_SERVICE_NAME") {
        Some(name) => builder.with_service_name(name).build(),
        None => builder.build(),
    }
}

/// Sends requests on the runtime of the program, because the thread of the SDK has no runtime.
struct RuntimeClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: Handle,
}

impl RuntimeClient {
    fn new() -> std::io::Result<Self> {
        let connector = HttpsConnectorBuilder::new().with_native_roots()?.https_or_http().enable_http1().build();
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector), runtime: Handle::current() })
    }
}

impl fmt::Debug for RuntimeClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RuntimeClient")
    }
}

#[async_trait::async_trait]
impl HttpClient for RuntimeClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sending = async move {
            let (head, body) = client.request(request.map(Full::new)).await?.into_parts();
            let body = Limited::new(body, MAX_RESPONSE_BYTES).collect().await?.to_bytes();
            Ok(Response::from_parts(head, body))
        };
        // A timeout must be created in the runtime.
        self.runtime.spawn(async { tokio::time::timeout(REQUEST_TIMEOUT, sending).await? }).await?
    }
}
