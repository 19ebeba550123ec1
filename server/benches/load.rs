//! The load that a server sustains: fifty connections of three kinds of callers, without Redis, together with four hundred clients that
//! never finish a request, with Redis, and while Redis is killed, restarted and a new snapshot is committed.
//!
//! `cargo bench -p tagledger-server --bench load -- FILE [SECONDS]`, with a ledger such as that of `tagledger demo`, which is copied first;
//! 60 seconds for each part by default. Needs redis-server. The callers run in this process, on the same processors. Every answer is
//! verified: an answer that is invalid, or of a snapshot that does not exist, is counted as an error.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a measurement prints, and ends where something is missing"
)]

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    num::NonZeroU32,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::{Value, json};
use tagledger_http::GuardSettings;
use tagledger_ledger::{LedgerReader, LedgerWriter, SnapshotHeader};
use tagledger_server::{AppState, Audit, AuditSettings, RedisCache, guard, serve_http};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
};
use tokio_util::sync::CancellationToken;

const CONNECTIONS: usize = 50;

/// Clients that never come to an end.
const SLOW: usize = 400;

fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the age of the snapshot is none of what is measured")]
    Timestamp::now()
}

/// What the n-th call of a caller asks: an analyst pages and narrows, a manager wants overviews, an agent plans.
fn request(kind: usize, n: usize) -> (&'static str, Value) {
    let limit = 1 + (n * 7) % 100;
    let format = ["json", "csv", "markdown"][n % 3];
    match (kind, n % 4) {
        (0, 0) => ("find_untagged_resources", json!({"limit": limit})),
        (0, 1) => ("check_tag_compliance", json!({"severity": "errors_only", "limit": limit})),
        (0, 2) => ("get_tagging_policy", json!({})),
        (0, _) => ("check_tag_compliance", json!({"limit": limit})),
        (1, 0) => ("generate_compliance_report", json!({"format": format})),
        (1, 1) => ("get_violation_history", json!({"days_back": 1 + (n * 3) % 90})),
        (1, 2) => ("get_cost_attribution_gap", json!({})),
        (1, _) => ("explain_compliance_change", json!({})),
        (_, 0) => ("plan_fixes", json!({"by": "count", "limit": 1 + n % 50})),
        (_, 1) => ("suggest_tags_bulk", json!({"limit": 1 + n % 40})),
        (_, 2) => ("detect_tag_drift", json!({"limit": 1 + n % 60})),
        (_, _) => ("check_tag_compliance", json!({})),
    }
}

/// One caller until the time is over: how long each of its calls took, and how many went wrong.
async fn caller(address: SocketAddr, seed: usize, until: Instant, newest: Arc<AtomicI64>) -> (Vec<Duration>, u64) {
    let (mut took, mut invalid, mut n) = (Vec::new(), 0, seed);
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let mut buffer = Vec::new();
    while Instant::now() < until {
        let (tool, arguments) = request(seed % 3, n);
        n += 1;
        let body = json!({"jsonrpc": "2.0", "id": n, "method": "tools/call", "params": {"name": tool, "arguments": arguments}});
        let (body, least) = (body.to_string(), newest.load(Ordering::Relaxed));
        let request = format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json, \
             text/event-stream\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let began = Instant::now();
        stream.write_all(request.as_bytes()).await.expect("a connection that lasts");
        let answered = answer(&mut stream, &mut buffer).await;
        took.push(began.elapsed());
        let reply: Value = serde_json::from_slice(&answered).unwrap_or_default();
        let result = &reply["result"];
        let snapshot = result["structuredContent"]["as_of"]["snapshot_id"].as_i64();
        // A night that was there before the question was asked is the one that is answered from, or a later one.
        let right = result["isError"] == false && reply["id"] == n && snapshot.is_some_and(|id| id >= least);
        if !right {
            invalid += 1;
            if invalid == 1 {
                println!(
                    "wrong: {tool} {arguments}: {}",
                    String::from_utf8_lossy(&answered).chars().take(300).collect::<String>()
                );
            }
        }
    }
    (took, invalid)
}

async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Vec<u8> {
    buffer.clear();
    loop {
        let head = buffer.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(head) = head {
            let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
            let complete = head + 4 + length.trim().parse::<usize>().expect("a length");
            if buffer.len() >= complete {
                return buffer[head + 4..complete].to_vec();
            }
        }
        assert!(stream.read_buf(buffer).await.expect("an answer") > 0, "the server closed the connection");
    }
}

/// Sends a head or a body a byte at a time, and begins again whenever it is cut off.
async fn dawdle(address: SocketAddr, n: usize, until: Instant) {
    let prefix = if n.is_multiple_of(2) {
        "GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
    } else {
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n"
    };
    while Instant::now() < until {
        let Ok(mut stream) = TcpStream::connect(address).await else { continue };
        let mut sent = stream.write_all(prefix.as_bytes()).await;
        while sent.is_ok() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(100)).await;
            sent = stream.write_all(b" ").await;
        }
    }
}

struct Redis(Child, u16);

impl Redis {
    fn on(port: u16) -> Self {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--port", &port.to_string()]);
        let child = command.stdout(Stdio::null()).spawn().expect("redis-server is installed");
        while std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            std::thread::sleep(Duration::from_millis(20));
        }
        Self(child, port)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The server on a ledger, with its audit log.
async fn serving(store: &Path, redis: Option<u16>, end: &CancellationToken) -> SocketAddr {
    let mut ledger = AppState::new(store, None, Duration::from_secs(36 * 3600), now);
    if let Some(port) = redis {
        let url = format!("redis://127.0.0.1:{port}/0");
        ledger = ledger.with_redis_cache(RedisCache::open(&url, end.clone()).expect("a Redis cache"));
    }
    let audit = AuditSettings { path: store.with_extension("audit"), days: 1, clock: now };
    let ledger = ledger.with_audit(Audit::open(audit).expect("an audit log"));
    ledger.preload();
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let (names, requests_per_minute) = (Vec::new(), NonZeroU32::MAX);
    let settings =
        GuardSettings { listen, keys: None, oauth: None, control_key: None, names, requests_per_minute, clock: now };
    let (tell, result) = oneshot::channel();
    let guard = guard(settings).expect("a guard for this machine");
    tokio::spawn(serve_http(Arc::new(ledger), guard, end.clone(), |address| {
        tell.send(address).expect("someone waits")
    }));
    result.await.expect("it listens")
}

async fn measured(
    what: &str,
    store: &Path,
    redis: Option<u16>,
    seconds: u64,
    disturb: impl AsyncFnOnce(SocketAddr, Arc<AtomicI64>),
) {
    let end = CancellationToken::new();
    let address = serving(store, redis, &end).await;
    let newest = LedgerReader::new(store).newest().expect("a ledger").expect("a snapshot").id;
    let newest = Arc::new(AtomicI64::new(newest));
    let until = Instant::now() + Duration::from_secs(seconds);
    let calling: Vec<_> =
        (0..CONNECTIONS).map(|seed| tokio::spawn(caller(address, seed, until, Arc::clone(&newest)))).collect();
    disturb(address, newest).await;
    let (mut took, mut invalid) = (Vec::new(), 0);
    for one in calling {
        let (times, errors) = one.await.expect("a caller");
        took.extend(times);
        invalid += errors;
    }
    end.cancel();
    took.sort();
    let at = |share: usize| took[took.len() * share / 1000].as_micros();
    let rate = took.len() as u64 / seconds;
    println!("{what:<44} {rate:>8} {:>8} {:>8} {:>8} {invalid:>8}", at(500), at(990), at(999));
}

/// A night in which nothing changed but its number, as a scan commits it.
fn commit(store: &Path) -> i64 {
    let mut writer = LedgerWriter::open(store).expect("a ledger");
    let policy = LedgerReader::new(store).read(|view| {
        let newest = view.newest()?.expect("a snapshot");
        view.policy(&newest)
    });
    let policy = policy.expect("its policy");
    let mut recorded = writer
        .begin_snapshot(SnapshotHeader { started_at: now(), policy: &policy, app_version: "bench" })
        .expect("a night");
    recorded.carry_over_rest().expect("what was known");
    let summary = recorded.finish(now(), 1).expect("a snapshot");
    writer.checkpoint().expect("a checkpoint");
    summary.snapshot.id
}

fn copied(file: &Path) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("ledger.sqlite");
    fs::copy(file, &store).expect("the ledger can be copied");
    (folder, store)
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let Some(file) = arguments.next() else {
        println!("cargo bench -p server --bench load -- FILE [SECONDS]");
        return;
    };
    let seconds: u64 = arguments.next().map_or(60, |text| text.parse().expect("seconds"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").port();
        println!(
            "{:<44} {:>8} {:>8} {:>8} {:>8} {:>8}",
            "50 connections", "calls/s", "p50 µs", "p99 µs", "p999 µs", "wrong"
        );
        let (_folder, store) = copied(Path::new(&file));
        measured("without Redis", &store, None, seconds, async |_, _| {}).await;
        measured("beside 400 clients that dawdle", &store, None, seconds, async |address, _| {
            let until = Instant::now() + Duration::from_secs(seconds);
            let all: Vec<_> = (0..SLOW).map(|n| tokio::spawn(dawdle(address, n, until))).collect();
            for one in all {
                one.await.expect("a slow client");
            }
        })
        .await;
        let redis = Redis::on(port);
        measured("with Redis", &store, Some(port), seconds, async |_, _| {}).await;
        measured("Redis killed, restarted; a new snapshot", &store.clone(), Some(port), seconds, async |_, newest| {
            tokio::time::sleep(Duration::from_secs(seconds / 4)).await;
            let port = redis.1;
            drop(redis);
            tokio::time::sleep(Duration::from_secs(seconds / 4)).await;
            let again = Redis::on(port);
            tokio::time::sleep(Duration::from_secs(seconds / 8)).await;
            let committed = tokio::task::spawn_blocking(move || commit(&store)).await.expect("a night");
            newest.store(committed, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(seconds / 4)).await;
            drop(again);
        })
        .await;
    });
}
