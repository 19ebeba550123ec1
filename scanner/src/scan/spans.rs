//! Trace spans of a scan and its stages. Without a configured collector they have no effect.

use std::borrow::Cow;

use opentelemetry::{
    Context, KeyValue, Value,
    global::{self, BoxedSpan},
    trace::{FutureExt, Span as _, SpanKind, Status, TraceContextExt, Tracer},
};
use tagledger_ledger::SnapshotSummary;
use tagledger_model::inventory::{Gap, Scope};

use crate::scan::progress::ScanError;

/// The name of the instrumentation scope.
const SCOPE: &str = "tagledger.scanner";

/// Runs a scan in a span. Spans that begin within it are its children.
pub(crate) async fn trace_scan(
    scan: impl Future<Output = Result<SnapshotSummary, ScanError>>,
) -> Result<SnapshotSummary, ScanError> {
    let context = Context::new().with_span(begin("scan", Vec::new(), &Context::new()));
    let result = scan.with_context(context.clone()).await;
    let span = context.span();
    match &result {
        Ok(summary) => {
            span.set_attribute(KeyValue::new("tagledger.snapshot.id", summary.snapshot.id));
            span.set_attribute(KeyValue::new("tagledger.snapshot.complete", summary.snapshot.complete));
            span.set_attribute(KeyValue::new("tagledger.resources", to_value(summary.tally.total())));
            span.set_attribute(KeyValue::new("tagledger.aws_requests", to_value(summary.snapshot.requests)));
        }
        Err(error) => {
            span.set_attribute(KeyValue::new("error.type", error.kind()));
            span.set_status(Status::error(error.kind()));
        }
    }
    span.end();
    result
}

/// The span of a stage of a scan. It ends when it is dropped.
pub(crate) struct StageSpan(BoxedSpan);

impl StageSpan {
    /// Begins a child of the span of the present scan.
    pub(crate) fn begin(name: impl Into<Cow<'static, str>>) -> Self {
        Self(begin(name, Vec::new(), &Context::current()))
    }

    /// Begins the span of the listing of a scope.
    pub(crate) fn begin_list(scope: &Scope) -> Self {
        let resource_type = scope.resource_type.as_str();
        let attributes = vec![
            KeyValue::new("cloud.provider", "aws"),
            KeyValue::new("cloud.account.id", scope.account.to_string()),
            KeyValue::new("cloud.region", scope.region.to_string()),
            KeyValue::new("tagledger.resource_type", resource_type),
        ];
        Self(begin(format!("list {resource_type}"), attributes, &Context::current()))
    }

    pub(crate) fn set_attribute(&mut self, key: &'static str, value: u64) {
        self.0.set_attribute(KeyValue::new(key, to_value(value)));
    }

    /// Records a gap as an error. The message of AWS is left out, because it can contain names of people.
    pub(crate) fn record_gap(&mut self, gap: &Gap) {
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

fn to_value(number: u64) -> Value {
    Value::I64(i64::try_from(number).unwrap_or(i64::MAX))
}
