//! The audit log, from the call to the command that reads it.

#![cfg(test)]

mod support;

use std::collections::BTreeMap;

use serde_json::json;
use support::{
    binary::{run, tagledger},
    fake_estate::FakeEstate,
    server::Server,
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// Every tool call is logged with caller, tool, outcome, rows, size, duration and trace ID, and with a hash in place of
/// the arguments. Unauthenticated requests are not logged, and a file that is not an audit log is refused.
#[test]
fn calls_are_logged_without_arguments() {
    let world = FakeEstate::small();
    world.scan(&[]).exits(0);
    let home = world.folder.path();
    let made = run(tagledger(home).args(["key", "create", "--name", "Ada", "--scopes", "read"])).exits(0);
    let key = made.stdout.trim().to_owned();
    let id = key.split('_').nth(1).unwrap();
    let server = Server::start(tagledger(home).env("TAGLEDGER_STORE", world.store()), "127.0.0.1");
    let bearer = format!("Authorization: Bearer {key}\r\n");
    let call = |tool: &str, arguments: serde_json::Value| {
        let meta = json!({"traceparent": format!("00-{TRACE}-b7ad6b7169203331-01")});
        let parameters = json!({"name": tool, "arguments": arguments, "_meta": meta});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": parameters}).to_string();
        server.ask("POST", "/mcp", &bearer, &body)
    };
    for _ in 0..2 {
        assert_eq!(call("check_tag_compliance", json!({"limit": 40})).0, 200);
    }
    call("check_tag_compliance", json!({"filters": {"region": "moon-secret-1"}}));
    call("validate_resource_tags", json!({"resource_arns": ["arn:aws:s3:::secret-bucket"]}));
    call("a tool named secret", json!({}));
    assert_eq!(server.ask("POST", "/mcp", "", "{}").0, 401, "who is not let in has made no call");
    assert!(server.ask("GET", "/metrics", &bearer, "").1.contains("tagledger_audit_lost_total 0"));
    server.end();

    let csv = run(tagledger(home).args(["audit", "--csv"])).exits(0).stdout;
    let mut lines = csv.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let calls: Vec<BTreeMap<&str, &str>> =
        lines.map(|line| names.iter().copied().zip(line.split(',')).collect()).collect();
    let answer: Vec<_> =
        calls.iter().map(|call| (call["caller"], call["tool"], call["outcome"], call["rows"])).collect();
    let expected = [
        (id, "check_tag_compliance", "ok", "40"),
        (id, "check_tag_compliance", "ok", "40"),
        (id, "check_tag_compliance", "tool_error", "0"),
        (id, "validate_resource_tags", "refused", "0"),
        (id, "other", "error", "0"),
    ];
    assert_eq!(answer, expected, "{csv}");
    assert!(calls.iter().all(|call| call["trace_id"] == TRACE && call["arguments"].len() == 16));
    assert_eq!(calls[0]["arguments"], calls[1]["arguments"]);
    assert_ne!(calls[0]["arguments"], calls[2]["arguments"]);
    assert!(calls[0]["bytes"].parse::<u64>().unwrap() > 1_000 && calls[0]["micros"].parse::<u64>().unwrap() > 0);

    for file in ["tagledger-audit.sqlite", "tagledger-audit.sqlite-wal"] {
        let bytes = std::fs::read(home.join(file)).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("secret") && !text.contains(&key), "{file} holds what it should not");
    }
    let narrowed =
        run(tagledger(home).args(["audit", "--tool", "validate_resource_tags", "--since", "1h"])).exits(0).stdout;
    assert_eq!(narrowed.lines().count(), 2, "{narrowed}");
    assert_eq!(run(tagledger(home).args(["audit", "--caller", "nobody"])).exits(0).stdout.lines().count(), 1);
    run(tagledger(home).args(["audit", "--audit", "nowhere.sqlite"])).complains(&["nowhere.sqlite cannot be read"]);
    run(tagledger(home).args(["audit", "--audit", "ledger.sqlite"])).complains(&["is not an audit log of TagLedger"]);
    run(tagledger(home).arg("server").env("TAGLEDGER_AUDIT", world.store()))
        .complains(&["is not an audit log of TagLedger"]);
    assert_eq!(run(tagledger(home).args(["audit", "--since", "soon"])).code, Some(2));
}
