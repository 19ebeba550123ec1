//! Subscribers are notified of new snapshots within seconds, without a restart of the server.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

use crate::test_server::{TestLedger, TestServer, instances};

const NEWEST: &str = "tagledger://snapshot/newest";

fn listings_of(n: i32) -> Vec<(tagledger_model::inventory::Scope, tagledger_model::inventory::Listing)> {
    let tags = vec![("CostCenter", "Sales"), ("Owner", "a@example.com")];
    vec![instances((0..n).map(|i| (format!("i-{i}"), tags.clone())))]
}

/// A stream of notifications, opened by `subscriptions/listen`.
struct Stream(BufReader<TcpStream>);

impl Stream {
    async fn open(requested: &TestServer, notifications: Value) -> Self {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let body = json!({"jsonrpc": "2.0", "id": 7, "method": "subscriptions/listen",
            "params": {"_meta": meta, "notifications": notifications}});
        let body = body.to_string();
        let mut stream = TcpStream::connect(requested.address()).await.unwrap();
        let head = format!(
            "POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n\
             Mcp-Method: subscriptions/listen\r\nContent-Length: {}\r\n\r\n",
            requested.address(),
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        let mut stream = Self(BufReader::new(stream));
        let first = stream.next(Duration::from_secs(5)).await.expect("an acknowledgement");
        assert_eq!(first["method"], "notifications/subscriptions/acknowledged", "{first}");
        stream
    }

    /// The next message; none when nothing came in time or the stream ended.
    async fn next(&mut self, within: Duration) -> Option<Value> {
        let read = async {
            let mut line = String::new();
            while self.0.read_line(&mut line).await.unwrap() > 0 {
                if let Some(data) = line.strip_prefix("data:").map(str::trim).filter(|data| data.starts_with('{')) {
                    return Some(serde_json::from_str(data).unwrap());
                }
                assert!(!line.starts_with("HTTP/1.1 4"), "{line}");
                line.clear();
            }
            None
        };
        timeout(within, read).await.ok().flatten()
    }
}

/// A subscriber of `tagledger://snapshot/newest` receives a notification within five seconds of each commit, and the
/// resource then contains the new snapshot.
#[tokio::test]
async fn commit_notifies_subscriber() {
    let ledger = TestLedger::new();
    ledger.append(1, listings_of(3));
    let requested = TestServer::of(&ledger).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    let mut stream = Stream::open(&requested, json!({"resourceSubscriptions": [NEWEST]})).await;
    for n in 2..=3 {
        ledger.append(n, listings_of(3 + n));
        let committed = Instant::now();
        let message = stream.next(Duration::from_secs(5)).await.expect("an announcement");
        println!("announced {} ms after the commit", committed.elapsed().as_millis());
        assert_eq!(message["method"], "notifications/resources/updated");
        assert_eq!(message["params"]["uri"], NEWEST);
        let newest = requested.resource(NEWEST).await;
        assert_eq!(newest["as_of"]["snapshot_id"], n);
        assert_eq!(newest["resources"]["compliant"], 3 + n);
    }
}

/// A client that subscribed to another URI receives no notification of a new snapshot.
#[tokio::test]
async fn other_subscriptions_get_no_notification() {
    let ledger = TestLedger::new();
    ledger.append(1, listings_of(3));
    let requested = TestServer::of(&ledger).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    let mut other = Stream::open(&requested, json!({"resourceSubscriptions": ["tagledger://other"]})).await;
    let mut stream = Stream::open(&requested, json!({"resourceSubscriptions": [NEWEST]})).await;
    ledger.append(2, listings_of(4));
    assert!(stream.next(Duration::from_secs(5)).await.is_some());
    assert_eq!(other.next(Duration::from_millis(500)).await, None);
}

/// `tagledger://snapshot/newest` contains the same score, snapshot, policy and coverage as `check_tag_compliance`.
#[tokio::test]
async fn newest_resource_matches_check_tool() {
    let ledger = TestLedger::new();
    ledger.append(1, vec![instances([("i-1".to_owned(), vec![("CostCenter", "Sales")]), ("i-2".to_owned(), vec![])])]);
    let requested = TestServer::of(&ledger).await;
    let newest = requested.resource(NEWEST).await;
    let (tool, _) = requested.ask("check_tag_compliance", json!({})).await;
    for field in ["compliance_score", "as_of", "policy", "coverage"] {
        assert_eq!(newest[field], tool[field], "{field}");
    }
    assert_eq!(newest["resources"]["non_compliant"], 2);
}

/// Before the first scan, `tagledger://snapshot/newest` contains no snapshot and a note that names `tagledger scan`.
#[tokio::test]
async fn newest_resource_without_ledger_names_scan() {
    let requested = TestServer::of(&TestLedger::new()).await;
    let newest = requested.resource(NEWEST).await;
    assert_eq!(newest["snapshot"], Value::Null);
    assert!(newest["note"].as_str().unwrap().contains("tagledger scan"), "{newest}");
}

/// A ledger that is deleted and created again notifies its subscribers, and the resource contains the new data.
#[tokio::test]
async fn recreated_ledger_notifies_subscriber() {
    let ledger = TestLedger::new();
    ledger.append(1, listings_of(3));
    let requested = TestServer::of(&ledger).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    let mut stream = Stream::open(&requested, json!({"resourceSubscriptions": [NEWEST]})).await;
    ledger.delete();
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(requested.resource(NEWEST).await["snapshot"], Value::Null);
    ledger.append(1, listings_of(5));
    assert!(stream.next(Duration::from_secs(5)).await.is_some());
    assert_eq!(requested.resource(NEWEST).await["resources"]["compliant"], 5);
}

/// A shutdown of the server closes the streams of its subscribers within ten seconds.
#[tokio::test]
async fn shutdown_closes_subscriber_streams() {
    let ledger = TestLedger::new();
    ledger.append(1, listings_of(3));
    let requested = TestServer::of(&ledger).await;
    let mut stream = Stream::open(&requested, json!({"resourceSubscriptions": [NEWEST]})).await;
    let started = Instant::now();
    timeout(Duration::from_secs(10), requested.end()).await.expect("the server ends");
    // The answer to the subscription, and then the end of the stream.
    while stream.next(Duration::from_secs(5)).await.is_some() {}
    assert!(started.elapsed() < Duration::from_secs(10));
}
