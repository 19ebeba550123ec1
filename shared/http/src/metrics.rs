//! Metrics in the Prometheus text format, version 0.0.4.

use std::fmt;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use prometheus_client::{
    encoding::{EncodeGaugeValue, EncodeMetric, MetricEncoder, text::encode_registry},
    metrics::{MetricType, TypedMetric, counter::Counter, gauge::ConstGauge},
    registry::Registry,
};
use tracing::error;

const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// A counter whose registered name ends in `_total`.
///
/// OpenMetrics declares a counter without that suffix and appends it to each sample. The text format 0.0.4 declares the
/// name of the sample, so that this type adds no suffix.
#[derive(Debug, Clone, Default)]
pub struct TotalCounter(Counter);

impl TotalCounter {
    /// Adds one.
    pub fn inc(&self) {
        self.0.inc();
    }

    /// Adds `n`.
    pub fn inc_by(&self, n: u64) {
        self.0.inc_by(n);
    }

    /// The current value.
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

impl EncodeMetric for TotalCounter {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        encoder.encode_gauge(&self.get())
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl TypedMetric for TotalCounter {
    const TYPE: MetricType = MetricType::Counter;
}

/// Registers a gauge with a fixed value. `help` has no full stop at its end: the encoder adds one.
pub fn register_gauge<V>(registry: &mut Registry, name: &'static str, help: &'static str, value: V)
where
    V: EncodeGaugeValue + fmt::Debug + Send + Sync + 'static,
{
    registry.register(name, help, ConstGauge::new(value));
}

/// The response to `GET /metrics`: every metric of the registry. Metric families without a value are left out.
///
/// The encoder does not escape label values. They must be names without quotes, backslashes and line breaks.
pub fn metrics_response(registry: &Registry) -> Response {
    let mut text = String::new();
    if let Err(failure) = encode_registry(&mut text, registry) {
        error!("the metrics cannot be encoded: {failure}");
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response()
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::family::Family;

    use super::*;

    /// A counter is declared under the name of its samples, a gauge keeps its value, and the text has no OpenMetrics end
    /// marker.
    #[test]
    fn text_format_declares_sample_names() {
        let mut registry = Registry::default();
        let requests = Family::<[(&'static str, String); 1], TotalCounter>::default();
        requests.get_or_create(&[("status", "200".to_owned())]).inc_by(2);
        registry.register("requests_total", "Requests, by status", requests);
        register_gauge(&mut registry, "age_seconds", "Age", 7_i64);
        let mut text = String::new();
        encode_registry(&mut text, &registry).unwrap();
        let expected = "# HELP requests_total Requests, by status.\n# TYPE requests_total counter\n\
            requests_total{status=\"200\"} 2\n# HELP age_seconds Age.\n# TYPE age_seconds gauge\nage_seconds 7\n";
        assert_eq!(text, expected);
    }
}
