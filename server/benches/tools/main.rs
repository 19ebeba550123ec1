//! The time of a tool call: in process, and over HTTP compared with a reference tool that returns a stored answer.
//!
//! `cargo bench -p tagledger-server --bench tools -- FILE [LINE]`. FILE is a ledger, such as one that the bench `snapshots` of
//! tagledger-ledger creates. LINE is a part of the name of an output line, such as a tool. The cache is loaded for the newest
//! snapshot first, as a server does when it starts. In process means from the bytes of a request to the bytes of its response,
//! without sockets. The reference tool uses the same MCP library, takes the same arguments, and returns a stored answer of the
//! same length. The memory allocator is configured as in the image, unless the environment configures it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    reason = "a measurement prints, rounds, and ends where something is missing"
)]

mod over_http;

use std::{
    env, fs,
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::Request,
};
use jiff::Timestamp;
use over_http::{create_reference, measure_over_http};
use rmcp::model::CallToolResult;
use serde_json::{Value, json};
use tagledger_cloud::{BoxFuture, Lookup, LookupResult};
use tagledger_http::GuardSettings;
use tagledger_ledger::{LedgerReader, Snapshot, query::history};
use tagledger_model::{
    Arn,
    inventory::{Gap, GapReason, Scope},
};
use tagledger_server::{AppState, guard, router};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Calls of each tool in process.
const CALLS: usize = 1_000;

/// The setting of the memory allocator in the image.
const ALLOCATOR_SETTING: (&str, &str) = ("MALLOC_MMAP_THRESHOLD_", "262144");

fn main() {
    if env::var_os(ALLOCATOR_SETTING.0).is_none() {
        let this = env::current_exe().expect("this program");
        let status =
            Command::new(this).args(env::args_os().skip(1)).env(ALLOCATOR_SETTING.0, ALLOCATOR_SETTING.1).status();
        assert!(status.expect("this program can be started again").success(), "the measurement failed");
        return;
    }
    let mut file_and_line = env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let Some(file) = file_and_line.next() else {
        println!(
            "no FILE given: create one with `cargo bench -p tagledger-ledger --bench snapshots -- 1000000 25 FILE`"
        );
        return;
    };
    let line = file_and_line.next().unwrap_or_default();
    tokio::runtime::Runtime::new().expect("a runtime").block_on(measure(Path::new(&file), &line));
}

async fn measure(file: &Path, line: &str) {
    set_clock(file);
    let service = create_router(file);
    let summary = result(&service, "check_tag_compliance", &json!({})).await;
    let region = summary["structuredContent"]["by_region"][0]["name"].clone();
    println!(
        "{:<44} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "in process, microseconds", "bytes", "first", "p99", "repeated", "p99"
    );
    let taken: Timestamp =
        summary["structuredContent"]["as_of"]["taken_at"].as_str().expect("a time").parse().expect("a time");
    let earlier =
        jiff::tz::TimeZone::UTC.to_datetime(taken).date().saturating_sub(jiff::Span::new().days(5)).to_string();
    let calls = || {
        calls(&region, &earlier, &oldest(file))
            .into_iter()
            .filter(|(tool, arguments)| name(tool, arguments).contains(line))
    };
    for (tool, arguments) in calls() {
        measure_in_process(&service, tool, &arguments).await;
    }
    if line.is_empty() {
        measure_suggestions(&service).await;
    }
    println!("resident: {} MiB, of which {} MiB are anonymous", memory("VmRSS:"), memory("RssAnon:"));
    println!("{:<44} {:>8} {:>8} {:>8}", "over HTTP, calls per second", "tool", "reference", "ratio");
    for (tool, arguments) in calls() {
        let answer: CallToolResult =
            serde_json::from_value(result(&service, tool, &arguments).await).expect("an answer");
        measure_over_http(&service, &create_reference(answer), tool, &arguments).await;
    }
    println!("maximum resident: {} MiB, including the client, which runs in the same process", memory("VmHWM:"));
}

/// The current time for the server, seconds since 1970: the end of the newest snapshot.
static NOW: AtomicI64 = AtomicI64::new(0);

fn now() -> Timestamp {
    Timestamp::constant(NOW.load(Ordering::Relaxed), 0)
}

fn set_clock(file: &Path) {
    let newest = LedgerReader::new(file).newest().expect("a ledger").expect("a snapshot");
    NOW.store(newest.finished_at.as_second(), Ordering::Relaxed);
}

fn create_router(file: &Path) -> Router {
    let ledger = AppState::new(file, None, Duration::from_secs(36 * 3600), now).with_lookup(Arc::new(DeniedCloud));
    ledger.preload();
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let settings = GuardSettings {
        listen,
        keys: None,
        oauth: None,
        control_key: None,
        names: Vec::new(),
        requests_per_minute: NonZeroU32::MAX,
        clock: now,
    };
    router(Arc::new(ledger), guard(settings).expect("a guard for a loopback address"), &CancellationToken::new())
}

/// A cloud that denies every lookup without delay, so that the time of AWS is not measured.
struct DeniedCloud;

impl Lookup for DeniedCloud {
    fn look_up<'a>(&'a self, _: &'a Scope, arns: &'a [Arn], _: Duration) -> BoxFuture<'a, Vec<LookupResult>> {
        Box::pin(std::future::ready(vec![LookupResult::Failed(denied()); arns.len()]))
    }

    fn locate_buckets<'a>(&'a self, _: &'a [Arn]) -> BoxFuture<'a, Result<Vec<(Arn, Scope)>, Gap>> {
        Box::pin(std::future::ready(Err(denied())))
    }
}

fn denied() -> Gap {
    Gap { reason: GapReason::Denied, operation: "bench".to_owned(), message: String::new() }
}

/// Suggestions from the ledger for resources with missing tags. Each resource is requested once.
async fn measure_suggestions(service: &Router) {
    let (mut times, mut bytes, mut requested) = (Vec::new(), 0, json!({"limit": 100}));
    while times.len() < CALLS {
        let page = result(service, "find_untagged_resources", &requested).await;
        let page = &page["structuredContent"];
        for resource in page["untagged_resources"].as_array().expect("rows") {
            let body = body("suggest_tags", &json!({"resource_arn": resource["resource_arn"]}));
            let started = Instant::now();
            bytes = bytes.max(answer(service, &body).await.len());
            times.push(started.elapsed());
        }
        match &page["next_cursor"] {
            Value::String(cursor) => requested["cursor"] = json!(cursor),
            _ => break,
        }
    }
    let [median, p99] = [50, 99].map(|share| percentile(&mut times, share));
    println!("{:<44} {bytes:>8} {median:>8} {p99:>8}", "suggest_tags, a different resource each call");
}

/// The sample policy with one more required tag.
fn draft() -> Value {
    let mut draft: Value =
        serde_json::from_str(include_str!("../../../policies/tagging_policy.json")).expect("the sample policy");
    draft["required_tags"].as_array_mut().expect("tags").push(json!({"name": "Team"}));
    draft
}

/// The days of the second and the third snapshot. All later snapshots lie between them and the newest one.
fn oldest(file: &Path) -> Value {
    let snapshots =
        LedgerReader::new(file).read(|view| history::list_snapshots_since(view, Timestamp::MIN)).expect("a ledger");
    let day = |snapshot: &Snapshot| jiff::tz::TimeZone::UTC.to_datetime(snapshot.started_at).date().to_string();
    let mut days = snapshots.iter().skip(1).map(day);
    json!({"from": days.next(), "to": days.next()})
}

fn calls(region: &Value, earlier: &str, oldest: &Value) -> [(&'static str, Value); 27] {
    [
        ("check_tag_compliance", json!({})),
        ("check_tag_compliance", json!({"filters": {"region": region}})),
        ("check_tag_compliance", json!({"resource_types": ["ec2:instance"], "severity": "errors_only"})),
        ("find_untagged_resources", json!({})),
        ("find_untagged_resources", json!({"min_age_days": 30})),
        ("find_untagged_resources", json!({"regions": [region], "limit": 100})),
        ("find_untagged_resources", json!({"sort_by": "missing_tags"})),
        ("find_untagged_resources", json!({"min_cost_threshold": 100})),
        ("get_cost_attribution_gap", json!({})),
        ("get_cost_attribution_gap", json!({"grouping": "by_account"})),
        ("get_tagging_policy", json!({})),
        ("get_violation_history", json!({"days_back": 90})),
        ("get_violation_history", json!({"days_back": 90, "group_by": "day"})),
        ("generate_compliance_report", json!({})),
        ("detect_tag_drift", json!({})),
        ("detect_tag_drift", json!({"between": {}})),
        ("detect_tag_drift", json!({"between": oldest})),
        ("explain_compliance_change", json!({})),
        ("explain_compliance_change", json!({"between": oldest})),
        ("suggest_tags_bulk", json!({})),
        ("simulate_policy", json!({"policy": draft()})),
        ("plan_fixes", json!({})),
        ("plan_fixes", json!({"filters": {"region": region}})),
        ("check_tag_compliance", json!({"as_of": earlier})),
        ("find_untagged_resources", json!({"as_of": earlier})),
        ("get_tagging_policy", json!({"as_of": earlier})),
        ("generate_compliance_report", json!({"as_of": earlier})),
    ]
}

fn body(tool: &str, arguments: &Value) -> String {
    let parameters = json!({"name": tool, "arguments": arguments});
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": parameters}).to_string()
}

async fn answer(service: &Router, body: &str) -> Vec<u8> {
    let request = Request::post("/mcp")
        .header("Host", "localhost")
        .header("Content-Type", "application/json")
        .header("Accept", "application/json, text/event-stream")
        .body(Body::from(body.to_owned()));
    let response = service.clone().oneshot(request.expect("a request")).await.expect("an answer");
    assert!(response.status().is_success(), "{}", response.status());
    to_bytes(response.into_body(), usize::MAX).await.expect("a body").to_vec()
}

/// The result of a call that must succeed.
async fn result(service: &Router, tool: &str, arguments: &Value) -> Value {
    let mut reply: Value = serde_json::from_slice(&answer(service, &body(tool, arguments)).await).expect("JSON");
    assert_ne!(reply["result"]["isError"], Value::Bool(true), "{reply}");
    assert!(reply["result"].is_object(), "{reply}");
    reply["result"].take()
}

/// Measures requests that are not in the cache, one page after the other, and then the first request repeatedly.
async fn measure_in_process(service: &Router, tool: &str, arguments: &Value) {
    let (mut pages, mut repeated, mut requested, mut bytes) = (Vec::new(), Vec::new(), arguments.clone(), 0);
    while pages.len() < CALLS {
        let body = body(tool, &requested);
        let started = Instant::now();
        let response = answer(service, &body).await;
        pages.push(started.elapsed());
        bytes = bytes.max(response.len());
        let reply: Value = serde_json::from_slice(&response).expect("JSON");
        match &reply["result"]["structuredContent"]["next_cursor"] {
            Value::String(cursor) => requested["cursor"] = json!(cursor),
            _ => match next_arguments(&reply["result"]["structuredContent"], tool, arguments, pages.len()) {
                Some(arguments) => requested = arguments,
                None => break,
            },
        }
    }
    let body = body(tool, arguments);
    for _ in 0..CALLS {
        let started = Instant::now();
        answer(service, &body).await;
        repeated.push(started.elapsed());
    }
    let [page, page_p99] = [50, 99].map(|share| percentile(&mut pages, share));
    let [repeated, repeated_p99] = [50, 99].map(|share| percentile(&mut repeated, share));
    println!("{:<44} {bytes:>8} {page:>8} {page_p99:>8} {repeated:>8} {repeated_p99:>8}", name(tool, arguments));
}

/// Different arguments for the next request, for tools that have no pages. At most forty.
fn next_arguments(answer: &Value, tool: &str, arguments: &Value, requested: usize) -> Option<Value> {
    let number = i64::try_from(requested).ok().filter(|number| *number < 40)?;
    let mut next = arguments.clone();
    match tool {
        // Later days have no costs yet, so each request is answered with the same month.
        "get_cost_attribution_gap" => {
            let period = &answer["time_period"];
            let end: jiff::civil::Date = period["end"].as_str()?.parse().ok()?;
            let later = end.checked_add(jiff::Span::new().days(number)).ok()?;
            next["time_period"] = json!({"start": period["start"], "end": later.to_string()});
        }
        "get_violation_history" => next["days_back"] = json!(90 - number),
        "simulate_policy" => next["limit"] = json!(number),
        "plan_fixes" => next["limit"] = json!(number + 1),
        "detect_tag_drift" if arguments.get("between").is_none() => next["limit"] = json!(number),
        "detect_tag_drift" | "explain_compliance_change" => {
            let newest: jiff::civil::Date = answer["to"]["date"].as_str()?.parse().ok()?;
            next["between"] = json!({"to": newest.yesterday().ok()?.to_string()});
        }
        _ => return None,
    }
    Some(next)
}

fn percentile(times: &mut [Duration], share: usize) -> u128 {
    times.sort();
    times[times.len() * share / 100].as_micros()
}

fn name(tool: &str, arguments: &Value) -> String {
    let names: Vec<&str> = arguments.as_object().expect("an object").keys().map(String::as_str).collect();
    if names.is_empty() { tool.to_owned() } else { format!("{tool}, {}", names.join(", ")) }
}

/// A memory figure of this process, MiB.
fn memory(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a figure");
    line.split_whitespace().next().and_then(|field| field.parse::<u64>().ok()).expect("a number") / 1024
}
