//! A span for each request, by OpenTelemetry's conventions for MCP, for whoever has set up a collector; nothing otherwise.

use std::borrow::Cow;

use http::request::Parts;
use opentelemetry::{
    Context, KeyValue, SpanId, TraceFlags, TraceId,
    global::{self, BoxedSpan},
    trace::{Span as _, SpanContext, SpanKind, Status, TraceContextExt, TraceState, Tracer},
};
use rmcp::{RoleServer, model::RequestId, service::RequestContext};

/// The instrumentation, as collectors name it.
const SCOPE: &str = "tagledger.server";

/// Longest id of a request, and longest `tracestate`, that are told; W3C wants the latter to be carried that far. Bytes.
const MOST_ID: usize = 64;

const MOST_STATE: usize = 512;

/// A request in hand. It ends when it is dropped.
pub(crate) struct Span(BoxedSpan);

impl Span {
    /// `method`: of the protocol; `target`: which tool, prompt or resource, of few that there are.
    pub(crate) fn begin(method: &'static str, target: &str, context: &RequestContext<RoleServer>) -> Self {
        let parts = context.extensions.get::<Parts>();
        let mut attributes = vec![
            KeyValue::new("mcp.method.name", method),
            KeyValue::new("network.transport", if parts.is_some() { "tcp" } else { "pipe" }),
        ];
        attributes.extend(short(&context.id).map(|id| KeyValue::new("jsonrpc.request.id", id)));
        if let Some(version) = parts.and_then(|parts| text(parts, "mcp-protocol-version")) {
            attributes.push(KeyValue::new("mcp.protocol.version", version.to_owned()));
        }
        let name = if target.is_empty() { Cow::Borrowed(method) } else { Cow::Owned(format!("{method} {target}")) };
        let tracer = global::tracer(SCOPE);
        let span = tracer.span_builder(name).with_kind(SpanKind::Server).with_attributes(attributes);
        Self(span.start_with_context(&tracer, &parent(context, parts)))
    }

    /// The trace that it is a part of: the client's, or one of its own. Empty where nobody keeps any.
    pub(crate) fn trace_id(&self) -> String {
        let context = self.0.span_context();
        if context.is_valid() { context.trace_id().to_string() } else { String::new() }
    }

    pub(crate) fn say(&mut self, key: &'static str, value: impl Into<opentelemetry::Value>) {
        self.0.set_attribute(KeyValue::new(key, value));
    }

    /// An outcome other than `ok` is an error of this type. The text of it stays out of traces: it may quote what was asked.
    pub(crate) fn end(mut self, outcome: &'static str) {
        if outcome != "ok" {
            self.say("error.type", outcome);
            self.0.set_status(Status::error(outcome));
        }
    }
}

/// What the client says of its own span: in `_meta`, as MCP has it, or in the header of HTTP.
fn parent(context: &RequestContext<RoleServer>, parts: Option<&Parts>) -> Context {
    let meta = context.meta.get_traceparent().and_then(|parent| span_context(parent, context.meta.get_tracestate()));
    let header = || span_context(text(parts?, "traceparent")?, text(parts?, "tracestate"));
    match meta.or_else(header) {
        Some(remote) => Context::new().with_remote_span_context(remote),
        None => Context::new(),
    }
}

/// An id is whatever a client makes it: one that is no number and not short is left out, for spans wait in memory.
fn short(id: &RequestId) -> Option<String> {
    let id = id.to_string();
    (id.len() <= MOST_ID && id.bytes().all(|byte| byte.is_ascii_graphic())).then_some(id)
}

fn text<'p>(parts: &'p Parts, header: &str) -> Option<&'p str> {
    parts.headers.get(header).and_then(|value| value.to_str().ok())
}

/// Of a `traceparent` and `tracestate` of W3C; none of what is neither.
fn span_context(parent: &str, state: Option<&str>) -> Option<SpanContext> {
    let mut parts = parent.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    // Version 00 has no more than that; later ones may.
    if version == "00" && parts.next().is_some() {
        return None;
    }
    if !(hex(version, 2) && hex(trace, 32) && hex(span, 16) && hex(flags, 2)) || version.eq_ignore_ascii_case("ff") {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let state = state
        .filter(|state| state.len() <= MOST_STATE)
        .and_then(|state| state.parse::<TraceState>().ok())
        .unwrap_or_default();
    let context = SpanContext::new(trace, span, flags, true, state);
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A valid W3C `traceparent` sets the trace ID, also if it has a later version and additional fields. Malformed
    /// values, zero IDs and version `ff` are ignored.
    #[test]
    fn traceparent_is_parsed_or_ignored() {
        let read = |text: &str| span_context(text, Some("vendor=1")).map(|context| context.trace_id().to_string());
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
