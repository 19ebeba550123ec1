//! Metrics in the Prometheus text format, version 0.0.4.

use std::fmt;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use prometheus_client::{
    encoding::{EncodeGaugeValue, prometheus_text},
    metrics::gauge::ConstGauge,
    registry::{Metric, Registry},
};
use tracing::error;

const CONTENT_TYPE: HeaderValue = HeaderValue::from_static(prometheus_text::CONTENT_TYPE);

/// The encoder appends this suffix to the registered name of a counter.
const COUNTER_SUFFIX: &str = "_total";

/// Registers a counter, or a family of counters. `name` is the name that Prometheus reads and ends in `_total`. `help` has
/// no full stop at its end: the encoder adds one.
pub fn register_counter(registry: &mut Registry, name: &'static str, help: &'static str, counter: impl Metric) {
    registry.register(name.strip_suffix(COUNTER_SUFFIX).unwrap_or(name), help, counter);
}

/// Registers a gauge with a fixed value. `help` has no full stop at its end: the encoder adds one.
pub fn register_gauge<V>(registry: &mut Registry, name: &'static str, help: &'static str, value: V)
where
    V: EncodeGaugeValue + fmt::Debug + Send + Sync + 'static,
{
    registry.register(name, help, ConstGauge::new(value));
}

/// The response to `GET /metrics`: every metric of the registry. Metric families without a value are left out.
pub fn metrics_response(registry: &Registry) -> Response {
    let mut text = String::new();
    if let Err(failure) = prometheus_text::encode(&mut text, registry) {
        error!("the metrics cannot be encoded: {failure}");
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response()
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::{counter::Counter, family::Family, histogram::Histogram};

    use super::*;

    /// A family of counters by the label `status`.
    type CountersByStatus = Family<[(&'static str, String); 1], Counter>;

    fn encode(registry: &Registry) -> String {
        let mut text = String::new();
        prometheus_text::encode(&mut text, registry).unwrap();
        text
    }

    /// A counter is declared under the name of its samples, a gauge keeps its value, and the text has no OpenMetrics end
    /// marker.
    #[test]
    fn text_format_declares_sample_names() {
        let mut registry = Registry::default();
        let requests = CountersByStatus::default();
        requests.get_or_create(&[("status", "200".to_owned())]).inc_by(2);
        register_counter(&mut registry, "requests_total", "Requests, by status", requests);
        register_gauge(&mut registry, "age_seconds", "Age", 7_i64);
        let expected = "# HELP requests_total Requests, by status.\n# TYPE requests_total counter\n\
            requests_total{status=\"200\"} 2\n# HELP age_seconds Age.\n# TYPE age_seconds gauge\nage_seconds 7\n";
        assert_eq!(encode(&registry), expected);
    }

    /// Quotes, backslashes and line breaks in a label value are escaped.
    #[test]
    fn label_values_are_escaped() {
        let mut registry = Registry::default();
        let requests = CountersByStatus::default();
        requests.get_or_create(&[("status", "a\"b\\c\nd".to_owned())]).inc();
        register_counter(&mut registry, "requests_total", "Requests", requests);
        assert!(encode(&registry).ends_with("\nrequests_total{status=\"a\\\"b\\\\c\\nd\"} 1\n"));
    }

    /// The bounds of histogram buckets that are whole numbers have no decimal point, so that the label `le` of a series does
    /// not change.
    #[test]
    fn bucket_bounds_have_no_trailing_zero() {
        let mut registry = Registry::default();
        let durations = Histogram::new([0.0005, 1.0, 10.0]);
        durations.observe(0.75);
        registry.register("duration_seconds", "Duration", durations);
        let expected = "# HELP duration_seconds Duration.\n# TYPE duration_seconds histogram\n\
            duration_seconds_bucket{le=\"0.0005\"} 0\nduration_seconds_bucket{le=\"1\"} 1\n\
            duration_seconds_bucket{le=\"10\"} 1\nduration_seconds_bucket{le=\"+Inf\"} 1\n\
            duration_seconds_sum 0.75\nduration_seconds_count 1\n";
        assert_eq!(encode(&registry), expected);
    }
}
