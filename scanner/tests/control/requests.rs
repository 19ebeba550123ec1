//! The requests to the control port.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use serde_json::{Value, json};
use tagledger_http::{ApiKeyFile, Expiry, GuardError, GuardSettings, NewKey, Scope};
use tagledger_ledger::{LedgerReader, query::compliance};
use tagledger_scanner::control_guard;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::daemon_fixture::{behind, now, settings, start};

const KEY: &str = "a key of more than sixteen characters";

/// With an empty ledger the daemon starts a scan immediately. Its progress, the state of each scope and the estimated
/// remaining time are available until it is complete.
#[tokio::test]
async fn empty_ledger_starts_scan_with_progress() {
    let running = start(None, 0).await;
    let mut scan = Value::Null;
    for _ in 0..200 {
        scan = running.get("/scans").await.json()["scans"][0].clone();
        if scan["scopes_planned"] == 72 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!((&scan["state"], &scan["trigger"]), (&json!("running"), &json!("catch_up")), "{scan}");
    assert_eq!(scan["estimated_seconds_remaining"], Value::Null, "no scope is done yet");
    running.gate.add_permits(10);
    let path = format!("/scans/{}", scan["scan_id"].as_str().unwrap());
    let mut detail = Value::Null;
    for _ in 0..200 {
        detail = running.get(&path).await.json();
        if detail["scopes_done"] == 10 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(detail["estimated_seconds_remaining"].is_i64(), "{detail}");
    let states: Vec<&str> = detail["scopes"].as_array().unwrap().iter().map(|s| s["state"].as_str().unwrap()).collect();
    assert_eq!(states.iter().filter(|state| **state == "read").count(), 10);
    assert_eq!(states.iter().filter(|state| **state == "waiting").count(), 62);
    running.open_gate();
    let over = running.over().await;
    assert_eq!((&over["state"], &over["snapshot_id"]), (&json!("complete"), &json!(1)));
    assert_eq!(running.get("/health").await.status, 200);
}

/// Of 50 concurrent rescan requests, one is accepted with its location and 49 get status 409 with the ID of the
/// accepted scan.
#[tokio::test]
async fn concurrent_rescans_start_only_one() {
    let running = Arc::new(start(None, 0).await);
    running.open_gate();
    running.over().await;
    running.gate.acquire_many(u32::try_from(running.gate.available_permits()).unwrap()).await.unwrap().forget();
    let requested: Vec<_> = (0..50)
        .map(|_| {
            let running = Arc::clone(&running);
            tokio::spawn(async move { running.rescan("").await })
        })
        .collect();
    let mut prefix = Vec::new();
    let mut refused = Vec::new();
    for answer in requested {
        let answer = answer.await.unwrap();
        let id = answer.json()["scan_id"].as_str().unwrap().to_owned();
        match answer.status {
            202 => {
                assert!(answer.head.contains(&format!("location: /scans/{id}").to_lowercase()), "{}", answer.head);
                prefix.push(id);
            }
            409 => refused.push(id),
            other => panic!("{other}: {}", answer.body),
        }
    }
    assert_eq!((prefix.len(), refused.len()), (1, 49));
    assert!(refused.iter().all(|id| *id == prefix[0]));
    running.open_gate();
    assert_eq!(running.over().await["snapshot_id"], 2);
}

/// A rescan limited to a region and a type scans only the matching scopes and carries the others over. A rescan that
/// matches no scope fails and records no snapshot.
#[tokio::test]
async fn narrowed_rescan_updates_only_its_scopes() {
    let running = start(None, 0).await;
    running.open_gate();
    running.over().await;
    let answer = running.rescan(r#"{"regions":["eu-west-1"],"types":["s3:bucket"]}"#).await;
    assert_eq!((answer.status, &answer.json()["narrowed"]), (202, &json!(true)));
    let over = running.over().await;
    assert_eq!(
        (&over["state"], &over["scopes_planned"], &over["snapshot_id"]),
        (&json!("complete"), &json!(3), &json!(2))
    );
    let scopes = LedgerReader::new(&running.store().join("ledger.sqlite"))
        .read(|view| compliance::list_scopes(view, &view.newest()?.unwrap()));
    let scopes = scopes.unwrap();
    assert_eq!((scopes.len(), scopes.iter().filter(|scope| scope.scanned_in == 2).count()), (72, 3));
    let nowhere = running.rescan(r#"{"accounts":["999999999999"]}"#).await;
    assert_eq!(nowhere.status, 202);
    let over = running.over().await;
    assert_eq!(over["state"], "failed");
    assert!(over["error"].as_str().unwrap().contains("match no scope that this scanner scans"), "{over}");
    assert_eq!(running.snapshots(), 2);
}

/// A narrowed rescan is refused with status 409 until a full scan has been recorded.
#[tokio::test]
async fn narrowed_rescan_requires_full_scan() {
    let running = start(None, 1).await;
    running.open_gate();
    assert_eq!(running.over().await["state"], "failed");
    let refused = running.rescan(r#"{"types":["s3:bucket"]}"#).await;
    assert_eq!(refused.status, 409);
    assert!(refused.body.contains("never scanned"), "{}", refused.body);
    assert_eq!(running.get("/health").await.status, 503);
    assert_eq!(running.snapshots(), 0);
}

/// A narrowed rescan that fails because it matches no scope does not make the health check fail.
#[tokio::test]
async fn failed_narrowed_rescan_keeps_daemon_healthy() {
    let running = start(None, 0).await;
    running.open_gate();
    running.over().await;
    assert_eq!(running.rescan(r#"{"accounts":["999999999999"]}"#).await.status, 202);
    assert_eq!(running.over().await["state"], "failed");
    let health = running.get("/health").await;
    assert_eq!(health.status, 200, "{}", health.body);
}

/// When the daemon shuts down during a rescan, it discards the rescan and releases the ledger, and the earlier snapshot
/// remains the latest.
#[tokio::test]
async fn shutdown_aborts_running_rescan() {
    let running = start(None, 0).await;
    running.open_gate();
    running.over().await;
    running.gate.acquire_many(u32::try_from(running.gate.available_permits()).unwrap()).await.unwrap().forget();
    assert_eq!(running.rescan("").await.status, 202);
    let ledger = running.store().join("ledger.sqlite");
    running.end.cancel();
    timeout(Duration::from_secs(10), running.daemon).await.expect("it ends").unwrap();
    let mut writer = tagledger_ledger::LedgerWriter::open(&ledger).unwrap();
    let policy = tagledger_policy::Policy::parse(include_str!("../../../policies/tagging_policy.json")).unwrap();
    let header =
        tagledger_ledger::SnapshotHeader { started_at: jiff::Timestamp::UNIX_EPOCH, policy: &policy, app_version: "" };
    assert!(writer.begin_snapshot(header).is_ok(), "the ledger is unlocked");
    assert_eq!(LedgerReader::new(&ledger).read(|view| view.newest()).unwrap().unwrap().id, 1);
}

/// A cancelled scan records no snapshot, and the next scan does. Cancelling it again gives status 409, and an unknown
/// scan gives 404.
#[tokio::test]
async fn cancelled_scan_records_no_snapshot() {
    let running = start(None, 0).await;
    running.open_gate();
    running.over().await;
    running.gate.acquire_many(u32::try_from(running.gate.available_permits()).unwrap()).await.unwrap().forget();
    let id = running.rescan("").await.json()["scan_id"].as_str().unwrap().to_owned();
    let path = format!("/scans/{id}");
    assert_eq!(running.ask("DELETE", &path, "", "").await.status, 202);
    assert_eq!(running.over().await["state"], "cancelled");
    assert_eq!(running.ask("DELETE", &path, "", "").await.status, 409);
    assert_eq!(running.ask("DELETE", "/scans/none", "", "").await.status, 404);
    assert_eq!(running.snapshots(), 1);
    running.open_gate();
    assert_eq!(running.rescan("").await.status, 202);
    assert_eq!(running.over().await["snapshot_id"], 2);
}

/// After three rescans in quick succession, the fourth gets status 429.
#[tokio::test]
async fn rescan_requests_are_rate_limited() {
    let running = start(None, 0).await;
    running.open_gate();
    running.over().await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(running.rescan(r#"{"types":["ecs:cluster"]}"#).await.status);
        running.over().await;
    }
    assert_eq!(statuses, [202, 202, 202, 429]);
}

/// When the connection to the cloud fails, the scan is reported as failed and the health check fails. The next scan
/// connects again and restores the health.
#[tokio::test]
async fn connect_failure_is_reported_and_recoverable() {
    let running = start(None, 1).await;
    running.open_gate();
    let over = running.over().await;
    assert_eq!(over["state"], "failed");
    assert!(over["error"].as_str().unwrap().contains("the token has expired"), "{over}");
    let health = running.get("/health").await;
    assert_eq!(health.status, 503);
    assert_eq!(running.rescan("").await.status, 202);
    assert_eq!(running.over().await["state"], "complete");
    assert_eq!(running.get("/health").await.status, 200);
    assert_eq!(running.connected.load(Ordering::SeqCst), 2, "each scan connects anew");
}

/// Invalid bodies, methods and paths get the appropriate status and a descriptive error, and a body that is too large
/// gets status 413.
#[tokio::test]
async fn invalid_requests_get_descriptive_errors() {
    let running = start(None, 0).await;
    for (method, path, body, status, expected) in [
        ("POST", "/rescan", r#"{"region":["eu-west-1"]}"#, 400, "unknown field `region`"),
        ("POST", "/rescan", r#"{"types":["ec2:vpc"]}"#, 400, "types[0]"),
        ("POST", "/rescan", "what?", 400, "not a rescan request"),
        ("GET", "/rescan", "", 405, "does not have this method"),
        ("GET", "/nothing", "", 404, "POST /rescan"),
        ("GET", "/scans/none", "", 404, "no such scan"),
    ] {
        let answer = running.ask(method, path, "", body).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(answer.json()["error"].as_str().unwrap().contains(expected), "{}", answer.body);
    }
    let large = format!("{{\"types\":[{}]}}", vec!["\"ec2:instance\""; 30_000].join(","));
    assert_eq!(running.rescan(&large).await.status, 413);
}

/// Requests with a foreign `Origin` or a foreign `Host` get status 403, which prevents cross-site requests and DNS
/// rebinding.
#[tokio::test]
async fn cross_site_rescan_is_forbidden() {
    let running = start(None, 0).await;
    for headers in ["Origin: https://evil.example\r\n", "Origin: null\r\n", "Origin: http://127.0.0.1.evil.example\r\n"]
    {
        assert_eq!(running.ask("POST", "/rescan", headers, "").await.status, 403, "{headers}");
    }
    let rebound = "POST /rescan HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(rebound.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 403"), "{text}");
}

/// With an API key configured, every path except `/health` requires it, and a missing or wrong key gets status 401.
#[tokio::test]
async fn api_key_protects_all_but_health() {
    let running = start(Some(KEY), 0).await;
    let bearer = format!("Authorization: Bearer {KEY}\r\n");
    for (method, path) in [("POST", "/rescan"), ("GET", "/scans"), ("GET", "/metrics"), ("GET", "/nothing")] {
        let refused = running.ask(method, path, "", "").await;
        assert_eq!(refused.status, 401, "{path}");
        assert!(refused.head.contains("www-authenticate: bearer"));
        let invalid = running.ask(method, path, &format!("Authorization: Bearer {KEY}x\r\n"), "").await;
        assert_eq!(invalid.status, 401, "{path}");
        assert_ne!(running.ask(method, path, &bearer, "").await.status, 401, "{path}");
    }
    assert_ne!(running.get("/health").await.status, 401);
}

/// Of the keys in an API key file, only those with the `rescan` scope and without an account restriction are accepted.
/// Others get status 403 with the reason.
#[tokio::test]
async fn only_unrestricted_rescan_keys_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    let key = |scope: Scope, accounts: &[&str]| {
        let accounts = (!accounts.is_empty()).then(|| accounts.iter().map(|id| id.parse().unwrap()).collect());
        let new = NewKey { name: "test".to_owned(), scopes: [scope].into(), accounts, expires: Expiry::Days(1) };
        ApiKeyFile::create(&file, new, now()).unwrap().1
    };
    let keys = [key(Scope::Rescan, &[]), key(Scope::Read, &[]), key(Scope::Rescan, &["111122223333"])];
    let running = behind(GuardSettings { keys: Some(file.clone()), ..settings("127.0.0.1:0", Some(KEY)) }, 0).await;
    let status = async |key: &str| running.ask("GET", "/scans", &format!("Authorization: Bearer {key}\r\n"), "").await;
    for (key, expected) in
        keys.iter().map(String::as_str).zip([200, 403, 403]).chain([(KEY, 200), ("tagledger_x", 401)])
    {
        assert_eq!(status(key).await.status, expected, "{key}");
    }
    assert!(status(&keys[1]).await.body.contains("does not have the scope `rescan`"));
    assert!(status(&keys[2]).await.body.contains("the key is limited to some accounts"));
    assert_eq!(running.get("/scans").await.status, 401);
}

/// Listening on an address other than loopback requires an API key, and a key that is too short is rejected.
#[tokio::test]
async fn public_listener_requires_valid_key() {
    let check = |listen: &str, key: Option<&str>| control_guard(settings(listen, key));
    assert!(matches!(check("0.0.0.0:8081", None), Err(GuardError::Open { .. })));
    assert!(matches!(check("127.0.0.1:8081", Some("short")), Err(GuardError::ShortKey)));
    assert!(check("0.0.0.0:8081", Some(KEY)).is_ok() && check("[::1]:8081", None).is_ok());
}

/// A client that does not complete its request headers is disconnected, and other clients still get responses.
#[tokio::test]
async fn incomplete_request_is_disconnected() {
    let running = start(None, 0).await;
    let mut slow = TcpStream::connect(running.address).await.unwrap();
    slow.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n").await.unwrap();
    let mut rest = Vec::new();
    timeout(Duration::from_secs(20), slow.read_to_end(&mut rest)).await.expect("cut off").unwrap();
    assert!(running.get("/health").await.status > 0);
}

/// The metrics are valid Prometheus text in which every series has a declared type, and they contain the expected
/// series after a scan.
#[tokio::test]
async fn metrics_follow_prometheus_text_format() {
    let running = start(None, 0).await;
    running.open_gate();
    running.over().await;
    let answer = running.get("/metrics").await;
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
    let mut declared = std::collections::BTreeSet::new();
    for line in answer.body.lines() {
        if let Some(declaration) = line.strip_prefix("# TYPE ") {
            let (name, kind) = declaration.split_once(' ').unwrap();
            assert!(["gauge", "counter"].contains(&kind) && declared.insert(name.to_owned()), "{line}");
        } else if !line.starts_with("# HELP ") {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            assert!(declared.contains(name), "{line}");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    for series in [
        "tagledger_scans_total{trigger=\"catch_up\",outcome=\"complete\"} 1",
        "tagledger_last_scan_scopes 72",
        "tagledger_snapshot_id 1",
        "tagledger_scan_running 0",
    ] {
        assert!(answer.body.lines().any(|line| line == series), "{series} is missing in\n{}", answer.body);
    }
    assert!(answer.body.contains("tagledger_aws_requests_total{operation=\"simulated:List\"}"));
}

/// When the daemon shuts down during its first scan, the ledger contains no snapshot.
#[tokio::test]
async fn shutdown_discards_partial_first_scan() {
    let running = start(None, 0).await;
    running.gate.add_permits(20);
    for _ in 0..200 {
        if running.get("/scans").await.json()["scans"][0]["scopes_done"] == 20 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    running.end.cancel();
    timeout(Duration::from_secs(10), running.daemon).await.expect("it ends").unwrap();
    let reader = LedgerReader::new(&running.folder.path().join("ledger.sqlite"));
    assert_eq!(reader.read(|view| view.newest()).unwrap(), None);
}
