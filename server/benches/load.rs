//! The load that a server sustains: fifty connections of three kinds of callers, without Redis, together with four hundred clients that
//! never finish a request, with Redis, and while Redis is killed, restarted and a new snapshot is committed.
//!
//! `cargo bench -p tagledger-server --bench load -- FILE [SECONDS]`. FILE is a ledger, such as that of `tagledger demo`. The bench uses a copy.
//! Each part takes 60 seconds by default. The bench needs redis-server. The callers run in this process. Every answer is
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

/// Number of clients that never complete a request.
const SLOW_CLIENTS: usize = 400;

fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the age of the snapshot does not affect the measurement")]
    Timestamp::now()
}

/// The n-th request of a caller. The three kinds are an analyst, who pages and filters, a manager, who requests overviews, and an
/// agent, which plans.
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

/// Sends requests until `until`. Returns the time of each call and the number of invalid answers.
async fn call_repeatedly(
    address: SocketAddr,
    seed: usize,
    until: Instant,
    newest: Arc<AtomicI64>,
) -> (Vec<Duration>, u64) {
    let (mut times, mut invalid, mut n) = (Vec::new(), 0, seed);
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let mut buffer = Vec::new();
    while Instant::now() < until {
        let (tool, arguments) = request(seed % 3, n);
        n += 1;
        let body = json!({"jsonrpc": "2.0", "id": n, "method": "tools/call", "params": {"name": tool, "arguments": arguments}});
        let (body, min_snapshot) = (body.to_string(), newest.load(Ordering::Relaxed));
        let request = format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json, \
             text/event-stream\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let began = Instant::now();
        stream.write_all(request.as_bytes()).await.expect("a connection that lasts");
        let response = answer(&mut stream, &mut buffer).await;
        times.push(began.elapsed());
        let reply: Value = serde_json::from_slice(&response).unwrap_or_default();
        let result = &reply["result"];
        let snapshot = result["structuredContent"]["as_of"]["snapshot_id"].as_i64();
        // The answer is of the newest snapshot at the time of the request, or of a later one.
        let valid = result["isError"] == false && reply["id"] == n && snapshot.is_some_and(|id| id >= min_snapshot);
        if !valid {
            invalid += 1;
            if invalid == 1 {
                println!(
                    "invalid: {tool} {arguments}: {}",
                    String::from_utf8_lossy(&response).chars().take(300).collect::<String>()
                );
            }
        }
    }
    (times, invalid)
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

/// Sends a head or a body one byte at a time, and reconnects when the server closes the connection.
async fn send_slowly(address: SocketAddr, n: usize, until: Instant) {
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
    fn start(port: u16) -> Self {
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
async fn start_server(store: &Path, redis: Option<u16>, end: &CancellationToken) -> SocketAddr {
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
    let (sender, receiver) = oneshot::channel();
    let guard = guard(settings).expect("a guard for this machine");
    tokio::spawn(serve_http(Arc::new(ledger), guard, end.clone(), |address| {
        sender.send(address).expect("the receiver exists")
    }));
    receiver.await.expect("it listens")
}

async fn measure(
    line: &str,
    store: &Path,
    redis: Option<u16>,
    seconds: u64,
    disturb: impl AsyncFnOnce(SocketAddr, Arc<AtomicI64>),
) {
    let end = CancellationToken::new();
    let address = start_server(store, redis, &end).await;
    let newest = LedgerReader::new(store).newest().expect("a ledger").expect("a snapshot").id;
    let newest = Arc::new(AtomicI64::new(newest));
    let until = Instant::now() + Duration::from_secs(seconds);
    let callers: Vec<_> =
        (0..CONNECTIONS).map(|seed| tokio::spawn(call_repeatedly(address, seed, until, Arc::clone(&newest)))).collect();
    disturb(address, newest).await;
    let (mut all_times, mut invalid) = (Vec::new(), 0);
    for caller in callers {
        let (times, errors) = caller.await.expect("a caller");
        all_times.extend(times);
        invalid += errors;
    }
    end.cancel();
    all_times.sort();
    let at = |share: usize| all_times[all_times.len() * share / 1000].as_micros();
    let rate = all_times.len() as u64 / seconds;
    println!("{line:<44} {rate:>8} {:>8} {:>8} {:>8} {invalid:>8}", at(500), at(990), at(999));
}

/// Commits a snapshot in which no resource changed, as a scan does. Returns its id.
fn commit_snapshot(store: &Path) -> i64 {
    let mut writer = LedgerWriter::open(store).expect("a ledger");
    let policy = LedgerReader::new(store).read(|view| {
        let newest = view.newest()?.expect("a snapshot");
        view.policy(&newest)
    });
    let policy = policy.expect("its policy");
    let mut recorded = writer
        .begin_snapshot(SnapshotHeader { started_at: now(), policy: &policy, app_version: "bench" })
        .expect("a snapshot");
    recorded.carry_over_rest().expect("the resources of the previous snapshot");
    let summary = recorded.finish(now(), 1).expect("a snapshot");
    writer.checkpoint().expect("a checkpoint");
    summary.snapshot.id
}

fn copy_ledger(file: &Path) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("ledger.sqlite");
    fs::copy(file, &store).expect("the ledger can be copied");
    (folder, store)
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let Some(file) = arguments.next() else {
        println!("cargo bench -p tagledger-server --bench load -- FILE [SECONDS]");
        return;
    };
    let seconds: u64 = arguments.next().map_or(60, |text| text.parse().expect("seconds"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").port();
        println!(
            "{:<44} {:>8} {:>8} {:>8} {:>8} {:>8}",
            "50 connections", "calls/s", "p50 µs", "p99 µs", "p999 µs", "invalid"
        );
        let (_folder, store) = copy_ledger(Path::new(&file));
        measure("without Redis", &store, None, seconds, async |_, _| {}).await;
        measure("with 400 clients that never finish", &store, None, seconds, async |address, _| {
            let until = Instant::now() + Duration::from_secs(seconds);
            let clients: Vec<_> = (0..SLOW_CLIENTS).map(|n| tokio::spawn(send_slowly(address, n, until))).collect();
            for client in clients {
                client.await.expect("a slow client");
            }
        })
        .await;
        let redis = Redis::start(port);
        measure("with Redis", &store, Some(port), seconds, async |_, _| {}).await;
        measure("Redis killed, restarted; a new snapshot", &store.clone(), Some(port), seconds, async |_, newest| {
            tokio::time::sleep(Duration::from_secs(seconds / 4)).await;
            let port = redis.1;
            drop(redis);
            tokio::time::sleep(Duration::from_secs(seconds / 4)).await;
            let restarted = Redis::start(port);
            tokio::time::sleep(Duration::from_secs(seconds / 8)).await;
            let committed = tokio::task::spawn_blocking(move || commit_snapshot(&store)).await.expect("a snapshot");
            newest.store(committed, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(seconds / 4)).await;
            drop(restarted);
        })
        .await;
    });
}
