//! Traces to an OpenTelemetry collector: OTLP over HTTP, set up by the variables that every OpenTelemetry SDK reads.

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

use crate::output::warn;

/// Where spans go; either sets it all up.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const SPOKEN: &str = "http/protobuf";

/// How long a collector may take for an answer, and for the last one when the process ends.
const PATIENCE: Duration = Duration::from_secs(10);
const LAST: Duration = Duration::from_secs(3);

/// Bytes of a collector's answer.
const MOST: usize = 1 << 20;

/// What sends spans, until it is dropped; then what is left of them is sent.
#[must_use]
pub(crate) struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Sets it up when a collector is named. What is wrong there is said, and the rest goes on: nobody's answers shall
    /// depend on traces. `service`: its name where `OTEL_SERVICE_NAME` gives no other.
    pub(crate) fn start(service: &'static str) -> Self {
        let disabled = given("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if disabled || ENDPOINTS.iter().all(|name| given(name).is_none()) {
            return Self(None);
        }
        let provider = provider(service).inspect_err(|why| warn(&format!("no traces: {why}"))).ok();
        if let Some(provider) = &provider {
            global::set_tracer_provider(provider.clone());
        }
        Self(provider)
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.0.take().map(|provider| provider.shutdown_with_timeout(LAST)) {
            warn(&format!("the last traces were not sent: {error}"));
        }
    }
}

fn given(name: &str) -> Option<String> {
    env::var_os(name).and_then(|value| value.into_string().ok()).filter(|value| !value.is_empty())
}

fn provider(service: &'static str) -> Result<SdkTracerProvider, String> {
    if let Some(protocol) = PROTOCOLS.iter().find_map(|name| given(name)).filter(|protocol| protocol != SPOKEN) {
        return Err(format!(
            "OTEL_EXPORTER_OTLP_PROTOCOL is `{protocol}`; only {SPOKEN} is spoken (usually port 4318)"
        ));
    }
    let client = Sender::new().map_err(|error| error.to_string())?;
    let exporter = SpanExporter::builder().with_http().with_http_client(client).build();
    let exporter = exporter.map_err(|error| error.to_string())?;
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource(service)).build())
}

/// What is said of this process: what the environment says, else our own.
fn resource(service: &'static str) -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let environment: Box<dyn ResourceDetector> = Box::new(EnvResourceDetector::new());
    let builder =
        Resource::builder_empty().with_service_name(service).with_attribute(version).with_detector(environment);
    match given("OTEL_SERVICE_NAME") {
        Some(name) => builder.with_service_name(name).build(),
        None => builder.build(),
    }
}

/// Sends from whatever thread: the SDK's own has no runtime.
struct Sender {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: Handle,
}

impl Sender {
    fn new() -> std::io::Result<Self> {
        let connector = HttpsConnectorBuilder::new().with_native_roots()?.https_or_http().enable_http1().build();
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector), runtime: Handle::current() })
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

#[async_trait::async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sending = async move {
            let (head, body) = client.request(request.map(Full::new)).await?.into_parts();
            let body = Limited::new(body, MOST).collect().await?.to_bytes();
            Ok(Response::from_parts(head, body))
        };
        // The clock of the timeout belongs to the runtime: it is looked for within.
        self.runtime.spawn(async { tokio::time::timeout(PATIENCE, sending).await? }).await?
    }
}
