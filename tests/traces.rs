//! Traces of the built binary, as a collector receives them.

#![cfg(test)]

mod support;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, Instant},
};

use fake_aws::{Effect, Faults, Rule};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value as Told},
    trace::v1::{Span, span::SpanKind},
};
use prost::Message;
use serde_json::{Value, json};
use support::{
    binary::{run, tagledger},
    fake_estate::FakeEstate,
    server::Server,
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// What a collector was sent: a head, and a message.
type Sent = (String, ExportTraceServiceRequest);

/// A collector for OTLP over HTTP.
struct Collector {
    address: String,
    sent: Arc<Mutex<Vec<Sent>>>,
    status: Arc<AtomicU16>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (sent, status) = (Arc::<Mutex<Vec<Sent>>>::default(), Arc::new(AtomicU16::new(200)));
        let (stored, answer) = (Arc::clone(&sent), Arc::clone(&status));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let lines = reader.by_ref().lines().map_while(Result::ok);
                let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                let length =
                    head.iter().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
                let mut body = vec![0; length.unwrap_or(0)];
                if reader.read_exact(&mut body).is_ok() {
                    stored.lock().unwrap().push((head.join("\n"), Message::decode(body.as_slice()).unwrap()));
                }
                let status = answer.load(Ordering::Relaxed);
                let told = format!("HTTP/1.1 {status} Told\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                stream.write_all(told.as_bytes()).ok();
            }
        });
        Self { address, sent, status }
    }

    fn spans(&self) -> Vec<Span> {
        let sent = self.sent.lock().unwrap();
        let resources = sent.iter().flat_map(|(_, message)| &message.resource_spans);
        resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| scope.spans.clone()).collect()
    }

    /// Where it was asked, and what is said of the process.
    fn first(&self) -> (String, Value) {
        let sent = self.sent.lock().unwrap();
        let (head, message) = sent.first().expect("something was sent");
        (head.clone(), attributes_as_json(&message.resource_spans[0].resource.as_ref().unwrap().attributes))
    }
}

fn attributes_as_json(attributes: &[KeyValue]) -> Value {
    let value = |value: &Option<AnyValue>| match value.as_ref().and_then(|value| value.value.clone()) {
        Some(Told::StringValue(text)) => json!(text),
        Some(Told::IntValue(number)) => json!(number),
        Some(Told::BoolValue(truth)) => json!(truth),
        other => panic!("{other:?}"),
    };
    attributes.iter().map(|one| (one.key.clone(), value(&one.value))).collect::<serde_json::Map<_, _>>().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn named<'s>(spans: &'s [Span], name: &str) -> Vec<&'s Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

fn call(server: &Server, headers: &str, tool: &str, arguments: &Value, meta: &Value) -> (u16, String) {
    let parameters = json!({"name": tool, "arguments": arguments, "_meta": meta});
    let body = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": parameters}).to_string();
    server.ask("POST", "/mcp", headers, &body)
}

/// Calls, with and without a client's trace, and what is read without tools.
fn ask_everything(server: &Server) {
    let parent = format!("00-{TRACE}-{PARENT}-01");
    call(server, "", "check_tag_compliance", &json!({"limit": 40}), &json!({"traceparent": parent}));
    let secret = json!({"filters": {"region": "moon-secret-1"}});
    call(server, &format!("traceparent: {parent}\r\n"), "check_tag_compliance", &secret, &json!({}));
    call(server, "MCP-Protocol-Version: 2025-06-18\r\n", "get_tagging_policy", &json!({}), &json!({}));
    // What a client makes of ids and states is carried as far as it is short.
    let body = json!({"jsonrpc": "2.0", "id": "secret".repeat(20), "method": "tools/call", "params": {
        "name": "get_violation_history", "_meta": {"traceparent": parent, "tracestate": format!("a={}", "secret".repeat(99))}}});
    assert_eq!(server.ask("POST", "/mcp", "", &body.to_string()).0, 200);
    for (method, parameters) in [
        ("resources/read", json!({"uri": "tagledger://policy"})),
        ("prompts/get", json!({"name": "monthly_review"})),
        ("tools/list", json!({})),
    ] {
        let body = json!({"jsonrpc": "2.0", "id": "a", "method": method, "params": parameters});
        assert_eq!(server.ask("POST", "/mcp", "", &body.to_string()).0, 200);
    }
}

/// Every MCP call is exported as a server span in the client's trace, with the standard attributes and no arguments.
/// The audit log contains the same trace IDs.
#[test]
fn calls_are_spans_of_client_trace_without_arguments() {
    let (world, collector) = (FakeEstate::small(), Collector::start());
    world.scan(&[]).exits(0);
    let home = world.folder.path();
    let server = Server::start(
        tagledger(home)
            .env("TAGLEDGER_STORE", world.store())
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.address)
            .env("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=ledger")
            .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
        "127.0.0.1",
    );
    ask_everything(&server);
    server.end();

    let (head, process) = collector.first();
    assert!(head.starts_with("POST /v1/traces "), "{head}");
    assert!(head.contains("x-tenant: ledger") && head.contains("content-type: application/x-protobuf"), "{head}");
    assert_eq!(process["service.name"], "tagledger-server");
    assert_eq!(process["service.version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(process["deployment.environment.name"], "test");

    let spans = collector.spans();
    let mut names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    names.sort_unstable();
    let check = "tools/call check_tag_compliance";
    assert_eq!(
        names,
        [
            "prompts/get",
            "resources/read",
            check,
            check,
            "tools/call get_tagging_policy",
            "tools/call get_violation_history"
        ]
    );
    assert!(spans.iter().all(|span| span.kind() == SpanKind::Server));
    assert!(spans.iter().all(|span| span.end_time_unix_nano > span.start_time_unix_nano));
    let checks = named(&spans, check);
    assert!(checks.iter().all(|span| hex(&span.trace_id) == TRACE && hex(&span.parent_span_id) == PARENT));
    let (good, bad) = (attributes_as_json(&checks[0].attributes), attributes_as_json(&checks[1].attributes));
    assert_eq!(good["mcp.method.name"], "tools/call");
    assert_eq!(good["gen_ai.tool.name"], "check_tag_compliance");
    assert_eq!((&good["jsonrpc.request.id"], &good["tagledger.rows"]), (&json!("7"), &json!(40)));
    assert_eq!((&good["error.type"], &bad["error.type"]), (&Value::Null, &json!("tool_error")));
    let policy = named(&spans, "tools/call get_tagging_policy")[0];
    assert_eq!(attributes_as_json(&policy.attributes)["mcp.protocol.version"], "2025-06-18");
    assert!(policy.parent_span_id.is_empty() && hex(&policy.trace_id) != TRACE);
    assert!(!format!("{spans:?}").contains("secret"));

    // The audit log says which trace a call belongs to, where the client had none too.
    let csv = run(tagledger(home).args(["audit", "--csv"])).exits(0).stdout;
    assert!(csv.contains(TRACE) && csv.contains(&hex(&policy.trace_id)), "{csv}");
}

/// A scan is one trace with a child span for each list, and a gap sets the error type of its span.
#[test]
fn scan_trace_has_span_per_list() {
    let denied = Rule::new(Effect::Deny).operation("DescribeDBInstances");
    let (world, collector) = (FakeEstate::small().failing(Faults::none().with(denied)), Collector::start());
    let traces = format!("{}/somewhere/else", collector.address);
    let variables = [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", traces.as_str()), ("OTEL_SERVICE_NAME", "nightly")];
    world.scan_with(&[], &variables).exits(3);
    let (head, process) = collector.first();
    assert!(head.starts_with("POST /somewhere/else "), "{head}");
    assert_eq!(process["service.name"], "nightly");
    let spans = collector.spans();
    let scan = named(&spans, "scan");
    assert_eq!(scan.len(), 1);
    let parts: Vec<&Span> = spans.iter().filter(|span| span.name != "scan").collect();
    assert!(parts.iter().all(|part| part.trace_id == scan[0].trace_id && part.parent_span_id == scan[0].span_id));
    let reported = attributes_as_json(&scan[0].attributes);
    assert_eq!(
        (&reported["tagledger.snapshot.id"], &reported["tagledger.snapshot.complete"]),
        (&json!(1), &json!(false))
    );
    let instances = attributes_as_json(&named(&spans, "list ec2:instance")[0].attributes);
    assert_eq!((&instances["cloud.region"], &instances["tagledger.resources"]), (&json!("us-east-1"), &json!(20)));
    let refused = attributes_as_json(&named(&spans, "list rds:db")[0].attributes);
    assert_eq!((&refused["error.type"], &refused["rpc.method"]), (&json!("denied"), &json!("rds:DescribeDBInstances")));
    assert_eq!(named(&spans, "discover_scopes").len(), 1);
}

/// A collector that fails, hangs or is unreachable delays neither scans nor answers beyond 15 seconds. Invalid settings
/// are a warning, and `OTEL_SDK_DISABLED` sends nothing.
#[test]
fn failing_collector_costs_no_answer_or_snapshot() {
    let world = FakeEstate::small();
    let collector = Collector::start();
    collector.status.store(503, Ordering::Relaxed);
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", hanging.local_addr().unwrap());
    for endpoint in [collector.address.as_str(), &silent, "http://127.0.0.1:9"] {
        let began = Instant::now();
        world.scan_with(&[], &[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)]).exits(0);
        assert!(began.elapsed() < Duration::from_secs(15), "{endpoint}");
    }
    let began = Instant::now();
    let home = world.folder.path();
    let mut command = tagledger(home);
    command.env("TAGLEDGER_STORE", world.store()).env("OTEL_EXPORTER_OTLP_ENDPOINT", &silent);
    let server = Server::start(&mut command, "127.0.0.1");
    for n in 1..40 {
        let (status, told) = call(&server, "", "check_tag_compliance", &json!({"limit": n}), &json!({}));
        assert!(status == 200 && told.contains("compliance_score"), "{told}");
    }
    server.end();
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    for (variable, value, text) in [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "only http/protobuf is supported"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "no address", "traces are disabled"),
    ] {
        let variables =
            [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", ""), ("OTEL_EXPORTER_OTLP_ENDPOINT", &silent), (variable, value)];
        let told = world.scan_with(&[], &variables).exits(0);
        assert!(told.stderr.contains(text), "{}", told.stderr);
    }
    let disabled = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address.as_str()), ("OTEL_SDK_DISABLED", "true")];
    let before = collector.sent.lock().unwrap().len();
    world.scan_with(&[], &disabled).exits(0);
    assert_eq!(collector.sent.lock().unwrap().len(), before);
}
