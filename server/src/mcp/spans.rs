//! A span for each request, by OpenTelemetry's semantic conventions for MCP. Without a collector no spans are recorded.

use std::borrow::Cow;

use http::request::Parts;
use opentelemetry::{
    Context, KeyValue,
    global::{self, BoxedSpan},
    propagation::{Extractor, TextMapPropagator},
    trace::{Span as _, SpanKind, Status, TraceContextExt, Tracer},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use rmcp::{RoleServer, model::RequestId, service::RequestContext};

/// The name of the instrumentation scope.
const INSTRUMENTATION_SCOPE: &str = "tagledger.server";

/// A longer request id is not recorded.
const MAX_REQUEST_ID_BYTES: usize = 64;

/// A longer `tracestate` is not propagated. W3C requires at least this length.
const MAX_TRACE_STATE_BYTES: usize = 512;

/// The span of a request. It ends when it is dropped.
pub(crate) struct Span(BoxedSpan);

impl Span {
    /// Begins a span for the MCP method `method`. `target` is the name of a tool, and empty for other methods.
    pub(crate) fn begin(method: &'static str, target: &str, context: &RequestContext<RoleServer>) -> Self {
        let parts = context.extensions.get::<Parts>();
        let mut attributes = vec![
            KeyValue::new("mcp.method.name", method),
            KeyValue::new("network.transport", if parts.is_some() { "tcp" } else { "pipe" }),
        ];
        attributes.extend(short_request_id(&context.id).map(|id| KeyValue::new("jsonrpc.request.id", id)));
        if let Some(version) = parts.and_then(|parts| header_text(parts, "mcp-protocol-version")) {
            attributes.push(KeyValue::new("mcp.protocol.version", version.to_owned()));
        }
        let name = if target.is_empty() { Cow::Borrowed(method) } else { Cow::Owned(format!("{method} {target}")) };
        let tracer = global::tracer(INSTRUMENTATION_SCOPE);
        let span = tracer.span_builder(name).with_kind(SpanKind::Server).with_attributes(attributes);
        Self(span.start_with_context(&tracer, &parent_context(context, parts)))
    }

    /// The id of the trace; empty when no collector is configured.
    pub(crate) fn trace_id(&self) -> String {
        let context = self.0.span_context();
        if context.is_valid() { context.trace_id().to_string() } else { String::new() }
    }

    pub(crate) fn set_attribute(&mut self, key: &'static str, value: impl Into<opentelemetry::Value>) {
        self.0.set_attribute(KeyValue::new(key, value));
    }

    /// Ends the span. An outcome other than `ok` is an error type. The error text is not recorded: it can quote arguments.
    pub(crate) fn end(mut self, outcome: &'static str) {
        if outcome != "ok" {
            self.set_attribute("error.type", outcome);
            self.0.set_status(Status::error(outcome));
        }
    }
}

/// The client's span: from `_meta`, as MCP defines it, or else from the HTTP header.
fn parent_context(context: &RequestContext<RoleServer>, parts: Option<&Parts>) -> Context {
    let meta = context.meta.get_traceparent().and_then(|parent| remote_context(parent, context.meta.get_tracestate()));
    let header = || remote_context(header_text(parts?, "traceparent")?, header_text(parts?, "tracestate"));
    meta.or_else(header).unwrap_or_default()
}

/// The request id. Clients choose it freely, and spans are queued in memory, so a long id is left out.
fn short_request_id(id: &RequestId) -> Option<String> {
    let id = id.to_string();
    (id.len() <= MAX_REQUEST_ID_BYTES && id.bytes().all(|byte| byte.is_ascii_graphic())).then_some(id)
}

fn header_text<'p>(parts: &'p Parts, name: &str) -> Option<&'p str> {
    parts.headers.get(name).and_then(|value| value.to_str().ok())
}

/// The W3C trace context of a client.
struct TraceHeaders<'r> {
    parent: &'r str,
    state: Option<&'r str>,
}

impl Extractor for TraceHeaders<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => Some(self.parent),
            "tracestate" => self.state.filter(|state| state.len() <= MAX_TRACE_STATE_BYTES),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}

/// A context with the client's span as parent; none if `traceparent` is invalid.
fn remote_context(parent: &str, state: Option<&str>) -> Option<Context> {
    // The propagator accepts shorter ids. Each field of `traceparent` has a fixed width.
    let separators = [2, 35, 52].map(|at| parent.as_bytes().get(at));
    if separators != [Some(&b'-'); 3] {
        return None;
    }
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &TraceHeaders { parent, state });
    context.has_active_span().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A valid W3C `traceparent` sets the trace ID, also if it has a later version and additional fields. Malformed
    /// values, zero IDs and version `ff` are ignored.
    #[test]
    fn traceparent_is_parsed_or_ignored() {
        let read = |text: &str| {
            let context = remote_context(text, Some("vendor=1"))?;
            Some(context.span().span_context().trace_id().to_string())
        };
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(read(&format!("00-{trace}-00f067aa0ba902b7-01")).as_deref(), Some(trace));
        assert_eq!(read(&format!("01-{trace}-00f067aa0ba902b7-01-more")).as_deref(), Some(trace), "a later version");
        for wrong in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e47zz-00f067aa0ba902b7-01",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
