//! What the control port does.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use gate::{DoorError, DoorSettings, Expiry, KeyFile, NewKey, Scope};
use scanner::control_door;
use serde_json::{Value, json};
use shared::store::Reader;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::running::{behind, door, now, start};

const KEY: &str = "a key of more than sixteen characters";

#[tokio::test]
async fn an_empty_ledger_is_scanned_at_once_and_the_scan_can_be_followed() {
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
    assert_eq!(scan["estimated_seconds_remaining"], Value::Null, "nothing done, no pace");
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

#[tokio::test]
async fn of_fifty_rescans_at_once_one_begins_and_the_others_are_told_which() {
    let running = Arc::new(start(None, 0).await);
    running.open_gate();
    running.over().await;
    running.gate.acquire_many(u32::try_from(running.gate.available_permits()).unwrap()).await.unwrap().forget();
    let asked: Vec<_> = (0..50)
        .map(|_| {
            let running = Arc::clone(&running);
            tokio::spawn(async move { running.rescan("").await })
        })
        .collect();
    let mut begun = Vec::new();
    let mut refused = Vec::new();
    for answer in asked {
        let answer = answer.await.unwrap();
        let id = answer.json()["scan_id"].as_str().unwrap().to_owned();
        match answer.status {
            202 => {
                assert!(answer.head.contains(&format!("location: /scans/{id}").to_lowercase()), "{}", answer.head);
                begun.push(id);
            }
            409 => refused.push(id),
            other => panic!("{other}: {}", answer.body),
        }
    }
    assert_eq!((begun.len(), refused.len()), (1, 49));
    assert!(refused.iter().all(|id| *id == begun[0]));
    running.open_gate();
    assert_eq!(running.over().await["snapshot_id"], 2);
}

#[tokio::test]
async fn a_narrowed_rescan_updates_its_scopes_and_says_so() {
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
    let scopes = Reader::new(&running.store().join("ledger.sqlite")).read(|view| view.scopes(&view.newest()?.unwrap()));
    let scopes = scopes.unwrap();
    assert_eq!((scopes.len(), scopes.iter().filter(|scope| scope.scanned_in == 2).count()), (72, 3));
    let nowhere = running.rescan(r#"{"accounts":["999999999999"]}"#).await;
    assert_eq!(nowhere.status, 202);
    let over = running.over().await;
    assert_eq!(over["state"], "failed");
    assert!(over["error"].as_str().unwrap().contains("no scope of this scanner's plan"), "{over}");
    assert_eq!(running.snapshots(), 2);
}

#[tokio::test]
async fn a_part_of_an_estate_that_was_never_scanned_whole_is_not_scanned() {
    let running = start(None, 1).await;
    running.open_gate();
    assert_eq!(running.over().await["state"], "failed");
    let refused = running.rescan(r#"{"types":["s3:bucket"]}"#).await;
    assert_eq!(refused.status, 409);
    assert!(refused.body.contains("never scanned"), "{}", refused.body);
    assert_eq!(running.get("/health").await.status, 503);
    assert_eq!(running.snapshots(), 0);
}

#[tokio::test]
async fn a_rescan_that_was_asked_for_in_vain_makes_no_daemon_unhealthy() {
    let running = start(None, 0).await;
    running.open_gate();
    running.over().await;
    assert_eq!(running.rescan(r#"{"accounts":["999999999999"]}"#).await.status, 202);
    assert_eq!(running.over().await["state"], "failed");
    let health = running.get("/health").await;
    assert_eq!(health.status, 200, "{}", health.body);
}

#[tokio::test]
async fn a_rescan_under_way_is_given_up_whole_before_the_daemon_ends() {
    let running = start(None, 0).await;
    running.open_gate();
    running.over().await;
    running.gate.acquire_many(u32::try_from(running.gate.available_permits()).unwrap()).await.unwrap().forget();
    assert_eq!(running.rescan("").await.status, 202);
    let ledger = running.store().join("ledger.sqlite");
    running.end.cancel();
    timeout(Duration::from_secs(10), running.daemon).await.expect("it ends").unwrap();
    let mut writer = shared::store::Writer::open(&ledger).unwrap();
    let policy = shared::policy::Policy::parse(include_str!("../../../policies/tagging_policy.json")).unwrap();
    let header =
        shared::store::NightHeader { started_at: jiff::Timestamp::UNIX_EPOCH, policy: &policy, app_version: "" };
    assert!(writer.begin(header).is_ok(), "nobody holds the ledger any more");
    assert_eq!(Reader::new(&ledger).read(|view| view.newest()).unwrap().unwrap().id, 1);
}

#[tokio::test]
async fn a_cancelled_scan_records_nothing_and_the_next_one_does() {
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

#[tokio::test]
async fn a_storm_of_rescans_is_slowed_down() {
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

#[tokio::test]
async fn a_scan_that_cannot_begin_is_told_and_the_daemon_lives_on() {
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

#[tokio::test]
async fn what_makes_no_sense_is_refused_in_words() {
    let running = start(None, 0).await;
    for (method, path, body, status, told) in [
        ("POST", "/rescan", r#"{"region":["eu-west-1"]}"#, 400, "unknown field `region`"),
        ("POST", "/rescan", r#"{"types":["ec2:vpc"]}"#, 400, "types[0]"),
        ("POST", "/rescan", "what?", 400, "no rescan"),
        ("GET", "/rescan", "", 405, "another method"),
        ("GET", "/nothing", "", 404, "POST /rescan"),
        ("GET", "/scans/none", "", 404, "no such scan"),
    ] {
        let answer = running.ask(method, path, "", body).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(answer.json()["error"].as_str().unwrap().contains(told), "{}", answer.body);
    }
    let large = format!("{{\"types\":[{}]}}", vec!["\"ec2:instance\""; 30_000].join(","));
    assert_eq!(running.rescan(&large).await.status, 413);
}

#[tokio::test]
async fn a_page_of_another_site_can_start_nothing() {
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

#[tokio::test]
async fn with_a_key_everything_but_health_asks_for_it() {
    let running = start(Some(KEY), 0).await;
    let bearer = format!("Authorization: Bearer {KEY}\r\n");
    for (method, path) in [("POST", "/rescan"), ("GET", "/scans"), ("GET", "/metrics"), ("GET", "/nothing")] {
        let refused = running.ask(method, path, "", "").await;
        assert_eq!(refused.status, 401, "{path}");
        assert!(refused.head.contains("www-authenticate: bearer"));
        let wrong = running.ask(method, path, &format!("Authorization: Bearer {KEY}x\r\n"), "").await;
        assert_eq!(wrong.status, 401, "{path}");
        assert_ne!(running.ask(method, path, &bearer, "").await.status, 401, "{path}");
    }
    assert_ne!(running.get("/health").await.status, 401);
}

#[tokio::test]
async fn of_the_keys_in_a_file_those_for_rescans_of_everything_open_the_port() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    let key = |scope: Scope, accounts: &[&str]| {
        let accounts = (!accounts.is_empty()).then(|| accounts.iter().map(|id| id.parse().unwrap()).collect());
        let new = NewKey { name: "test".to_owned(), scopes: [scope].into(), accounts, expires: Expiry::Days(1) };
        KeyFile::create(&file, new, now()).unwrap().1
    };
    let keys = [key(Scope::Rescan, &[]), key(Scope::Read, &[]), key(Scope::Rescan, &["111122223333"])];
    let running = behind(DoorSettings { keys: Some(file.clone()), ..door("127.0.0.1:0", Some(KEY)) }, 0).await;
    let status = async |key: &str| running.ask("GET", "/scans", &format!("Authorization: Bearer {key}\r\n"), "").await;
    for (key, expected) in
        keys.iter().map(String::as_str).zip([200, 403, 403]).chain([(KEY, 200), ("tagledger_x", 401)])
    {
        assert_eq!(status(key).await.status, expected, "{key}");
    }
    assert!(status(&keys[1]).await.body.contains("lacks the scope `rescan`"));
    assert!(status(&keys[2]).await.body.contains("this key is for some accounts"));
    assert_eq!(running.get("/scans").await.status, 401);
}

#[tokio::test]
async fn strangers_are_not_let_in_without_a_key() {
    let check = |listen: &str, key: Option<&str>| control_door(door(listen, key));
    assert!(matches!(check("0.0.0.0:8081", None), Err(DoorError::Open { .. })));
    assert!(matches!(check("127.0.0.1:8081", Some("short")), Err(DoorError::ShortKey)));
    assert!(check("0.0.0.0:8081", Some(KEY)).is_ok() && check("[::1]:8081", None).is_ok());
}

#[tokio::test]
async fn a_client_that_never_ends_its_request_is_cut_off() {
    let running = start(None, 0).await;
    let mut slow = TcpStream::connect(running.address).await.unwrap();
    slow.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n").await.unwrap();
    let mut rest = Vec::new();
    timeout(Duration::from_secs(20), slow.read_to_end(&mut rest)).await.expect("cut off").unwrap();
    assert!(running.get("/health").await.status > 0);
}

#[tokio::test]
async fn metrics_are_lines_that_prometheus_reads() {
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

#[tokio::test]
async fn a_daemon_that_is_told_to_end_gives_up_its_scan_whole() {
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
    let reader = Reader::new(&running.folder.path().join("ledger.sqlite"));
    assert_eq!(reader.read(|view| view.newest()).unwrap(), None);
}
