//! A span for each scan and for what it does, for whoever has set up a collector; nothing otherwise.

use std::borrow::Cow;

use opentelemetry::{
    Context, KeyValue, Value,
    global::{self, BoxedSpan},
    trace::{FutureExt, Span as _, SpanKind, Status, TraceContextExt, Tracer},
};
use shared::{
    inventory::{Gap, Scope},
    store::NightSummary,
};

use crate::scan::ScanError;

/// The instrumentation, as collectors name it.
const SCOPE: &str = "tagledger.scanner";

/// Does something as a scan: spans within it are its parts.
pub(crate) async fn scan(
    work: impl Future<Output = Result<NightSummary, ScanError>>,
) -> Result<NightSummary, ScanError> {
    let context = Context::new().with_span(begin("scan", Vec::new(), &Context::new()));
    let ended = work.with_context(context.clone()).await;
    let span = context.span();
    match &ended {
        Ok(night) => {
            span.set_attribute(KeyValue::new("tagledger.snapshot.id", night.snapshot.id));
            span.set_attribute(KeyValue::new("tagledger.snapshot.complete", night.snapshot.complete));
            span.set_attribute(KeyValue::new("tagledger.resources", whole(night.tally.total())));
            span.set_attribute(KeyValue::new("tagledger.aws_requests", whole(night.snapshot.requests)));
        }
        Err(error) => {
            span.set_attribute(KeyValue::new("error.type", error.kind()));
            span.set_status(Status::error(error.kind()));
        }
    }
    span.end();
    ended
}

/// A part of a scan in hand. It ends when it is dropped.
pub(crate) struct Part(BoxedSpan);

impl Part {
    /// Of the scan that this is called in.
    pub(crate) fn begin(name: impl Into<Cow<'static, str>>) -> Self {
        Self(begin(name, Vec::new(), &Context::current()))
    }

    /// The list of a scope.
    pub(crate) fn list(scope: &Scope) -> Self {
        let resource_type = scope.resource_type.as_str();
        let attributes = vec![
            KeyValue::new("cloud.provider", "aws"),
            KeyValue::new("cloud.account.id", scope.account.to_string()),
            KeyValue::new("cloud.region", scope.region.to_string()),
            KeyValue::new("tagledger.resource_type", resource_type),
        ];
        Self(begin(format!("list {resource_type}"), attributes, &Context::current()))
    }

    pub(crate) fn say(&mut self, key: &'static str, value: u64) {
        self.0.set_attribute(KeyValue::new(key, whole(value)));
    }

    /// A gap is an error of its reason. AWS's words stay out of traces: they name people.
    pub(crate) fn gap(&mut self, gap: &Gap) {
        self.0.set_attribute(KeyValue::new("error.type", gap.reason.as_str()));
        self.0.set_attribute(KeyValue::new("rpc.method", gap.operation.clone()));
        self.0.set_status(Status::error(gap.reason.as_str()));
    }
}

fn begin(name: impl Into<Cow<'static, str>>, attributes: Vec<KeyValue>, parent: &Context) -> BoxedSpan {
    let tracer = global::tracer(SCOPE);
    let span = tracer.span_builder(name).with_kind(SpanKind::Internal).with_attributes(attributes);
    span.start_with_context(&tracer, parent)
}

fn whole(number: u64) -> Value {
    Value::I64(i64::try_from(number).unwrap_or(i64::MAX))
}
