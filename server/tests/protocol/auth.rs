//! Authentication and authorization: keys, tokens, scopes and accounts.

use std::{path::Path, time::Duration};

use serde_json::{Value, json};
use tagledger_http::{ApiKeyFile, Expiry, GuardSettings, NewKey, Scope as Right};
use tagledger_model::inventory::{Listing, Relationships, Resource, Scope, Tags};
use tagledger_server::{AppState, guard};

use crate::{
    lookup::{Now, arn},
    test_server::{ACCOUNT, REGION, Reply, TestLedger, TestServer, instances, loopback, noon},
};

const OTHER: &str = "222222222222";
const GOOD: [(&str, &str); 2] = [("CostCenter", "Sales"), ("Owner", "a@example.com")];

/// Two required tags, and an exemption in each account and beyond.
const POLICY: &str = r#"{
    "version": "1.0",
    "last_updated": "2026-01-01T00:00:00Z",
    "required_tags": [
        {"name": "CostCenter", "allowed_values": ["Engineering", "Sales"]},
        {"name": "Owner", "validation_regex": "^[a-z]+@example\\.com$"}
    ],
    "exemptions": [
        {"resource_arn": "arn:aws:rds:eu-west-1:222222222222:db:payroll", "reason": "of-the-other"},
        {"resource_arn": "arn:aws:rds:eu-west-1:111111111111:db:mine", "reason": "known"},
        {"resource_arn": "arn:aws:s3:::of-the-other-*", "reason": "of somebody"}
    ]
}"#;

/// One good instance in one account, two bad ones and a bucket in another.
pub(crate) fn two_accounts() -> TestLedger {
    let mut ledger = TestLedger::new();
    ledger.evaluate_by(POLICY);
    let of_other = |resource_type: &str, names: &[&str]| {
        let scope = Scope {
            account: OTHER.parse().unwrap(),
            region: REGION.parse().unwrap(),
            resource_type: resource_type.parse().unwrap(),
        };
        let resource = |name: &&str| Resource {
            arn: name.parse().unwrap(),
            created_at: None,
            tags: Tags::Known([("Secret", "of-the-other")].into_iter().collect()),
            usage: None,
            links: Relationships::default(),
        };
        (scope, Listing { resources: names.iter().map(resource).collect(), gap: None })
    };
    let there = [1, 2].map(|n| format!("arn:aws:ec2:{REGION}:{OTHER}:instance/i-other{n}"));
    let there = [there[0].as_str(), there[1].as_str()];
    ledger.append_of(
        &[ACCOUNT, OTHER],
        1,
        vec![
            instances([("i-good".to_owned(), GOOD.to_vec())]),
            of_other("ec2:instance", &there),
            of_other("s3:bucket", &["arn:aws:s3:::bucket-of-the-other"]),
        ],
    );
    ledger.learn();
    ledger
}

pub(crate) fn new(name: &str, scopes: &[Right], accounts: &[&str], expires: &str) -> NewKey {
    let accounts = (!accounts.is_empty()).then(|| accounts.iter().map(|id| id.parse().unwrap()).collect());
    let expires: Expiry = expires.parse().unwrap();
    NewKey { name: name.to_owned(), scopes: scopes.iter().copied().collect(), accounts, expires }
}

pub(crate) fn key(file: &Path, new: NewKey) -> String {
    ApiKeyFile::create(file, new, noon()).unwrap().1
}

pub(crate) async fn behind_keys(snapshots: &TestLedger, settings: GuardSettings) -> TestServer {
    let now = [("i-good", GOOD.to_vec())];
    let ledger = AppState::new(&snapshots.store(), None, Duration::from_secs(36 * 3600), noon);
    let ledger = ledger.with_lookup(std::sync::Arc::new(Now(now.into_iter().collect())));
    TestServer::behind(guard(settings).unwrap(), ledger).await
}

pub(crate) fn call(tool: &str, arguments: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}})
        .to_string()
}

pub(crate) fn bearer(key: &str) -> String {
    format!("Authorization: Bearer {key}\r\n")
}

async fn with_key(server: &TestServer, key: &str, tool: &str, arguments: Value) -> Value {
    let Reply { status, body, .. } = server.send("POST", "/mcp", &bearer(key), &call(tool, &arguments)).await;
    assert_eq!(status, 200, "{tool}: {body}");
    serde_json::from_str::<Value>(&body).unwrap()["result"].take()
}

/// Every tool, asked so that it answers whoever may ask.
fn every_tool() -> [(&'static str, Value); 13] {
    let arn = arn("i-good");
    let draft = json!({"version": "1.0", "last_updated": "2026-01-01T00:00:00Z", "required_tags": [{"name": "Owner"}]});
    [
        ("check_tag_compliance", json!({})),
        ("detect_tag_drift", json!({})),
        ("explain_compliance_change", json!({})),
        ("find_untagged_resources", json!({})),
        ("generate_compliance_report", json!({})),
        ("get_cost_attribution_gap", json!({})),
        ("get_tagging_policy", json!({})),
        ("get_violation_history", json!({})),
        ("plan_fixes", json!({})),
        ("simulate_policy", json!({"policy": draft})),
        ("suggest_tags", json!({"resource_arn": arn})),
        ("suggest_tags_bulk", json!({})),
        ("validate_resource_tags", json!({"resource_arns": [arn]})),
    ]
}

const LIVE: [&str; 2] = ["suggest_tags", "validate_resource_tags"];

/// A missing, unknown, malformed, revoked or expired key gets status 401 with a `WWW-Authenticate` header and the
/// reason, for every method. `/health` needs no key, and the key file does not contain the secret.
#[tokio::test]
async fn invalid_keys_get_401_with_reason() {
    let ledger = two_accounts();
    let file = ledger.store().with_extension("keys");
    let good = key(&file, new("good", &[Right::Read, Right::Live], &[], "never"));
    let revoked = key(&file, new("revoked", &[Right::Read], &[], "never"));
    let expired =
        ApiKeyFile::create(&file, new("old", &[Right::Read], &[], "1d"), "2026-10-01T00:00:00Z".parse().unwrap());
    ApiKeyFile::revoke(&file, "revoked", noon()).unwrap();
    let server = behind_keys(&ledger, GuardSettings { keys: Some(file.clone()), ..loopback() }).await;
    let (start, end) = good.split_at(good.len() - 1);
    let other = if end == "A" { "B" } else { "A" };
    let refused = [
        (String::new(), "", "a key is needed"),
        (bearer(&format!("{start}{other}")), "invalid_token", "not known here"),
        (bearer("tagledger_aaaaaaaa_x"), "invalid_token", "not known here"),
        (bearer("ü"), "", "a key is needed"),
        (format!("Authorization: Basic {good}\r\n"), "", "a key is needed"),
        (bearer(&revoked), "invalid_token", "has been revoked"),
        (bearer(&expired.unwrap().1), "invalid_token", "has expired"),
    ];
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    let read = json!({"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": "tagledger://snapshot/newest"}});
    let prompt = json!({"jsonrpc": "2.0", "id": 1, "method": "prompts/get", "params": {"name": "monthly_review"}});
    let complete = json!({"jsonrpc": "2.0", "id": 1, "method": "completion/complete", "params": {
        "ref": {"type": "ref/prompt", "name": "what_to_fix_first"}, "argument": {"name": "account", "value": ""}}});
    let read = [read, prompt, complete].map(|body| body.to_string());
    let requested =
        [vec![call("check_tag_compliance", &json!({})), list], read.to_vec(), vec!["nonsense".to_owned()]].concat();
    for (header, challenge, text) in &refused {
        for body in &requested {
            let reply = server.send("POST", "/mcp", header, body).await;
            assert_eq!(reply.status, 401, "{header}: {reply:?}");
            assert!(reply.head.contains("www-authenticate: bearer") && reply.head.contains(challenge), "{reply:?}");
            let error: Value = serde_json::from_str(&reply.body).unwrap();
            assert!(error["error"]["message"].as_str().unwrap().contains(text), "{header}: {error}");
            assert_eq!(error["jsonrpc"], "2.0");
        }
        assert_eq!(server.send("GET", "/health", header, "").await.status, 200, "health needs no key");
        assert_eq!(server.send("GET", "/nothing", header, "").await.status, 401);
    }
    for body in &requested[..5] {
        assert_eq!(server.send("POST", "/mcp", &bearer(&good), body).await.status, 200);
    }
    let stored = std::fs::read_to_string(&file).unwrap();
    assert!(!stored.contains(good.rsplit('_').next().unwrap()), "the key itself is kept nowhere");
}

/// A key can call only the tools, resources, prompts and completions that its scopes allow, and the lists of tools and
/// prompts omit the others.
#[tokio::test]
async fn scopes_limit_calls_and_listings() {
    let ledger = two_accounts();
    let file = ledger.store().with_extension("keys");
    let [read, live, rescan] =
        [Right::Read, Right::Live, Right::Rescan].map(|scope| key(&file, new(scope.as_str(), &[scope], &[], "90d")));
    let server = behind_keys(&ledger, GuardSettings { keys: Some(file), ..loopback() }).await;
    for (key, allowed) in [(&read, Some(false)), (&live, Some(true)), (&rescan, None)] {
        for (tool, arguments) in every_tool() {
            let result = with_key(&server, key, tool, arguments).await;
            let lacking = result["content"][0]["text"].as_str().is_some_and(|text| text.contains("it lacks the scope"));
            assert_eq!(!lacking, allowed == Some(LIVE.contains(&tool)), "{tool}: {result}");
        }
        let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
        let reply: Value = serde_json::from_str(&server.send("POST", "/mcp", &bearer(key), &list).await.body).unwrap();
        let listed: Vec<&str> =
            reply["result"]["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
        let expected: Vec<&str> =
            every_tool().iter().map(|(tool, _)| *tool).filter(|tool| allowed == Some(LIVE.contains(tool))).collect();
        assert_eq!(listed, expected);
        for (method, parameters) in [
            ("resources/read", json!({"uri": "tagledger://snapshot/newest"})),
            ("prompts/get", json!({"name": "monthly_review"})),
            (
                "completion/complete",
                json!({"ref": {"type": "ref/prompt", "name": "what_to_fix_first"},
                "argument": {"name": "account", "value": ""}}),
            ),
        ] {
            let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).to_string();
            let reply = server.send("POST", "/mcp", &bearer(key), &body).await.body;
            let reply: Value = serde_json::from_str(&reply).unwrap();
            assert_eq!(reply["error"].is_null(), allowed == Some(false), "{reply}");
        }
        let prompts = json!({"jsonrpc": "2.0", "id": 1, "method": "prompts/list"}).to_string();
        let reply: Value =
            serde_json::from_str(&server.send("POST", "/mcp", &bearer(key), &prompts).await.body).unwrap();
        assert_eq!(reply["result"]["prompts"].as_array().unwrap().is_empty(), allowed != Some(false), "{reply}");
    }
}

/// No answer for a key of one account contains data of another account, even if the answer for all accounts is cached
/// or the page token of another key is used. A filter on another account is refused.
#[tokio::test]
async fn account_key_sees_no_other_account() {
    let ledger = two_accounts();
    let file = ledger.store().with_extension("keys");
    let mine = key(&file, new("mine", &[Right::Read, Right::Live], &[ACCOUNT, "333333333333"], "90d"));
    let all = key(&file, new("all", &[Right::Read, Right::Live], &[], "90d"));
    let server = behind_keys(&ledger, GuardSettings { keys: Some(file), ..loopback() }).await;
    // What is kept at hand for whoever may ask about all is not for others.
    for (tool, arguments) in every_tool() {
        with_key(&server, &all, tool, arguments).await;
    }
    for (tool, arguments) in every_tool() {
        let text = with_key(&server, &mine, tool, arguments).await.to_string();
        for word in [OTHER, "of-the-other", "i-other"] {
            assert!(!text.contains(word), "{tool} tells of {word}: {text}");
        }
    }
    let score = with_key(&server, &mine, "check_tag_compliance", json!({})).await;
    assert_eq!(score["structuredContent"]["compliance_score"], 1.0);
    let untagged = with_key(&server, &mine, "find_untagged_resources", json!({})).await;
    assert_eq!(untagged["structuredContent"]["totals"]["missing_required_tags"], 0, "{untagged}");
    let policy = with_key(&server, &mine, "get_tagging_policy", json!({})).await;
    assert_eq!(policy["structuredContent"]["exemptions"].as_array().unwrap().len(), 1, "{policy}");
    let policy = with_key(&server, &all, "get_tagging_policy", json!({})).await;
    assert_eq!(policy["structuredContent"]["exemptions"].as_array().unwrap().len(), 3, "{policy}");
    for tool in ["check_tag_compliance", "get_violation_history", "plan_fixes", "suggest_tags_bulk"] {
        let refused = with_key(&server, &mine, tool, json!({"filters": {"account_id": OTHER}})).await;
        let expected = refused["content"][0]["text"].as_str().unwrap();
        assert!(expected.contains("this key is not for account 222222222222"), "{tool}: {expected}");
        let named = with_key(&server, &mine, tool, json!({"filters": {"account_id": ACCOUNT}})).await;
        let named = named["content"][0]["text"].as_str().unwrap().to_owned();
        assert!(!named.contains("this key"), "{named}");
        let unscanned = with_key(&server, &mine, tool, json!({"filters": {"account_id": "333333333333"}})).await;
        let expected = unscanned["content"][0]["text"].as_str().unwrap();
        assert!(expected.contains("was not scanned") && !expected.contains(OTHER), "{tool}: {expected}");
    }
    let there =
        [format!("arn:aws:ec2:{REGION}:{OTHER}:instance/i-other1"), "arn:aws:s3:::bucket-of-the-other".to_owned()];
    let validated = with_key(&server, &mine, "validate_resource_tags", json!({"resource_arns": there})).await;
    let summary = &validated["structuredContent"]["summary"];
    assert_eq!((&summary["not_read"], &summary["non_compliant"]), (&json!(2), &json!(0)), "{validated}");
    let cursor = with_key(&server, &all, "check_tag_compliance", json!({"limit": 1})).await;
    let cursor = cursor["structuredContent"]["next_cursor"].clone();
    let page = with_key(&server, &mine, "check_tag_compliance", json!({"limit": 1, "cursor": cursor})).await;
    assert!(!page.to_string().contains("i-other"), "another's cursor shows no more: {page}");
}

/// MCP resources and completions contain only data of the accounts of the key. Resources of other accounts and the
/// report resource return an error.
#[tokio::test]
async fn account_key_limits_resources_and_completions() {
    let ledger = two_accounts();
    let file = ledger.store().with_extension("keys");
    let mine = key(&file, new("mine", &[Right::Read], &[ACCOUNT], "90d"));
    let server = behind_keys(&ledger, GuardSettings { keys: Some(file), ..loopback() }).await;
    let ask = async |method: &str, parameters: Value| {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).to_string();
        server.send("POST", "/mcp", &bearer(&mine), &request).await.body
    };
    for (uri, known) in [
        ("tagledger://snapshot/newest".to_owned(), true),
        ("tagledger://policy".to_owned(), true),
        (format!("tagledger://resource/{}", arn("i-good")), true),
        (format!("tagledger://resource/arn:aws:ec2:{REGION}:{OTHER}:instance/i-other1"), false),
        ("tagledger://resource/arn:aws:s3:::bucket-of-the-other".to_owned(), false),
        ("tagledger://report/newest".to_owned(), false),
    ] {
        let body = ask("resources/read", json!({"uri": uri})).await;
        let reply: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(reply["error"].is_null(), known, "{uri}: {reply}");
        // A refusal names what was asked for.
        let answer = body.replace(&uri, "");
        assert!(!answer.contains("of-the-other") && !answer.contains(OTHER), "{uri}: {body}");
    }
    let newest = ask("resources/read", json!({"uri": "tagledger://snapshot/newest"})).await;
    assert!(newest.contains(r#"\"compliance_score\":1.0"#), "{newest}");
    let prompt = json!({"type": "ref/prompt", "name": "what_to_fix_first"});
    let accounts = json!({"ref": prompt, "argument": {"name": "account_id", "value": ""}});
    let reply: Value = serde_json::from_str(&ask("completion/complete", accounts).await).unwrap();
    assert_eq!(reply["result"]["completion"]["values"], json!([ACCOUNT]), "{reply}");
}

/// A running server rejects a revoked key and accepts a new key within five seconds. A broken or deleted key file
/// rejects every key.
#[tokio::test]
async fn key_file_reload_revokes_and_adds_keys() {
    let ledger = two_accounts();
    let file = ledger.store().with_extension("keys");
    let [first, second] = ["first", "second"].map(|name| key(&file, new(name, &[Right::Read], &[], "90d")));
    let server = behind_keys(&ledger, GuardSettings { keys: Some(file.clone()), ..loopback() }).await;
    let body = call("check_tag_compliance", &json!({}));
    let status = async |key: &str| server.send("POST", "/mcp", &bearer(key), &body).await.status;
    let becomes = async |key: &str, expected: u16| {
        for _ in 0..100 {
            if status(key).await == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("not {expected} within five seconds");
    };
    assert_eq!((status(&first).await, status(&second).await), (200, 200));
    ApiKeyFile::revoke(&file, "first", noon()).unwrap();
    becomes(&first, 401).await;
    assert_eq!(status(&second).await, 200);
    let third = key(&file, new("third", &[Right::Read], &[], "90d"));
    becomes(&third, 200).await;
    let stored = std::fs::read(&file).unwrap();
    std::fs::write(&file, "{").unwrap();
    becomes(&second, 401).await;
    std::fs::write(&file, stored).unwrap();
    becomes(&second, 200).await;
    std::fs::remove_file(&file).unwrap();
    becomes(&second, 401).await;
    assert_eq!(
        server.send("POST", "/mcp", "", &body).await.status,
        401,
        "without its key file the server refuses requests"
    );
}

/// The tenth identical call of a caller within a minute gets an additional note, and the answer is otherwise unchanged.
/// Callers are counted separately.
#[tokio::test]
async fn tenth_identical_call_adds_note() {
    let ledger = two_accounts();
    let file = ledger.store().with_extension("keys");
    let [mine, others] = ["mine", "others"].map(|name| key(&file, new(name, &[Right::Read], &[], "90d")));
    let server = behind_keys(&ledger, GuardSettings { keys: Some(file), ..loopback() }).await;
    let ask =
        async |key: &str| with_key(&server, key, "check_tag_compliance", json!({})).await["structuredContent"].take();
    let first = ask(&mine).await;
    for _ in 0..8 {
        assert_eq!(ask(&mine).await, first);
    }
    let mut tenth = ask(&mine).await;
    let hint = tenth["notes"].as_array_mut().unwrap().pop().unwrap();
    assert!(hint.as_str().unwrap().starts_with("This call was made 10 times within a minute"), "{hint}");
    assert_eq!(tenth, first);
    assert_eq!(ask(&others).await, first, "each caller is counted by itself");
}
