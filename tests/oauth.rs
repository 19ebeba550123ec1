//! OAuth access tokens at both ports: which tokens are accepted, and the responses to those that are not.

#![cfg(test)]

#[path = "oauth/signing.rs"]
mod signing;
mod support;

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::ToSpan;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use signing::{Signing, claims, elliptic, now, rsa, text};
use support::{
    binary::{run, sample_policy, tagledger, temp_folder},
    fake_estate::{FakeEstate, HOME, MEMBER},
    server::Server,
};

const ISSUER: &str = "https://login.example.com/tenant";
const RESOURCE: &str = "https://ledger.example.com/mcp";

fn published(keys: &[&Signing]) -> String {
    let strange = json!({"kty": "OKP", "crv": "X448", "kid": "of another use"});
    json!({"keys": keys.iter().map(|key| key.public.clone()).chain([strange]).collect::<Vec<_>>()}).to_string()
}

fn settings<'c>(command: &'c mut Command, keys: &str) -> &'c mut Command {
    command
        .env("TAGLEDGER_OAUTH_ISSUER", ISSUER)
        .env("TAGLEDGER_OAUTH_RESOURCE", RESOURCE)
        .env("TAGLEDGER_OAUTH_JWKS", keys)
}

/// A ledger of two accounts, and the file of public keys.
fn world(keys: &[&Signing]) -> (FakeEstate, PathBuf) {
    let world = FakeEstate::holding({
        let counts = fake_aws::Counts { clusters: 1, ..fake_aws::Counts::each(4) };
        let account = |id| fake_aws::AccountEstate::new(id).with_region("us-east-1", counts);
        fake_aws::Estate::new(HOME).with_account(account(HOME)).with_account(account(MEMBER))
    });
    world.scan(&["--accounts", MEMBER]).exits(0);
    let file = world.folder.path().join("jwks.json");
    fs::write(&file, published(keys)).unwrap();
    (world, file)
}

fn server(world: &FakeEstate, keys: &str) -> Server {
    let mut command = tagledger(world.folder.path());
    Server::start(settings(command.env("TAGLEDGER_STORE", world.store()), keys), "127.0.0.1")
}

fn call(tool: &str, arguments: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}})
        .to_string()
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// Tokens with a valid signature, audience, time and scope are accepted, with elliptic-curve and RSA keys. Every forged
/// token and a missing token get status 401.
#[test]
fn only_valid_tokens_for_this_server_are_accepted() {
    let (first, second, stranger) = (elliptic("first"), rsa("second"), elliptic("first"));
    let (world, file) = world(&[&first, &second]);
    let server = server(&world, file.to_str().unwrap());
    let body = call("check_tag_compliance", &json!({}));
    let ask = |token: &str| server.ask("POST", "/mcp", &bearer(token), &body);
    for good in [&first, &second] {
        let (status, answer) = ask(&good.with(json!({})));
        assert_eq!(status, 200, "{:?}: {answer}", good.algorithm);
        assert!(answer.contains("compliance_score"), "{answer}");
    }
    let at = now().as_second();
    for good in [
        json!({"aud": ["https://other.example.com", RESOURCE]}),
        json!({"exp": at - 5}),
        json!({"scope": null, "scp": ["tagledger:read", "openid"]}),
        json!({"scope": null, "scp": "tagledger:read openid"}),
    ] {
        assert_eq!(ask(&first.with(good.clone())).0, 200, "{good}");
    }
    for (what, token) in forged(&first, &stranger) {
        let (status, answer) = ask(&token);
        assert_eq!(status, 401, "{what}: {answer}");
    }
    assert_eq!(server.ask("POST", "/mcp", "", &body).0, 401, "without any");
}

/// As an authorization server writes an attribute that a user does not have.
fn null_accounts(key: &Signing) -> String {
    let mut claims = claims("tagledger:read");
    claims["tagledger_accounts"] = Value::Null;
    key.token(&claims)
}

/// Tokens of which something is wrong, each with what. `stranger`: a key of the first one's name.
fn forged(first: &Signing, stranger: &Signing) -> Vec<(&'static str, String)> {
    let at = now().as_second();
    let good = first.with(json!({}));
    let parts: Vec<&str> = good.split('.').collect();
    let unsigned = |header: Value| format!("{}.{}.", text(header.to_string().as_bytes()), parts[1]);
    let symmetric = {
        let header = Header { kid: Some("first".to_owned()), ..Header::new(Algorithm::HS256) };
        encode(&header, &claims("tagledger:read"), &EncodingKey::from_secret(published(&[first]).as_bytes())).unwrap()
    };
    let mixed = {
        let header = Header { kid: Some("second".to_owned()), ..Header::new(Algorithm::ES256) };
        encode(&header, &claims("tagledger:read"), &first.key).unwrap()
    };
    vec![
        ("another's signature", stranger.with(json!({}))),
        ("an unknown key", elliptic("third").with(json!({}))),
        ("another audience", first.with(json!({"aud": "https://other.example.com/mcp"}))),
        ("no audience", first.with(json!({"aud": null}))),
        ("another issuer", first.with(json!({"iss": "https://login.example.com/other"}))),
        ("no issuer", first.with(json!({"iss": null}))),
        ("no subject", first.with(json!({"sub": null}))),
        ("expired", first.with(json!({"exp": at - 60}))),
        ("no end", first.with(json!({"exp": null}))),
        ("not yet", first.with(json!({"nbf": at + 300}))),
        ("bound to a key", first.with(json!({"cnf": {"jkt": "x"}}))),
        ("no accounts", first.with(json!({"tagledger_accounts": []}))),
        ("null for accounts", null_accounts(first)),
        ("accounts that are none", first.with(json!({"tagledger_accounts": ["all"]}))),
        ("algorithm none", unsigned(json!({"alg": "none", "typ": "JWT"}))),
        ("algorithm None", unsigned(json!({"alg": "None", "kid": "first"}))),
        ("a public key as a secret", symmetric),
        ("a key of another algorithm", mixed),
        (
            "a changed body",
            format!("{}.{}.{}", parts[0], text(claims("tagledger:live").to_string().as_bytes()), parts[2]),
        ),
        ("cut off", good.chars().take(good.len() - 2).collect()),
        ("no token", "a.b.c".to_owned()),
        ("nothing", "..".to_owned()),
    ]
}

/// The head of an answer, in lower case.
fn head(port: u16, path: &str, authorization: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let method = if body.is_empty() { "GET" } else { "POST" };
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nAccept: \
         application/json, text/event-stream\r\nContent-Length: {}\r\n{authorization}\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split("\r\n\r\n").next().unwrap().to_ascii_lowercase()
}

/// The protected resource metadata names the issuer and the scopes, and every 401 and 403 refers to it. A token without
/// the required scope gets status 403.
#[test]
fn metadata_names_issuer_and_scopes() {
    let key = elliptic("only");
    let (world, file) = world(&[&key]);
    let server = server(&world, file.to_str().unwrap());
    for path in ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"] {
        let (status, body) = server.ask("GET", path, "", "");
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            (status, &answer["resource"], &answer["authorization_servers"]),
            (200, &json!(RESOURCE), &json!([ISSUER]))
        );
        assert_eq!(answer["scopes_supported"], json!(["tagledger:read", "tagledger:live"]));
    }
    let metadata = "resource_metadata=\"https://ledger.example.com/.well-known/oauth-protected-resource/mcp\"";
    let listing = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let missing = head(server.port, "/mcp", "", listing);
    assert!(
        missing.starts_with("http/1.1 401") && missing.contains(metadata) && !missing.contains("error="),
        "{missing}"
    );
    assert!(missing.contains("scope=\"tagledger:read tagledger:live\""), "{missing}");
    let invalid = head(server.port, "/mcp", &bearer("a.b.c"), listing);
    assert!(invalid.contains("error=\"invalid_token\"") && invalid.contains(metadata), "{invalid}");

    let read = bearer(&key.with(json!({"scope": "tagledger:read"})));
    let none = bearer(&key.with(json!({"scope": "openid"})));
    let live = call("validate_resource_tags", &json!({"resource_arns": ["arn:aws:s3:::x"]}));
    let more = head(server.port, "/mcp", &read, &live);
    assert!(more.starts_with("http/1.1 403") && more.contains("error=\"insufficient_scope\""), "{more}");
    assert!(more.contains("scope=\"tagledger:read tagledger:live\"") && more.contains(metadata), "{more}");
    assert!(head(server.port, "/mcp", &none, listing).starts_with("http/1.1 403"));
    assert!(head(server.port, "/mcp", &read, listing).starts_with("http/1.1 200"));
    assert!(head(server.port, "/mcp", &none, &call("check_tag_compliance", &json!({}))).starts_with("http/1.1 403"));
    let live = bearer(&key.with(json!({"scope": "tagledger:live"})));
    for (method, parameters) in [
        ("resources/read", json!({"uri": "tagledger://policy"})),
        ("prompts/get", json!({"name": "monthly_review"})),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/prompt", "name": "what_to_fix_first"},
            "argument": {"name": "account", "value": ""}}),
        ),
    ] {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).to_string();
        for (token, status) in [(&none, "403"), (&live, "403"), (&read, "200")] {
            let head = head(server.port, "/mcp", token, &body);
            assert!(head.starts_with(&format!("http/1.1 {status}")), "{method}: {head}");
        }
    }
}

/// A token with an account claim sees only those accounts. API keys are accepted beside tokens, and the audit log names
/// the subject of the token.
#[test]
fn token_account_claim_limits_answers() {
    let key = elliptic("only");
    let (world, file) = world(&[&key]);
    let made = run(tagledger(world.folder.path()).args(["key", "create", "--name", "beside"])).exits(0);
    let server = server(&world, file.to_str().unwrap());
    let body = call("check_tag_compliance", &json!({}));
    let narrowed = bearer(&key.with(json!({"tagledger_accounts": [MEMBER]})));
    let (status, answer) = server.ask("POST", "/mcp", &narrowed, &body);
    assert!(status == 200 && answer.contains(MEMBER) && !answer.contains(HOME), "{answer}");
    let (status, answer) = server.ask("POST", "/mcp", &bearer(made.stdout.trim()), &body);
    assert!(status == 200 && answer.contains(MEMBER) && answer.contains(HOME), "{answer}");
    let live = call("validate_resource_tags", &json!({"resource_arns": ["arn:aws:s3:::x"]}));
    assert_eq!(server.ask("POST", "/mcp", &bearer(&key.with(json!({"scope": "tagledger:read"}))), &live).0, 403);
    server.end();
    let audit = run(tagledger(world.folder.path()).args(["audit", "--csv"])).exits(0).stdout;
    assert!(audit.contains(",token:ada@example.com,check_tag_compliance,"), "{audit}");
    let refused = audit.lines().find(|line| line.contains(",validate_resource_tags,"));
    assert!(
        refused.is_some_and(|line| line.contains(",token:ada@example.com,") && line.contains(",refused,")),
        "{audit}"
    );
}

/// An authorization server's public keys over HTTP, whatever they are just now.
fn publish(keys: Arc<Mutex<String>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(50) {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            drop(stream.read(&mut request));
            let body = keys.lock().unwrap().clone();
            let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
            drop(stream.write_all(format!("{head}{body}").as_bytes()));
        }
    });
    port
}

/// A new signing key of the authorization server is accepted within twelve seconds, and the former key is then
/// rejected.
#[test]
fn rotated_signing_key_replaces_former() {
    let (before, after) = (elliptic("before"), elliptic("after"));
    let (world, _) = world(&[]);
    let keys = Arc::new(Mutex::new(published(&[&before])));
    let address = format!("http://127.0.0.1:{}/keys", publish(Arc::clone(&keys)));
    let server = server(&world, &address);
    let status = |key: &Signing| {
        server.ask("POST", "/mcp", &bearer(&key.with(json!({}))), &call("get_tagging_policy", &json!({}))).0
    };
    assert_eq!((status(&before), status(&after)), (200, 401));
    *keys.lock().unwrap() = published(&[&after]);
    let found = (0..60).any(|_| {
        std::thread::sleep(Duration::from_millis(200));
        status(&after) == 200
    });
    assert!(found, "the new key is not found within twelve seconds");
    assert_eq!(status(&before), 401);
}

/// The control port of a scanner. Killed when it is dropped.
struct Scanner(Child);

impl Drop for Scanner {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn scanner(home: &Path, keys: &str) -> (Scanner, u16) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = tagledger(home);
    settings(&mut command, keys).args(["scanner", "--control-listen", &format!("127.0.0.1:{port}")]);
    command.arg("--policy").arg(sample_policy()).env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    let child = Scanner(command.stderr(Stdio::null()).spawn().unwrap());
    for _ in 0..100 {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return (child, port);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("the control port does not open");
}

/// The control port accepts a valid token with the scope `tagledger:rescan` and no account claim. Other tokens get
/// status 401 or 403.
#[test]
fn control_port_requires_rescan_scope() {
    let key = elliptic("only");
    let folder = temp_folder();
    let file = folder.path().join("jwks.json");
    fs::write(&file, published(&[&key])).unwrap();
    let (_scanner, port) = scanner(folder.path(), file.to_str().unwrap());
    let at = (now() - 1.hour()).as_second();
    for (claims, status) in [
        (json!({"scope": "tagledger:rescan"}), "200"),
        (json!({"scope": "tagledger:read tagledger:live"}), "403"),
        (json!({"scope": "tagledger:rescan", "tagledger_accounts": [HOME]}), "403"),
        (json!({"scope": "tagledger:rescan", "exp": at}), "401"),
        (json!({"scope": "tagledger:rescan", "aud": "https://other.example.com"}), "401"),
    ] {
        let answer = head(port, "/scans", &bearer(&key.with(claims.clone())), "");
        assert!(answer.starts_with(&format!("http/1.1 {status}")), "{claims}: {answer}");
    }
}

/// Incomplete or invalid OAuth settings and an unusable key set are refused at startup with the reason.
#[test]
fn invalid_oauth_settings_fail_at_start() {
    let folder = temp_folder();
    let home = folder.path();
    let serve = |issuer: &str, resource: &str, keys: &str| {
        let mut command = tagledger(home);
        command.args(["server", "--listen", "127.0.0.1:0"]);
        for (name, value) in [("ISSUER", issuer), ("RESOURCE", resource), ("JWKS", keys)] {
            if !value.is_empty() {
                command.env(format!("TAGLEDGER_OAUTH_{name}"), value);
            }
        }
        run(&mut command)
    };
    serve(ISSUER, "", "").complains(&["together"]);
    serve("http://login.example.com", RESOURCE, "x").complains(&["TAGLEDGER_OAUTH_ISSUER must be an https address"]);
    serve(ISSUER, "ledger", "x").complains(&["TAGLEDGER_OAUTH_RESOURCE must be an https address"]);
    serve(ISSUER, RESOURCE, "http://login.example.com/keys")
        .complains(&["TAGLEDGER_OAUTH_JWKS must be an https address"]);
    serve(ISSUER, RESOURCE, "nowhere.json").complains(&["nowhere.json cannot be read"]);
    fs::write(home.join("empty.json"), "{\"keys\": []}").unwrap();
    serve(ISSUER, RESOURCE, "empty.json").complains(&["it holds no key"]);
    run(tagledger(home).args(["server", "--listen", "127.0.0.1:0", "--allowed-hosts", "ledger.example.com"]))
        .complains(&["from other machines without a key"]);
}
