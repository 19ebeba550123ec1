//! The request guard: hosts, malformed messages, keys and rates.

use std::{num::NonZeroU32, time::Duration};

use serde_json::{Value, json};
use tagledger_http::{GuardSettings, Scope as Right};
use tagledger_server::guard;

use crate::{
    auth::{bearer, behind_keys, call, key, new, two_accounts},
    test_server::{TestServer, loopback},
};

/// Only configured values of `Host` and `Origin` are accepted. Others get status 403 with the name of the setting, and
/// configured host names without a key file are refused at startup.
#[tokio::test]
async fn unknown_host_or_origin_gets_403() {
    let snapshots = two_accounts();
    let file = snapshots.store().with_extension("keys");
    let settings = GuardSettings { names: vec!["ledger.example.com".to_owned()], ..loopback() };
    let open = guard(settings.clone()).unwrap_err().to_string();
    assert!(open.contains("without a key"), "a proxy forwards requests of other machines: {open}");
    let bearer = bearer(&key(&file, new("mine", &[Right::Read], &[], "90d")));
    let server = behind_keys(&snapshots, GuardSettings { keys: Some(file), ..settings }).await;
    let body = call("check_tag_compliance", &json!({}));
    for headers in ["Host: ledger.example.com\r\n", "Host: localhost:1\r\nOrigin: https://ledger.example.com\r\n"] {
        let headers = format!("{headers}{bearer}");
        assert_eq!(server.send("POST", "/mcp", &headers, &body).await.status, 200, "{headers}");
    }
    for headers in ["Host: evil.example\r\n", "Host: localhost\r\nOrigin: https://evil.example\r\n"] {
        let refused = server.send("POST", "/mcp", &format!("{headers}{bearer}"), &body).await;
        assert_eq!(refused.status, 403, "{headers}");
        assert!(refused.body.contains("TAGLEDGER_ALLOWED_HOSTS"), "{}", refused.body);
    }
}

/// A body that is not JSON gets the JSON-RPC error -32700, and a batch or an invalid message gets -32600. A body of
/// more than 1 MiB gets status 413.
#[tokio::test]
async fn malformed_bodies_get_json_rpc_errors() {
    let ledger = two_accounts();
    let server = TestServer::of(&ledger).await;
    for broken in ["", "{", "nonsense", "{\"jsonrpc\": \"2.0\",}", "\u{0}"] {
        let reply = server.send("POST", "/mcp", "", broken).await;
        assert_eq!(reply.status, 400, "{broken:?}: {reply:?}");
        let error: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!((&error["error"]["code"], &error["id"]), (&json!(-32700), &Value::Null), "{error}");
    }
    for (odd, text) in [
        ("[]", "batches"),
        ("[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]", "batches"),
        ("7", "must be an object"),
        ("{\"id\":1,\"method\":\"ping\"}", "`jsonrpc`"),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}", "`method`"),
        ("{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"tools/list\"}", "`id`"),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":[]}", "`params`"),
    ] {
        let reply = server.send("POST", "/mcp", "", odd).await;
        assert_eq!(reply.status, 400, "{odd}: {reply:?}");
        let error: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(error["error"]["code"], -32600, "{odd}: {error}");
        assert!(error["error"]["message"].as_str().unwrap().contains(text), "{odd}: {error}");
    }
    let large = server.send("POST", "/mcp", "", &" ".repeat((1 << 20) + 1)).await;
    assert_eq!(large.status, 413, "{large:?}");
    assert!(large.body.contains("larger than 1048576 bytes"), "{}", large.body);
}

/// An address other than loopback is refused without an existing key file. A key that exceeds its rate gets status 429
/// with `Retry-After`, and other keys are not affected.
#[tokio::test]
async fn public_listener_needs_keys_and_rate_is_limited() {
    let ledger = two_accounts();
    let open = GuardSettings { listen: "0.0.0.0:0".parse().unwrap(), ..loopback() };
    let error = guard(open.clone()).unwrap_err().to_string();
    assert!(error.contains("tagledger key create"), "{error}");
    let file = ledger.store().with_extension("keys");
    let missing = guard(GuardSettings { keys: Some(file.clone()), ..open.clone() }).unwrap_err().to_string();
    assert!(missing.contains("tagledger key create"), "{missing}");
    let [mine, others] = ["mine", "others"].map(|name| key(&file, new(name, &[Right::Read], &[], "90d")));
    assert!(guard(GuardSettings { keys: Some(file.clone()), ..open }).is_ok());
    let requests_per_minute = NonZeroU32::new(30).unwrap();
    let server = behind_keys(&ledger, GuardSettings { keys: Some(file), requests_per_minute, ..loopback() }).await;
    let body = call("check_tag_compliance", &json!({}));
    for _ in 0..5 {
        assert_eq!(server.send("POST", "/mcp", &bearer(&mine), &body).await.status, 200);
    }
    let late = server.send("POST", "/mcp", &bearer(&mine), &body).await;
    assert_eq!(late.status, 429);
    assert!(late.head.contains("retry-after: "), "{}", late.head);
    assert_eq!(server.send("POST", "/mcp", &bearer(&others), &body).await.status, 200, "each key has its own");
}

/// A key file that is created while the server runs is enforced within five seconds.
#[tokio::test]
async fn key_file_created_later_is_enforced() {
    let ledger = two_accounts();
    let file = ledger.store().with_extension("keys");
    let server = behind_keys(&ledger, GuardSettings { keys: Some(file.clone()), ..loopback() }).await;
    let body = call("check_tag_compliance", &json!({}));
    assert_eq!(server.send("POST", "/mcp", "", &body).await.status, 200, "this machine is let in");
    let mine = key(&file, new("mine", &[Right::Read], &[], "90d"));
    for _ in 0..100 {
        if server.send("POST", "/mcp", "", &body).await.status == 401 {
            assert_eq!(server.send("POST", "/mcp", &bearer(&mine), &body).await.status, 200);
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nobody is asked for a key within five seconds");
}
