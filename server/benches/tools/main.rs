//! The time of a tool call: in process, and over HTTP compared with a bare tool whose answer has the same length.
//!
//! `cargo bench -p tagledger-server --bench tools -- FILE [LINE]`, with a ledger, such as one that the bench `snapshots` of
//! tagledger-ledger has made; LINE: a part of the name of a line, such as a tool. The cache is loaded for the newest snapshot first, as a
//! server does when it starts. In process means from the bytes of a request to the bytes of its answer, without sockets. The bare tool uses
//! the same library, takes the same arguments, and returns a stored answer. Memory is allocated as in the image, unless the environment
//! says otherwise.

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
use over_http::{bare, over_http};
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

/// What the image sets, and to what.
const GIVE_BACK: (&str, &str) = ("MALLOC_MMAP_THRESHOLD_", "262144");

fn main() {
    if env::var_os(GIVE_BACK.0).is_none() {
        let this = env::current_exe().expect("this program");
        let ended = Command::new(this).args(env::args_os().skip(1)).env(GIVE_BACK.0, GIVE_BACK.1).status();
        assert!(ended.expect("this program once more").success(), "the measurement ended early");
        return;
    }
    let mut given = env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let Some(file) = given.next() else {
        println!("no FILE given: make one with `cargo bench -p shared --bench nights -- 1000000 25 FILE`");
        return;
    };
    let only = given.next().unwrap_or_default();
    tokio::runtime::Runtime::new().expect("a runtime").block_on(measure(Path::new(&file), &only));
}

async fn measure(file: &Path, only: &str) {
    set_the_clock(file);
    let tagledger = tagledger(file);
    let found = result(&tagledger, "check_tag_compliance", &json!({})).await;
    let region = found["structuredContent"]["by_region"][0]["name"].clone();
    println!("{:<44} {:>8} {:>8} {:>8} {:>8} {:>8}", "in process, microseconds", "bytes", "new", "p99", "again", "p99");
    let taken: Timestamp =
        found["structuredContent"]["as_of"]["taken_at"].as_str().expect("a time").parse().expect("a time");
    let earlier =
        jiff::tz::TimeZone::UTC.to_datetime(taken).date().saturating_sub(jiff::Span::new().days(5)).to_string();
    let calls =
        || calls(&region, &earlier, &oldest(file)).into_iter().filter(|(tool, given)| name(tool, given).contains(only));
    for (tool, arguments) in calls() {
        in_process(&tagledger, tool, &arguments).await;
    }
    if only.is_empty() {
        suggestions(&tagledger).await;
    }
    println!("resident: {} MiB, of which {} MiB are no pages of files", status("VmRSS:"), status("RssAnon:"));
    println!("{:<44} {:>8} {:>8} {:>8}", "over HTTP, calls a second", "ours", "bare", "ratio");
    for (tool, arguments) in calls() {
        let answer: CallToolResult =
            serde_json::from_value(result(&tagledger, tool, &arguments).await).expect("an answer");
        over_http(&tagledger, &bare(answer), tool, &arguments).await;
    }
    println!("resident at most: {} MiB, with the client in the same process", status("VmHWM:"));
}

/// Seconds since 1970: the newest night has just ended, whatever years the ledger tells of.
static NOW: AtomicI64 = AtomicI64::new(0);

fn now() -> Timestamp {
    Timestamp::constant(NOW.load(Ordering::Relaxed), 0)
}

fn set_the_clock(file: &Path) {
    let newest = LedgerReader::new(file).newest().expect("a ledger").expect("a snapshot");
    NOW.store(newest.finished_at.as_second(), Ordering::Relaxed);
}

fn tagledger(file: &Path) -> Router {
    let ledger = AppState::new(file, None, Duration::from_secs(36 * 3600), now).with_lookup(Arc::new(Silent));
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
    router(Arc::new(ledger), guard(settings).expect("a door for this machine"), &CancellationToken::new())
}

/// A cloud that answers nothing, at once: what is measured is the rest.
struct Silent;

impl Lookup for Silent {
    fn look_up<'a>(&'a self, _: &'a Scope, arns: &'a [Arn], _: Duration) -> BoxFuture<'a, Vec<LookupResult>> {
        Box::pin(std::future::ready(vec![LookupResult::Failed(silence()); arns.len()]))
    }

    fn locate_buckets<'a>(&'a self, _: &'a [Arn]) -> BoxFuture<'a, Result<Vec<(Arn, Scope)>, Gap>> {
        Box::pin(std::future::ready(Err(silence())))
    }
}

fn silence() -> Gap {
    Gap { reason: GapReason::Denied, operation: "bench".to_owned(), message: String::new() }
}

/// Suggestions for single resources that lack tags, each asked about once, from the ledger.
async fn suggestions(service: &Router) {
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
    let [median, p99] = [50, 99].map(|share| at(&mut times, share));
    println!("{:<44} {bytes:>8} {median:>8} {p99:>8}", "suggest_tags, each of another resource");
}

/// The sample policy with a tag more.
fn draft() -> Value {
    let mut draft: Value =
        serde_json::from_str(include_str!("../../../policies/tagging_policy.json")).expect("the sample policy");
    draft["required_tags"].as_array_mut().expect("tags").push(json!({"name": "Team"}));
    draft
}

/// Days of the second and the third night: all later nights lie between them and now.
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

/// Page after page, each of them a question that nobody has asked before; and the first one over and over.
async fn in_process(service: &Router, tool: &str, arguments: &Value) {
    let (mut pages, mut again, mut requested, mut bytes) = (Vec::new(), Vec::new(), arguments.clone(), 0);
    while pages.len() < CALLS {
        let body = body(tool, &requested);
        let started = Instant::now();
        let found = answer(service, &body).await;
        pages.push(started.elapsed());
        bytes = bytes.max(found.len());
        let reply: Value = serde_json::from_slice(&found).expect("JSON");
        match &reply["result"]["structuredContent"]["next_cursor"] {
            Value::String(cursor) => requested["cursor"] = json!(cursor),
            _ => match next(&reply["result"]["structuredContent"], tool, arguments, pages.len()) {
                Some(question) => requested = question,
                None => break,
            },
        }
    }
    let body = body(tool, arguments);
    for _ in 0..CALLS {
        let started = Instant::now();
        answer(service, &body).await;
        again.push(started.elapsed());
    }
    let [page, page_p99] = [50, 99].map(|share| at(&mut pages, share));
    let [again, again_p99] = [50, 99].map(|share| at(&mut again, share));
    println!("{:<44} {bytes:>8} {page:>8} {page_p99:>8} {again:>8} {again_p99:>8}", name(tool, arguments));
}

/// Another question of the same kind, for tools that have no pages; forty of them.
fn next(answer: &Value, tool: &str, arguments: &Value, requested: usize) -> Option<Value> {
    let number = i64::try_from(requested).ok().filter(|number| *number < 40)?;
    let mut question = arguments.clone();
    match tool {
        // Days of which nothing is known yet are left out: the whole month each time.
        "get_cost_attribution_gap" => {
            let period = &answer["time_period"];
            let end: jiff::civil::Date = period["end"].as_str()?.parse().ok()?;
            let later = end.checked_add(jiff::Span::new().days(number)).ok()?;
            question["time_period"] = json!({"start": period["start"], "end": later.to_string()});
        }
        "get_violation_history" => question["days_back"] = json!(90 - number),
        "simulate_policy" => question["limit"] = json!(number),
        "plan_fixes" => question["limit"] = json!(number + 1),
        "detect_tag_drift" if arguments.get("between").is_none() => question["limit"] = json!(number),
        "detect_tag_drift" | "explain_compliance_change" => {
            let newest: jiff::civil::Date = answer["to"]["date"].as_str()?.parse().ok()?;
            question["between"] = json!({"to": newest.yesterday().ok()?.to_string()});
        }
        _ => return None,
    }
    Some(question)
}

fn at(times: &mut [Duration], share: usize) -> u128 {
    times.sort();
    times[times.len() * share / 100].as_micros()
}

fn name(tool: &str, arguments: &Value) -> String {
    let names: Vec<&str> = arguments.as_object().expect("an object").keys().map(String::as_str).collect();
    if names.is_empty() { tool.to_owned() } else { format!("{tool}, {}", names.join(", ")) }
}

/// A figure of this process, MiB.
fn status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a figure");
    line.split_whitespace().next().and_then(|field| field.parse::<u64>().ok()).expect("a number") / 1024
}
